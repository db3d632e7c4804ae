"""Linear probes split by title, and paired bootstraps over titles: one budget for every row of a comparison.

A row is a list of arrays, one a title: features, labels (below 0 where a shot has none) and scores go by that list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

Arrays = Sequence[np.ndarray]
STRENGTHS = (0.001, 0.01, 0.1)  # LogisticRegression's C
FOLDS = 3


@dataclass(frozen=True)
class Difference:
    """Macro average precision of the second row less that of the first, and its interval of ``level``."""

    value: float
    low: float
    high: float
    level: float


def probe(train_features: Arrays, train_labels: Arrays, test_features: Arrays, test_labels: Arrays) -> float:
    """Macro average precision of a linear probe on titles that it has not seen; see ``score_titles``."""
    return macro_average_precision(score_titles(train_features, train_labels, test_features), test_labels)


def score_titles(train_features: Arrays, train_labels: Arrays, test_features: Arrays) -> list[np.ndarray]:
    """Class probabilities of a multinomial logistic regression on standardised features.

    The strength of its penalty is the one of ``STRENGTHS`` with the best macro average precision over ``FOLDS`` folds
    of the training titles.

    Args:
        train_features: float [n, d], one a title. ``train_labels``: int [n], below 0 where a shot has none.
        test_features: float [n, d], one a title.

    Returns:
        float64 [n, k] for each test title; k is the highest training label + 1, and a class that no training shot has
        scores 0.
    """
    labels = np.concatenate(train_labels)
    known = labels >= 0
    labels = labels[known]
    features = np.concatenate(train_features)[known]
    titles = np.repeat(np.arange(len(train_labels)), [len(title) for title in train_labels])[known]
    classes = int(labels.max()) + 1

    def fit_and_score(strength: float, learn: np.ndarray, ask: np.ndarray) -> np.ndarray:
        scaler = StandardScaler().fit(features[learn])
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        model.fit(scaler.transform(features[learn]), labels[learn])
        scores = np.zeros((len(ask), classes))
        scores[:, model.classes_] = model.predict_proba(scaler.transform(ask))
        return scores

    folds = list(GroupKFold(FOLDS).split(features, labels, titles))

    def held_out(strength: float) -> float:
        scores = [fit_and_score(strength, learn, features[ask]) for learn, ask in folds]
        return float(
            np.mean([macro_average_precision([s], [labels[ask]]) for s, (_, ask) in zip(scores, folds, strict=True)])
        )

    best = max(STRENGTHS, key=held_out)
    scores = fit_and_score(best, np.arange(len(labels)), np.concatenate(test_features))
    return np.split(scores, np.cumsum([len(title) for title in test_features])[:-1])


def macro_average_precision(scores: Arrays, labels: Arrays) -> float:
    """Mean over the classes that the labels hold, all titles' shots ranked together; shots without a label left out.

    Args:
        scores: float [n, k], one a title, comparable over titles. ``labels``: int [n], one a title.

    Raises:
        ValueError: no shot has a label.
    """
    given, ranked = _labelled(scores, labels)
    return float(np.mean([average_precision_score(given == kind, ranked[:, kind]) for kind in np.unique(given)]))


def bootstrap_difference(
    first: Arrays, second: Arrays, labels: Arrays, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Difference:
    """How much better the second row's scores are, with a paired percentile bootstrap over titles.

    Args:
        first, second: float [n, k], one a title: scores of the same titles by two rows.
        labels: int [n], one a title, below 0 where a shot has none.
    """
    draws = np.random.default_rng(seed)
    counts = draws.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=resamples)
    shots = np.repeat(np.arange(len(labels)), [int((title >= 0).sum()) for title in labels])
    weights = counts[:, shots]  # [resamples, shots with a label]
    drawn = _weighted_macro(second, labels, weights) - _weighted_macro(first, labels, weights)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    value = macro_average_precision(second, labels) - macro_average_precision(first, labels)
    return Difference(value, float(low), float(high), level)


def _weighted_macro(scores: Arrays, labels: Arrays, weights: np.ndarray) -> np.ndarray:
    """``macro_average_precision`` under each row of weights [r, shots], over the classes that the row holds, [r]."""
    given, ranked = _labelled(scores, labels)
    columns = [weighted_average_precision(given == kind, ranked[:, kind], weights) for kind in np.unique(given)]
    return np.nanmean(np.stack(columns), axis=0)


def weighted_average_precision(hits: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision of one ranking under many weightings, tied scores taken together as scikit-learn does.

    Args:
        hits: bool [n]. ``scores``: float [n], higher first. ``weights``: float [r, n], how often each shot counts.

    Returns:
        float [r]; NaN where no hit has a weight.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # last of each run of ties
    weights = weights[:, order].astype(np.float64)
    found = np.cumsum(weights * hits[order], axis=1)[:, last]
    taken = np.cumsum(weights, axis=1)[:, last]
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    gained = np.diff(found, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore"):
        return (precision * gained).sum(axis=1) / found[:, -1]


def _labelled(scores: Arrays, labels: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """The labels of all shots that have one, [m], and their scores, [m, k]; a class without a column scores 0."""
    given, ranked = np.concatenate(labels), np.concatenate(scores)
    known = given >= 0
    if not known.any():
        raise ValueError("no shot has a label: nothing can be scored")
    missing = max(int(given.max()) + 1 - ranked.shape[1], 0)
    return given[known], np.pad(ranked[known], ((0, 0), (0, missing)))
