"""``mediafm probe`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from probe_stores import PlantedTitle, kind_of, plant_titles, write_clips
from small_titles import make_model
from typed_commands import Mediafm


@pytest.fixture(scope="module")
def titles(tmp_path_factory: pytest.TempPathFactory) -> list[PlantedTitle]:
    return plant_titles(tmp_path_factory.mktemp("planted"), 6)


@pytest.fixture
def stores(titles: list[PlantedTitle]) -> Path:
    return titles[0].store.parent


@pytest.fixture
def clips(titles: list[PlantedTitle], tmp_path: Path) -> Path:
    return write_clips(tmp_path / "clips.csv", titles, kind_of)


def test_stdout_is_the_table(mediafm: Mediafm, stores: Path, clips: Path) -> None:
    typed = mediafm("probe", stores, "--labels", clips, "--task", "multiclass", "--folds", 3, "-q")

    lines = typed.out.splitlines()
    assert typed.code == 0
    assert lines[0].split() == ["AP", "macro", "AP", "micro"]
    assert lines[4].startswith("window mean ±2")
    assert lines[9].startswith("72 clips of 6 titles in 3 classes")
    assert typed.err == ""


def test_results_are_written_and_said_on_stderr(
    mediafm: Mediafm, titles: list[PlantedTitle], stores: Path, clips: Path, tmp_path: Path
) -> None:
    model = make_model(tmp_path / "model", titles[0].store)

    typed = mediafm(
        *("probe", stores, "--labels", clips, "--task", "retrieval", "--folds", 2),
        *("--model", model, "--window-reach", 1, "-o", tmp_path / "probes"),
    )

    assert typed.code == 0
    assert "AP at 1:3, over the best baseline, " in typed.out
    assert "window mean ±1" in typed.out
    written = [tmp_path / "probes" / name for name in ("results.json", "results.csv", "results.png")]
    assert typed.err.splitlines()[-3:] == [f"probe: wrote {path}" for path in written]
    assert all(path.is_file() for path in written)


def test_records_for_programs(mediafm: Mediafm, titles: list[PlantedTitle], stores: Path, tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips.csv", titles, lambda title, shot: title.kinds[shot], column="mood")

    typed = mediafm(
        "probe", stores, "--labels", clips, "--task", "ranking", "--column", "mood", "--json", "-q", "--folds", 3
    )

    *rows, total = [json.loads(line) for line in typed.out.splitlines()]
    assert {row["schema"] for row in rows} == {"mediafm.probe.row"}
    assert rows[0]["cells"]["kendall_tau"]["value"] > 0.5
    assert (total["schema"], total["version"], sorted(set(total["folds"]))) == ("mediafm.probe.total", 1, [0, 1, 2])
    assert typed.err == ""


@pytest.mark.parametrize(
    ("task", "label", "words", "said"),
    [
        ("multiclass", "a", ("--column", "tone"), "clips.csv has no column 'tone'."),
        ("multiclass", "a", (), "The labels leave nothing to tell apart: 1 of 1 class can be used."),
        ("multilabel", "a", (), "The labels leave nothing to find: 0 of 1 class can be used."),
        ("retrieval", "", (), "clips.csv labels no clip."),
        ("ranking", "high", (), "clips.csv, line 2: label is 'high', which is no number."),
        ("ranking", "1", (), "A ranking within titles takes 3 titles that can be ranked."),
    ],
)
def test_labels_that_cannot_be_probed_are_said_in_one_line(
    task: str,
    label: str,
    words: tuple[str, ...],
    said: str,
    mediafm: Mediafm,
    titles: list[PlantedTitle],
    stores: Path,
    tmp_path: Path,
) -> None:
    clips = write_clips(tmp_path / "clips.csv", titles, lambda *_: label)

    typed = mediafm("probe", stores, "--labels", clips, "--task", task, *words)

    assert (typed.code, typed.out) == (2, "")
    assert typed.err.splitlines()[0].startswith("error: ")
    assert typed.err.splitlines()[0].endswith(said)


def test_a_file_in_the_place_of_the_folder_is_refused_before_anything_is_read(
    mediafm: Mediafm, stores: Path, clips: Path
) -> None:
    typed = mediafm("probe", stores, "--labels", clips.parent / "none.csv", "--task", "ranking", "-o", clips)

    assert typed.code == 2
    assert f"{clips} is a file." in typed.err
