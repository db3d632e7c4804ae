"""Which found cut is which true one."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_cli.evaluate.boundaries.cut_pairs import pair_cuts

FRAMES = st.lists(st.integers(0, 12), max_size=5, unique=True)


@pytest.mark.parametrize(
    ("found", "truth", "pairs"),
    [
        ([8, 10], [10], {0: 1}),  # the exact one, and not the earlier one
        ([12], [10, 12], {1: 0}),
        ([8, 10], [10, 12], {0: 0, 1: 1}),  # two pairs 2 apart, and not one exact pair
        ([12, 8, 40], [40, 9, 12], {0: 2, 1: 1, 2: 0}),  # in no order
        ([5, 5], [5], {0: 0}),
    ],
)
def test_as_many_as_can_be_are_paired_and_the_nearest(
    found: list[int], truth: list[int], pairs: dict[int, int]
) -> None:
    assert pair_cuts(found, truth, tolerance=2) == pairs


@given(FRAMES, FRAMES, st.integers(0, 3))
def test_no_other_pairing_has_more_pairs_or_as_many_that_are_nearer(
    found: list[int], truth: list[int], tolerance: int
) -> None:
    padded = found + [10**6] * len(truth)
    apart = (
        [abs(one - other) for one, other in zip(order, truth, strict=True) if abs(one - other) <= tolerance]
        for order in permutations(padded, len(truth))
    )
    best = max((len(frames), -sum(frames)) for frames in apart)

    pairs = pair_cuts(found, truth, tolerance)

    assert (len(pairs), -sum(abs(truth[row] - found[place]) for row, place in pairs.items())) == best
    assert len(set(pairs.values())) == len(pairs)
