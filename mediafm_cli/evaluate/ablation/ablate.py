"""``ablate``: what context and each modality are worth.

Without labels, hidden shots are predicted. Rows: each modality flat, all flat, the window mean, the mean vector, the
untrained transformer and the trained one with shuffled shots, which are the baselines; the trained one, in context and
isolated; and the trained one shown something else (``interventions.py``). With labels the same are probed
(``probes.py``), and a grid of models can be trained for comparison (``retrain.py``). Titles: those that the model never
learned from, where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mediafm_cli.errors import StoreError, UsageError
from mediafm_cli.evaluate.ablation.comparison import Kind, Row, best_rows, differences, intervals_of
from mediafm_cli.evaluate.ablation.dependence import Dependence, cosine_lost, find_dependence
from mediafm_cli.evaluate.ablation.interventions import energy_share, has_modality, interventions
from mediafm_cli.evaluate.ablation.masked import Fold, Tallies, chance, make_folds, skill, tally
from mediafm_cli.evaluate.ablation.predictors import (
    Change,
    Predictor,
    flat_predictors,
    isolated_predictor,
    mean_predictor,
    model_predictor,
    shuffled_predictor,
    window_predictor,
)
from mediafm_cli.evaluate.ablation.probes import Asked, ProbeRecord, Probes, Question, read_probes
from mediafm_cli.evaluate.ablation.retrain import (
    PlannedRun,
    Run,
    RunSettings,
    learned_titles,
    plan_runs,
    swapped_titles,
)
from mediafm_cli.evaluate.ablation.retrained import Bench, measure_grid
from mediafm_cli.evaluate.ablation.variants import REFERENCE, Variant, choose
from mediafm_cli.evaluate.bootstrap import Statistic, draw_counts
from mediafm_cli.evaluate.probes.features import REACHES
from mediafm_cli.evaluate.probes.probe import find_learned, find_validated, media_sha256
from mediafm_cli.model.baselines import mean_vector
from mediafm_cli.model.folder import FolderConfig, load_model, model_fingerprint, read_config
from mediafm_cli.model.title import Block, Title, require_layout
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.catalogue import Catalogue, open_catalogue

MEAN, COPY = "mean vector", "all flat"
"""The rows that skill is measured against."""

TRAINED = "trained"
ISOLATED = f"{TRAINED}, isolated"
RESAMPLES, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Ablation:
    """The outcome of one ablation.

    Attributes:
        model: fingerprint of the model folder. ``steps``: that it was trained for.
        titles: ids of the titles that were measured. ``held_out``: the model never learned from any of them.
            ``chosen_by``: how many of them it was validated on, so that the step that was kept is the best on those.
        modalities: names, in the order of the fused vector.
        rows: the prediction of hidden shots. ``retrained``: of the variants, where any were asked for.
        normalize: how the titles were fused.
        probes, probes_retrained: the same of what probes find, where there were labels. ``probed``: what was asked.
        chance_top1, chance_mrr: of a guess; None where no title hides two shots at once.
        best: by measure, the baseline of ``rows``, or of ``probes``, that does best.
        dependences: which modality is missed most, by each way to ask.
    """

    model: str
    steps: int
    seed: int
    titles: tuple[str, ...]
    held_out: bool
    chosen_by: int
    modalities: tuple[str, ...]
    rows: tuple[Row, ...]
    chance_top1: float | None
    chance_mrr: float | None
    level: float
    best: dict[str, str]
    dependences: tuple[Dependence, ...] = ()
    retrained: tuple[Row, ...] = ()
    probes: tuple[Row, ...] = ()
    probes_retrained: tuple[Row, ...] = ()
    probed: ProbeRecord | None = None
    normalize: str = "none"


@dataclass(frozen=True)
class Retraining:
    """Which variants of the model are trained, and how; see ``choose`` for the first three."""

    settings: RunSettings
    only: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    swaps: Mapping[str, Sequence[Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What an ablation would do.

    Attributes:
        titles: ids of those to measure. ``held_out``: see ``Ablation``. ``runs``: of the grid, in order.
    """

    titles: tuple[str, ...]
    held_out: bool
    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True, eq=False)
class _Prepared:
    """The inputs, read. ``unseen``, ``seen``: titles that the model never learned from, and those that it did."""

    config: FolderConfig
    model: MediaFM
    catalogue: Catalogue
    unseen: list[Title]
    seen: list[Title]
    variants: list[Variant]
    probes: Probes | None
    folds: list[Fold]

    @property
    def measured(self) -> list[Title]:
        return self.unseen or self.seen


@dataclass(frozen=True)
class _PlannedRow:
    """A row to come. ``change``: of the titles that the model is shown. ``removed``: see ``Intervention``."""

    predictor: Predictor
    kind: Kind
    change: Change | None = None
    removed: str = ""


def run_ablation(
    stores: Sequence[Path],
    model_folder: Path,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    question: Question | None = None,
    retraining: Retraining | None = None,
    progress: Callable[[str, float, float | None], None] = lambda unit, done, total: None,
    say: Callable[[Run], None] = lambda run: None,
) -> Ablation:
    """Measure ``model_folder`` on the titles in ``stores``.

    Args:
        seed: of the shots hidden together, of the untrained transformer, of shuffled shots, and of the bootstrap.
        question: what labels to probe for; None for none.
        retraining: which variants of the model to train for comparison; None for none.
        progress: called with what is counted (rows, probes, variants), how many are done, and how many there are.
        say: called with each run when its model is there.

    Raises:
        TrainingError: the model folder is damaged, or was never trained; a run cannot go on.
        StaleError: the titles were not fused like those that the model was trained on.
        UsageError: variants were asked for that there are not, or that these titles cannot train or measure; or the
            labels cannot be probed.
    """
    ready = _prepare(stores, model_folder, seed, device, question, retraining)
    config, model, catalogue, measured = ready.config, ready.model, ready.catalogue, ready.measured
    probes, folds, blocks = ready.probes, ready.folds, ready.catalogue.layout.blocks
    planned = list(_planned(model, measured, ready.seen, seed))
    tallies = {}
    for number, plan in enumerate(planned, 1):
        tallies[plan.predictor.name] = tally(plan.predictor, folds, blocks)
        progress("rows", number, len(planned))
    draws = draw_counts(len(next(iter(tallies.values())).cosine.counts), RESAMPLES, seed)
    best = best_rows(
        (plan.predictor.name, tallies[plan.predictor.name].measures) for plan in planned if plan.kind == "baseline"
    )
    rows = tuple(_row(plan, tallies, best, measured, blocks, draws) for plan in planned)
    dependences = _dependences(planned, tallies, draws)
    asked: list[Asked] = []
    if probes:
        asked = probes.ask_rows(blocks, model, seed, lambda done: progress("probes", done, None))
        found = probes.dependence(asked, f"the {probes.column} of clips")
        dependences += (found,) if found else ()
    retrained: list[Row] = []
    again: list[Asked] = []
    if retraining:
        baselines = [tallies[plan.predictor.name] for plan in planned if plan.kind == "baseline"]
        best_measures = {measure: tallies[owner].measures[measure] for measure, owner in best.items()}
        bench = Bench(config, catalogue, folds, draws, LEVEL, baselines, best_measures)
        runs: dict[str, list[Mapping[str, Statistic]]] = {}

        def trained(run: Run) -> None:
            say(run)
            if probes:
                runs.setdefault(run.variant.name, []).append(_probe(probes, run))

        retrained, found = measure_grid(
            ready.variants, bench, retraining.settings, device, partial(progress, "variants"), trained
        )
        dependences += (found,) if found else ()
        again = [_asked(variant, runs[variant.name]) for variant in ready.variants if runs]
        found = (
            probes.dependence(again, f"the {probes.column} of clips, with a model trained without it,")
            if probes
            else None
        )
        dependences += (found,) if found else ()
    return Ablation(
        model_fingerprint(model_folder),
        config.training.steps,
        seed,
        tuple(title.title_id for title in measured),
        bool(ready.unseen),
        len(find_validated(measured, config)),
        tuple(block.name for block in blocks),
        rows,
        *chance(folds),
        LEVEL,
        best | (probes.best(asked) if probes else {}),
        dependences,
        tuple(retrained),
        *(probes.rows(asked, again) if probes else ((), ())),
        probes.record if probes else None,
        catalogue.layout.normalize,
    )


def plan_ablation(
    stores: Sequence[Path],
    model_folder: Path,
    *,
    device: torch.device | str = "cpu",
    question: Question | None = None,
    retraining: Retraining | None = None,
) -> Plan:
    """What ``run_ablation`` would measure and train; nothing is. Arguments and errors are those of that."""
    ready = _prepare(stores, model_folder, 0, device, question, retraining)
    runs: list[PlannedRun] = []
    if retraining:
        learned = learned_titles(ready.catalogue, ready.config)
        for variant in ready.variants:
            layout, titles = ready.catalogue.layout, learned
            if variant.stores:
                layout, titles = swapped_titles(variant.stores, learned)
            runs += plan_runs(variant, ready.config, layout, titles, retraining.settings, device)
    return Plan(tuple(title.title_id for title in ready.measured), bool(ready.unseen), tuple(runs))


def _prepare(
    stores: Sequence[Path],
    model_folder: Path,
    seed: int,
    device: torch.device | str,
    question: Question | None,
    retraining: Retraining | None,
) -> _Prepared:
    """Read and check the inputs of ``run_ablation``; its arguments and errors."""
    config = read_config(model_folder)
    model = load_model(model_folder, device)
    catalogue = open_catalogue(stores)
    require_layout(config.model.layout, catalogue.layout, "the catalogue")
    unseen, seen = _split(catalogue, config)
    variants = _variants(retraining, config, bool(unseen)) if retraining else []
    probes = read_probes(catalogue, config, question, seed, RESAMPLES, LEVEL) if question else None
    folds = make_folds(unseen or seen, seed)
    if not folds:
        raise StoreError("There is nothing to measure.", "No shot of these titles shows anything in any modality.")
    return _Prepared(config, model, catalogue, unseen, seen, variants, probes, folds)


def _split(catalogue: Catalogue, config: FolderConfig) -> tuple[list[Title], list[Title]]:
    """The titles that the model never learned from, and those that it did, by name or by content.

    One made of the same media file as one of these, in the same catalogue, was learned from too.
    """
    titles = [title.load() for title in catalogue.titles]
    media = {title.title_id: media_sha256(stored.path) for title, stored in zip(titles, catalogue.titles, strict=True)}
    learned = {media[title.title_id] for title in find_learned(titles, config)}
    return (
        [title for title in titles if media[title.title_id] not in learned],
        [title for title in titles if media[title.title_id] in learned],
    )


def _variants(retraining: Retraining, config: FolderConfig, held_out: bool) -> list[Variant]:
    if not held_out:
        what = "There is nothing to measure what is retrained on."
        raise UsageError(what, "The model learned from every one of these titles.", "Add titles that it never saw.")
    return choose(config, retraining.only, retraining.pairs, retraining.swaps)


def _probe(probes: Probes, run: Run) -> dict[str, Statistic]:
    titles: Sequence[Title] = probes.titles
    if run.variant.stores:
        _, swapped = swapped_titles(run.variant.stores, titles)
        titles = [title.window(0, len(title)) for title in swapped]
    return probes.ask_model(run.model, [run.variant.change(title) for title in titles])


def _asked(variant: Variant, runs: Sequence[Mapping[str, Statistic]]) -> Asked:
    removed = variant.intervention.removed if variant.intervention else ""
    whole = "" if variant.name == REFERENCE else REFERENCE
    return Asked(variant.name, "retrained", tuple(runs), whole, removed)


def _planned(model: MediaFM, measured: Sequence[Title], seen: Sequence[Title], seed: int) -> Iterator[_PlannedRow]:
    untrained, blocks = model.untrained(seed), model.config.layout.blocks
    for predictor in (
        *flat_predictors([block for column, block in enumerate(blocks) if has_modality(measured, column)]),
        *map(window_predictor, REACHES),
        *([mean_predictor(mean_vector(seen))] if seen else []),
        model_predictor("untrained", untrained),
        shuffled_predictor(f"{TRAINED}, shots shuffled", model, seed),
    ):
        yield _PlannedRow(predictor, "baseline")
    yield _PlannedRow(model_predictor(TRAINED, model), "trained", lambda title: title)
    yield _PlannedRow(isolated_predictor(ISOLATED, model), "intervention")
    for one in interventions(measured, model.config):
        predictor = model_predictor(f"{TRAINED}, {one.name}", model, one.change)
        yield _PlannedRow(predictor, "intervention", one.change, one.removed)


def _row(
    plan: _PlannedRow,
    tallies: dict[str, Tallies],
    best: dict[str, str],
    measured: Sequence[Title],
    blocks: Sequence[Block],
    draws: np.ndarray,
) -> Row:
    name, predictor = plan.predictor.name, plan.predictor
    found = tallies[name]
    measures = found.measures
    skills = {
        heading: skill(found.cosine, tallies[baseline].cosine)
        for heading, baseline in (("over mean", MEAN), ("over copy", COPY))
        if baseline in tallies and baseline != name and predictor.block is None
    }
    best_measures = {measure: tallies[owner].measures[measure] for measure, owner in best.items()}
    return Row(
        name,
        plan.kind,
        found.scores,
        skills["over mean"].mean if "over mean" in skills else None,
        skills["over copy"].mean if "over copy" in skills else None,
        intervals_of(measures | skills, draws, LEVEL),
        energy_share(map(plan.change, measured), blocks) if plan.change else None,
        {} if plan.kind == "baseline" else differences(best_measures, measures, draws, LEVEL),
        TRAINED if plan.kind == "intervention" else "",
        differences(tallies[TRAINED].measures, measures, draws, LEVEL) if plan.kind == "intervention" else {},
    )


def _dependences(
    planned: Sequence[_PlannedRow], tallies: dict[str, Tallies], draws: np.ndarray
) -> tuple[Dependence, ...]:
    whole = tallies[TRAINED]
    costs = {
        plan.removed: cosine_lost(whole, tallies[plan.predictor.name], list(whole.by_modality))
        for plan in planned
        if plan.removed
    }
    if not costs:
        return ()
    return (find_dependence("predicting hidden shots", "the mean cosine over modalities", costs, draws, LEVEL),)
