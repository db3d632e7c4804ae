"""Dissolves and fades: one picture turns into another along a straight line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mediafm_cli.api import Boundary

_LENGTHS = np.array([8, 12, 16, 20, 24, 32, 40, 48, 64])
_LONGEST = int(_LENGTHS[-1])


@dataclass(frozen=True)
class TransitionOptions:
    """When a run of 8 to 64 frames is a transition from its first frame A to its last frame B.

    Attributes:
        change: least mean absolute difference of A and B (RGB values, 0 to 255).
        broad: least share of the pixels that change by more than 8; a title or logo that fades in changes few.
        residual: most difference of the frames at ¼, ½ and ¾ from the blend of A and B, as a share of the change.
        step: most difference between adjacent frames, as a share of the change; a cut takes one step.
        blank: standard deviation up to which a frame is one colour, such as the black of a fade.
        likeness: correlation from which two pictures are the same one, only lighter or darker.
    """

    change: float = 20.0
    broad: float = 0.5
    residual: float = 0.16
    step: float = 0.3
    blank: float = 8.0
    likeness: float = 0.9


@dataclass(frozen=True)
class _Run:
    first: int
    last: int
    change: float
    quality: float
    fade: str  # "in", "out" or "" for a dissolve

    @property
    def middle(self) -> int:
        return (self.first + self.last) // 2

    def overlaps(self, other: _Run) -> bool:
        return self.first <= other.middle <= self.last or other.first <= self.middle <= other.last


class TransitionFinder:
    """Give it every frame in order; it answers with transitions once no frame to come can belong to them."""

    def __init__(self, options: TransitionOptions) -> None:
        self._options = options
        self._pictures: deque[np.ndarray] = deque(maxlen=_LONGEST + 1)
        self._steps: deque[float] = deque(maxlen=_LONGEST + 1)
        self._open: list[_Run] = []
        self._lit_from: int | None = None
        self._fade_out: _Run | None = None
        self._at = -1

    @property
    def settled(self) -> int:
        """Every transition whose middle lies before this frame has been given out."""
        return min([self._at - _LONGEST, *(run.first for run in self._open)])

    def push(self, number: int, rgb: np.ndarray) -> list[Boundary]:
        """Take a frame, float32 [h, w, 3]."""
        picture = _shrink(rgb)
        self._steps.append(float(np.abs(picture - self._pictures[-1]).mean()) if self._pictures else 0.0)
        self._pictures.append(picture)
        self._at = number
        if self._lit_from is None and picture.std() > self._options.blank:
            self._lit_from = number
        run = self._best_run(number)
        if run is not None:
            self._keep(run)
        return self._close(number - _LONGEST)

    def finish(self) -> list[Boundary]:
        """What is still open at the end of the title."""
        return self._close(self._at + 1)

    def _best_run(self, number: int) -> _Run | None:
        """The best transition that ends with the newest frame."""
        options = self._options
        lengths = _LENGTHS[: np.searchsorted(_LENGTHS, len(self._pictures))]
        if not len(lengths):
            return None
        end = self._pictures[-1]
        changes = np.abs(np.stack([self._pictures[-1 - length] for length in lengths]) - end)
        steps = np.maximum.accumulate(np.array(self._steps)[::-1])
        best: _Run | None = None
        for length, pixels in zip(lengths.tolist(), changes, strict=True):
            change = float(pixels.mean())
            if change < options.change or steps[length - 1] > options.step * change:
                continue
            start = self._pictures[-1 - length]
            residual = max(self._residual(start, end, length, part) for part in (1, 2, 3)) / change
            if residual >= options.residual or (pixels.mean(axis=1) > 8).mean() < options.broad:
                continue
            quality = change * (1 - residual)
            if best is None or quality > best.quality:
                best = _Run(number - length, number, change, quality, self._fade(start, end))
        return best

    def _residual(self, start: np.ndarray, end: np.ndarray, length: int, part: int) -> float:
        offset = length * part // 4
        blend = start + (end - start) * (offset / length)
        return float(np.abs(self._pictures[-1 - length + offset] - blend).mean())

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
        done = sorted((run for run in self._open if run.last < before), key=lambda run: run.middle)
        self._open = [run for run in self._open if run.last >= before]
        return [boundary for run in done for boundary in self._judge(run)]

    def _judge(self, run: _Run) -> Iterator[Boundary]:
        """A fade-out only leads up to a boundary; a fade-in makes one, unless it opens the title."""
        if run.fade == "out":
            self._fade_out = run
            return
        first = run.first
        if run.fade == "in":
            if self._lit_from is None or 0 < self._lit_from >= run.first - _LONGEST:
                return
            if self._fade_out is not None and 0 <= run.first - self._fade_out.last <= _LONGEST:
                first = self._fade_out.first
        self._fade_out = None
        frame = max(run.first, (first + run.last) // 2)
        yield Boundary(frame, "gradual", score=run.change / self._options.change, first=first, last=run.last)


def _shrink(rgb: np.ndarray) -> np.ndarray:
    """Means over blocks of 4 × 4 pixels, float32 [blocks, 3]: blends show as well there, and cost a sixteenth."""
    height, width = (side - side % 4 for side in rgb.shape[:2])
    blocks = rgb[:height, :width].reshape(height // 4, 4, width // 4, 4, 3)
    rows = blocks[:, 0] + blocks[:, 1] + blocks[:, 2] + blocks[:, 3]
    return ((rows[:, :, 0] + rows[:, :, 1] + rows[:, :, 2] + rows[:, :, 3]) / 16).reshape(-1, 3)
