"""Nearest shots, by the cosine of their vectors: to one vector among any number, and of all in other titles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mediafm_cli.model.fusion import unit_rows

CHUNK_ROWS = 4096
"""Rows compared at once: their copy in float64 stays in the processor's cache, or near it."""


def nearest_rows(
    query: np.ndarray, parts: Iterable[tuple[np.ndarray, np.ndarray]], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rows with the highest cosine to a vector, exactly; of equals, those that come first.

    In memory are one part, which is asked for when it is due, and what was found. Every row is compared in float64 by
    itself, so equal vectors have equal cosines wherever they stand.

    Args:
        query: [d], not zero.
        parts: float32 [n, d], and bool [n]: which rows may be found. Rows are numbered through all parts.

    Returns:
        int64 [k], the nearest first, and float64 [k], their cosines; k is ``count``, or less where fewer rows may be
        found. Rows of zeros, which have no direction, never are.
    """
    direction = query.astype(np.float64) / np.linalg.norm(query.astype(np.float64))
    rows, cosines = np.zeros(0, np.int64), np.zeros(0)
    start = 0
    for vectors, may_be_found in parts:
        for chunk, allowed in _chunks(vectors, may_be_found):
            found, values = _compare(chunk, allowed, direction)
            rows, cosines = np.concatenate([rows, found + start]), np.concatenate([cosines, values])
            best = _largest(cosines, count)
            rows, cosines = rows[best], cosines[best]
            start += len(chunk)
    order = np.lexsort((rows, -cosines))
    return rows[order], cosines[order]


def _chunks(vectors: np.ndarray, may_be_found: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for at in range(0, len(vectors), CHUNK_ROWS):
        yield vectors[at : at + CHUNK_ROWS].astype(np.float64), may_be_found[at : at + CHUNK_ROWS]


def _compare(chunk: np.ndarray, allowed: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a chunk that have a direction and are allowed, and their cosines."""
    lengths = np.sqrt(np.einsum("nd,nd->n", chunk, chunk))
    rows = np.flatnonzero(allowed & (lengths > 0))
    products = np.einsum("nd,d->n", chunk, direction)
    return rows, np.clip(products[rows] / lengths[rows], -1, 1)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Where the ``count`` largest are, in order of place; of equals, the first."""
    if len(values) <= count:
        return np.arange(len(values))
    least = np.partition(values, len(values) - count)[len(values) - count]
    above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
    return np.sort(np.concatenate([above, equal[: count - len(above)]]))


def nearest_elsewhere(vectors: np.ndarray, titles: Sequence[str], count: int) -> np.ndarray:
    """For each shot, the shots of other titles with the highest cosine.

    Args:
        vectors: float32 [n, d], shots of several titles. ``titles``: n ids, one a shot.

    Returns:
        int [n, k], the nearest first; k is ``count``, or less where a shot has fewer shots in other titles.
    """
    unit = unit_rows(vectors)
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
