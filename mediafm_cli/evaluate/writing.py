"""Tables, times and intervals as people read them, records as JSON can hold them, and the files of both."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mediafm_cli.evaluate.bootstrap import Interval
from mediafm_cli.model.atomic import write_atomically


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


def format_time(time_s: float) -> str:
    """Minutes, seconds and thousandths, with hours where there are any."""
    thousandths = round(time_s * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{rest // 1000:02}.{rest % 1000:03}"


def between(interval: Interval, sign: str = "") -> str:
    """The value and the ends of its interval, if it has one; ``sign="+"`` for differences."""
    spec = f"{sign}z.3f"  # z: never -0.000
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


def write_files(folder: Path, record: Mapping[str, Any], table: str, picture: bytes) -> list[Path]:
    """Write ``results.json``, ``results.csv`` and ``results.png`` into ``folder``; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "results.json": (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        "results.csv": table.encode(),
        "results.png": picture,
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]
