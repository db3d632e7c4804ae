"""Agreement of found with true cuts."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_cli.evaluate.cut_score import CutScore, score_cuts

FRAMES = st.lists(st.integers(0, 12), max_size=5, unique=True)


def test_precision_recall_and_f1_by_hand() -> None:
    score = score_cuts(found=[10, 20, 31, 40], truth=[10, 30, 50], tolerance=1)

    assert score == CutScore(hits=2, missed=(50,), false=(20, 40))
    assert (score.precision, score.recall) == (2 / 4, 2 / 3)
    assert score.f1 == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))


def test_two_found_do_not_count_for_one_true() -> None:
    assert score_cuts([9, 11], [10], tolerance=1) == CutScore(1, (), (11,))


def test_nothing_found_where_nothing_is_true_is_perfect() -> None:
    assert score_cuts([], []).f1 == 1.0


@given(FRAMES, FRAMES, st.integers(0, 3))
def test_no_other_matching_has_more_pairs(found: list[int], truth: list[int], tolerance: int) -> None:
    padded = found + [10**6] * len(truth)
    best = max(
        sum(abs(one - other) <= tolerance for one, other in zip(order, truth, strict=True))
        for order in permutations(padded, len(truth))
    )

    score = score_cuts(found, truth, tolerance)

    assert score.hits == best
    assert score.hits + len(score.false) == len(found)
    assert score.hits + len(score.missed) == len(truth)
