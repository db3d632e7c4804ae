"""Which pictures of a shot are sampled: those nearest the centres of its equal parts, on a grid of the title's time.

The grid makes it possible to keep the frames of a shot while a title is decoded, when nobody knows yet where the shot
will end: few pictures can be asked for, and the longer a shot has lasted, the fewer. Kept or sought later, a shot's
frames are the same ones.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

from av.video.frame import VideoFrame

GRID_S = Fraction(1, 8)
"""The finest grid: a shot of 4 frames or more for each of them is sampled on it or on a coarser one."""

_PER_FRAME = 4  # a coarser grid is taken where a finer one has more than this many times for each frame
_RUNS = 3  # a shot, the boundary that may end it, and the newest, which decides whether it does
_RECENT = 48  # times of the finest grid that are held whatever happens: 6 s, and most boundaries are known sooner
_MOST = 4096  # times at which one picture is on show that are looked at: more is a gap of minutes


def grid_step(time_base: Fraction) -> int:
    """Spacing of the finest grid in units of pts."""
    return max(1, round(GRID_S / time_base))


def sample_times(start: int, end: int, count: int, step: int) -> list[int]:
    """When the frames of a shot from ``start`` to ``end`` (pts, exclusive) are taken, in ascending order.

    They are the multiples of ``step``, or of the least ``step * 2 ** n`` that has at most 4 for each frame in the shot,
    that are nearest the centres of ``count`` equal parts: less than a quarter of a part away in long shots, 1/16 s in
    short ones. Of a shot too short to hold ``count`` of them, the centres themselves.
    """
    centres = [start + (end - start) * (2 * part + 1) // (2 * count) for part in range(count)]
    while _count_multiples(start, end, step) > _PER_FRAME * count:
        step *= 2
    if _count_multiples(start, end, step) < count:
        return centres
    first, last = -(-start // step) * step, (end - 1) // step * step
    return [min(max((centre + step // 2) // step * step, first), last) for centre in centres]


def _count_multiples(start: int, end: int, step: int) -> int:
    return -(-end // step) + (start // -step)


@dataclass(eq=False)
class _Run:
    """Frames since a boundary, thinned as they grow: by the times, all of them multiples of ``spacing``."""

    start: float
    spacing: int
    held: dict[int, VideoFrame] = field(default_factory=dict)

    def add(self, time: int, frame: VideoFrame, most: int) -> None:
        if time % self.spacing == 0:
            self.held[time] = frame
        self._thin(most)

    def join(self, later: _Run, most: int) -> None:
        """Hold what would be held had there been no boundary before ``later``."""
        self.held |= later.held
        self._space(max(self.spacing, later.spacing))
        self._thin(most)

    def _thin(self, most: int) -> None:
        while len(self.held) > most:
            self._space(2 * self.spacing)

    def _space(self, spacing: int) -> None:
        self.spacing = spacing
        self.held = {time: frame for time, frame in self.held.items() if time % spacing == 0}


class FrameKeeper:
    """Holds on to the decoded frames that a shot may still ask for: at most 49 recent ones and 12 for each wanted.

    Show it every frame, tell it of every boundary, and take the frames of a shot when it is known where it ends. A
    boundary at which no shot was taken is forgotten once two more have come.

    Args:
        count: frames a shot. ``step``: see ``grid_step``.
    """

    def __init__(self, count: int, step: int) -> None:
        self._count = count
        self._step = step
        self._shown: tuple[int, VideoFrame] | None = None
        self._recent: deque[tuple[int, VideoFrame]] = deque()
        self._most = _PER_FRAME * count
        self._runs = [_Run(-math.inf, step)]

    @property
    def held(self) -> int:
        """How many frames are held now."""
        shown = [self._shown[1]] if self._shown else []
        recent = [frame for _, frame in self._recent]
        return len({id(frame) for frame in (*shown, *recent, *(f for run in self._runs for f in run.held.values()))})

    def see(self, pts: int, frame: VideoFrame) -> None:
        """Take the next frame of the title."""
        if self._shown is not None:
            since, before = self._shown
            times = range(-(-since // self._step) * self._step, pts, self._step)
            for time in times[-_MOST:]:
                self._recent.append((time, before))
                if len(self._recent) > _RECENT:
                    self._thin(*self._recent.popleft())
        self._shown = pts, frame

    def begin_shot(self, start: int) -> None:
        """A shot may begin at ``start``, in pts."""
        self._runs.append(_Run(start, self._step))
        if len(self._runs) > _RUNS:
            self._runs[0].join(self._runs.pop(1), self._most)

    def take(self, start: int, end: int) -> list[VideoFrame] | None:
        """The frames of a shot, the last one before ``end``; ``None`` where they are not all held.

        What belongs to shots before ``end`` is let go.
        """
        held = dict(self._recent)
        for run in self._runs:
            held |= run.held
        if self._shown is not None:
            since, frame = self._shown
            held |= dict.fromkeys(range(-(-since // self._step) * self._step, end, self._step)[:_MOST], frame)
        times = sample_times(start, end, self._count, self._step)
        while len(self._runs) > 1 and self._runs[1].start <= end:
            del self._runs[0]
        return [held[time] for time in times] if all(time in held for time in times) else None

    def _thin(self, time: int, frame: VideoFrame) -> None:
        for run in reversed(self._runs):
            if run.start <= time:
                run.add(time, frame, self._most)
                return
