"""Which boundaries become the edges of shots: short shots are joined to others, and long ones split."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from mediafm_cli.api import Boundary


def join_short(
    boundaries: Iterable[Boundary], seconds_of: Callable[[int], float], end_s: Callable[[], float], min_shot_s: float
) -> Iterator[Boundary]:
    """Leave out the boundaries that make a shot shorter than ``min_shot_s``.

    A short shot joins the one before it; the first one of a title joins the next. A boundary is passed on when the next
    one has come.

    Args:
        seconds_of: time of a frame. ``end_s``: end of the title, asked for when the boundaries have ended.
    """
    waiting: Boundary | None = None
    for boundary in boundaries:
        start_s = seconds_of(0) if waiting is None else seconds_of(waiting.frame)
        is_short = seconds_of(boundary.frame) - start_s < min_shot_s
        if waiting is not None and not is_short:
            yield waiting
        if waiting is not None or not is_short:
            waiting = boundary
    if waiting is not None and end_s() - seconds_of(waiting.frame) >= min_shot_s:
        yield waiting


def split_long(pts: Sequence[int], start: int, end: int, longest: float) -> list[Boundary]:
    """Where a shot is divided into the fewest equal parts that last at most ``longest``, each to the nearest frame.

    A part is longer where no frame is shown in time.

    Args:
        pts: of every frame of the title, ascending; ``pts[end]`` is the end of the shot.
        start, end: frames of the shot, end exclusive.
        longest: in units of pts.
    """
    parts = min(max(1, -int(-(pts[end] - pts[start]) // longest)), end - start)
    edges: dict[int, None] = {}
    for part in range(1, parts):
        wanted = pts[start] + (pts[end] - pts[start]) * part / parts
        after = bisect_left(pts, wanted, start + 1, end - 1)
        nearest = after - 1 if after - 1 > start and wanted - pts[after - 1] <= pts[after] - wanted else after
        edges[nearest] = None
    return [Boundary(frame, "split") for frame in edges]
