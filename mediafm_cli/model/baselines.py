"""Predictions of a masked shot that need no training: whatever is trained must beat them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mediafm_cli.model.title import Block, Title


def mean_vector(titles: Iterable[Title]) -> np.ndarray:
    """The mean fused vector, float32 [D], over the shots of ``titles`` that show something; reads each title once."""
    total, count = np.zeros(()), 0
    for title in titles:
        total = total + title.vectors.sum(axis=0, dtype=np.float64)  # [D]
        count += int(title.vectors.any(axis=1).sum())
    return (total / max(count, 1)).astype(np.float32)


def copied_blocks(vectors: np.ndarray, masked: np.ndarray, blocks: Sequence[Block]) -> np.ndarray:
    """Each hidden block copied from the nearest shot where it is visible; float32 [n, D], zero where nothing is hidden.

    Args:
        vectors: float32 [n, D]. masked: bool [n, m].
    """
    copies = np.zeros(vectors.shape, np.float32)
    for column, block in enumerate(blocks):
        own = slice(block.start, block.stop)
        copies[masked[:, column], own] = copied_neighbours(vectors[:, own], masked[:, column])
    return copies


def copied_neighbours(vectors: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """For each masked shot the nearest visible shot that shows something; of two equally near, the earlier.

    Args:
        vectors: float32 [n, D]. masked: bool [n].

    Returns:
        float32 [masked shots, D]; zero where no shot can be copied.
    """
    visible = np.flatnonzero(~masked & vectors.any(axis=1))
    hidden = np.flatnonzero(masked)
    if not len(visible):
        return np.zeros((len(hidden), vectors.shape[1]), np.float32)
    nearest = np.abs(hidden[:, None] - visible).argmin(axis=1)  # [masked], the first of equals
    return vectors[visible[nearest]]
