"""The default shot-boundary detector: hard cuts, dissolves and fades from small frames, with no weights.

Hard cuts start from the two-frame difference of PySceneDetect's content detectors, and differ in what a jump is held
against: the contrast of the pictures, the jumps around it, and whether the old picture comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from mediafm_cli.api import Boundary, Segmenter, Thumbnail, Title
from mediafm_cli.segmenters.cuts import CutFinder, CutOptions
from mediafm_cli.segmenters.transitions import TransitionFinder, TransitionOptions

_RATE = 25  # frames a second that all lengths in frames are meant for
_HIGHEST_RATE = 250  # what files declare beyond it is a clock and no frame rate
_BLOCK = 32  # frames judged at once: each call of NumPy costs as much as the arithmetic of some frames this small


class ContentSegmenter(Segmenter):
    """Finds cuts, dissolves and fades; keeps at most some hundred small frames."""

    @dataclass(frozen=True)
    class Options:
        """What may be set; the rest is in ``CutOptions`` and ``TransitionOptions``.

        Attributes:
            contrast: least jump of a cut, as a share of the picture's contrast, 0 to 1; lower finds more. Whatever the
                share, a jump of less than 6 (of 255) is none, and one of 25 or more is enough.
            ratio: least jump of a cut, as a multiple of the mean jump of the four frames around it, at least 1; lower
                finds more.
            gradual: look for dissolves and fades too.
        """

        contrast: float = CutOptions.contrast
        ratio: float = CutOptions.ratio
        gradual: bool = True

        def __post_init__(self) -> None:
            if not 0 <= self.contrast <= 1:
                raise ValueError(f"contrast is {self.contrast}; it must be from 0 to 1")
            if self.ratio < 1:
                raise ValueError(
                    f"ratio is {self.ratio}; it must be 1 or more: no cut jumps less than what is around it"
                )

    _every = 1

    def begin(self, title: Title) -> None:
        """Learn the frame rate: of 50 frames a second, every second one is looked at for dissolves and fades."""
        rate = title.frame_rate or _RATE
        self._every = max(1, round(rate / _RATE)) if rate <= _HIGHEST_RATE else 1

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        newest = 0
        for boundary in self._find(frames):
            if boundary.frame > newest:  # a jump halfway through a dissolve is found as a cut too
                newest = boundary.frame
                yield boundary

    def fingerprint(self) -> Mapping[str, str]:
        return {"version": "1"}

    def _find(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        every, lasting = self._every, CutOptions.lasting * self._every
        cuts = CutFinder(CutOptions(contrast=self.options.contrast, ratio=self.options.ratio, lasting=lasting))
        transitions = TransitionFinder(TransitionOptions())
        found: list[Boundary] = []
        while block := list(islice(frames, _BLOCK - _BLOCK % every)):
            pictures = np.stack([thumbnail.rgb for thumbnail in block])
            found += cuts.push(pictures.reshape(len(block), -1))
            settled = block[-1].frame - lasting
            if self.options.gradual:
                found += _spread(transitions.push(pictures[::every]), every)
                settled = transitions.settled * every
            yield from sorted((boundary for boundary in found if boundary.frame < settled), key=_frame_of)
            found = [boundary for boundary in found if boundary.frame >= settled]
        yield from sorted([*found, *cuts.finish(), *_spread(transitions.finish(), every)], key=_frame_of)


def _spread(boundaries: Iterable[Boundary], every: int) -> list[Boundary]:
    """Boundaries that were found among every so many frames, in numbers of all frames."""
    return [
        replace(boundary, frame=boundary.frame * every, first=boundary.first * every, last=boundary.last * every)
        for boundary in boundaries
    ]


def _frame_of(boundary: Boundary) -> int:
    return boundary.frame
