"""Clips: a list that is read strictly, and found in its titles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_titles import SHOT_S, make_store

from mediafm_cli.errors import UsageError
from mediafm_cli.evaluate.clips import Clip, Overlap, find_clips, find_overlaps, pool_shots, read_clips
from mediafm_cli.stages.export import require_unique


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Titles of 12 and 5 shots of 1.5 s; the second one is not called like its store."""
    stores = [make_store(tmp_path, "one", 12), make_store(tmp_path, "two", 5)]
    return [stores[0], stores[1].rename(tmp_path / "film.h5")]


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "clips.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# --- the list ---------------------------------------------------------------------------------------------------------


def test_other_columns_in_any_order_are_kept_as_they_were_read(tmp_path: Path) -> None:
    path = write(tmp_path, 'tone,end_s,title,start_s,note\nsad,6,film,1.5,"a, ""b"""\n\n,7.25,Ärger,3e0, \n')

    assert read_clips(path) == [
        Clip(2, "film", 1.5, 6.0, {"tone": "sad", "note": 'a, "b"'}),
        Clip(4, "Ärger", 3.0, 7.25, {"tone": "", "note": " "}),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_line_ending_make_no_difference(ending: str, mark: bytes, tmp_path: Path) -> None:
    text = ending.join(["title,start_s,end_s", "film,0,1.5", "film,2,3"])

    assert read_clips(write(tmp_path, mark + text.encode())) == [Clip(2, "film", 0, 1.5), Clip(3, "film", 2, 3)]


def test_a_line_after_a_value_of_several_lines_is_numbered_as_an_editor_does(tmp_path: Path) -> None:
    path = write(tmp_path, 'title,start_s,end_s,note\nfilm,0,1,"two\nlines\u2028"\nfilm,x,1,\n')

    with pytest.raises(UsageError, match=r"clips\.csv, line 4: start_s is 'x'"):
        read_clips(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"clips\.csv has no column title\. The first line names none"),
        ("film,0,1\n", r"has no column title\. The first line names film, 0, 1\. Begin it with: title,start_s,end_s"),
        ("title;start_s;end_s\n", r"has no column title\. The first line names title;start_s;end_s"),
        ("title,start_s,end\n", r"has no column end_s"),
        ("title,start_s,end_s,title\n", r"has 2 columns called 'title'"),
        ("title,start_s,end_s,x,x\n", r"has 2 columns called 'x'"),
        ("title,start_s,end_s,flat\n", r"has a column 'flat'\. The clips' vectors are called so"),
        ("title,start_s,end_s\n", r"lists no clip"),
        ("title,start_s,end_s\nfilm,0\n", r"line 2: it has 2 values\. The first line names 3 columns"),
        ("title,start_s,end_s\n\nfilm,0,1,2\n", r"line 3: it has 4 values"),
        ("title,start_s,end_s\nfilm,0,1\nfilm,00:01,2\n", r"line 3: start_s is '00:01', which is no number of seconds"),
        ("title,start_s,end_s\nfilm,0,\n", r"line 2: end_s is '', which is no number"),
        ("title,start_s,end_s\nfilm,0,nan\n", r"line 2: end_s is 'nan', which is no number"),
        ("title,start_s,end_s\nfilm,0,inf\n", r"line 2: end_s is 'inf', which is no number"),
        ("title,start_s,end_s\nfilm,2,1\n", r"line 2: the clip ends at 1\.0 s and starts at 2\.0 s"),
        ("title,start_s,end_s\nfilm,2,2\n", r"line 2: the clip ends at 2\.0 s"),
        ('title,start_s,end_s\nfilm,2,3\n"film,2,2\n', r"line 3: unexpected end of data"),
        (b"title,start_s,end_s\n\xe4,0,1\n", r"clips\.csv is not in UTF-8\. Byte 20 is not"),
    ],
)
def test_a_list_that_is_not_right_is_refused_with_the_line(text: str | bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        read_clips(write(tmp_path, text))


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"clips\.csv cannot be read\. No such file"):
        read_clips(tmp_path / "clips.csv")


# --- its titles -------------------------------------------------------------------------------------------------------


def test_a_title_is_named_by_its_id_or_by_its_store(stores: list[Path]) -> None:
    clips = [Clip(2, "film", 0, 1), Clip(3, "one", 0, 1), Clip(4, "two", 0, 1)]

    assert find_clips(clips, require_unique(stores), Path("clips.csv")) == {stores[1]: [0, 2], stores[0]: [1]}


@pytest.mark.parametrize(
    ("clip", "why"),
    [
        (Clip(7, "three", 0, 1), r"clips\.csv, line 7: there is no title 'three'\. None of the 2 stores has this"),
        (
            Clip(7, "two", -0.1, 1),
            r"line 7: the clip from -0\.1 s to 1 s is outside 'two'\. .* to 7\.500 s",
        ),
        (Clip(7, "two", 7, 7.6), r"line 7: the clip from 7 s to 7\.6 s is outside 'two'"),
        (Clip(7, "two", 7.5, 7.54), r"line 7: the clip from 7\.5 s to 7\.54 s is outside"),
        (Clip(7, "two", -0.04, 0.0), r"line 7: the clip from -0\.04 s to 0\.0 s is outside .* Mend the times"),
        (Clip(7, "on", 0, 1), r"there is no title 'on'\. .* Did you mean 'one'\?"),
    ],
)
def test_a_clip_that_is_in_no_title_is_refused_with_its_line(clip: Clip, why: str, stores: list[Path]) -> None:
    with pytest.raises(UsageError, match=why):
        find_clips([Clip(2, "one", 0, 1), clip], require_unique(stores), Path("clips.csv"))


def test_a_clip_may_begin_a_little_before_its_title_and_end_a_little_after(stores: list[Path]) -> None:
    clip = Clip(2, "two", -0.04, 7.54)

    assert find_clips([clip], require_unique(stores), Path("clips.csv")) == {stores[1]: [0]}
    [overlap] = find_overlaps(stores[1], [clip])
    assert overlap.at == slice(0, 5)
    assert overlap.weights.sum() == pytest.approx(7.5)


def test_a_single_store_that_has_not_the_title_is_no_none_of_the_1_stores(stores: list[Path]) -> None:
    with pytest.raises(UsageError, match=r"there is no title 'three'\. The store does not have this id or name\."):
        find_clips([Clip(2, "three", 0, 1)], require_unique(stores[:1]), Path("clips.csv"))


def test_a_name_that_two_titles_answer_to_is_refused(stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    other = make_store(tmp_path / "more", "film", 4)

    with pytest.raises(UsageError, match=rf"line 2: 'film' can be {stores[1]} or {other}"):
        find_clips([Clip(2, "film", 0, 1)], require_unique([*stores, other]), Path("clips.csv"))


def test_an_end_that_was_rounded_up_is_taken(stores: list[Path]) -> None:
    assert find_clips([Clip(2, "two", 7, 7.55)], require_unique(stores), Path("clips.csv")) == {stores[1]: [0]}


# --- its shots --------------------------------------------------------------------------------------------------------


def test_a_clip_overlaps_the_shots_for_so_many_seconds(stores: list[Path]) -> None:
    (found,) = find_overlaps(stores[0], [Clip(2, "one", 2 * SHOT_S + 1.0, 4 * SHOT_S + 0.25)])

    assert found.at == slice(2, 5)
    np.testing.assert_allclose(found.weights, [0.5, 1.5, 0.25])


def test_shots_are_pooled_by_their_directions_and_what_is_zero_adds_nothing() -> None:
    shots = np.array([[3, 0], [0, 0.5], [0, 0]], np.float32)

    found = pool_shots(shots, [Overlap(slice(0, 3), np.array([1.0, 2.0, 1.0])), Overlap(slice(1, 2), np.ones(1))])

    np.testing.assert_allclose(found, [[1 / 4, 2 / 4], [0, 1]])
    assert found.dtype == np.float32
