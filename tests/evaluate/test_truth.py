"""Files of true boundaries: the forms that are read, what of them is to be found, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mediafm_cli.errors import UsageError
from mediafm_cli.evaluate.boundaries.truth import Span, open_truth, parse_truth
from mediafm_cli.synthetic import SyntheticTitle

ONE: dict[str, Any] = {"hard_cuts": [10, 20], "gradual": [{"kind": "dissolve", "first": 30, "last": 38}]}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_file_of_one_title_is_for_any_title(tmp_path: Path) -> None:
    found = open_truth(write(tmp_path / "cuts.json", ONE)).of_title("film", "film.mp4", 0)

    assert found is not None
    assert found.truth.hard_cuts == (Span("cut", 10, 10), Span("cut", 20, 20))
    assert found.truth.gradual == (Span("dissolve", 30, 38),)
    assert (found.truth.ambiguous, found.truth.misleading, found.truth.frames) == ((), (), None)


def test_a_file_of_many_titles_goes_by_the_name_of_the_media_file(tmp_path: Path) -> None:
    other = {"hard_cuts": [], "gradual": []}
    files = open_truth(write(tmp_path / "cuts.json", {"clips": {"film.mp4": ONE, "other.mp4": other}}))

    film, absent = files.of_title("film", "film.mp4", 0), files.of_title("film", "film.mkv", 0)

    assert film is not None
    assert film.truth == parse_truth(ONE, "")
    assert absent is None


@pytest.mark.parametrize(
    ("stream", "cut", "passed_over"), [(0, 7, ("film.mp4#stream1",)), (3, 10, ("film.mp4#stream0", "film.mp4#stream1"))]
)
def test_the_truth_about_another_stream_is_passed_over(
    stream: int, cut: int, passed_over: tuple[str, ...], tmp_path: Path
) -> None:
    of_stream = {"hard_cuts": [7], "gradual": []}
    clips = {"film.mp4": ONE, "film.mp4#stream0": of_stream, "film.mp4#stream1": of_stream}

    found = open_truth(write(tmp_path / "cuts.json", {"clips": clips})).of_title("film", "film.mp4", stream)

    assert found is not None
    assert found.truth.hard_cuts[0].first == cut
    assert found.passed_over == passed_over


def test_a_folder_goes_by_the_title_and_prefers_what_is_named_truth(tmp_path: Path) -> None:
    write(tmp_path / "one.json", {"title": "metadata, and no truth"})
    write(tmp_path / "one.truth.json", ONE)
    write(tmp_path / "two.json", ONE)
    files = open_truth(tmp_path)

    found = [files.of_title(name, "film.mp4", 0) for name in ("one", "two", "three")]

    assert [one and Path(one.origin).name for one in found] == ["one.truth.json", "two.json", None]


def test_the_truth_that_the_synthetic_catalogue_writes_is_read(films: list[SyntheticTitle]) -> None:
    found = open_truth(films[0].truth.parent).of_title(films[0].path.stem, films[0].path.name, 0)

    assert found is not None
    assert tuple(cut.first for cut in found.truth.hard_cuts) == films[0].cuts
    assert found.truth.frames == films[0].frames


def test_real_truth_is_read_and_the_fade_that_opens_a_film_is_not_to_be_found(media: Path) -> None:
    found = open_truth(media / "cuts.json").of_title("bbb_480p_30s", "bbb_480p_30s.mp4", 0)

    assert found is not None
    assert [cut.first for cut in found.truth.hard_cuts] == [285, 378, 553]
    assert found.truth.gradual == ()
    assert Span("fade_in_from_black", 6, 50) in found.truth.misleading


def test_a_fade_between_two_shots_is_to_be_found_and_one_that_ends_the_film_is_not() -> None:
    fades = [
        {"kind": "fade_out_to_black", "first": 30, "last": 40},
        {"kind": "fade_in_from_black", "first": 45, "last": 55},
        {"kind": "fade_out_to_black", "first": 90, "last": 99},
    ]

    truth = parse_truth({"hard_cuts": [10], "gradual": fades}, "")

    assert [span.first for span in truth.gradual] == [30, 45]
    assert [span.first for span in truth.misleading] == [90]


def test_places_may_be_frames_or_spans_and_each_has_its_own_kind() -> None:
    negatives = [{"kind": "flash", "first": 3, "last": 4}, {"first": 6, "last": 6}]

    truth = parse_truth({**ONE, "ambiguous": [5], "hard_negatives": negatives}, "")

    assert truth.ambiguous == (Span("ambiguous", 5, 5),)
    assert truth.misleading == (Span("flash", 3, 4), Span("hard negative", 6, 6))


def gradual(first: object, last: object, kind: str = "dissolve") -> dict[str, object]:
    return {"kind": kind, "first": first, "last": last}


FAULTS: dict[str, tuple[object, str]] = {
    "a list": ([1, 2], "here: the truth about a title is an object."),
    "no gradual": ({"hard_cuts": []}, "here has no gradual. Without it, every one found would be false."),
    "no cuts": ({"gradual": []}, "here has no hard_cuts."),
    "frames in words": ({**ONE, "frames": "many"}, 'here: frames is "many".'),
    "a cut in seconds": ({**ONE, "hard_cuts": [1.5]}, "here: hard_cuts, entry 1 is 1.5. It needs frame numbers"),
    "a cut that is true": ({**ONE, "hard_cuts": [True]}, "here: hard_cuts, entry 1 is true."),
    "a negative cut": ({**ONE, "hard_cuts": [-1]}, "here: hard_cuts, entry 1 is -1."),
    "a cut at 0": ({**ONE, "hard_cuts": [0]}, "here: hard_cuts names frame 0. No shot comes before it."),
    "a cut twice": ({**ONE, "hard_cuts": [5, 5]}, "entry 2 is out of order. Frame 5 comes after 5; none comes twice."),
    "a long cut": ({**ONE, "hard_cuts": [gradual(1, 2, "cut")]}, "here: hard_cuts holds more than frame numbers."),
    "no last": ({**ONE, "gradual": [{"first": 3}]}, 'here: gradual, entry 1 is {"first": 3}.'),
    "backwards": ({**ONE, "gradual": [gradual(9, 3)]}, "entry 1 ends before it begins. first is 9, last is 3."),
    "overlapping": ({**ONE, "gradual": [gradual(1, 5), gradual(5, 8)]}, "gradual, entry 2 is out of order."),
    "a gradual cut": ({**ONE, "gradual": [gradual(5, 8, "cut")]}, "here: gradual holds a cut."),
    "beyond the end": ({**ONE, "frames": 38}, "entry 1 lies beyond the end. Frame 38 is not among the 38 frames."),
    "a cut in a dissolve": ({**ONE, "hard_cuts": [33]}, "frame 33 is both a hard cut and inside a gradual transition."),
    "a huge frame": ({**ONE, "hard_cuts": [10**30]}, "here: hard_cuts, entry 1 is 1000000000000000000000000000000."),
    "a long entry": ({**ONE, "hard_cuts": ["x" * 9000]}, f'entry 1 is "{"x" * 58}…. It needs frame numbers, from 0.'),
    "no kind": ({**ONE, "gradual": [{"kind": None, "first": 1, "last": 5}]}, "entry 1 is of the kind null. A kind is"),
    "an empty kind": ({**ONE, "gradual": [gradual(1, 5, "")]}, 'gradual, entry 1 is of the kind "".'),
    "a kind on two lines": ({**ONE, "gradual": [gradual(1, 5, "a\nb")]}, 'gradual, entry 1 is of the kind "a\\nb".'),
    "half a character": ({**ONE, "hard_negatives": [gradual(1, 5, "\ud800")]}, r'is of the kind "\ud800".'),
    "no list": ({**ONE, "ambiguous": 5}, "here: ambiguous is no list."),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_truth_is_refused_by_name(fault: str) -> None:
    content, said = FAULTS[fault]

    with pytest.raises(UsageError) as caught:
        parse_truth(content, "here")

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Line 1: it is not valid JSON (Expecting value)."),
        ("{", "Line 1: it is not valid JSON"),
        ('{"hard_cuts": [NaN], "gradual": []}', "It is not valid JSON (NaN is not a JSON number)."),
        ('{"hard_cuts": [' + "[" * 300 + "]" * 300 + '], "gradual": []}', "It nests more than 200 levels deep."),
        ("[]", "holds a JSON list."),
        ('{"title": "a film"}', "holds no true boundaries. It has neither clips nor hard_cuts."),
        ('{"clips": []}', "clips is no object."),
    ],
)
def test_a_file_of_something_else_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "cuts.json").write_text(text)

    with pytest.raises(UsageError) as caught:
        open_truth(tmp_path / "cuts.json")

    assert f"{tmp_path / 'cuts.json'}" in str(caught.value)
    assert said in str(caught.value)


def test_a_film_given_for_its_truth_is_no_text(films: list[SyntheticTitle]) -> None:
    with pytest.raises(UsageError, match=r"\.mp4 cannot be used\. It holds binary data, and no text\."):
        open_truth(films[0].path)


def test_a_file_without_end_is_refused_and_not_held_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "cuts.json").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(UsageError, match="It is larger than the 64 MiB that are read of such a list"):
        open_truth(tmp_path / "cuts.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no list of cuts at .*nothing\.json\. Name an existing file\."):
        open_truth(tmp_path / "nothing.json")
