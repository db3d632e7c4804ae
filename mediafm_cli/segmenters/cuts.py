"""Hard cuts: a jump from one frame to the next that is large for what the frames show, and that lasts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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


class CutFinder:
    """Give it every frame in order, some at a time; it answers with the cuts that it is sure of."""

    def __init__(self, options: CutOptions) -> None:
        self._options = options
        self._frames: np.ndarray | None = None  # those that a judgement may still need, uint8 [held, values]
        self._jumps = np.zeros(1)  # to each of them from the frame before it; to the first of the title there is none
        self._first = 0  # number of the first of them
        self._next = 1  # number of the first that has not been judged; what a title begins with is no cut

    def push(self, frames: np.ndarray) -> list[Boundary]:
        """Take the next frames, uint8 [m, values]; judge those that have ``lasting`` frames after them."""
        if self._frames is None:
            self._frames = frames[:1]
            frames = frames[1:]
        held = np.concatenate([self._frames, frames])
        self._jumps = np.concatenate([self._jumps, measure_steps(held[len(self._frames) - 1 :])])
        self._frames = held
        cuts = self._judge(self._first + len(held) - self._options.lasting)
        unneeded = max(0, self._next - self._options.lasting - 1 - self._first)
        self._frames, self._jumps = held[unneeded:], self._jumps[unneeded:]
        self._first += unneeded
        return cuts

    def finish(self) -> list[Boundary]:
        """Judge the last frames, with what there is after them."""
        return [] if self._frames is None else self._judge(self._first + len(self._frames))

    def _judge(self, end: int) -> list[Boundary]:
        """The cuts among the frames that have not been judged, up to frame ``end``, exclusive."""
        places = np.arange(self._next - self._first, end - self._first)
        if not len(places):
            return []
        self._next, options, jumps = end, self._options, self._jumps
        padded = np.pad(jumps, (options.lasting + 1, options.lasting))
        highest = sliding_window_view(padded, 2 * options.lasting + 2).max(axis=1)
        likely = places[(jumps[places] >= options.floor) & (jumps[places] == highest[places])]
        found = (self._judge_one(place) for place in likely.tolist())
        return [cut for cut in found if cut is not None]

    def _judge_one(self, place: int) -> Boundary | None:
        """The cut at ``place``, if the jump there, the highest of those around it, is one."""
        assert self._frames is not None
        options, frames, jumps, jump = self._options, self._frames, self._jumps, float(self._jumps[place])
        earlier = slice(max(0, place - 1 - options.lasting), place - 1)
        later = slice(place + 1, place + 1 + options.lasting)
        around = [*jumps[earlier][-1:], jumps[place - 1], *jumps[later][:2]]
        if jump < options.ratio * sum(around) / len(around):
            return None
        least = options.contrast * (float(frames[place - 1].std()) + float(frames[place].std())) / 2
        least = min(max(least, options.floor), options.ceiling)
        if jump < least:
            return None
        comes_back = _distances(frames[later], frames[place - 1]), _distances(frames[earlier], frames[place])
        if (np.concatenate(comes_back) < options.likeness * jump).any():
            return None
        return Boundary(self._first + place, "cut", score=jump / least)


def measure_steps(frames: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each frame from the one before: [m, values] gives [m - 1]."""
    return _distances(frames[1:], frames[:-1])


def _distances(frames: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each frame from another, or all from one: [m, values] gives [m]."""
    differences = np.maximum(frames, others) - np.minimum(frames, others)
    return differences.sum(axis=1, dtype=np.uint32 if frames.dtype == np.uint8 else None) / frames.shape[1]
