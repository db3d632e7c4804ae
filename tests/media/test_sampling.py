"""Frames kept while a title is decoded are those that would be sought once its shots are known."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediafm_cli.media.sampling import FrameKeeper, grid_step, sample_times

STEP = 100  # pts in an eighth of a second


def shown_at(pts: list[int], time: int) -> int:
    """The frame on show at ``time``; a frame is told by its pts."""
    return max(stamp for stamp in pts if stamp <= time)


def run_keeper(pts: list[int], edges: list[int], end: int, count: int, late: int) -> tuple[list[list[int] | None], int]:
    """What is kept of each shot where a boundary is told of ``late`` frames after it, and the most that was held."""
    keeper = FrameKeeper(count, STEP)
    waiting = [pts[edge] for edge in edges]
    start, kept, most = pts[0], [], 0
    for number, stamp in enumerate(pts):
        keeper.see(stamp, stamp)
        most = max(most, keeper.held)
        if waiting and number >= pts.index(waiting[0]) + late:
            keeper.begin_shot(waiting[0])
            kept.append(keeper.take(start, waiting[0]))
            start = waiting.pop(0)
    for edge in waiting:
        keeper.begin_shot(edge)
        kept.append(keeper.take(start, edge))
        start = edge
    kept.append(keeper.take(start, end))
    return kept, most


def test_the_finest_grid_is_an_eighth_of_a_second() -> None:
    assert grid_step(Fraction(1, 12800)) == 1600
    assert grid_step(Fraction(1001, 30000)) == 4
    assert grid_step(Fraction(1, 2)) == 1


@pytest.mark.parametrize(
    ("start", "end", "count", "times"),
    [
        (0, 1600, 4, [200, 600, 1000, 1400]),  # 16 times: every one of them may be taken
        (0, 1700, 4, [200, 600, 1000, 1400]),  # 17: only every second
        (0, 3200, 4, [400, 1200, 2000, 2800]),
        (50, 450, 4, [100, 200, 300, 400]),
        (50, 350, 4, [87, 162, 237, 312]),  # three times for four frames: the centres
        (-1600, 0, 2, [-1200, -400]),
        (0, 1, 1, [0]),
    ],
)
def test_times_by_hand(start: int, end: int, count: int, times: list[int]) -> None:
    assert sample_times(start, end, count, STEP) == times


@given(st.integers(-5000, 5000), st.integers(1, 200_000), st.integers(1, 8), st.integers(1, 500))
def test_times_lie_in_order_near_the_centres_of_equal_parts(start: int, length: int, count: int, step: int) -> None:
    times = sample_times(start, start + length, count, step)

    assert times == sorted(times)
    assert start <= times[0] <= times[-1] < start + length
    for part, time in enumerate(times):
        centre = start + length * (2 * part + 1) / (2 * count)
        assert abs(time - centre) <= max(step / 2, length / count / 4) + 1


@st.composite
def titles(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    lengths = draw(st.lists(st.integers(1, 90), min_size=1, max_size=8))
    frames = sum(lengths)
    gaps = draw(st.lists(st.integers(5, 120), min_size=frames, max_size=frames))
    pts = [sum(gaps[:number]) for number in range(frames)]
    edges = [sum(lengths[:number]) for number in range(1, len(lengths))]
    return pts, edges, pts[-1] + gaps[-1]


@settings(max_examples=150)
@given(titles(), st.integers(1, 6), st.integers(0, 30))
def test_what_is_kept_is_what_would_be_sought(title: tuple[list[int], list[int], int], count: int, late: int) -> None:
    pts, edges, end = title
    spans = list(zip([pts[0], *(pts[e] for e in edges)], [*(pts[e] for e in edges), end], strict=True))

    kept, most = run_keeper(pts, edges, end, count, late)

    for (start, stop), frames in zip(spans, kept, strict=True):
        times = sample_times(start, stop, count, STEP)
        on_grid = all(time % STEP == 0 for time in times)
        assert frames == ([shown_at(pts, time) for time in times] if on_grid else None)
    assert most <= 48 + 1 + 3 * 4 * count


def test_what_is_held_of_an_endless_shot_is_bounded() -> None:
    pts = list(range(0, 2_000_000, 33))

    kept, most = run_keeper(pts, [], 2_000_000, 4, 0)

    assert most <= 48 + 16 + 1
    assert kept == [[shown_at(pts, time) for time in sample_times(0, 2_000_000, 4, STEP)]]


@settings(max_examples=50)
@given(titles(), st.integers(1, 6), st.integers(5, 40))
def test_frames_are_kept_across_boundaries_that_make_no_shot(
    title: tuple[list[int], list[int], int], count: int, late: int
) -> None:
    pts, edges, end = title
    keeper, most = FrameKeeper(count, STEP), 0
    for number, stamp in enumerate(pts):
        keeper.see(stamp, stamp)
        if number - late in edges:
            keeper.begin_shot(pts[number - late])
        most = max(most, keeper.held)

    kept = keeper.take(pts[0], end)

    times = sample_times(pts[0], end, count, STEP)
    on_grid = all(time % STEP == 0 for time in times)
    assert kept == ([shown_at(pts, time) for time in times] if on_grid else None)
    assert most <= 48 + 1 + 3 * 4 * count


def test_what_is_held_of_many_short_shots_that_are_all_joined_is_bounded() -> None:
    """Half an hour of shots of 4 s, where 5 s make a shot: the boundaries are told of, and none is passed on."""
    keeper, most = FrameKeeper(4, STEP), 0
    pts = list(range(0, 1800 * 8 * STEP, 33))
    starts = {pts[number] for number in range(0, len(pts), 97)}
    for stamp in pts:
        keeper.see(stamp, stamp)
        if stamp in starts:
            keeper.begin_shot(stamp)
        most = max(most, keeper.held)

    assert most <= 48 + 1 + 3 * 16
    assert keeper.take(0, pts[-1]) == [shown_at(pts, time) for time in sample_times(0, pts[-1], 4, STEP)]


def test_a_gap_of_days_takes_no_time_and_its_shot_is_left_to_be_sought() -> None:
    kept, most = run_keeper([0, 33, 66, 10**15], [], 10**15 + 33, 4, 0)

    assert kept in ([None], [[66, 66, 66, 66]])
    assert most <= 48 + 16 + 1
