"""Average precision as scikit-learn has it, for many weightings of titles at once, and SciPy's Kendall's τ.

A row of a comparison is a list of arrays, one a title: scores, and labels beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_cli.evaluate.bootstrap import Statistic

Arrays = Sequence[np.ndarray]

RATIO = 3.0
"""Negatives to one positive in retrieval, as MediaFM reports it."""

CELLS = 4_000_000
"""Of a table of ranks and titles, or of ranks and weightings, that is in memory at once."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Shots of several titles, ranked together by each of k classes.

    Attributes:
        hits: bool [n, k]. ``scores``: float [n, k], higher first.
        titles: int [n], the number of each shot's title. ``title_count``: how many titles there are.
    """

    hits: np.ndarray
    scores: np.ndarray
    titles: np.ndarray
    title_count: int


def rank_titles(scores: Arrays, labels: Arrays) -> Ranking:
    """Rank the shots of all titles together; shots without a label are left out.

    Args:
        scores: float [n, k], one a title, comparable over titles.
        labels: one a title: int [n], the class of each shot and below 0 where it has none; or bool [n, k].

    Raises:
        ValueError: no shot has a label.
    """
    titles = np.repeat(np.arange(len(labels)), [len(of_title) for of_title in labels])
    given, ranked = np.concatenate(labels), np.concatenate(scores)
    if given.dtype == bool:
        return Ranking(given, ranked, titles, len(labels))
    known = given >= 0
    if not known.any():
        raise ValueError("no shot has a label: nothing can be scored")
    classes = max(int(given.max()) + 1, ranked.shape[1])
    ranked = np.pad(ranked, ((0, 0), (0, classes - ranked.shape[1])))  # a class without a column scores 0
    hits = given[:, None] == np.arange(classes)
    return Ranking(hits[known], ranked[known], titles[known], len(labels))


def macro_average_precision(scores: Arrays, labels: Arrays, ratio: float | None = None) -> float:
    """Mean average precision over the classes that the labels hold, as scikit-learn has it.

    Args:
        scores, labels: see ``rank_titles``. ``ratio``: see ``weighted_average_precision``.

    Returns:
        NaN where no class is held; with a ratio also where all shots are of one class.
    """
    return float(macro_statistic(rank_titles(scores, labels), ratio)(np.ones((1, len(labels))))[0])


def micro_average_precision(scores: Arrays, labels: Arrays) -> float:
    """Average precision of all pairs of shot and class in one ranking, as scikit-learn has it."""
    return float(micro_statistic(rank_titles(scores, labels))(np.ones((1, len(labels))))[0])


def macro_statistic(ranking: Ranking, ratio: float | None = None) -> Statistic:
    """``macro_average_precision`` for ``bootstrap.interval``; a class that no drawn title holds is left out there."""
    held = np.flatnonzero(ranking.hits.any(axis=0))

    def statistic(weights: np.ndarray) -> np.ndarray:
        if not len(held):
            return np.full(len(weights), np.nan)
        of_classes = np.stack(
            [
                weighted_average_precision(ranking.hits[:, one], ranking.scores[:, one], ranking.titles, weights, ratio)
                for one in held
            ]
        )  # [classes, r]
        there = np.isfinite(of_classes)
        total = np.where(there, of_classes, 0).sum(axis=0)
        return np.divide(total, there.sum(axis=0), out=np.full(len(weights), np.nan), where=there.any(axis=0))

    return statistic


def micro_statistic(ranking: Ranking) -> Statistic:
    """``micro_average_precision`` for ``bootstrap.interval``."""
    titles = np.repeat(ranking.titles, ranking.hits.shape[1])
    hits, scores = ranking.hits.ravel(), ranking.scores.ravel()
    return lambda weights: weighted_average_precision(hits, scores, titles, weights)


def weighted_average_precision(
    hits: np.ndarray, scores: np.ndarray, titles: np.ndarray, weights: np.ndarray, ratio: float | None = None
) -> np.ndarray:
    """Average precision of one ranking under many weightings of titles; scikit-learn's, tied scores taken together.

    Args:
        hits: bool [n]. ``scores``: float [n], higher first. ``titles``: int [n].
        weights: float [r, titles], how often each title counts.
        ratio: what it would be with so many negatives to one positive: all that there are, weighed so. It is what
            drawing negatives in this ratio gives on average, without the luck of the draw.

    Returns:
        float64 [r]; NaN where no hit has a weight, or with a ratio no miss has.
    """
    order = np.argsort(-scores, kind="stable")
    hits, scores, titles = hits[order], scores[order], titles[order]
    tied = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # last of each run of ties
    ends = np.unique(tied[np.searchsorted(tied, np.flatnonzero(hits))])  # [g], last of each run that holds a hit
    count = weights.shape[1]
    positive = weights @ np.bincount(titles[hits], minlength=count)  # [r]
    scale = np.ones(len(weights))
    if ratio is not None:
        negative = weights @ np.bincount(titles[~hits], minlength=count)
        scale = np.divide(ratio * positive, negative, out=np.full(len(weights), np.nan), where=negative > 0)
    total, found_before = np.zeros(len(weights)), np.zeros(len(weights))
    found_in, missed_in = np.zeros(count), np.zeros(count)  # of each title, above the part at hand
    start = 0
    for some in np.array_split(ends, -(-len(ends) * max(count, len(weights)) // CELLS) or 1):
        if not len(some):
            continue
        part = slice(start, some[-1] + 1)
        run = np.searchsorted(some, np.arange(part.start, part.stop))
        found_by, missed_by = (
            np.bincount(run[kind] * count + titles[part][kind], minlength=len(some) * count).reshape(-1, count)
            for kind in (hits[part], ~hits[part])
        )
        found_to, missed_to = found_in + np.cumsum(found_by, axis=0), missed_in + np.cumsum(missed_by, axis=0)
        found, missed = weights @ found_to.T, (weights @ missed_to.T) * scale[:, None]  # [r, runs]
        taken = found + missed
        precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
        total += (precision * np.diff(found, axis=1, prepend=found_before[:, None])).sum(axis=1)
        found_in, missed_in, found_before, start = found_to[-1], missed_to[-1], found[:, -1], part.stop
    return np.divide(total, positive, out=np.full(len(weights), np.nan), where=(positive > 0) & np.isfinite(scale))


def kendall_by_title(scores: Arrays, values: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Kendall's τ-b of scores and values within each title, by SciPy.

    Args:
        scores: float [n], one a title. ``values``: float [n], one a title, NaN where a shot has none.

    Returns:
        τ of each title, 0 where all of its scores are equal; and 1 for each title that can be ranked, or 0 where it has
        no two values that differ: float64 [titles], twice.
    """
    from scipy.stats import kendalltau

    taus, counts = np.zeros(len(values)), np.zeros(len(values))
    for number, (given, wanted) in enumerate(zip(scores, values, strict=True)):
        known = np.isfinite(wanted)
        if len(np.unique(wanted[known])) < 2:
            continue
        counts[number] = 1
        if len(np.unique(given[known])) > 1:
            taus[number] = kendalltau(given[known], wanted[known]).statistic
    return taus, counts
