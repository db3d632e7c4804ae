"""Nearest shots in other titles: what a vector says is alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def nearest_elsewhere(vectors: np.ndarray, titles: Sequence[str], count: int) -> np.ndarray:
    """For each shot, the shots of other titles with the highest cosine.

    Args:
        vectors: float32 [n, d], shots of several titles. ``titles``: n ids, one a shot.

    Returns:
        int [n, k], the nearest first; k is ``count``, or less where a shot has fewer shots in other titles.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    similar = unit @ unit.T  # [n, n]
    ids = np.asarray(titles)
    elsewhere = len(ids) - int(np.max(np.unique(ids, return_counts=True)[1]))
    similar[ids[:, None] == ids[None, :]] = -np.inf
    return np.argsort(-similar, axis=1, kind="stable")[:, : min(count, elsewhere)]


def window_means(vectors: np.ndarray, reach: int) -> np.ndarray:
    """Context without a model: the mean of each shot and those at most ``reach`` away, float32 [n, d]; one title."""
    windows = [vectors[max(0, shot - reach) : shot + reach + 1] for shot in range(len(vectors))]
    return np.stack([window.mean(axis=0) for window in windows])


def share_alike(nearest: np.ndarray, labels: np.ndarray) -> float:
    """Mean share of the nearest shots that carry the label of the shot itself: precision at k."""
    return float((labels[nearest] == labels[:, None]).mean())
