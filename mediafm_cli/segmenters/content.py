"""The default shot-boundary detector: hard cuts, dissolves and fades from small frames, with no weights.

Hard cuts start from the two-frame difference of PySceneDetect's content detectors, and differ in what a jump is held
against: the contrast of the pictures, the jumps around it, and whether the old picture comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from mediafm_cli.api import Boundary, Segmenter, Thumbnail
from mediafm_cli.segmenters.cuts import CutFinder, CutOptions
from mediafm_cli.segmenters.transitions import TransitionFinder, TransitionOptions

_BLOCK = 32  # frames judged at once: each call of NumPy costs as much as the arithmetic of some frames this small


class ContentSegmenter(Segmenter):
    """Finds cuts, dissolves and fades; keeps at most 96 small frames."""

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

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        cuts = CutFinder(CutOptions(contrast=self.options.contrast, ratio=self.options.ratio))
        transitions = TransitionFinder(TransitionOptions())
        found: list[Boundary] = []
        while block := list(islice(frames, _BLOCK)):
            pictures = np.stack([thumbnail.rgb for thumbnail in block])
            found += cuts.push(pictures.reshape(len(block), -1))
            settled = block[-1].frame - CutOptions.lasting
            if self.options.gradual:
                found += transitions.push(pictures)
                settled = transitions.settled
            yield from sorted((boundary for boundary in found if boundary.frame < settled), key=_frame_of)
            found = [boundary for boundary in found if boundary.frame >= settled]
        yield from sorted([*found, *cuts.finish(), *transitions.finish()], key=_frame_of)

    def fingerprint(self) -> Mapping[str, str]:
        return {"version": "1"}


def _frame_of(boundary: Boundary) -> int:
    return boundary.frame
