"""Masked Shot Modelling: hide 20 % of the shots, and be judged by the cosine distance to what was there.

Source: MediaFM (Netflix Technology Blog, 23 February 2026). A shot that shows nothing, whose vector is zero, has no
direction: it is never masked and never a target, and stays in the sequence as what it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mediafm_cli.model.batch import Batch
from mediafm_cli.model.title import Block


def choose_masked(vectors: np.ndarray, ratio: float, generator: np.random.Generator) -> np.ndarray:
    """Draw the shots of one sequence to mask: ``ratio`` of those that show something, at least one.

    Args:
        vectors: float32 [n, D].

    Returns:
        bool [n]; all False where every vector is zero.
    """
    candidates = np.flatnonzero(vectors.any(axis=1))
    count = min(len(candidates), max(1, round(ratio * len(candidates))))
    masked = np.zeros(len(vectors), bool)
    masked[generator.choice(candidates, count, replace=False)] = True
    return masked


def msm_loss(predicted: Tensor, batch: Batch) -> Tensor:
    """Mean over the masked shots of 1 − cos(predicted, original): a scalar, zero where nothing is masked.

    Args:
        predicted: [B, n, D].
    """
    distance = 1 - functional.cosine_similarity(predicted, batch.vectors, dim=-1)  # [B, n]
    return (distance * batch.masked).sum() / batch.masked.sum().clamp(min=1)


@torch.no_grad()
def block_cosines(predicted: Tensor, batch: Batch, blocks: Sequence[Block]) -> tuple[Tensor, Tensor]:
    """Per block, the sum of cosines over the masked shots that have the modality, and how many they are.

    Args:
        predicted: [B, n, D].

    Returns:
        sums, counts: [m] each. Sums, so that batches add up.
    """
    sums, counts = [], []
    for column, block in enumerate(blocks):
        target = batch.vectors[..., block.start : block.stop]  # [B, n, d]
        counted = batch.masked & batch.present[..., column] & target.any(dim=-1)  # [B, n]
        cosine = functional.cosine_similarity(predicted[..., block.start : block.stop], target, dim=-1)  # [B, n]
        sums.append((cosine * counted).sum())
        counts.append(counted.sum())
    return torch.stack(sums), torch.stack(counts)


def mean_cosines(sums: Tensor, counts: Tensor, blocks: Sequence[Block]) -> dict[str, float]:
    """Mean cosine by modality; a modality that no masked shot has is left out."""
    pairs = zip(blocks, sums.tolist(), counts.tolist(), strict=True)
    return {block.name: total / count for block, total, count in pairs if count}
