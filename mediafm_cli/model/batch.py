"""Titles, or windows of them, padded to one length: what the transformer is called with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.title import Title


@dataclass(frozen=True, eq=False)
class Batch:
    """B sequences of up to n shots.

    Attributes:
        title_ids: B names, for errors.
        vectors: float32 [B, n, D], zero in the padding.
        present: bool [B, n, m], False in the padding.
        real: bool [B, n], False in the padding.
        masked: bool [B, n], the shots that the model must not see.
        metadata: float32 [B, g], zero where a title has none.
        has_metadata: bool [B].
    """

    title_ids: tuple[str, ...]
    vectors: Tensor
    present: Tensor
    real: Tensor
    masked: Tensor
    metadata: Tensor
    has_metadata: Tensor

    def to(self, device: torch.device) -> Batch:
        tensors = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "title_ids"}
        return Batch(self.title_ids, **{name: tensor.to(device) for name, tensor in tensors.items()})


def collate(windows: Sequence[Title], config: ModelConfig, masks: Sequence[np.ndarray] | None = None) -> Batch:
    """Pad ``windows`` to the longest.

    Args:
        windows: B titles, or windows of them.
        masks: one bool array [shots] a window; nothing is masked where it is None.

    Raises:
        TrainingError: a title's vectors, presence or metadata are not as wide as the model's, or it is too long.
    """
    for window in windows:
        _require_fitting(window, config)
    layout = config.layout
    shape = (len(windows), max(len(window) for window in windows))  # [B, n]
    vectors = np.zeros((*shape, layout.width), np.float32)
    present = np.zeros((*shape, len(layout.blocks)), bool)
    real = np.zeros(shape, bool)
    masked = np.zeros(shape, bool)
    metadata = np.zeros((len(windows), layout.metadata_dim), np.float32)
    has_metadata = np.zeros(len(windows), bool)
    for row, window in enumerate(windows):
        vectors[row, : len(window)] = window.vectors
        present[row, : len(window)] = window.present
        real[row, : len(window)] = True
        if masks is not None:
            masked[row, : len(window)] = masks[row]
        if window.metadata is not None and layout.metadata:
            metadata[row] = window.metadata
            has_metadata[row] = True
    arrays = (vectors, present, real, masked, metadata, has_metadata)
    return Batch(tuple(window.title_id for window in windows), *map(torch.from_numpy, arrays))


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
