"""Intervals as people read them, and records as JSON can hold them."""

from __future__ import annotations

import math
from typing import Any

from mediafm_cli.evaluate.bootstrap import Interval


def between(interval: Interval, sign: str = "") -> str:
    """The value and the ends of its interval, if it has one; ``sign="+"`` for differences."""
    value = format(interval.value, f"{sign}.3f")
    if not math.isfinite(interval.low):
        return value
    return f"{value} [{format(interval.low, f'{sign}.3f')}, {format(interval.high, f'{sign}.3f')}]"


def plain(value: Any) -> Any:
    """The same dicts and lists with None where there is no number: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
