"""Short shots joined, long shots split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediafm_cli.api import Boundary
from mediafm_cli.media.edges import join_short, split_long

FRAMES = st.lists(st.integers(1, 60), max_size=12, unique=True).map(sorted)


def join(frames: list[int], end: int, shortest: float) -> list[int]:
    boundaries = join_short((Boundary(frame) for frame in frames), float, lambda: float(end), shortest)
    return [boundary.frame for boundary in boundaries]


@pytest.mark.parametrize(
    ("frames", "kept"),
    [
        ([10, 50], [10, 50]),
        ([50, 54], [54]),  # from 50 to 54 is short, and joins what is before it
        ([4, 50], [50]),  # from 0 to 4 is short, is the first, and joins what comes next
        ([50, 97], [50]),  # from 97 to 100 is short, and joins what is before it
        ([50, 54, 58, 70], [58, 70]),
        ([], []),
    ],
)
def test_short_shots_by_hand(frames: list[int], kept: list[int]) -> None:
    assert join(frames, 100, 5) == kept


@given(FRAMES, st.integers(1, 30))
def test_no_short_shot_is_left_unless_it_is_the_only_one(frames: list[int], shortest: int) -> None:
    kept = join(frames, 61, shortest)

    lengths = [after - before for before, after in itertools.pairwise([0, *kept, 61])]
    assert len(lengths) == 1 or min(lengths) >= shortest
    assert set(kept) <= set(frames)


@given(FRAMES)
def test_long_shots_are_left_as_they_are(frames: list[int]) -> None:
    assert join(frames, 61, 1) == frames


def test_a_boundary_is_passed_on_as_soon_as_the_next_one_has_come() -> None:
    seen: list[int] = []

    def watch() -> itertools.chain[Boundary]:
        for frame in (10, 30, 60):
            seen.append(frame)
            yield Boundary(frame)

    passed = [(boundary.frame, seen[-1]) for boundary in join_short(watch(), float, lambda: 100.0, 5)]

    assert passed == [(10, 30), (30, 60), (60, 60)]


@pytest.mark.parametrize(
    ("longest", "edges"),
    [(1000, []), (400, []), (399, [20]), (200, [20]), (134, [13, 27]), (100, [10, 20, 30]), (5, list(range(1, 40)))],
)
def test_a_long_shot_is_divided_into_the_fewest_equal_parts(longest: float, edges: list[int]) -> None:
    pts = list(range(0, 401, 10))  # 40 frames

    found = split_long(pts, 0, 40, longest)

    assert [boundary.frame for boundary in found] == edges
    assert {boundary.kind for boundary in found} <= {"split"}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 400))
def test_parts_are_as_short_as_the_frames_allow(gaps: list[int], longest: int) -> None:
    pts = [0, *itertools.accumulate(gaps)]

    frames = [boundary.frame for boundary in split_long(pts, 0, len(gaps), longest)]

    edges = [0, *frames, len(gaps)]
    assert edges == sorted(set(edges))
    part = max(longest, sum(gaps) / len(gaps))  # there are not more parts than frames
    assert all(pts[b] - pts[a] <= part + max(gaps) for a, b in itertools.pairwise(edges))
