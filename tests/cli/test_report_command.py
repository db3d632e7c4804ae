"""``mediafm report`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typed_commands import Mediafm

from mediafm_cli.synthetic import SyntheticTitle


def test_stdout_is_the_path_of_the_page(
    mediafm: Mediafm, stores: list[Path], films: list[SyntheticTitle], tmp_path: Path
) -> None:
    typed = mediafm("report", *stores, "-o", tmp_path / "report", "--media", films[0].path.parent)

    page = tmp_path / "report" / "report.html"
    assert (typed.code, typed.out) == (0, f"{page}\n")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert "report: 3 titles, 18 shots, 18 pictures, " in typed.err


def test_a_single_title_is_no_1_titles(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    assert "report: 1 title, 6 shots, " in mediafm("report", stores[0], "-o", tmp_path / "film.html").err


def test_a_file_can_be_named(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    typed = mediafm("report", stores[0], "-o", tmp_path / "film.html", "-q")

    assert typed.out == f"{tmp_path}/film.html\n"
    assert typed.err == ""
    assert (tmp_path / "film.html").is_file()


def test_the_same_stores_give_the_same_page(
    mediafm: Mediafm, stores: list[Path], films: list[SyntheticTitle], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        mediafm("report", *stores, "-o", tmp_path / name, "--media", films[0].path.parent)

    assert (tmp_path / "one" / "report.html").read_bytes() == (tmp_path / "two" / "report.html").read_bytes()


def test_a_record_for_programs(
    mediafm: Mediafm, stores: list[Path], model_folder: Path, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    mediafm("embed", *stores, "--model", model_folder)
    where = ("-o", tmp_path, "--media", films[0].path.parent)

    typed = mediafm("report", *stores, "--model", model_folder, *where, "--max-shots", "6", "--json")

    page = tmp_path / "report.html"
    assert json.loads(typed.out) == {
        "schema": "mediafm.report",
        "version": 1,
        "path": str(page),
        "bytes": page.stat().st_size,
        "titles": ["title_000", "title_001", "title_002"],
        "shots": 6,
        "shots_in_all": 18,
        "pictures": 6,
        "model": "tiny",
    }
    assert "the page shows 6 of 18 shots" in " ".join(typed.err.split())


def test_media_that_is_gone_is_a_warning_that_names_the_option(
    mediafm: Mediafm, stores: list[Path], tmp_path: Path
) -> None:
    typed = mediafm("report", stores[0], "-o", tmp_path)

    assert typed.code == 0
    assert "Name its folder with --media FOLDER" in " ".join(typed.err.split())


def test_a_model_that_has_not_embedded_the_stores_is_an_error_with_the_command(
    mediafm: Mediafm, stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    typed = mediafm("report", stores[0], "--model", model_folder, "-o", tmp_path / "report")

    assert (typed.code, typed.out) == (5, "")
    assert f"mediafm embed {stores[0]} --model {model_folder}" in " ".join(typed.err.split())
    assert not (tmp_path / "report").exists()


def test_the_ablation_of_another_model_is_refused(
    mediafm: Mediafm, stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    record = {"schema": "mediafm.ablation", "titles": ["a"], "held_out": True, "rows": [], "model": "0" * 64}
    (tmp_path / "results.json").write_text(json.dumps(record))

    typed = mediafm("report", *stores, "--model", model_folder, "--ablation", tmp_path, "-o", tmp_path / "report")

    assert (typed.code, typed.out) == (2, "")
    told = " ".join(typed.err.split())
    assert f"{tmp_path} is the ablation of another model. Its model is 000000000000" in told
    assert f"mediafm ablate STORES --model {model_folder}" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ablation", "nowhere"), "results.json cannot be read"),
        (("--media", "nowhere"), "There is no folder nowhere"),
        (("--max-shots", "1"), "3 titles do not fit in a page of 1 shots"),
    ],
)
def test_what_cannot_be_used_is_a_usage_error(
    mediafm: Mediafm, stores: list[Path], tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    typed = mediafm("report", *stores, "-o", tmp_path / "report", *options)

    assert (typed.code, typed.out) == (2, "")
    assert message in " ".join(typed.err.split())


def test_a_file_in_the_place_of_the_folder_is_refused(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "report").touch()

    typed = mediafm("report", stores[0], "-o", tmp_path / "report")

    assert typed.code == 2
    assert f"{tmp_path}/report is a file." in " ".join(typed.err.split())
