"""stdout is the result, and nothing else; stderr is for people."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typed_commands import Mediafm, start

from mediafm_cli.synthetic import SyntheticTitle


def test_stages_print_the_path_of_each_store_and_nothing_else(
    mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    expected = "".join(f"{tmp_path / film.path.stem}.h5\n" for film in films)

    segmented = mediafm("segment", *(film.path for film in films), "-o", tmp_path)
    encoded = mediafm("encode", "-", "--modality", "text", stdin=segmented.out)
    fused = mediafm("fuse", "-", "-q", stdin=encoded.out)

    assert [step.out for step in (segmented, encoded, fused)] == [expected] * 3
    assert "segment: 3 titles: 3 written" in segmented.err
    assert fused.err == ""


def test_json_is_one_record_a_line_with_schema_and_version(mediafm: Mediafm, stores: list[Path]) -> None:
    typed = mediafm("fuse", *stores, "--json", "-q")

    records = [json.loads(line) for line in typed.out.splitlines()]
    assert [record["store"] for record in records] == [str(store) for store in stores]
    assert {(record["schema"], record["version"], record["status"]) for record in records} == {
        ("mediafm.outcome", 1, "unchanged")
    }


def test_null_separated_paths_go_in_and_come_out(mediafm: Mediafm, stores: list[Path]) -> None:
    strange = stores[0].with_name("two\nlines.h5")
    stores[0].rename(strange)
    listed = f"{strange}\0{stores[1]}\0"

    typed = mediafm("fuse", "-", "-0", "-q", stdin=listed)

    assert (typed.code, typed.out) == (0, listed)


def test_brackets_and_spaces_in_names_are_printed_as_they_are(
    mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    film = Path(shutil.copy(films[0].path, tmp_path / "[bold]Käse & [red]film.mp4"))

    typed = mediafm("segment", film, "-o", tmp_path / "out put")

    assert typed.out == f"{tmp_path / 'out put' / film.stem}.h5\n"
    assert f"{film.stem}.h5: written" in typed.err


def test_a_closed_pipe_is_quiet(stores: list[Path]) -> None:
    process = start("info", *stores, "--json")
    assert process.stdout is not None
    process.stdout.close()

    _, err = process.communicate()

    assert err == ""


def test_progress_on_a_pipe_is_plain_lines(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    typed = mediafm("pretrain", *stores, "-o", tmp_path / "model", "--max-steps", 2, "--hidden", 16, "--layers", 1)

    assert typed.out == f"{tmp_path / 'model'}\n"
    assert "\x1b" not in typed.err
    assert "pretrain: 2 titles to learn from and 1 held out, 18 shots of 617 numbers, on cpu\n" in typed.err


@pytest.mark.parametrize("words", [["info"], ["check", "--quiet"], ["plugins", "list"]])
def test_questions_are_answered_on_stdout(mediafm: Mediafm, stores: list[Path], words: list[str]) -> None:
    typed = mediafm(*words, *([] if words[0] == "plugins" else stores))

    assert typed.code == 0
    assert typed.out
    assert typed.err == ""


def test_results_come_one_by_one_so_that_a_pipe_can_go_on(films: list[SyntheticTitle], tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no film")
    process = start("segment", films[0].path, bad, films[1].path, "-o", tmp_path, stdin=subprocess.DEVNULL)
    assert process.stdout is not None

    first = process.stdout.readline()
    running = process.poll() is None
    out, err = process.communicate()

    assert first == f"{tmp_path / films[0].path.stem}.h5\n"
    assert running
    assert out == f"{tmp_path / films[1].path.stem}.h5\n"
    assert f"{bad} is not a media file that can be read." in err
