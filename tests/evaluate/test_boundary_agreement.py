"""Hits and mistakes of one title, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_cli.evaluate.boundaries.agreement import Counts, Found, Mistake, count_cuts, match_spans, score_boundaries
from mediafm_cli.evaluate.boundaries.truth import Span, Truth, parse_truth


def true(*cuts: int, gradual: list[tuple[int, int]] | None = None, **places: Any) -> Truth:
    spans = [{"kind": "dissolve", "first": first, "last": last} for first, last in gradual or ()]
    return parse_truth({"hard_cuts": list(cuts), "gradual": spans, **places}, "")


def cut(frame: int) -> Found:
    return Found(Span("cut", frame, frame), 1.5)


def dissolve(first: int, last: int) -> Found:
    return Found(Span("gradual", first, last), 2.5)


def test_hard_cuts_are_counted_at_each_tolerance() -> None:
    score = score_boundaries([cut(10), cut(21), cut(28), cut(43)], true(10, 20, 30, 40, 50))

    assert score.hard == {0: Counts(5, 4, 1), 1: Counts(5, 4, 2), 2: Counts(5, 4, 3)}


def test_shares_by_hand_and_none_where_there_is_nothing_to_share() -> None:
    counts, nothing = Counts(true=5, found=4, hits=3), Counts()

    assert (counts.precision, counts.recall, counts.missed, counts.false) == (3 / 4, 3 / 5, 2, 1)
    assert counts.f1 == pytest.approx(2 / (4 / 3 + 5 / 3))
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, None, None)
    assert Counts(1, 2, 1) + Counts(3, 4, 2) == Counts(4, 6, 3)


def test_frames_alone_are_counted_as_cuts_and_two_found_do_not_count_for_one_true() -> None:
    assert count_cuts(found=[10, 20, 31, 40], true=[10, 30, 50], tolerance=1) == Counts(true=3, found=4, hits=2)
    assert count_cuts([9, 11], [10], tolerance=1) == Counts(true=1, found=2, hits=1)
    assert count_cuts([9], [10]) == Counts(true=1, found=1, hits=0)


def test_mistakes_are_those_at_the_last_tolerance_and_shifted_cuts() -> None:
    score = score_boundaries([cut(10), cut(21), cut(43)], true(10, 20, 40))

    assert score.mistakes == (
        Mistake("shifted cut", Span("cut", 20, 20), cut(21)),
        Mistake("missed cut", Span("cut", 40, 40), None),
        Mistake("false cut", None, cut(43)),
    )


def test_a_cut_on_the_very_frame_is_the_hit_and_the_one_beside_it_the_mistake() -> None:
    false, missed = score_boundaries([cut(8), cut(10)], true(10)), score_boundaries([cut(12)], true(10, 12))

    assert false.mistakes == (Mistake("false cut", None, cut(8)),)
    assert missed.mistakes == (Mistake("missed cut", Span("cut", 10, 10), None),)


@pytest.mark.parametrize(("first", "last", "hits"), [(10, 19, 0), (10, 20, 1), (30, 35, 1), (31, 35, 0), (0, 99, 1)])
def test_one_shared_frame_makes_a_gradual_transition_found(first: int, last: int, hits: int) -> None:
    score = score_boundaries([dissolve(first, last)], true(gradual=[(20, 30)]))

    assert score.gradual[0] == Counts(1, 1, hits)


@pytest.mark.parametrize(
    ("first", "last", "hits"),
    [(10, 17, [0, 0, 0]), (10, 18, [0, 0, 1]), (31, 35, [0, 1, 1]), (33, 35, [0, 0, 0]), (25, 26, [1, 1, 1])],
)
def test_a_tolerance_widens_a_true_transition_at_both_ends(first: int, last: int, hits: list[int]) -> None:
    score = score_boundaries([dissolve(first, last)], true(gradual=[(20, 30)]))

    assert score.gradual == {tolerance: Counts(1, 1, hits[tolerance]) for tolerance in (0, 1, 2)}


def test_a_gradual_transition_that_is_a_hit_with_tolerance_alone_is_a_mistake_and_has_no_iou() -> None:
    score = score_boundaries([dissolve(32, 35)], true(gradual=[(20, 30)]))

    assert score.gradual[2] == Counts(1, 1, 1)
    assert [mistake.kind for mistake in score.mistakes] == ["missed gradual", "false gradual"]
    assert score.ious == ()


def test_with_tolerance_one_that_shares_a_frame_goes_before_one_that_is_near() -> None:
    pairs = match_spans([Span("x", 0, 10), Span("x", 14, 30)], [Span("x", 10, 10), Span("x", 11, 20)], tolerance=2)

    assert pairs == {0: 0, 1: 1}


def test_iou_of_a_gradual_transition_by_hand() -> None:
    score = score_boundaries([dissolve(24, 35)], true(gradual=[(20, 29)]))

    assert score.ious == (6 / 16,)


def test_a_true_transition_takes_the_one_that_shares_most_and_only_one() -> None:
    score = score_boundaries([dissolve(10, 22), dissolve(23, 29)], true(gradual=[(20, 30)]))

    assert score.gradual[0] == Counts(1, 2, 1)
    assert score.ious == (7 / 11,)
    assert score.mistakes == (Mistake("false gradual", None, dissolve(10, 22)),)


def test_of_two_that_share_equally_many_the_shorter_then_the_earlier_is_taken() -> None:
    whole = Span("dissolve", 10, 20)

    shorter = match_spans([whole], [Span("gradual", 0, 12), Span("gradual", 18, 24)])
    earlier = match_spans([whole], [Span("gradual", 8, 12), Span("gradual", 18, 22)])

    assert (shorter, earlier) == ({0: 1}, {0: 0})


def test_one_found_over_two_true_ones_finds_one() -> None:
    score = score_boundaries([dissolve(10, 50)], true(gradual=[(10, 19), (30, 49)]))

    assert score.gradual[0] == Counts(2, 1, 1)
    assert [mistake.kind for mistake in score.mistakes] == ["missed gradual"]


def test_gradual_transitions_in_order_of_their_middle_are_matched_as_well() -> None:
    score = score_boundaries([dissolve(40, 44), dissolve(20, 80)], true(gradual=[(20, 30), (40, 44)]))

    assert score.gradual[0] == Counts(2, 2, 2)


def test_a_cut_inside_a_gradual_transition_is_a_confusion_that_counts_as_false_and_missed() -> None:
    score = score_boundaries([cut(25)], true(gradual=[(20, 30)]))

    assert score.hard[2] == Counts(0, 1, 0)
    assert score.gradual[0] == Counts(1, 0, 0)
    assert score.any_kind == Counts(1, 1, 1)
    assert score.mistakes == (Mistake("cut for gradual", Span("dissolve", 20, 30), cut(25)),)


def test_a_gradual_transition_over_a_cut_is_a_confusion_that_counts_as_false_and_missed() -> None:
    score = score_boundaries([dissolve(90, 110)], true(100))

    assert score.hard[2] == Counts(1, 0, 0)
    assert score.gradual[0] == Counts(0, 1, 0)
    assert score.any_kind == Counts(1, 1, 1)
    assert score.mistakes == (Mistake("gradual for cut", Span("cut", 100, 100), dissolve(90, 110)),)


def test_a_gradual_boundary_inside_a_gradual_transition_is_no_false_cut() -> None:
    score = score_boundaries([dissolve(22, 28)], true(gradual=[(20, 30)]))

    assert score.hard[0] == Counts()
    assert score.mistakes == ()


def test_a_cut_beside_the_gradual_one_that_was_found_is_a_confusion_too() -> None:
    score = score_boundaries([dissolve(20, 30), cut(25)], true(gradual=[(20, 30)]))

    assert score.gradual[0] == Counts(1, 1, 1)
    assert score.hard[2] == Counts(0, 1, 0)
    assert [mistake.kind for mistake in score.mistakes] == ["cut for gradual"]


@pytest.mark.parametrize(("frame", "hits"), [(98, 0), (99, 1), (101, 1), (102, 0)])
def test_of_any_kind_two_cuts_match_that_share_one_of_their_two_frames(frame: int, hits: int) -> None:
    assert score_boundaries([cut(frame)], true(100)).any_kind == Counts(1, 1, hits)


@pytest.mark.parametrize("stray", [cut(50), cut(60), dissolve(40, 50), dissolve(58, 70)])
def test_what_is_found_in_an_ambiguous_place_counts_neither_way(stray: Found) -> None:
    score = score_boundaries([cut(10), stray], true(10, ambiguous=[{"first": 50, "last": 60}]))

    assert (score.hard[0], score.gradual[0], score.any_kind) == (Counts(1, 1, 1), Counts(), Counts(1, 1, 1))
    assert (score.left_out, score.mistakes) == (1, ())


def test_a_hit_in_an_ambiguous_place_stays_a_hit() -> None:
    score = score_boundaries([cut(50)], true(50, ambiguous=[{"first": 45, "last": 55}]))

    assert (score.hard[0], score.left_out) == (Counts(1, 1, 1), 0)


@pytest.mark.parametrize("frame", [49, 61])
def test_beside_an_ambiguous_place_it_counts(frame: int) -> None:
    score = score_boundaries([cut(frame)], true(ambiguous=[{"first": 50, "last": 60}]))

    assert score.hard[2] == Counts(0, 1, 0)
    assert score.any_kind == Counts(0, 1, 0)


def test_a_false_one_is_told_with_what_misled() -> None:
    negatives = [{"kind": "flash", "first": 30, "last": 32}]
    fade = {"kind": "fade_in_from_black", "first": 0, "last": 20}
    truth = parse_truth({"hard_cuts": [], "gradual": [fade], "hard_negatives": negatives}, "")

    score = score_boundaries([dissolve(2, 18), cut(31)], truth)

    assert [(mistake.kind, mistake.during) for mistake in score.mistakes] == [
        ("false gradual", "fade_in_from_black"),
        ("false cut", "flash"),
    ]


SPANS = st.lists(st.integers(1, 60), max_size=8, unique=True).map(
    lambda ends: [Span("x", first, last) for first, last in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)]
)


@given(SPANS, SPANS)
def test_a_greater_tolerance_never_finds_fewer(true_spans: list[Span], found: list[Span]) -> None:
    hits = [len(match_spans(true_spans, found, tolerance)) for tolerance in range(6)]

    assert hits == sorted(hits)


@given(SPANS, SPANS)
def test_pairs_overlap_and_are_one_to_one_and_none_that_is_left_could_be_added(
    true_spans: list[Span], found: list[Span]
) -> None:
    pairs = match_spans(true_spans, found)

    left = [span for place, span in enumerate(found) if place not in pairs.values()]
    assert len(set(pairs.values())) == len(pairs)
    assert all(true_spans[row].overlaps(found[place]) for row, place in pairs.items())
    assert not any(span.overlaps(other) for row, span in enumerate(true_spans) if row not in pairs for other in left)
