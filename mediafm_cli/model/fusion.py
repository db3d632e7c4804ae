"""Tri-modal embedding fusion: ``unit_norm(concat(v, a, t))``, with zeros where a shot lacks a modality.

Source: MediaFM (Netflix Technology Blog, 23 February 2026). ``normalize="per-modality"`` is ours: each block is made a
unit vector first, so that no modality wins by being loud. Nothing here knows what made the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Normalize = Literal["none", "per-modality"]
NORMALIZE = get_args(Normalize)
MISSING = "zero"


@dataclass(frozen=True, eq=False)
class FusedShots:
    """Fused vectors of one title.

    Attributes:
        vectors: float32 [n, D], rows of norm 1; all zero where nothing is present.
        present: bool [n, m], one column a modality.
        energy_share: float64 [m], the mean share of each modality in the squared norm of a row; sums to 1.
    """

    vectors: np.ndarray
    present: np.ndarray
    energy_share: np.ndarray


def fuse_shots(
    vectors: Sequence[np.ndarray], present: Sequence[np.ndarray], normalize: Normalize = "none"
) -> FusedShots:
    """Fuse the modalities of one title in the order given.

    Args:
        vectors: one float32 array [n, d] a modality.
        present: one bool array [n] a modality.

    Norms are taken in float64, where the square of any float32 neither overflows nor vanishes.
    """
    blocks = [
        np.where(mask[:, None], block, 0).astype(np.float64) for block, mask in zip(vectors, present, strict=True)
    ]
    if normalize == "per-modality":
        blocks = [unit_rows(block) for block in blocks]
    unit = unit_rows(np.concatenate(blocks, axis=1))  # [n, D]
    starts = np.cumsum([0, *(block.shape[1] for block in blocks)])[:-1]
    energy = np.add.reduceat(unit**2, starts, axis=1)  # [n, m]
    total = energy.sum()
    share = energy.sum(axis=0) / total if total else np.zeros(len(blocks))  # rows of norm 1 weigh the same
    return FusedShots(unit.astype(np.float32), np.stack(present, axis=1), share)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Each row divided by its Euclidean norm, [n, d] in the precision of ``rows``; a row of zeros stays one."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
