"""Tables and intervals as people read them, and records as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mediafm_cli.evaluate.bootstrap import Interval


def align(rows: Iterable[Sequence[str]], left: int, right: Sequence[int] = ()) -> list[str]:
    """Lines with their columns below one another: the first ``left`` to the left save those in ``right``."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    is_left = [place < left and place not in right for place in range(len(widths))]
    return [
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(row, widths, is_left, strict=True)
        ).rstrip()
        for row in rows
    ]


def between(interval: Interval, sign: str = "") -> str:
    """The value and the ends of its interval, if it has one; ``sign="+"`` for differences."""
    spec = f"{sign}z.3f"  # z: what rounds to zero has no sign
    value = format(interval.value, spec)
    if not math.isfinite(interval.low):
        return value
    return f"{value} [{format(interval.low, spec)}, {format(interval.high, spec)}]"


def plain(value: Any) -> Any:
    """The same dicts and lists with None where there is no number: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
