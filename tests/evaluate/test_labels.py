"""Labels: read from a column by what the task makes of it, and left out where they are too few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediafm_cli.errors import UsageError
from mediafm_cli.evaluate.clips import Clip
from mediafm_cli.evaluate.probes.labels import Labels, leave_out_rare, read_labels
from mediafm_cli.evaluate.probes.probing import Task

SOURCE = Path("clips.csv")


def clips(*titles: list[str]) -> list[list[Clip]]:
    """A clip a label, title by title."""
    return [[Clip(line, "film", 0, 1, {"tone": label}) for line, label in enumerate(own, 2)] for own in titles]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_one_label_a_clip_is_a_number_and_none_is_below_zero() -> None:
    found = read_labels(clips(["sad", " calm "], ["", "sad"]), "tone", "multiclass", SOURCE)

    assert found.classes == ("calm", "sad")
    assert [values.tolist() for values in found.values] == [[1, 0], [-1, 1]]
    assert found.labelled == 3


@pytest.mark.parametrize("task", ["multilabel", "retrieval"])
def test_several_labels_a_clip_are_columns_and_none_is_none_of_them(task: Task) -> None:
    found = read_labels(clips(["sad|calm", ""], [" calm |", "a, b"]), "tone", task, SOURCE)

    assert found.classes == ("a, b", "calm", "sad")
    assert [values.tolist() for values in found.values] == [
        [[False, True, True], [False, False, False]],
        [[False, True, False], [True, False, False]],
    ]
    assert found.labelled == 4


def test_a_bar_is_a_part_of_a_label_where_there_is_one_a_clip() -> None:
    assert read_labels(clips(["a|b", "c"]), "tone", "multiclass", SOURCE).classes == ("a|b", "c")


def test_a_ranking_is_by_numbers_and_none_is_not_a_number() -> None:
    found = read_labels(clips(["1.5", ""], ["-2e3", "0"]), "tone", "ranking", SOURCE)

    np.testing.assert_array_equal(np.concatenate(found.values), [1.5, np.nan, -2000, 0])
    assert (found.classes, found.labelled) == ((), 3)


@pytest.mark.parametrize(
    ("labels", "column", "task", "why"),
    [
        (["sad"], "label", "multiclass", r"clips\.csv has no column 'label'\. Its columns are tone\. Name .* --column"),
        (["", " "], "tone", "multiclass", r"clips\.csv labels no clip\. The column 'tone' is empty"),
        (["1", "high"], "tone", "ranking", r"clips\.csv, line 3: tone is 'high', which is no number"),
        (["1", "nan"], "tone", "ranking", r"line 3: tone is 'nan', which is no number"),
    ],
)
def test_labels_that_are_not_right_are_refused(labels: list[str], column: str, task: Task, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_labels(clips(labels), column, task, SOURCE)


# --- what is too rare -------------------------------------------------------------------------------------------------


def read(task: Task, *titles: list[str]) -> Labels:
    return read_labels(clips(*titles), "tone", task, SOURCE)


def test_a_class_that_a_probe_would_learn_from_one_title_is_left_out_and_named() -> None:
    labels = read("multiclass", ["a", "b"], ["b", "c"], ["a", "b"], ["b", "c"], ["a", "", "b"], ["b"])

    found = leave_out_rare(labels, np.array([0, 0, 1, 1, 2, 2]))

    # "a": titles 0, 2 and 4, each in a fold of its own, so two are left to learn from. "c": titles 1 and 3.
    assert found.classes == ("a", "b")
    assert found.left_out == ("'c', in 2 titles",)
    assert [values.tolist() for values in found.values] == [[0, 1], [1, -1], [0, 1], [1, -1], [0, -1, 1], [1]]


def test_it_is_the_titles_that_count_and_not_the_clips() -> None:
    labels = read("multilabel", ["a"] * 50, ["a"] * 50, ["", "b"], ["", "b"], ["b", ""], [""])

    found = leave_out_rare(labels, np.arange(6) % 3)

    assert found.classes == ("b",)
    assert [values.shape for values in found.values] == [(50, 1), (50, 1), (2, 1), (2, 1), (2, 1), (1, 1)]


def test_a_class_that_almost_every_clip_has_tells_nothing() -> None:
    labels = read("retrieval", ["a|b", "a"], ["a|b", "a"], ["a|b", "a"], ["a", "b"])

    found = leave_out_rare(labels, np.arange(4))

    assert found.classes == ("b",)
    assert found.left_out == ("'a', missing from clips of 1 title",)


@pytest.mark.parametrize(
    ("task", "titles", "why"),
    [
        ("multiclass", [["a"], ["a"], ["a"]], r"nothing to tell apart: 1 of 1 class can be used"),
        ("multiclass", [["a"], ["a"], ["a", "b"]], r"1 of 2 classes can be used.*Left out: 'b', in 1 title"),
        (
            "multilabel",
            [["a"], ["a"], ["a"]],
            r"nothing to find: 0 of 1 class can be used.*missing from clips of no title",
        ),
        ("ranking", [["1", "2"], ["1", "1"], ["3"]], r"takes 3 titles that can be ranked\. 1 title of 3 can be"),
    ],
)
def test_too_little_to_ask_is_refused(task: Task, titles: list[list[str]], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        leave_out_rare(read(task, *titles), np.arange(3))


def test_a_ranking_leaves_nothing_out() -> None:
    labels = read("ranking", ["1", "2"], ["1", "2"], ["1", "2"])

    assert leave_out_rare(labels, np.arange(3)) is labels


def test_a_ranking_takes_two_titles_to_learn_from_in_every_fold() -> None:
    labels = read("ranking", ["1", "2"], ["1", "2"], ["1", "2"], ["3"])

    with pytest.raises(UsageError, match="Each fold has to leave 2 of them to learn from"):
        leave_out_rare(labels, np.array([0, 0, 1, 1]))
