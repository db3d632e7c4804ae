"""What a page shows of vectors: how alike shots are, where they lie on a map, and which are nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_cli.evaluate.neighbours import nearest_elsewhere
from mediafm_cli.model.fusion import unit_rows

MOST_CELLS = 1 << 20
"""Of the halves of all matrices of a page together, about: a byte each."""

LARGEST_SIDE = 512
"""Of one matrix. A larger one is shown as means of neighbouring shots."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Shots on a plane: float32 [n, 2], and the share of the variance that each of the two axes shows."""

    points: np.ndarray
    variance: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each shot those nearest to it, the nearest first: their rows, int [n, k], and their cosines, [n, k]."""

    rows: np.ndarray
    cosines: np.ndarray


def cosine_matrix(vectors: np.ndarray, shots_a_cell: int = 1) -> np.ndarray:
    """Cosines of all pairs of shots, float32 [s, s]; each cell the mean over ``shots_a_cell``² of them."""
    unit = unit_rows(np.asarray(vectors, np.float32))
    edges = np.arange(0, len(unit), shots_a_cell)
    # The mean of products of sums: no matrix of all pairs is needed for a smaller one.
    sums = np.add.reduceat(unit, edges, axis=0)
    counts = np.diff([*edges, len(unit)]).astype(np.float32)
    return np.clip(sums @ sums.T / np.outer(counts, counts), -1, 1)


def shots_a_cell(lengths: Sequence[int], matrices: int) -> list[int]:
    """For titles of so many shots, how many of them a cell's side stands for, so that a page stays small.

    Args:
        matrices: that are shown of each title.
    """
    side = LARGEST_SIDE
    while side > 16 and matrices * sum(min(length, side) ** 2 // 2 for length in lengths) > MOST_CELLS:
        side -= 16
    return [-(-length // side) for length in lengths]


def project(vectors: np.ndarray) -> Projection:
    """The two principal components of the directions of ``vectors``; the same rows give the same signs."""
    unit = unit_rows(np.asarray(vectors, np.float32)).astype(np.float64)
    centred = unit - unit.mean(axis=0)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(unit), 2))
    shares = [0.0, 0.0]
    total = float((values**2).sum())
    for axis in range(min(2, len(values)) if total > 1e-12 else 0):
        sign = np.sign(right[axis, np.argmax(np.abs(right[axis]))])
        points[:, axis] = left[:, axis] * values[axis] * sign
        shares[axis] = float(values[axis] ** 2 / total)
    return Projection(points.astype(np.float32), (shares[0], shares[1]))


def find_nearest(vectors: np.ndarray, owners: Sequence[str], count: int) -> Nearest:
    """The shots nearest to each by cosine, of those with another owner.

    Args:
        owners: n names: of the titles for shots of other titles, or all different for any but the shot itself.
    """
    rows = nearest_elsewhere(np.asarray(vectors, np.float32), owners, count)
    unit = unit_rows(np.asarray(vectors, np.float32))
    return Nearest(rows, np.einsum("nd,nkd->nk", unit, unit[rows]))


def energy_shares(vectors: np.ndarray, edges: Sequence[tuple[int, int]]) -> list[float]:
    """Mean share of each block of columns in the squared length, over the rows that are not zero."""
    squares = np.asarray(vectors, np.float64) ** 2
    totals = squares.sum(axis=1)
    shown = totals > 0
    if not shown.any():
        return [0.0] * len(edges)
    return [float((squares[shown, start:stop].sum(axis=1) / totals[shown]).mean()) for start, stop in edges]
