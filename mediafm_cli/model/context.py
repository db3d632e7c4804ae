"""Embedding in context: every shot of a title, run with the shots around it.

A title longer than the model's sequence is run in overlapping windows. Where two overlap, one fades out while the other
fades in, so no seam shows, and a shot counts most where it has context on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mediafm_cli.errors import UsageError
from mediafm_cli.model.batch import collate
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM

Layer = Literal["output", "hidden"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """A title in context.

    Attributes:
        shots: float32 [n, D] for the layer ``"output"``, [n, h] for ``"hidden"``. Compare directions, not lengths.
        title: float32 [h], the [CLS] state; the mean over windows, which are all of one length.
    """

    shots: np.ndarray
    title: np.ndarray


def embed_title(
    model: MediaFM,
    title: Title,
    *,
    layer: Layer = "output",
    window: int | None = None,
    overlap: int | None = None,
    batch_size: int = 8,
) -> Embedding:
    """Run ``title`` through ``model``, with nothing masked, on the device where the model is.

    Args:
        layer: ``"output"`` is in the space of the fused vectors; ``"hidden"`` is the state before it.
        window: shots that the model sees at once, at most its ``max_shots``, which is the default.
        overlap: shots that two windows share at least; half a window by default.
        batch_size: windows run at once on a GPU. On a CPU they are run one by one, because the number of rows decides
            how a matrix product is rounded: so the result is the same to the bit for any batch size.

    Raises:
        UsageError: ``window`` or ``overlap`` is out of range.
        TrainingError: the title's vectors are not as wide as the model's.
    """
    window, overlap = find_window(model, window, overlap)
    starts = window_starts(len(title), window, overlap)
    weights = window_weights(len(title), starts, window, overlap)  # [windows, window]
    together = 1 if model.device.type == "cpu" else batch_size
    width = model.config.layout.width if layer == "output" else model.config.hidden
    shots = np.zeros((len(title), width), np.float32)
    states = []
    for first in range(0, len(starts), together):
        group = starts[first : first + together]
        rows, title_states = _run(model, [title.window(start, start + window) for start in group], layer)
        states.append(title_states)
        for row, start, weight in zip(rows, group, weights[first:], strict=False):
            shots[start : start + window] += weight[:, None] * row
    return Embedding(shots, np.concatenate(states).mean(axis=0))


def find_window(model: MediaFM, window: int | None, overlap: int | None) -> tuple[int, int]:
    """Window and overlap, with ``embed_title``'s defaults in the place of None; raises as it does."""
    window = model.config.max_shots if window is None else window
    overlap = window // 2 if overlap is None else overlap
    if not 1 <= window <= model.config.max_shots:
        raise UsageError(f"A window of {window} shots is not possible.", f"The model takes {model.config.max_shots}.")
    if not 0 <= overlap < window:
        raise UsageError(f"Windows of {window} shots cannot overlap by {overlap}.")
    return window, overlap


@torch.inference_mode()
def _run(model: MediaFM, windows: Sequence[Title], layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    model.eval()
    output = model(collate(windows, model.config).to(model.device))
    rows = output.predicted if layer == "output" else output.hidden  # [windows, window, D or h]
    return rows.float().cpu().numpy(), output.cls.float().cpu().numpy()


def window_starts(shots: int, window: int, overlap: int) -> list[int]:
    """First shots of windows that cover a title; the last one is moved back so that every window is full."""
    last = max(0, shots - window)
    return [*range(0, last, window - overlap), last]


def window_weights(shots: int, starts: Sequence[int], window: int, overlap: int) -> np.ndarray:
    """How much each window counts at each of its shots: float32 [windows, min(window, shots)].

    A ramp up over the overlap and a ramp down, divided by the sum of what all windows say of a shot: 1 for every shot.
    """
    window = min(window, shots)
    up = np.minimum(np.arange(1, window + 1), overlap + 1)
    ramp = np.minimum(up, up[::-1]).astype(np.float64)
    total = np.zeros(shots)
    for start in starts:
        total[start : start + window] += ramp
    return np.stack([ramp / total[start : start + window] for start in starts]).astype(np.float32)
