"""The segmenter ``fixed``: a boundary every so many seconds, whatever is shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from mediafm_cli.api import Boundary, Segmenter, Thumbnail


class FixedSegmenter(Segmenter):
    """Cuts at the first frame shown at or after each multiple of ``every_s``, at any frame rate, constant or not.

    A frame that stays on for several multiples makes one boundary, not several.
    """

    @dataclass(frozen=True)
    class Options:
        """What may be set.

        Attributes:
            every_s: seconds from one boundary to the next; by default about the mean shot of films since 2000, so that
                as many shots cover as much of a title.
        """

        every_s: float = 4.0

        def __post_init__(self) -> None:
            if not (math.isfinite(self.every_s) and self.every_s > 0):
                raise ValueError(f"every_s is {self.every_s}; it must be more than 0 seconds")

    thumbnail_size = None

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        every = Fraction(str(self.options.every_s))
        before: int | None = None
        for thumbnail in frames:
            passed = _count_multiples(thumbnail.time_s, every)
            if before is not None and passed > before:
                yield Boundary(thumbnail.frame)
            before = passed

    def fingerprint(self) -> Mapping[str, str]:
        return {"version": "1"}


def _count_multiples(time_s: float, every: Fraction) -> int:
    """The largest n with ``n × every ≤ time_s``.

    Times are floats nearest to exact ones, so that each multiple is held against them as its nearest float: with an
    ``every`` of 0.1 a frame at 0.3 s is at the third multiple, although 3 × 0.1 is more than 0.3 in floats.
    """
    below = math.floor(Fraction(time_s) / every)
    return below + 1 if float((below + 1) * every) <= time_s else below
