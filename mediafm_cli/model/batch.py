"""Sequences of shots laid end to end: what the transformer is called with.

Nothing is padded: a batch of N shots costs N shots, however long the titles are that they belong to. Attention keeps
the sequences apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.title import Title


@dataclass(frozen=True, eq=False)
class Masks:
    """What is hidden of one sequence, and what is asked of it, block by block.

    Attributes:
        masked: bool [n, m], what the model must not see.
        weights: float [n, m], how much each block counts in the loss; 0 where it is not predicted.
        shown_from: int64 [n, m], the row whose block is shown instead of the true one; None where all are true.
    """

    masked: np.ndarray
    weights: np.ndarray
    shown_from: np.ndarray | None = None

    def asking_nothing(self) -> Masks:
        """The same hidden, and nothing asked: for a process that has nothing to do."""
        return Masks(self.masked, np.zeros_like(self.weights))


@dataclass(frozen=True, eq=False)
class Batch:
    """N shots of B sequences. T = N + B · prefix counts the tokens: [CLS], [GLOBAL] and then its shots, for each.

    Attributes:
        title_ids: B names, for errors. ``lengths``: B numbers of shots.
        vectors: float32 [N, D]. ``shown``: float32 [N, D], what the model gets to see of them; None for all.
        present: bool [N, m]. ``masked``: bool [N, m], the blocks that the model must not see; None for none.
        start_s: float32 [N], since the first shot of its sequence. ``places``: float32 [N], shots before it there.
        metadata: float32 [B, g], zero where a title has none. ``has_metadata``: bool [B].
        order: int64 [T], each token in the list of all shots, all [CLS] and all [GLOBAL].
        shot_tokens: int64 [N], where the shots are among the tokens. ``offsets``: int32 [B + 1], where sequences begin.
        target_rows: int64 [K], ascending, the shots of which anything is predicted. ``weights``: float32 [K, m], of
            their blocks.
    """

    title_ids: tuple[str, ...]
    lengths: tuple[int, ...]
    vectors: Tensor
    present: Tensor
    start_s: Tensor
    places: Tensor
    metadata: Tensor
    has_metadata: Tensor
    order: Tensor
    shot_tokens: Tensor
    offsets: Tensor
    shown: Tensor | None = None
    masked: Tensor | None = None
    target_rows: Tensor | None = None
    weights: Tensor | None = None

    def __len__(self) -> int:
        """N, shots."""
        return len(self.vectors)

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``; pinned memory is copied while the processor goes on."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory; torch's DataLoader calls it."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        changed = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return Batch(**values | changed)


def collate(windows: Sequence[Title], config: ModelConfig, masks: Sequence[Masks] | None = None) -> Batch:
    """Lay ``windows`` end to end.

    Args:
        windows: B titles, or windows of them.
        masks: one for each window; nothing is hidden where it is None.

    Raises:
        TrainingError: a title's vectors, presence or metadata are not as wide as the model's, or it is too long.
    """
    for window in windows:
        _require_fitting(window, config)
    lengths = [len(window) for window in windows]
    layout = config.layout
    metadata = np.zeros((len(windows), layout.metadata_dim), np.float32)
    has_metadata = np.zeros(len(windows), bool)
    for row, window in enumerate(windows):
        if window.metadata is not None and layout.metadata:
            metadata[row] = window.metadata
            has_metadata[row] = True
    starts = [(window.start_s - window.start_s[0]).astype(np.float32) for window in windows]
    order, shot_tokens, offsets = _token_order(lengths, config.prefix)
    arrays = {
        "vectors": _joined([window.vectors for window in windows], np.float32),
        "present": _joined([window.present for window in windows], bool),
        "start_s": np.concatenate(starts),
        "places": np.concatenate([np.arange(length, dtype=np.float32) for length in lengths]),
        "metadata": metadata,
        "has_metadata": has_metadata,
        "order": order,
        "shot_tokens": shot_tokens,
        "offsets": offsets,
        **(_masking(windows, masks, config) if masks is not None else {}),
    }
    title_ids = tuple(window.title_id for window in windows)
    return Batch(title_ids, tuple(lengths), **{name: torch.from_numpy(array) for name, array in arrays.items()})


def _joined(parts: Sequence[np.ndarray], kind: type) -> np.ndarray:
    """The parts, one after the other, in memory of their own: a part may be a read-only map of a file."""
    out: np.ndarray = np.empty((sum(map(len, parts)), parts[0].shape[1]), kind)
    return np.concatenate(parts, out=out)


def _token_order(lengths: Sequence[int], prefix: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``order``, ``shot_tokens`` and ``offsets`` of a batch."""
    sequences, shots = len(lengths), sum(lengths)
    owner = np.repeat(np.arange(sequences), lengths)  # [N]
    offsets = np.concatenate([[0], np.cumsum(np.asarray(lengths) + prefix)])  # [B + 1]
    shot_tokens = np.arange(shots) + prefix * (owner + 1)
    order = np.empty(shots + prefix * sequences, np.int64)
    order[shot_tokens] = np.arange(shots)
    for token in range(prefix):
        order[offsets[:-1] + token] = shots + token * sequences + np.arange(sequences)
    return order, shot_tokens, offsets.astype(np.int32)


def _masking(windows: Sequence[Title], masks: Sequence[Masks], config: ModelConfig) -> dict[str, np.ndarray]:
    weights = np.concatenate([mask.weights for mask in masks])
    rows = np.flatnonzero(weights.any(axis=1))
    found = {
        "masked": np.concatenate([mask.masked for mask in masks]),
        "target_rows": rows,
        "weights": weights[rows].astype(np.float32),
    }
    if any(mask.shown_from is not None for mask in masks):
        parts = [_shown(window, mask, config) for window, mask in zip(windows, masks, strict=True)]
        found["shown"] = _joined(parts, np.float32)
    return found


def _shown(window: Title, mask: Masks, config: ModelConfig) -> np.ndarray:
    if mask.shown_from is None:
        return window.vectors
    shown = np.array(window.vectors, np.float32)
    for column, block in enumerate(config.layout.blocks):
        rows = mask.shown_from[:, column]
        changed = np.flatnonzero(rows != np.arange(len(rows)))
        shown[changed, block.start : block.stop] = window.vectors[rows[changed], block.start : block.stop]
    return shown


def _require_fitting(window: Title, config: ModelConfig) -> None:
    layout = config.layout
    given, wanted = (window.vectors.shape[1], window.present.shape[1]), (layout.width, len(layout.blocks))
    if given != wanted:
        why = f"They have {given[0]} numbers in {given[1]} blocks; the model takes {wanted[0]} in {wanted[1]}."
        raise TrainingError(f"{window.title_id}: the vectors do not fit the model.", why)
    if window.metadata is not None and layout.metadata and window.metadata.shape != (layout.metadata.dim,):
        why = f"Its shape is {window.metadata.shape}; the model takes ({layout.metadata.dim},)."
        raise TrainingError(f"{window.title_id}: the metadata vector does not fit the model.", why)
    if len(window) > config.max_shots:
        why = f"It has {len(window)} shots; the model takes {config.max_shots} at once."
        raise TrainingError(f"{window.title_id} is too long for one sequence.", why)
