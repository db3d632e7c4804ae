"""A list of cuts laid on frames that are shown at given times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from mediafm_cli.api import Boundary, Thumbnail, Title
from mediafm_cli.segmenters.imported import ImportSegmenter

NOTHING = np.zeros((0, 0, 3), np.uint8)


def steady(rate: Fraction, count: int) -> list[float]:
    """When each of ``count`` frames is shown at a constant rate, in seconds."""
    return [float(number / rate) for number in range(count)]


def import_cuts(
    file: Path | str,
    times_s: Iterable[float],
    *,
    frame_rate: Fraction | None = Fraction(24),
    duration_s: float | None = None,
    rate: str = "",
    name: str = "film",
) -> list[Boundary]:
    """The boundaries that the segmenter ``import`` gives for a title of these frames."""
    segmenter = ImportSegmenter(ImportSegmenter.Options(str(file), rate))
    segmenter.begin(Title(name, frame_rate, duration_s))
    return list(segmenter.detect(Thumbnail(number, time_s, NOTHING) for number, time_s in enumerate(times_s)))


def frames_of(boundaries: Sequence[Boundary]) -> list[int]:
    """The frame of each."""
    return [boundary.frame for boundary in boundaries]
