"""Masked-shot scores: how close a prediction comes to the hidden shot, and whether it finds it among the hidden ones.

Each shot of a title is hidden once, a fifth of the title at a time, so that every predictor meets the same task.
Retrieval is among the shots of the title that are hidden at the same time: a copied neighbour then competes on equal
terms, since no candidate is a vector that it was allowed to see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_cli.errors import counted
from mediafm_cli.evaluate.ablation.predictors import Predictor
from mediafm_cli.model.fusion import unit_rows
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

    @property
    def measured(self) -> str:
        """What these are of: ``8 shots of 1 title``."""
        return f"{counted(self.shots, 'shot')} of {counted(self.titles, 'title')}"


@dataclass(frozen=True, eq=False)
class Tally:
    """A mean over shots, title by title: what a bootstrap over titles draws from.

    Attributes:
        sums: float64 [t]. ``counts``: float64 [t], over how many shots; 0 for a title that says nothing of it.
    """

    sums: np.ndarray
    counts: np.ndarray

    @property
    def mean(self) -> float | None:
        """Each shot weighs the same; None where there is none."""
        total = self.counts.sum()
        return float(self.sums.sum() / total) if total else None


@dataclass(frozen=True, eq=False)
class Tallies:
    """``Scores``, title by title, in the order in which the folds name the titles."""

    cosine: Tally
    by_modality: dict[str, Tally]
    top1: Tally
    mrr: Tally

    @property
    def scores(self) -> Scores:
        cosine = self.cosine.mean
        assert cosine is not None, "no fold hides nothing"
        return Scores(
            cosine=cosine,
            by_modality={name: tally.mean for name, tally in self.by_modality.items()},
            top1=self.top1.mean,
            mrr=self.mrr.mean,
            shots=int(self.cosine.counts.sum()),
            titles=len(self.cosine.counts),
        )

    @property
    def measures(self) -> dict[str, Tally]:
        """By the names that tables show."""
        cosines = {f"cos {name}": tally for name, tally in self.by_modality.items()}
        return {"cosine": self.cosine, **cosines, "top-1": self.top1, "MRR": self.mrr}


@dataclass(frozen=True, eq=False)
class Fold:
    """Shots of one title that are hidden together: bool [n]."""

    title: Title
    hidden: np.ndarray


def make_folds(titles: Sequence[Title], seed: int) -> list[Fold]:
    """Hide every shot that shows something once; the same folds for the same titles and seed."""
    return [fold for title in titles for fold in _folds(title, np.random.default_rng([seed, *title.title_id.encode()]))]


def average(several: Sequence[Tallies]) -> Tallies:
    """The mean of several runs over the same folds, title by title."""

    def mean(tallies: Sequence[Tally]) -> Tally:
        return Tally(np.mean([tally.sums for tally in tallies], axis=0), tallies[0].counts)

    return Tallies(
        mean([one.cosine for one in several]),
        {name: mean([one.by_modality[name] for one in several]) for name in several[0].by_modality},
        mean([one.top1 for one in several]),
        mean([one.mrr for one in several]),
    )


def score(predictor: Predictor, folds: Sequence[Fold], blocks: Sequence[Block]) -> Scores:
    """Run ``predictor`` over ``folds``."""
    return tally(predictor, folds, blocks).scores


def tally(predictor: Predictor, folds: Sequence[Fold], blocks: Sequence[Block]) -> Tallies:
    """Run ``predictor`` over ``folds``, and keep apart what it did in each title."""
    numbers = {title_id: number for number, title_id in enumerate(dict.fromkeys(fold.title.title_id for fold in folds))}
    whole, first, reciprocal = (_Adding(len(numbers)) for _ in range(3))
    modal = {block.name: _Adding(len(numbers)) for block in blocks}
    columns = slice(predictor.block.start, predictor.block.stop) if predictor.block else slice(None)
    for fold in folds:
        number = numbers[fold.title.title_id]
        predicted = predictor.predict(fold.title, fold.hidden)  # [k, D]
        truth = np.asarray(fold.title.vectors[fold.hidden])  # [k, D]
        whole.add(number, _cosines(predicted, truth))
        for column, block in enumerate(blocks):
            own = slice(block.start, block.stop)
            has = fold.title.present[fold.hidden, column]
            modal[block.name].add(number, _cosines(predicted[has, own], truth[has, own]))
        if len(truth) > 1:
            ranks = _ranks(predicted[:, columns], truth[:, columns])
            first.add(number, ranks == 1)
            reciprocal.add(number, 1 / ranks)
    by_modality = {name: adding.tally for name, adding in modal.items()}
    return Tallies(whole.tally, by_modality, first.tally, reciprocal.tally)


class _Adding:
    """A ``Tally`` under way."""

    def __init__(self, titles: int) -> None:
        self.tally = Tally(np.zeros(titles), np.zeros(titles))

    def add(self, title: int, values: np.ndarray) -> None:
        self.tally.sums[title] += values.sum()
        self.tally.counts[title] += len(values)


def chance(folds: Sequence[Fold]) -> tuple[float | None, float | None]:
    """Expected top-1 and MRR of a guess: 1/k, and the mean of 1/1 … 1/k, among k shots hidden together."""
    sizes = np.concatenate([np.full(k, k) for fold in folds if (k := int(fold.hidden.sum())) > 1] or [np.zeros(0, int)])
    return _mean(1 / sizes), _mean(np.array([np.mean(1 / np.arange(1, k + 1)) for k in sizes]))


def skill(tally: Tally, baseline: Tally) -> Tally:
    """Share of the baseline's cosine distance that is gone: 1 is perfect, 0 as good as the baseline, below 0 worse.

    A title in which the baseline is exact up to rounding has no distance, and counts for nothing.
    """
    distance = baseline.counts - baseline.sums
    far = distance > TIE * baseline.counts
    return Tally(np.where(far, tally.sums - baseline.sums, 0.0), np.where(far, distance, 0.0))


def _folds(title: Title, generator: np.random.Generator) -> Iterator[Fold]:
    shown = np.flatnonzero(np.asarray(title.vectors).any(axis=1))
    for part in np.array_split(generator.permutation(shown), min(FOLDS, len(shown)) or 1):
        if len(part):
            hidden = np.zeros(len(title), bool)
            hidden[part] = True
            yield Fold(title, hidden)


def _ranks(predicted: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Rank of candidate i for prediction i, 1 for the best; candidates as good as it share the mean of their ranks."""
    similar = unit_rows(predicted.astype(np.float64)) @ unit_rows(candidates.astype(np.float64)).T  # [k, k]
    own = np.diag(similar)[:, None]  # [k, 1]
    better, equal = (similar > own + TIE).sum(axis=1), (np.abs(similar - own) <= TIE).sum(axis=1)
    return better + (equal + 1) / 2


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (unit_rows(left.astype(np.float64)) * unit_rows(right.astype(np.float64))).sum(axis=1)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
