"""The rows of a retrained grid: each variant beside the reference, on the titles that none of them learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from mediafm_cli.evaluate.ablation.comparison import Intervals, Row, differences, intervals_of
from mediafm_cli.evaluate.ablation.dependence import Dependence, cosine_lost, find_dependence, mean_cosine
from mediafm_cli.evaluate.ablation.interventions import energy_share
from mediafm_cli.evaluate.ablation.masked import Fold, Tallies, Tally, average, tally
from mediafm_cli.evaluate.ablation.predictors import model_predictor
from mediafm_cli.evaluate.ablation.retrain import (
    Run,
    RunSettings,
    learned_titles,
    plan_runs,
    swapped_titles,
    train_runs,
)
from mediafm_cli.evaluate.ablation.variants import REFERENCE, Variant
from mediafm_cli.evaluate.bootstrap import Statistic, difference_of, interval
from mediafm_cli.model.folder import FolderConfig
from mediafm_cli.model.title import Layout, Title
from mediafm_cli.train.catalogue import Catalogue
from mediafm_cli.train.sequences import TitleSource

MEAN_COSINE = "mean cosine"
RANKED = ("top-1", "MRR")
"""The measures that can be compared between vectors of different encoders."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What every variant is measured on, and by.

    Attributes:
        folds: of the measured titles. ``draws``, ``level``: of the bootstrap over these titles.
        baselines: of the given model's table. ``best``: of them, by measure, the best.
    """

    config: FolderConfig
    catalogue: Catalogue
    folds: Sequence[Fold]
    draws: np.ndarray
    level: float
    baselines: Sequence[Tallies]
    best: dict[str, Tally]

    def best_mean_cosine(self, among: Sequence[str]) -> Statistic:
        """The mean cosine of the baseline that does best on these modalities."""
        once = np.ones((1, self.draws.shape[1]))
        statistics = (mean_cosine(one, among) for one in self.baselines)
        return max(statistics, key=lambda statistic: float(statistic(once)[0]))


@dataclass(frozen=True, eq=False)
class _Measured:
    variant: Variant
    tallies: Tallies
    runs: tuple[Tallies, ...]
    energy: dict[str, float]

    @property
    def among(self) -> list[str]:
        """The modalities that the variant could learn to predict."""
        removed = self.variant.intervention.removed if self.variant.intervention else ""
        return [name for name, found in self.tallies.by_modality.items() if name != removed and found.counts.any()]

    @property
    def measures(self) -> dict[str, Tally]:
        """Those that mean what they mean for the reference.

        Where the titles are changed, rows are not scaled as they are in the reference: only single modalities compare.
        """
        every = self.tallies.measures
        if self.variant.intervention:
            return {f"cos {name}": every[f"cos {name}"] for name in self.among}
        return {name: every[name] for name in RANKED} if self.variant.stores else every


def measure_grid(
    variants: Sequence[Variant],
    bench: Bench,
    settings: RunSettings,
    device: torch.device | str,
    progress: Callable[[float, int], None] = lambda done, total: None,
    trained: Callable[[Run], None] = lambda run: None,
) -> tuple[list[Row], Dependence | None]:
    """Train and measure every variant.

    Args:
        variants: the first one is the reference.
        progress: called with the variants done, a share of the next one included, and all variants.
        trained: called with each run when its model is there.

    Returns:
        A row a variant, and which modality is missed most where models were trained without each.
    """
    learned = learned_titles(bench.catalogue, bench.config)
    found: list[_Measured] = []
    for number, variant in enumerate(variants):
        layout, titles, folds = _material(variant, bench, learned)
        shown = [variant.change(title) for title in _titles(folds)]
        runs = []
        ahead = partial(_go_on, progress, number, len(variants))
        for run in train_runs(plan_runs(variant, bench.config, layout, titles, settings, device), ahead):
            predictor = model_predictor(variant.name, run.model, variant.change)
            runs.append(tally(predictor, folds, layout.blocks))
            trained(run)
        found.append(_Measured(variant, average(runs), tuple(runs), energy_share(shown, layout.blocks)))
    return [_row(one, found[0], bench) for one in found], _dependence(found, bench)


def _go_on(progress: Callable[[float, int], None], done: int, total: int, share: float) -> None:
    progress(done + share, total)


def _material(
    variant: Variant, bench: Bench, learned: list[TitleSource]
) -> tuple[Layout, list[TitleSource], Sequence[Fold]]:
    """The layout, the titles to learn from, and the same shots hidden, in the stores that the variant swaps to."""
    if not variant.stores:
        return bench.catalogue.layout, learned, bench.folds
    measured = _titles(bench.folds)
    layout, titles = swapped_titles(variant.stores, [*learned, *measured])
    swapped = {title.title_id: title.window(0, len(title)) for title in titles[len(learned) :]}
    return layout, titles[: len(learned)], [Fold(swapped[fold.title.title_id], fold.hidden) for fold in bench.folds]


def _titles(folds: Sequence[Fold]) -> list[Title]:
    return list({fold.title.title_id: fold.title for fold in folds}.values())


def _row(found: _Measured, reference: _Measured, bench: Bench) -> Row:
    is_reference = found is reference
    mean = mean_cosine(found.tallies, found.among)
    cells = {MEAN_COSINE: interval(mean, bench.draws, bench.level)}
    cells |= intervals_of(found.tallies.measures if found.variant.stores else found.measures, bench.draws, bench.level)
    change: Intervals = {}
    seeds: tuple[float, ...] = ()
    if not is_reference:
        change = differences(reference.measures, found.measures, bench.draws, bench.level)
        if not found.variant.stores:
            gained = difference_of(mean_cosine(reference.tallies, found.among), mean)
            change = {MEAN_COSINE: interval(gained, bench.draws, bench.level), **change}
            seeds = tuple(
                -float(cosine_lost(before, after, found.among)(np.ones((1, bench.draws.shape[1])))[0])
                for before, after in zip(reference.runs, found.runs, strict=True)
            )
    over_best: Intervals = {}
    if not found.variant.stores:
        gained = difference_of(bench.best_mean_cosine(found.among), mean)
        over_best = {MEAN_COSINE: interval(gained, bench.draws, bench.level)}
        over_best |= differences(bench.best, found.measures, bench.draws, bench.level)
    return Row(
        found.variant.name,
        "retrained",
        cells=cells,
        energy=found.energy,
        over_best=over_best,
        changed_from="" if is_reference else REFERENCE,
        change=change,
        seeds=seeds,
    )


def _dependence(found: Sequence[_Measured], bench: Bench) -> Dependence | None:
    removed = {one.variant.intervention.removed: one for one in found if one.variant.intervention}
    costs = {
        name: cosine_lost(found[0].tallies, one.tallies, one.among)
        for name, one in removed.items()
        if name and one.among
    }
    if len(costs) < 2:
        return None
    of, measured = "learning to predict the other modalities", "their mean cosine"
    return find_dependence(of, measured, costs, bench.draws, bench.level)
