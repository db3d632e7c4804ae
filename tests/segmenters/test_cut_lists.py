"""The formats of lists of cuts, as other programs write them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from imported_cuts import frames_of, import_cuts, steady
from scenedetect import FrameTimecode
from scenedetect.common import Timecode
from scenedetect.output import write_scene_list

from mediafm_cli.errors import UsageError
from mediafm_cli.segmenters.cut_lists import reading

FILM = steady(Fraction(24), 240)
CUTS = [50, 100, 101, 200]
NTSC = Fraction(30000, 1001)

Scenes = list[tuple[FrameTimecode, FrameTimecode]]


def scenes(rate: Fraction, cuts: Sequence[int], count: int) -> Scenes:
    edges = [FrameTimecode(frame, rate) for frame in (0, *cuts, count)]
    return list(pairwise(edges))


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(24000, 1001), NTSC, Fraction(60000, 1001)])
@pytest.mark.parametrize("with_cut_list", [True, False])
def test_pyscenedetects_list_is_read(rate: Fraction, with_cut_list: bool, tmp_path: Path) -> None:
    cuts = list(range(7, 3000, 97))
    film = scenes(rate, cuts, 3000)
    cut_list = [start for start, _ in film[1:]]
    write_scene_list(str(tmp_path / "cuts.csv"), film, include_cut_list=with_cut_list, cut_list=cut_list)

    found = import_cuts(tmp_path / "cuts.csv", steady(rate, 3000), frame_rate=rate)

    assert frames_of(found) == cuts


def test_pyscenedetects_list_is_read_where_the_rate_varies_and_the_film_starts_late(tmp_path: Path) -> None:
    pts = [0, 40, 60, 200, 210, 1000, 1033, 1500, 1600, 1700]  # milliseconds after the first frame
    edges = [FrameTimecode(Timecode(pts[frame], Fraction(1, 1000)), Fraction(6)) for frame in (0, 3, 5, 7, 9)]
    write_scene_list(str(tmp_path / "cuts.csv"), list(pairwise(edges)))

    found = import_cuts(tmp_path / "cuts.csv", [0.3 + stamp / 1000 for stamp in pts])

    assert frames_of(found) == [3, 5, 7]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("frame", ["50", "100", "101", "200"]),
        ("start_frame", ["0", "50", "100", "101", "200.0"]),
        ("time_s", ["2.083", "4.167", "4.208", "8.333"]),
        ("start_s", ["0", "2.0833", "4.1667", "4.2083", "8.3333e0"]),
        ("Timecode", ["00:00:02.083", "00:00:04.167", "00:00:04.208", "00:00:08.333"]),
        ("timecode", ["00:00:02:02", "00:00:04:04", "00:00:04:05", "00:00:08:08"]),
    ],
)
def test_a_table_with_a_known_column_is_read(delimiter: str, column: str, cells: list[str], tmp_path: Path) -> None:
    rows = [["note", column, "last"], *(['"a, b; c"', cell, "7"] for cell in cells)]
    text = "\r\n".join(delimiter.join(row) for row in rows) + "\r\n\r\n"
    (tmp_path / "cuts.csv").write_bytes(text.encode("utf-8-sig"))

    assert frames_of(import_cuts(tmp_path / "cuts.csv", FILM)) == CUTS


def test_drop_frame_time_codes_of_a_table_are_right(tmp_path: Path) -> None:
    (tmp_path / "cuts.csv").write_text("timecode\n00:00:59;29\n00:01:00;02\n00:10:00;00\n")

    found = import_cuts(tmp_path / "cuts.csv", steady(NTSC, 18_000), frame_rate=NTSC)

    assert frames_of(found) == [1799, 1800, 17_982]  # SMPTE ST 12-1: 17,982 frames in ten minutes


def test_cells_that_are_empty_may_follow_those_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "cuts.csv").write_text("frame\n5,,\n9, \n")

    assert frames_of(import_cuts(tmp_path / "cuts.csv", FILM)) == [5, 9]


# --- documents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        CUTS,
        [frame / 24 for frame in CUTS],
        [0, *(round(frame / 24, 3) for frame in CUTS)],
        {"cuts_s": [frame / 24 for frame in CUTS], "author": "me"},
        {"hard_cuts": CUTS},
        {"hard_cuts": CUTS, "frames": None},
        {"hard_cuts": [50, 101, 200], "gradual": [{"kind": "wipe", "first": 100, "last": 100}]},
        {"clips": {"film": {"hard_cuts": CUTS}, "other": [7]}},
        {"clips": {"film.mp4": CUTS, "film.mp4#stream1": [7], "film.b.mp4": [8]}},
        {"clips": {"film": CUTS, "film.mp4": [7]}},
    ],
)
def test_a_document_of_a_known_shape_is_read(document: object, tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text(json.dumps(document))

    assert frames_of(import_cuts(tmp_path / "cuts.json", FILM)) == CUTS


@pytest.mark.parametrize("document", ["[]", '{"hard_cuts": []}', '{"cuts_s": []}', '{"clips": {"film.mkv": []}}'])
def test_a_title_without_cuts_is_one_shot(document: str, tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text(document)

    assert import_cuts(tmp_path / "cuts.json", FILM) == []


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED = {
    "no column": ("cuts.csv", "shot,begin\n1,2\n", "Line 1: it names no column that is known: frame, start_frame"),
    "empty table": ("cuts.csv", "", "Line 1: it names no column"),
    "no cell": ("cuts.csv", "shot,frame\n1,5\n2\n", "Line 3: it has no column frame"),
    "decimal comma": ("cuts.csv", "time_s\n5\n6,5\n", "Line 3: it has 2 cells, and the header 1. Write decimals with"),
    "no number": ("cuts.csv", "frame\n5\nsix\n", "Line 3: frame is 'six', not the number of a frame"),
    "half a frame": ("cuts.csv", "frame\n5.5\n", "Line 2: frame is '5.5', not the number of a frame"),
    "not finite": ("cuts.csv", "time_s\nnan\n", "Line 2: time_s is 'nan', not a number of seconds such as 12.345"),
    "negative frame": ("cuts.csv", "frame\n-5\n", "Line 2: -5 is negative"),
    "negative time": ("cuts.csv", "time_s\n-0.5\n", "Line 2: -0.500 is negative"),
    "order": ("cuts.csv", "frame\n9\n5\n", "Line 3: 5 comes after 9 of line 2, but is less"),
    "twice": ("cuts.csv", "frame\n9\n\n9\n", "Line 4: 9 is named by line 2 already"),
    "time code": ("cuts.csv", "timecode\n00:00:01:30\n", "Line 2: 00:00:01:30 counts to frame 30, but there are 24"),
    "huge cell": ("cuts.csv", "frame\n" + "9" * 200_000, "Line 2: field larger than field limit"),
    "many rows": ("cuts.csv", "frame\n" + "".join(f"{n}\n" for n in range(200_001)), "Line 200002: 200,000 cuts are"),
    "latin-1": ("cuts.csv", b"frame,note\n5,\xe9t\xe9\n", "Line 2: it is not UTF-8 text"),
    "utf-16": ("cuts.csv", "frame\n5\n".encode("utf-16"), "Line 1: it is not UTF-8 text"),
    "binary": ("cuts.csv", b"frame\n\0\n", "It holds binary data"),
    "a film": ("cuts.csv", b"\0\0\0 ftypisom\n\xd1\0", "It holds binary data, and no text"),
    "no json": ("cuts.json", '{"hard_cuts":\n[5,}', "Line 2: it is not valid JSON"),
    "json nan": ("cuts.json", '{"cuts_s": [NaN]}', "NaN is not a JSON number"),
    "json infinity": ("cuts.json", "[1e999]", "Entry 1: it is not a finite number"),
    "json digits": ("cuts.json", f"[{'9' * 6000}]", "It is not valid JSON"),
    "json huge": ("cuts.json", f"[{'9' * 60}]", "Entry 1: no title is as long as that"),
    "json depth": ("cuts.json", "[" * 300 + "]" * 300, "It nests more than 200 levels deep"),
    "json great depth": ("cuts.json", "[" * 100_000, "It nests more than 200 levels deep"),
    "list of objects": ("cuts.json", '[{"frame": 58}]', 'is not a number. Known are {"hard_cuts": [frames]'),
    "seconds for frames": (
        "cuts.json",
        '{"hard_cuts": [2.5]}',
        "[58, 76] of frames, where all are whole, or [2.5, 4.0]",
    ),
    "shape": ("cuts.json", '{"shots": [1, 2]}', 'It holds no cuts. Known are {"hard_cuts": [frames]'),
    "number": ("cuts.json", "5", "It holds no cuts"),
    "text": ("cuts.json", '[5, "6"]', 'Entry 2: "6" is not a number'),
    "bool": ("cuts.json", "[5, true]", "Entry 2: true is not the number of a frame"),
    "half a hard cut": ("cuts.json", '{"hard_cuts": [5.5]}', "Hard_cuts entry 1: 5.5 is not the number of a frame"),
    "no list": ("cuts.json", '{"hard_cuts": 5}', "Hard_cuts: it must be a list of numbers"),
    "json order": ("cuts.json", '{"hard_cuts": [9, 5]}', "Hard_cuts entry 2: 5 comes after 9 of hard_cuts entry 1"),
    "no last": (
        "cuts.json",
        '{"gradual": [{"first": 5}]}',
        "Gradual entry 1: it must be an object with first and last",
    ),
    "reversed": ("cuts.json", '{"gradual": [{"first": 5, "last": 4}]}', "Gradual entry 1: it ends at 4, before it"),
    "cut within": (
        "cuts.json",
        '{"hard_cuts": [7], "gradual": [{"first": 5, "last": 9}]}',
        "Hard_cuts entry 1: 7 lies within the transition of gradual entry 1",
    ),
    "no title": ("cuts.json", '{"clips": {"other.mp4": []}}', "Clips: there is no title called film"),
    "two titles": ("cuts.json", '{"clips": {"film.mp4": [], "film.mkv": []}}', "film.mp4 and film.mkv are both called"),
    "place of title": ("cuts.json", '{"clips": {"film.mp4": [-5]}}', "Entry 1 of film.mp4: -5 is negative"),
    "clips": ("cuts.json", '{"clips": []}', "Clips: it must be an object"),
    "suffix": ("cuts.txt", "5\n", r"Known are .csv, .json, .edl, .otio"),
}


@pytest.mark.parametrize(("name", "content", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_list_of_cuts_is_told_where(name: str, content: str | bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(UsageError) as caught:
        import_cuts(tmp_path / name, FILM)

    assert why in str(caught.value)
    assert str(tmp_path / name) in caught.value.what


def test_time_codes_need_a_rate(tmp_path: Path) -> None:
    (tmp_path / "cuts.csv").write_text("timecode\n00:00:01:12\n")

    with pytest.raises(UsageError, match="the title's frame rate is not known; give --opt rate=24"):
        import_cuts(tmp_path / "cuts.csv", FILM, frame_rate=None)

    assert frames_of(import_cuts(tmp_path / "cuts.csv", FILM, frame_rate=None, rate="24")) == [36]


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no list of cuts at .*film\.csv"):
        import_cuts(tmp_path / "{title}.csv", FILM)


def test_a_folder_is_no_list_and_one_a_title_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder, and no list of cuts") as caught:
        import_cuts(tmp_path, FILM)

    assert caught.value.hint == f"Name the list of each title in it: --opt 'file={tmp_path}/{{title}}.csv'"


@pytest.mark.parametrize("suffix", reading.MAX_BYTES)
def test_a_list_that_is_too_large_is_refused_unread(suffix: str, tmp_path: Path) -> None:
    with (tmp_path / f"cuts{suffix}").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(UsageError, match=r"It is larger than the .* MiB that are read"):
        import_cuts(tmp_path / f"cuts{suffix}", FILM)
