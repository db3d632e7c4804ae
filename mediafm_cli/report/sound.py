"""The sound of a title as a picture shows it: lowest and highest sample, and level, of parts of one length."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from mediafm_cli.report.title import Sound

RATE = 16_000
PARTS = 1200
"""Into which a title is divided: about as many as there are pixels."""

SHORTEST_S = 0.02

FLOOR_DB = -60.0
"""What is not louder is drawn as silence."""


def divide(end_s: float) -> list[tuple[float, float]]:
    """Parts of one length from 0 to ``end_s``: start and end, in seconds."""
    count = int(max(1, min(PARTS, end_s / SHORTEST_S)))
    edges = np.linspace(0, end_s, count + 1).tolist()
    return list(pairwise(edges))


def measure_sound(parts: Iterable[tuple[int, np.ndarray | None]], count: int, end_s: float) -> Sound | None:
    """Measure ``count`` parts that last to ``end_s``, as ``read_spans`` yields them; None where no part has sound."""
    low, high = np.zeros(count, np.float32), np.zeros(count, np.float32)
    level = np.full(count, -np.inf, np.float32)
    is_heard = False
    for number, samples in parts:
        if samples is None or not len(samples):
            continue
        is_heard = True
        low[number], high[number] = samples.min(), samples.max()
        power = float(np.mean(samples.astype(np.float64) ** 2))
        if power > 0:
            level[number] = 10 * np.log10(power)
    return Sound(end_s / count, low, high, level) if is_heard else None
