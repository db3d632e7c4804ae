"""Linear probes on titles that they have not seen: one budget for every row of a comparison.

A row is a list of arrays, one a title: features, labels and scores go by that list. Labels are int [n] for one class a
shot, below 0 where it has none (``multiclass``); bool [n, k] for any number of classes (``multilabel``, ``retrieval``);
float [n] for an order within the title, NaN where a shot has no place in it (``ranking``).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import numpy as np

from mediafm_cli.evaluate.probes.metrics import RATIO, Arrays, kendall_by_title, macro_average_precision

Task = Literal["multilabel", "multiclass", "ranking", "retrieval"]
TASKS: tuple[Task, ...] = get_args(Task)

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Of logistic regression: scikit-learn's C, from the strongest penalty to the weakest."""

PENALTIES = (10_000.0, 1000.0, 100.0, 10.0)
"""Of ridge regression: scikit-learn's alpha, the same way round."""

STEPS = 300
"""Of the solver, at most. They are part of the budget: a probe that is not done by then is taken as it is."""

INNER_FOLDS = 3


def probe(
    train_features: Arrays,
    train_labels: Arrays,
    test_features: Arrays,
    test_labels: Arrays,
    task: Task = "multiclass",
) -> float:
    """What a linear probe scores on titles that it has not seen; see ``score_titles`` and ``figure``."""
    return figure(score_titles(train_features, train_labels, test_features, task), test_labels, task)


def figure(scores: Arrays, labels: Arrays, task: Task) -> float:
    """Macro average precision, at 1 : 3 for retrieval; of a ranking the mean of Kendall's τ. NaN where undefined."""
    if task == "ranking":
        taus, counts = kendall_by_title(scores, labels)
        return float(taus.sum() / counts.sum()) if counts.any() else np.nan
    return macro_average_precision(scores, labels, RATIO if task == "retrieval" else None)


def score_titles(
    train_features: Arrays, train_labels: Arrays, test_features: Arrays, task: Task = "multiclass"
) -> list[np.ndarray]:
    """The scores of a linear probe on standardised features.

    Logistic regression: multinomial for ``multiclass``, one for each class for ``multilabel`` and ``retrieval``. Ridge
    regression on the ranks within the title for ``ranking``. The strength of the penalty is the one that does best, by
    ``figure``, over ``INNER_FOLDS`` folds of the training titles.

    Args:
        train_features: float [n, d], one a title. ``train_labels``: see above.
        test_features: float [n, d], one a title.

    Returns:
        For each test title, float [n, k], the probability of each class; k is the highest training label + 1, and a
        class that no training shot has scores 0. Of a ranking, float [n].
    """
    from sklearn import config_context

    with config_context(skip_parameter_validation=True):  # which takes longer than fitting a few clips
        return _score_titles(train_features, train_labels, test_features, task)


def _score_titles(train_features: Arrays, train_labels: Arrays, test_features: Arrays, task: Task) -> list[np.ndarray]:
    from sklearn.model_selection import GroupKFold

    labels = np.concatenate(train_labels)
    known = _known(labels)
    features, labels = np.concatenate(train_features)[known], labels[known]
    titles = np.repeat(np.arange(len(train_labels)), [len(of_title) for of_title in train_labels])[known]
    strengths = PENALTIES if task == "ranking" else STRENGTHS
    folds = GroupKFold(min(INNER_FOLDS, len(np.unique(titles)))).split(features, labels, titles)
    found = np.full((INNER_FOLDS, len(strengths)), np.nan)
    for number, (learn, ask) in enumerate(folds):
        tried = _fit_and_score(features[learn], labels[learn], titles[learn], features[ask], strengths, task)
        for place, scores in enumerate(tried):
            asked = _by_title(scores, titles[ask]), _by_title(labels[ask], titles[ask])
            found[number, place] = figure(*asked, task)
    told = np.isfinite(found)
    means = np.where(told, found, 0).sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    best = strengths[int(means.argmax())]
    (scores,) = _fit_and_score(features, labels, titles, np.concatenate(test_features), [best], task)
    return np.split(scores, np.cumsum([len(of_title) for of_title in test_features])[:-1])


def fold_titles(titles: int, folds: int, seed: int) -> np.ndarray:
    """The fold of each title, drawn by ``seed``, all of one size or one title less: int64 [titles]."""
    return np.random.default_rng(seed).permutation(titles) % folds


def cross_validate(features: Arrays, labels: Arrays, folds: np.ndarray, task: Task) -> list[np.ndarray]:
    """Scores of each title by a probe that learned from the titles of the other folds; see ``score_titles``.

    All titles are ranked together, and a class that is rare in a fold is common in what its probe learned from: probes
    that know nothing would rank below a guess. So the log-odds of each class are moved by how much rarer it is in all
    titles, which leaves its order within a fold as it is.

    Args:
        folds: int [titles]; see ``fold_titles``.
    """
    scores: list[np.ndarray] = [np.zeros(0)] * len(labels)
    for fold in np.unique(folds):
        learn, ask = np.flatnonzero(folds != fold).tolist(), np.flatnonzero(folds == fold).tolist()
        of_fold = score_titles(
            [features[title] for title in learn],
            [labels[title] for title in learn],
            [features[title] for title in ask],
            task,
        )
        if task != "ranking":
            classes = of_fold[0].shape[1]
            with np.errstate(invalid="ignore"):  # of a class that no title has
                moved = _log_odds(labels, classes) - _log_odds([labels[title] for title in learn], classes)
            of_fold = [_move(found, moved) for found in of_fold]
        for title, found in zip(ask, of_fold, strict=True):
            scores[title] = found
    return scores


def _log_odds(labels: Arrays, classes: int) -> np.ndarray:
    """Of the share of the labelled clips that are of each class: float64 [classes]."""
    from scipy.special import logit

    given = np.concatenate(labels)
    hits = given if given.dtype == bool else given[given >= 0][:, None] == np.arange(classes)
    return logit(hits.mean(axis=0))


def _move(probabilities: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """Probabilities [n, k] whose log-odds are so much higher; of a class without finite ones, as they are."""
    from scipy.special import expit, logit

    return expit(logit(probabilities) + np.where(np.isfinite(log_odds), log_odds, 0.0))


def ranks_within(values: np.ndarray, titles: np.ndarray) -> np.ndarray:
    """Where each value stands among those of its title, from -1/2 for the least to 1/2: float64 [n]; 0 where alone."""
    from scipy.stats import rankdata

    ranks = np.zeros(len(values))
    for title in np.unique(titles):
        own = titles == title
        ranks[own] = (rankdata(values[own]) - (own.sum() + 1) / 2) / max(own.sum() - 1, 1)
    return ranks


def _known(labels: np.ndarray) -> np.ndarray:
    if labels.dtype == bool:
        return np.ones(len(labels), bool)
    return np.isfinite(labels) if labels.dtype.kind == "f" else labels >= 0


def _by_title(rows: np.ndarray, titles: np.ndarray) -> list[np.ndarray]:
    return [rows[titles == title] for title in np.unique(titles)]


def _fit_and_score(
    features: np.ndarray,
    labels: np.ndarray,
    titles: np.ndarray,
    asked: np.ndarray,
    strengths: Sequence[float],
    task: Task,
) -> list[np.ndarray]:
    """The scores of ``asked`` for each of ``strengths``."""
    from sklearn.preprocessing import StandardScaler

    wide = features.astype(np.float64)  # the solver takes twice as long in float32
    scaler = StandardScaler().fit(wide)
    features, asked = scaler.transform(wide), scaler.transform(asked.astype(np.float64))
    if task == "ranking":
        return list(_score_ranks(features, ranks_within(labels, titles), asked, strengths))
    if task == "multiclass":
        return list(_score_classes(features, labels, asked, strengths, int(labels.max()) + 1))
    columns = [_score_classes(features, hits.astype(int), asked, strengths, 2) for hits in labels.T]
    return [np.stack([scores[:, 1] for scores in of_all], axis=1) for of_all in zip(*columns, strict=True)]


def _score_ranks(
    features: np.ndarray, ranks: np.ndarray, asked: np.ndarray, strengths: Sequence[float]
) -> Iterator[np.ndarray]:
    from sklearn.linear_model import Ridge

    for strength in strengths:
        yield Ridge(alpha=strength).fit(features, ranks).predict(asked)


def _score_classes(
    features: np.ndarray, labels: np.ndarray, asked: np.ndarray, strengths: Sequence[float], classes: int
) -> Iterator[np.ndarray]:
    """Each strength goes on from what the one before has found, which takes fewer steps than starting anew."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=STEPS, tol=1e-3, warm_start=True)
    for strength in strengths:
        scores = np.zeros((len(asked), classes))
        given = np.unique(labels)
        if len(given) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.set_params(C=strength).fit(features, labels)
            scores[:, model.classes_] = model.predict_proba(asked)
        else:
            scores[:, given] = 1
        yield scores
