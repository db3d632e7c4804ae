"""Masked-shot scores: how close a prediction comes to the hidden shot, and whether it finds it among the hidden ones.

Each shot of a title is hidden once, a fifth of the title at a time, so that every predictor meets the same task.
Retrieval is among the shots of the title that are hidden at the same time: a copied neighbour then competes on equal
terms, since no candidate is a vector that it was allowed to see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_cli.evaluate.predictors import Predictor
from mediafm_cli.model.title import Block, Title

FOLDS = 5
"""A fifth is hidden at a time: MediaFM's 20 %."""

TIE = 1e-9
"""Cosines closer than this are equal: the same shot twice gives the same cosine only up to rounding."""


@dataclass(frozen=True)
class Scores:
    """How one predictor did, each shot weighing the same.

    Attributes:
        cosine: mean cosine of prediction and hidden shot.
        by_modality: the same on the columns of each modality, over the shots that have it.
        top1: share of hidden shots that the prediction ranks first; None where no title hides two shots at once.
        mrr: mean reciprocal rank. ``shots``, ``titles``: how many were hidden, in how many titles.
    """

    cosine: float
    by_modality: dict[str, float | None]
    top1: float | None
    mrr: float | None
    shots: int
    titles: int


@dataclass(frozen=True, eq=False)
class Fold:
    """Shots of one title that are hidden together: bool [n]."""

    title: Title
    hidden: np.ndarray


def make_folds(titles: Sequence[Title], seed: int) -> list[Fold]:
    """Hide every shot that shows something once; the same folds for the same titles and seed."""
    return [fold for title in titles for fold in _folds(title, np.random.default_rng([seed, *title.title_id.encode()]))]


def score(predictor: Predictor, folds: Sequence[Fold], blocks: Sequence[Block]) -> Scores:
    """Run ``predictor`` over ``folds``."""
    cosines, ranks = [], []
    columns = slice(predictor.block.start, predictor.block.stop) if predictor.block else slice(None)
    modal: dict[str, list[np.ndarray]] = {block.name: [] for block in blocks}
    for fold in folds:
        predicted = predictor.predict(fold.title, fold.hidden)  # [k, D]
        truth = np.asarray(fold.title.vectors[fold.hidden])  # [k, D]
        cosines.append(_cosines(predicted, truth))
        for column, block in enumerate(blocks):
            own = slice(block.start, block.stop)
            has = fold.title.present[fold.hidden, column]
            modal[block.name].append(_cosines(predicted[has, own], truth[has, own]))
        if len(truth) > 1:
            ranks.append(_ranks(predicted[:, columns], truth[:, columns]))
    flat, rank = np.concatenate(cosines), np.concatenate(ranks) if ranks else np.zeros(0)
    return Scores(
        cosine=float(flat.mean()),
        by_modality={name: _mean(np.concatenate(values)) for name, values in modal.items()},
        top1=_mean(rank == 1),
        mrr=_mean(1 / rank) if len(rank) else None,
        shots=len(flat),
        titles=len({fold.title.title_id for fold in folds}),
    )


def chance(folds: Sequence[Fold]) -> tuple[float | None, float | None]:
    """Expected top-1 and MRR of a guess: 1/k, and the mean of 1/1 … 1/k, among k shots hidden together."""
    sizes = np.concatenate([np.full(k, k) for fold in folds if (k := int(fold.hidden.sum())) > 1] or [np.zeros(0, int)])
    return _mean(1 / sizes), _mean(np.array([np.mean(1 / np.arange(1, k + 1)) for k in sizes]))


def skill(cosine: float, baseline: float) -> float | None:
    """Share of the baseline's cosine distance that is gone: 1 is perfect, 0 as good as the baseline, below 0 worse."""
    return None if baseline == 1 else 1 - (1 - cosine) / (1 - baseline)


def _folds(title: Title, generator: np.random.Generator) -> Iterator[Fold]:
    shown = np.flatnonzero(np.asarray(title.vectors).any(axis=1))
    for part in np.array_split(generator.permutation(shown), min(FOLDS, len(shown)) or 1):
        if len(part):
            hidden = np.zeros(len(title), bool)
            hidden[part] = True
            yield Fold(title, hidden)


def _ranks(predicted: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Rank of candidate i for prediction i, 1 for the best; candidates as good as it share the mean of their ranks."""
    similar = _unit(predicted) @ _unit(candidates).T  # [k, k]
    own = np.diag(similar)[:, None]  # [k, 1]
    better, equal = (similar > own + TIE).sum(axis=1), (np.abs(similar - own) <= TIE).sum(axis=1)
    return better + (equal + 1) / 2


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (_unit(left) * _unit(right)).sum(axis=1)


def _unit(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
