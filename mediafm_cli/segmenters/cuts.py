"""Hard cuts: a jump from one frame to the next that is large for what the frames show, and that lasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mediafm_cli.api import Boundary


@dataclass(frozen=True)
class CutOptions:
    """When a jump is a cut. A jump is the mean absolute difference of two frames' RGB values (0 to 255).

    Attributes:
        contrast: least jump, as a share of the frames' contrast (the standard deviation of their values): a cut puts
            another picture there, so values move about as far as they differ from one another, in dark films too.
        floor, ceiling: bounds of that least jump: below the floor is noise, above the ceiling is a cut in any film.
        ratio: least jump, as a multiple of the mean jump of the two frames before and the two after.
        lasting: frames that the new picture must last, and the old one must have lasted.
        likeness: two frames are alike where they differ by less than this share of the jump: what looks after the jump
            like what was there before it is a flash, or something that passes before the lens.
    """

    contrast: float = 0.45
    floor: float = 6.0
    ceiling: float = 25.0
    ratio: float = 2.3
    lasting: int = 4
    likeness: float = 0.65


@dataclass(frozen=True, eq=False)
class _Frame:
    number: int
    rgb: np.ndarray  # float32 [h, w, 3]
    contrast: float
    jump: float  # from the frame before


class CutFinder:
    """Give it every frame in order; it answers with the cuts that it is sure of, ``lasting`` frames later."""

    def __init__(self, options: CutOptions) -> None:
        self._options = options
        # The frame before the cut has to be compared with `lasting` frames after it, and the cut with as many before.
        self._frames: deque[_Frame] = deque(maxlen=2 * options.lasting + 2)

    def push(self, number: int, rgb: np.ndarray) -> Boundary | None:
        """Take a frame, float32 [h, w, 3]; judge the one ``lasting`` frames before it."""
        jump = distance(self._frames[-1].rgb, rgb) if self._frames else 0.0
        self._frames.append(_Frame(number, rgb, float(rgb.std()), jump))
        place = len(self._frames) - 1 - self._options.lasting
        return self._judge(place) if place >= 1 else None

    def finish(self) -> Iterator[Boundary]:
        """Judge the last frames, with what there is after them."""
        for place in range(max(1, len(self._frames) - self._options.lasting), len(self._frames)):
            cut = self._judge(place)
            if cut is not None:
                yield cut

    def _judge(self, place: int) -> Boundary | None:
        options, frames = self._options, list(self._frames)
        before, cut = frames[place - 1], frames[place]
        least = options.contrast * (before.contrast + cut.contrast) / 2
        least = min(max(least, options.floor), options.ceiling)
        if cut.jump < least:
            return None
        earlier = frames[max(0, place - 1 - options.lasting) : place - 1]
        later = frames[place + 1 : place + 1 + options.lasting]
        jumps = [frame.jump for frame in (*earlier, before, *later)]
        around = [frame.jump for frame in (*earlier[-1:], before, *later[:2])]
        if cut.jump < max(jumps) or cut.jump < options.ratio * sum(around) / len(around):
            return None
        alike = options.likeness * cut.jump
        if any(distance(before.rgb, frame.rgb) < alike for frame in later):
            return None
        if any(distance(cut.rgb, frame.rgb) < alike for frame in earlier):
            return None
        return Boundary(cut.number, "cut", score=cut.jump / least)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference."""
    return float(np.abs(one - other).mean())
