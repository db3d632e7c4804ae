"""Embedding in context: every shot of a title, run with the shots around it.

A title longer than the model's sequence is run in overlapping windows. Where two overlap, one fades out while the other
fades in, so no seam shows, and a shot counts most where it has context on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mediafm_cli.device import Precision, autocast
from mediafm_cli.errors import UnavailableError, UsageError
from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import Layer
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM

BATCH_SHOTS = 8192
"""Shots run at once on a GPU."""


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
    layer: Layer | None = None,
    window: int | None = None,
    overlap: int | None = None,
    batch_shots: int = BATCH_SHOTS,
    precision: Precision = "fp32",
) -> Embedding:
    """One title; see ``embed_titles``."""
    (embedding,) = embed_titles(
        model, [title], layer=layer, window=window, overlap=overlap, batch_shots=batch_shots, precision=precision
    )
    return embedding


def embed_titles(
    model: MediaFM,
    titles: Iterable[Title],
    *,
    layer: Layer | None = None,
    window: int | None = None,
    overlap: int | None = None,
    batch_shots: int = BATCH_SHOTS,
    precision: Precision = "fp32",
) -> Iterator[Embedding]:
    """Run titles through ``model``, with nothing masked, on the device where the model is; one after the other.

    Args:
        layer: ``"output"`` is in the space of the fused vectors; ``"hidden"`` is the state before it. The one that the
            model was made for where it is None.
        window: shots that the model sees at once, at most its ``max_shots``, which is the default.
        overlap: shots that two windows share at least; half a window by default.
        batch_shots: run at once on a GPU, of one title or of several: in fp32 the results of two sizes differ by no
            more than 1e-4 of a vector's length. On a CPU windows are run one by one, because the number of rows
            decides how a matrix product is rounded: there the result is the same to the bit for any size.
        precision: of the matrix products. In bf16 a vector has a cosine of at least 0.999 with the same in fp32.

    Raises:
        UsageError: ``window`` or ``overlap`` is out of range.
        TrainingError: a title's vectors are not as wide as the model's.
        UnavailableError: the GPU has no room for ``batch_shots``.
    """
    layer = layer or model.config.layer
    window, overlap = find_window(model, window, overlap)
    room = 1 if model.device.type == "cpu" else batch_shots
    waiting: list[_Pending] = []
    for title in titles:
        waiting.append(_Pending(title, window, overlap))
        if sum(one.shots_left for one in waiting) >= room:
            _run(model, waiting, layer, room, precision)
            yield from (one.blended() for one in waiting)
            waiting = []
    _run(model, waiting, layer, room, precision)
    yield from (one.blended() for one in waiting)


class _Pending:
    """A title on its way: its windows, and what came of them."""

    def __init__(self, title: Title, window: int, overlap: int) -> None:
        self.starts = window_starts(len(title), window, overlap)
        self.windows = [title.window(start, start + window) for start in self.starts]
        self.weights = window_weights(len(title), self.starts, window, overlap)  # [windows, window]
        self.shots_left = sum(map(len, self.windows))
        self.rows: list[np.ndarray] = []
        self.states: list[np.ndarray] = []
        self._length = len(title)

    def blended(self) -> Embedding:
        shots = np.zeros((self._length, self.rows[0].shape[1]), np.float32)
        for row, start, weight in zip(self.rows, self.starts, self.weights, strict=True):
            shots[start : start + len(row)] += weight[:, None] * row
        return Embedding(shots, np.stack(self.states).mean(axis=0))


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
def _run(model: MediaFM, pending: Sequence[_Pending], layer: Layer, room: int, precision: Precision) -> None:
    """Run the windows of all titles, in batches of at most ``room`` shots, but of one window at least."""
    model.eval()
    todo = [(one, window) for one in pending for window in one.windows]
    for batch in _batches(todo, room):
        packed = collate([window for _, window in batch], model.config)
        try:
            with autocast(model.device, precision):
                output = model(packed.to(model.device))
        except torch.OutOfMemoryError as error:
            what = f"The GPU has no room for {len(packed)} shots at once."
            raise UnavailableError(what, hint=f"Run fewer: --batch-shots {max(1, len(packed) // 2)}") from error
        found = model.fused(output.predicted) if layer == "output" else output.hidden  # [N, D or h]
        rows = found.float().cpu().numpy()
        states = output.cls.float().cpu().numpy()  # [B, h]
        edges = np.cumsum(packed.lengths)[:-1]
        for (one, _), own, state in zip(batch, np.split(rows, edges), states, strict=True):
            one.rows.append(own)
            one.states.append(state)


def _batches(todo: Sequence[tuple[_Pending, Title]], room: int) -> Iterator[list[tuple[_Pending, Title]]]:
    batch: list[tuple[_Pending, Title]] = []
    shots = 0
    for one, window in todo:
        if batch and shots + len(window) > room:
            yield batch
            batch, shots = [], 0
        batch.append((one, window))
        shots += len(window)
    if batch:
        yield batch


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
