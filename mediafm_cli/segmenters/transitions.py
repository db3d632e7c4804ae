"""Dissolves and fades: one picture turns into another along a straight line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mediafm_cli.api import Boundary
from mediafm_cli.segmenters.cuts import measure_steps

_LENGTHS = (8, 12, 16, 20, 24, 32, 40, 48, 64)
_LONGEST = _LENGTHS[-1]
_ROUNDING = 1 + 1e-5  # of float32: a straight fade changes by the sum of its steps, and must not fall short of it
_EVERY = 2  # only every second frame is tried as the last of a transition: half the cost, and next to nothing is lost


@dataclass(frozen=True)
class TransitionOptions:
    """When a run of 8 to 64 frames is a transition from its first frame A to its last frame B, or a part of one.

    Attributes:
        change: least mean absolute difference of A and B (RGB values, 0 to 255).
        broad: least share of the pixels that change by more than 8; a title or logo that fades in changes few.
        residual: most difference of the frames at ¼, ½ and ¾ from the blend of A and B, as a share of the change.
        step: most difference between adjacent frames, as a share of the change; a cut takes one step.
        blank: standard deviation up to which a frame is one colour, such as the black of a fade.
        likeness: correlation from which two pictures are the same one, only lighter or darker.
        straight: correlation of their changes from which two runs that touch are parts of one transition.
        even: least quality of a part of 64 frames, as a share of that of another.
    """

    change: float = 20.0
    broad: float = 0.5
    residual: float = 0.16
    step: float = 0.3
    blank: float = 8.0
    likeness: float = 0.9
    straight: float = 0.8
    even: float = 0.97


@dataclass(frozen=True, eq=False)
class _Run:
    first: int
    last: int
    change: float
    quality: float
    start: np.ndarray  # its first picture, shrunk
    end: np.ndarray  # its last

    @property
    def length(self) -> int:
        return self.last - self.first

    @property
    def middle(self) -> int:
        return (self.first + self.last) // 2

    def overlaps(self, other: _Run) -> bool:
        return self.first <= other.middle <= self.last or other.first <= self.middle <= other.last


class TransitionFinder:
    """Give it every frame in order, some at a time; it answers once no frame to come can belong to a transition."""

    def __init__(self, options: TransitionOptions) -> None:
        self._options = options
        self._pictures = np.zeros((0, 0), np.float32)  # the last frames, shrunk: [held, values]
        self._steps = np.zeros(0)  # to each of them from the frame before it
        self._open: list[_Run] = []
        self._longest: list[_Run] = []  # all that were found of late, kept or not
        self._waiting: _Run | None = None  # until no other can be a part of the same transition
        self._lit_from: int | None = None
        self._fade_out: _Run | None = None
        self._at = -1

    @property
    def settled(self) -> int:
        """Every transition whose middle lies before this frame has been given out."""
        waiting = [self._waiting] if self._waiting else []
        begun = min([self._at - _LONGEST, *(run.first for run in (*self._open, *waiting))])
        return min([begun, *(part.first for part in self._longest if part.last >= begun)])

    def push(self, frames: np.ndarray) -> list[Boundary]:
        """Take the next frames, uint8 [m, h, w, 3]."""
        pictures = _shrink(frames)
        held = np.concatenate([self._pictures, pictures]) if len(self._pictures) else pictures
        before = held[max(0, len(self._pictures) - 1) :]
        self._steps = np.concatenate([self._steps, np.zeros(len(pictures) + 1 - len(before)), measure_steps(before)])
        self._pictures = held
        if self._lit_from is None:
            lit = np.flatnonzero(pictures.std(axis=1) > self._options.blank)
            self._lit_from = self._at + 1 + int(lit[0]) if len(lit) else None
        self._at += len(frames)
        for run in self._find_runs(len(frames)):
            self._keep(run)
            if run.length == _LONGEST:
                self._longest.append(run)
        self._pictures, self._steps = held[-_LONGEST:], self._steps[-_LONGEST:]
        return self._close(self._at - _LONGEST)

    def finish(self) -> list[Boundary]:
        """What is still open at the end of the title."""
        return self._close(self._at + 1)

    def _find_runs(self, count: int) -> list[_Run]:
        """The best transition that ends with each of the newest ``count`` frames, where there is one, in order."""
        held, options = len(self._pictures), self._options
        first = self._at + 1 - held
        highest, travelled = _rolling_maxima(self._steps), np.cumsum(self._steps)
        best: dict[int, tuple[float, int, float]] = {}  # quality, length and change, by the place of the last frame
        for length in _LENGTHS:
            begin = max(length, held - count)
            ends = np.arange(begin + (first + begin) % _EVERY, held, _EVERY)
            reach = _ROUNDING * (travelled[ends] - travelled[ends - length])  # no change is larger than all its steps
            width = max(known for known in highest if known <= length)
            steepest = np.maximum(highest[width][ends], highest[width][ends - length + width])
            likely = np.flatnonzero((reach >= options.change) & (steepest <= options.step * reach))
            for end, change, residual in self._find_ends(ends[likely], steepest[likely], length):
                best[end] = max(best.get(end, (0.0, 0, 0.0)), (change * (1 - residual), length, change))
        return [self._make_run(end, *best[end]) for end in sorted(best)]

    def _make_run(self, end: int, quality: float, length: int, change: float) -> _Run:
        last = self._at + 1 - len(self._pictures) + end
        pictures = self._pictures[end - length], self._pictures[end]
        return _Run(last - length, last, change, quality, *pictures)

    def _find_ends(self, ends: np.ndarray, steepest: np.ndarray, length: int) -> Iterator[tuple[int, float, float]]:
        """Which of the places ``ends`` a transition of this length leads to, its change, and its residual."""
        if not len(ends):
            return
        options, pictures = self._options, self._pictures
        start, end = pictures[ends - length], pictures[ends]
        moved = np.abs(end - start)
        change = moved.mean(axis=1)
        kept = np.flatnonzero((change >= options.change) & (steepest <= options.step * change))
        residual = np.zeros(len(ends), np.float32)
        for quarter in (2, 1, 3):  # the middle one tells most
            if not len(kept):
                return
            offset = length * quarter // 4
            blend = start[kept] + (end[kept] - start[kept]) * np.float32(offset / length)
            off = np.abs(pictures[ends[kept] - length + offset] - blend).mean(axis=1) / change[kept]
            residual[kept] = np.maximum(residual[kept], off)
            kept = kept[off < options.residual]
        for place in kept.tolist():
            if (moved[place].reshape(-1, 3).mean(axis=1) > 8).mean() >= options.broad:
                yield int(ends[place]), float(change[place]), float(residual[place])

    def _fade(self, start: np.ndarray, end: np.ndarray) -> str:
        """Whether a picture comes out of a blank one ("in") or goes into it ("out"), or neither ("")."""
        is_same = self._correlation(start, end) >= self._options.likeness
        if start.std() <= self._options.blank or (is_same and start.std() < end.std()):
            return "in"
        return "out" if is_same or end.std() <= self._options.blank else ""

    @staticmethod
    def _correlation(one: np.ndarray, other: np.ndarray) -> float:
        spread = float(one.std() * other.std())
        return float(((one - one.mean()) * (other - other.mean())).mean()) / spread if spread else 0.0

    def _keep(self, run: _Run) -> None:
        """Of runs that overlap, keep the one that covers most of the change."""
        rivals = [other for other in self._open if other.overlaps(run)]
        if all(run.quality > other.quality for other in rivals):
            self._open = [*(other for other in self._open if other not in rivals), run]

    def _close(self, before: int) -> list[Boundary]:
        """Judge the runs that end before a frame, those that are parts of one transition together."""
        done = sorted((run for run in self._open if run.last < before), key=lambda run: run.middle)
        self._open = [run for run in self._open if run.last >= before]
        found: list[Boundary] = []
        for run in map(self._extend, done):
            if self._waiting is None or not self._is_one(self._waiting, run):
                found += self._judge_waiting()
                self._waiting = run
            else:
                self._waiting = self._join(self._waiting, run)
        if self._waiting is not None and all(run.first > self._waiting.last for run in self._open):
            found += self._judge_waiting()
        self._longest = [run for run in self._longest if run.last >= before - 2 * _LONGEST]
        return found

    def _extend(self, run: _Run) -> _Run:
        """A run of 64 frames with all the others that are parts of the same transition, if that is longer."""
        if run.length < _LONGEST:
            return run
        whole = run
        for part in self._longest:
            if part.quality >= self._options.even * run.quality and self._is_one(whole, part):
                whole = self._join(whole, part)
        return whole if whole.length >= _LONGEST + _LENGTHS[0] else run

    def _is_one(self, run: _Run, other: _Run) -> bool:
        touches = run.first <= other.last and other.first <= run.last
        return touches and self._correlation(run.end - run.start, other.end - other.start) >= self._options.straight

    def _join(self, run: _Run, other: _Run) -> _Run:
        early = min(run, other, key=lambda part: part.first)
        late = max(run, other, key=lambda part: part.last)
        change = float(np.abs(late.end - early.start).mean())
        return _Run(early.first, late.last, change, run.quality, early.start, late.end)

    def _judge_waiting(self) -> list[Boundary]:
        run, self._waiting = self._waiting, None
        return [] if run is None else list(self._judge(run))

    def _judge(self, run: _Run) -> Iterator[Boundary]:
        """A fade-out only leads up to a boundary; a fade-in makes one, unless it opens the title."""
        fade = self._fade(run.start, run.end)
        if fade == "out":
            self._fade_out = run
            return
        first = run.first
        if fade == "in":
            if self._lit_from is None or 0 < self._lit_from >= run.first - _LONGEST:
                return
            if self._fade_out is not None and 0 <= run.first - self._fade_out.last <= _LONGEST:
                first = self._fade_out.first
        self._fade_out = None
        frame = max(run.first, (first + run.last) // 2)
        yield Boundary(frame, "gradual", score=run.change / self._options.change, first=first, last=run.last)


def _rolling_maxima(values: np.ndarray) -> dict[int, np.ndarray]:
    """By a width of 1, 2, 4, …: the largest of each value and those before it, as many as the width, [n] each."""
    maxima = {1: values}
    width = 1
    while 2 * width <= _LONGEST:
        wider = maxima[width].copy()
        np.maximum(wider[width:], maxima[width][:-width], out=wider[width:])
        width *= 2
        maxima[width] = wider
    return maxima


def _shrink(frames: np.ndarray) -> np.ndarray:
    """Means over blocks of 4 × 4 pixels, uint8 [m, h, w, 3] to float32 [m, values]: blends show as well there."""
    height, width = (side - side % 4 for side in frames.shape[1:3])
    rows = frames[:, :height, :width].reshape(len(frames), height // 4, 4, width * 3).astype(np.uint16)
    pixels = (rows[:, :, 0] + rows[:, :, 1] + rows[:, :, 2] + rows[:, :, 3]).reshape(-1, 4, 3)
    blocks = pixels[:, 0] + pixels[:, 1] + pixels[:, 2] + pixels[:, 3]
    return (blocks / np.float32(16)).reshape(len(frames), -1)
