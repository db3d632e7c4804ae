"""How fast a run is, against what the machine can do: shots a second, MFU, and the share of time spent on waiting."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mediafm_cli.device import Precision, autocast
from mediafm_cli.model.config import ModelConfig

PEAK_SIDES = {"cuda": 8192, "cpu": 1024}
"""Of the square matrices whose product is timed."""


@dataclass(frozen=True)
class Speed:
    """Of one step.

    Attributes:
        shots_per_s: of all processes together. ``data_wait``: share of the time in which no data was there.
        mfu: model FLOPs utilisation: of what a large matrix product reaches on this device, in this precision.
    """

    shots_per_s: float
    data_wait: float
    mfu: float


class Stopwatch:
    """Times steps, and in them the wait for data."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._waited = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        before = time.perf_counter()
        yield
        self._waited += time.perf_counter() - before

    def lap(self) -> tuple[float, float]:
        """Seconds since the last lap, and how many of them were spent waiting."""
        now = time.perf_counter()
        taken, waited = now - self._started, self._waited
        self._started, self._waited = now, 0.0
        return taken, waited


def step_flops(config: ModelConfig, lengths: Iterable[int], targets: int) -> float:
    """Floating-point operations of the matrix products of one step, forward and backward.

    Args:
        lengths: shots of each sequence. ``targets``: shots of which anything is predicted.
    """
    sequences = [length + config.prefix for length in lengths]
    tokens, shots = sum(sequences), sum(sequences) - config.prefix * len(sequences)
    linear = tokens * config.layers * 12 * config.hidden**2 + (shots + targets) * config.hidden * config.layout.width
    attention = sum(length**2 for length in sequences) * config.layers * 2 * config.hidden
    whitening = shots * sum((block.stop - block.start) ** 2 for block in config.layout.blocks)
    forward_only = whitening if config.projection == "whitened" else 0
    # A multiplication and an addition; the backward pass costs twice the forward.
    return 2 * (3 * (linear + attention) + forward_only)


@torch.no_grad()
def measure_peak(device: torch.device, precision: Precision) -> float:
    """FLOP/s of a large product of normally distributed matrices: the best of a few.

    A GPU multiplies numbers that are much alike, or of one sign, faster; a model's are neither.
    """
    side = PEAK_SIDES.get(device.type, 1024)
    matrix = torch.randn(side, side, device=device) / side**0.5  # a product of two is distributed as they are
    best = float("inf")
    with autocast(device, precision):
        matrix = matrix @ matrix  # in the precision itself, so that no conversion is timed
        for _ in range(4):
            started = time.perf_counter()
            product = matrix @ matrix
            product[0, 0].item()  # waits for it
            best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best
