"""Tables, times and intervals as people read them."""

from __future__ import annotations

import math

import pytest

from mediafm_cli.evaluate.bootstrap import Interval
from mediafm_cli.evaluate.writing import align, between, format_time


@pytest.mark.parametrize(
    ("time_s", "shown"), [(0.0, "0:00.000"), (59.9996, "1:00.000"), (61.5, "1:01.500"), (7325.25, "2:02:05.250")]
)
def test_times_are_shown_in_minutes_and_hours(time_s: float, shown: str) -> None:
    assert format_time(time_s) == shown


def test_columns_stand_below_one_another() -> None:
    assert align([("a", "bb", "c"), ("aaa", "b", "ccc")], left=1) == ["a    bb    c", "aaa   b  ccc"]


def test_a_column_among_those_on_the_left_can_stand_on_the_right() -> None:
    assert align([("a", "1", "c"), ("aaa", "10", "c")], left=3, right=(1,)) == ["a     1  c", "aaa  10  c"]


@pytest.mark.parametrize(
    ("found", "sign", "shown"),
    [
        ((-0.2, -0.31, 0.05), "", "-0.200 [-0.310, 0.050]"),
        ((-0.0, -0.0004, 0.0004), "", "0.000 [0.000, 0.000]"),
        ((-0.0004, -0.1, -0.0), "+", "+0.000 [-0.100, +0.000]"),
        ((-0.0004, math.nan, math.nan), "+", "+0.000"),
    ],
)
def test_an_interval_has_no_negative_zero(found: tuple[float, float, float], sign: str, shown: str) -> None:
    assert between(Interval(*found, 0.95), sign) == shown
