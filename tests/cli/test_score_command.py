"""``mediafm score`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typed_commands import Mediafm

from mediafm_cli.synthetic import SyntheticTitle


@pytest.fixture
def truth(films: list[SyntheticTitle], tmp_path: Path) -> Path:
    """The truth about the films, but for the first, where a cut is wanted that is none."""
    clips = {film.path.name: {"frames": film.frames, "hard_cuts": film.cuts, "gradual": []} for film in films}
    clips[films[0].path.name]["hard_cuts"] = [4, *films[0].cuts]
    path = tmp_path / "cuts.json"
    path.write_text(json.dumps({"clips": clips}))
    return path


def test_stdout_is_the_table_and_the_mistakes(
    mediafm: Mediafm, stores: list[Path], truth: Path, films: list[SyntheticTitle]
) -> None:
    typed = mediafm("score", *stores, "--truth", truth)

    cuts = sum(len(film.cuts) for film in films)
    lines = typed.out.splitlines()
    assert typed.code == 0
    assert lines[0] == f"3 titles, {sum(film.frames for film in films):,} frames"
    assert lines[3].split()[:7] == ["hard", "±0", str(cuts + 1), str(cuts), str(cuts), "1", "0"]
    assert lines[-1].split() == ["title_000.mp4", "4", "0:00.167", "missed", "cut", "cut", "at", "4", "nothing"]


def test_verbose_tells_of_each_title(mediafm: Mediafm, stores: list[Path], truth: Path) -> None:
    typed = mediafm("score", *stores, "--truth", truth, "-v")

    assert [line.split(",")[0] for line in typed.out.splitlines() if line.endswith(" frames")] == [
        "title_000.mp4",
        "title_001.mp4",
        "title_002.mp4",
        "3 titles",
    ]
    assert typed.out.count("hard ±n: cuts at most n frames off.") == 1


def test_records_for_programs(
    mediafm: Mediafm, stores: list[Path], truth: Path, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    typed = mediafm(
        "score", *stores, "--truth", truth, "-o", tmp_path / "misses", "--media", films[0].path.parent, "--json"
    )

    records = [json.loads(line) for line in typed.out.splitlines()]
    *titles, total, mistake = records
    cuts = len(films[0].cuts)
    sheet = tmp_path / "misses" / "title_000-000004-missed-cut.png"
    assert [record["schema"] for record in titles] == ["mediafm.score.title"] * 3
    assert {record["version"] for record in records} == {1}
    assert (total["schema"], total["titles"], total["mistakes"]) == ("mediafm.score.total", 3, {"missed cut": 1})
    assert titles[0]["title_id"] == "title_000"
    assert [(row["boundaries"], row["tolerance_frames"]) for row in titles[0]["scores"]] == [
        *(("hard", tolerance) for tolerance in (0, 1, 2)),
        *(("gradual", tolerance) for tolerance in (0, 1, 2)),
        ("any kind", None),
    ]
    assert titles[0]["scores"][0] == {
        "boundaries": "hard",
        "tolerance_frames": 0,
        "true": cuts + 1,
        "found": cuts,
        "hits": cuts,
        "missed": 1,
        "false": 0,
        "precision": 1.0,
        "recall": cuts / (cuts + 1),
        "f1": 2 * cuts / (2 * cuts + 1),
        "f1_95": None,
    }
    assert (mistake["schema"], mistake["mistake"], mistake["frame"]) == ("mediafm.score.mistake", "missed cut", 4)
    assert (mistake["found"], mistake["sheet"]) == (None, str(sheet))
    assert sheet.is_file()


def test_sheets_are_named_and_the_limit_and_older_ones_are_told(
    mediafm: Mediafm, stores: list[Path], truth: Path, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    clips = json.loads(truth.read_text())
    clips["clips"]["title_001.mp4"]["hard_cuts"].insert(0, 5)
    truth.write_text(json.dumps(clips))
    (tmp_path / "misses").mkdir()
    (tmp_path / "misses" / "older.png").touch()
    where = ("-o", tmp_path / "misses", "--media", films[0].path.parent)

    typed = mediafm("score", *stores, "--truth", truth, *where, "--sheets", "1")

    said = " ".join(typed.err.split())
    drawn = sorted(path.name for path in (tmp_path / "misses").iterdir())
    assert drawn == ["older.png", "title_000-000004-missed-cut.png"]
    assert f"{tmp_path}/misses/title_000-000004-missed-cut.png" in typed.out
    assert f"score: contact sheets in {tmp_path}/misses: 1 of 2" in said
    assert "only the first 1 of 2 mistakes were drawn; --sheets 2 draws all of them" in said
    assert "also holds PNG files that are not of this run: 1, such as older.png" in said


def test_media_that_moved_is_a_warning_and_found_with_media(
    mediafm: Mediafm, stores: list[Path], truth: Path, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    words = ("score", stores[0], "--truth", truth, "-o", tmp_path / "misses", "--json")
    here, there = mediafm(*words), mediafm(*words, "--media", films[0].path.parent)

    assert [json.loads(typed.out.splitlines()[-1])["sheet"] is None for typed in (here, there)] == [True, False]
    assert "not drawn: 1 of 1 contact sheets. The media file of" in " ".join(here.err.split())
    assert here.code == there.code == 0


def test_a_title_without_truth_is_left_out_and_named(
    mediafm: Mediafm, stores: list[Path], truth: Path, films: list[SyntheticTitle]
) -> None:
    clips = json.loads(truth.read_text())
    del clips["clips"]["title_001.mp4"]
    truth.write_text(json.dumps(clips))

    typed, records = (mediafm("score", *stores, "--truth", truth, *more) for more in ([], ["--json"]))

    total = next(record for record in map(json.loads, records.out.splitlines()) if "without_truth" in record)
    assert typed.code == records.code == 0
    assert typed.out.splitlines()[0] == f"2 of 3 titles, {films[0].frames + films[2].frames:,} frames"
    assert f"{truth} does not tell of them: title_001.mp4 ({stores[1]})" in " ".join(typed.err.split())
    assert (total["titles"], total["without_truth"]) == (2, [f"title_001.mp4 ({stores[1]})"])


def test_where_nothing_is_mistaken_no_sheets_are_counted(
    mediafm: Mediafm, stores: list[Path], truth: Path, tmp_path: Path
) -> None:
    typed = mediafm("score", stores[1], "--truth", truth, "-o", tmp_path / "misses")

    assert typed.err == "score: no mistake, and so no contact sheet\n"


def test_no_truth_at_all_is_named(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    typed = mediafm("score", stores[0], "--truth", tmp_path / "nothing.json")

    assert typed.code == 2
    assert f"There is no list of cuts at {tmp_path}/nothing.json." in " ".join(typed.err.split())


def test_a_folder_for_pictures_that_is_a_file_is_refused(mediafm: Mediafm, stores: list[Path], truth: Path) -> None:
    typed = mediafm("score", stores[0], "--truth", truth, "-o", truth)

    assert (typed.code, typed.out) == (2, "")
    assert f"{truth} is a file. → Name a folder for the pictures with -o." in " ".join(typed.err.split())


def test_a_folder_for_pictures_that_cannot_be_made_is_told_before_any_result(
    mediafm: Mediafm, stores: list[Path], truth: Path
) -> None:
    typed = mediafm("score", stores[0], "--truth", truth, "-o", truth / "misses")

    assert (typed.code, typed.out) == (1, "")
    assert f"{truth}/misses cannot be used. Not a directory." in " ".join(typed.err.split())
