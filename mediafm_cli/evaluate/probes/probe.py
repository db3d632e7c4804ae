"""``probe``: how well a linear probe reads labels of clips from flat and contextual vectors, split by title.

Intervals say how the figures of these probes would differ on other titles, not what probes that learned from others
would find: where there is nothing to be found, a few titles can stand outside of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mediafm_cli.errors import UsageError
from mediafm_cli.evaluate.bootstrap import Interval, Statistic, difference_of, draw_counts, interval, mean_of
from mediafm_cli.evaluate.clips import Clip, Overlap, find_clips, find_overlaps, read_clips
from mediafm_cli.evaluate.probes.features import REACHES, FeatureRow, feature_rows
from mediafm_cli.evaluate.probes.labels import LEAST_TITLES, Labels, leave_out_rare, read_labels
from mediafm_cli.evaluate.probes.metrics import (
    RATIO,
    Arrays,
    kendall_by_title,
    macro_statistic,
    micro_statistic,
    rank_titles,
)
from mediafm_cli.evaluate.probes.probing import Task, cross_validate, fold_titles
from mediafm_cli.model.folder import FolderConfig, TitleRecord, load_model, model_fingerprint, read_config
from mediafm_cli.model.title import Title, require_layout
from mediafm_cli.store.read import open_store
from mediafm_cli.train.catalogue import Catalogue, StoredTitle, open_catalogue

MEASURES: dict[Task, tuple[str, ...]] = {
    "multilabel": ("ap_macro", "ap_micro"),
    "multiclass": ("ap_macro", "ap_micro"),
    "ranking": ("kendall_tau",),
    "retrieval": ("ap_at_ratio",),
}
"""The first one is what strengths are chosen by."""

BOUNDS = {"ap_macro": (0.0, 1.0), "ap_micro": (0.0, 1.0), "kendall_tau": (-1.0, 1.0), "ap_at_ratio": (0.0, 1.0)}
"""The lowest and the highest that each can be."""

FOLDS: dict[Task, int] = {"multilabel": 5, "multiclass": 5, "ranking": 10, "retrieval": 5}


@dataclass(frozen=True)
class ProbedRow:
    """One row of features.

    Attributes:
        baseline: see ``FeatureRow``. ``width``: numbers in a vector.
        cells: each measure with its interval.
        over_best: how much higher than the best baseline by this measure; none for baselines.
    """

    name: str
    baseline: bool
    width: int
    cells: Mapping[str, Interval]
    over_best: Mapping[str, Interval]


@dataclass(frozen=True)
class Probed:
    """The outcome of probing.

    Attributes:
        classes, left_out: see ``Labels``. ``clips``: that have a label. ``titles``: their ids, in order.
        folds: the fold of each title. ``model``: fingerprint of the model folder; empty without one.
        learned: how many of the titles the model was pretrained on, without labels.
        chance: what equal scores for all clips have, by measure. ``best``: the name of the best baseline, by measure.
    """

    task: Task
    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    clips: int
    titles: tuple[str, ...]
    folds: tuple[int, ...]
    seed: int
    level: float
    model: str
    learned: int
    chance: Mapping[str, float]
    best: Mapping[str, str]
    rows: tuple[ProbedRow, ...]


def run_probe(
    stores: Sequence[Path],
    source: Path,
    task: Task,
    model_folder: Path | None = None,
    *,
    column: str = "label",
    reaches: Sequence[int] = REACHES,
    folds: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda done: None,
) -> Probed:
    """Probe the vectors of the clips in the CSV file ``source``; without a model only the rows that need none.

    Args:
        column: of the labels. ``reaches``: of the window means.
        folds: of titles; ten for a ranking and five otherwise where it is None, and never more than titles.
        seed: of the folds, the bootstrap, the untrained model and shuffled shots.
        progress: called with the rows done.

    Raises:
        UsageError: the list, its labels or its titles cannot be probed; one title is there under two ids.
        StoreError: a store is not valid or not fused. StaleError: it is stale, or not fused like the others.
        TrainingError: the model folder is damaged, or was never trained.
    """
    catalogue = open_catalogue(stores)
    labelled = read_labelled(catalogue, source, task, column, folds, seed)
    model, fingerprint, learned = None, "", 0
    if model_folder is not None:
        config = read_config(model_folder)
        require_layout(config.model.layout, catalogue.layout, "the catalogue")
        model, fingerprint = load_model(model_folder, device), model_fingerprint(model_folder)
        learned = len(find_learned(labelled.titles, config))
    rows = feature_rows(labelled.titles, catalogue.layout.blocks, model, labelled.overlaps, reaches=reaches, seed=seed)
    ids = [title.title_id for title in labelled.titles]
    return probe_rows(
        rows, labelled.labels, ids, folds=folds, seed=seed, model=fingerprint, learned=learned, progress=progress
    )


@dataclass(frozen=True, eq=False)
class Labelled:
    """The titles that a list of clips asks about, by id; and of each its clips, by time, and their labels."""

    titles: list[Title]
    overlaps: list[list[Overlap]]
    labels: Labels


def read_labelled(
    catalogue: Catalogue, source: Path, task: Task, column: str, folds: int | None, seed: int
) -> Labelled:
    """The titles and labels of the clips in the CSV file ``source``; raises as ``run_probe`` does.

    A title whose labels are all too rare to be asked would count for one, and say nothing: it is left out.
    """
    clips = read_clips(source)
    found = find_clips(clips, {title.title_id: title.path for title in catalogue.titles}, source)
    used = sorted((title for title in catalogue.titles if title.path in found), key=lambda title: title.title_id)
    of_titles = [
        sorted((clips[number] for number in found[title.path]), key=lambda clip: (clip.start_s, clip.end_s))
        for title in used
    ]
    labels = read_labels(of_titles, column, task, source)
    used, of_titles, labels = _leave_out_unasked(used, of_titles, labels, folds, seed)
    titles = [title.load() for title in used]
    require_apart(titles, [media_sha256(title.path) for title in used])
    overlaps = [find_overlaps(title.path, some) for title, some in zip(used, of_titles, strict=True)]
    return Labelled(titles, overlaps, labels)


def _leave_out_unasked(
    titles: list[StoredTitle], clips: list[list[Clip]], labels: Labels, folds: int | None, seed: int
) -> tuple[list[StoredTitle], list[list[Clip]], Labels]:
    """Those of which anything is asked once rare classes are left out: with fewer titles, another may be rare."""
    while True:
        labels, _ = split_titles(labels, folds, seed)
        asked = labels.asked
        if len(asked) == len(titles):
            return titles, clips, labels
        titles, clips = [titles[place] for place in asked], [clips[place] for place in asked]
        labels = replace(labels, values=[labels.values[place] for place in asked])


def find_learned(titles: Sequence[Title], config: FolderConfig) -> list[Title]:
    """Those of ``titles`` that the model was pretrained on, by name or by content."""
    return _known(titles, [title for title in config.training.titles if title.split == "train"])


def find_validated(titles: Sequence[Title], config: FolderConfig) -> list[Title]:
    """Those of ``titles`` by which the step of the model that was kept was chosen, by name or by content."""
    return _known(titles, [title for title in config.training.titles if title.split == "validation"])


def _known(titles: Sequence[Title], records: Sequence[TitleRecord]) -> list[Title]:
    names, contents = {title.title_id for title in records}, {title.fingerprint for title in records}
    return [title for title in titles if title.title_id in names or title.fingerprint in contents]


def probe_rows(
    rows: Iterable[FeatureRow],
    labels: Labels,
    title_ids: Sequence[str],
    *,
    folds: int | None = None,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 1000,
    model: str = "",
    learned: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Probed:
    """Probe each row with the same folds, budget and draws of titles.

    Args:
        rows: of the titles ``title_ids``, in order; see ``feature_rows``. ``labels``: of the same.
        model, learned: for the record.

    Raises:
        UsageError: the titles or labels are too few.
    """
    count = len(title_ids)
    labels, fold_of = split_titles(labels, folds, seed)
    draws = draw_counts(count, resamples, seed)
    asked: list[_Asked] = []
    for row in rows:
        statistics = statistics_of(cross_validate(row.vectors, labels.values, fold_of, labels.task), labels)
        cells = {name: interval(statistic, draws, level, BOUNDS[name]) for name, statistic in statistics.items()}
        asked.append(_Asked(row.name, row.baseline, row.vectors[0].shape[1], statistics, cells))
        progress(len(asked))
    best = {
        measure: max((one for one in asked if one.baseline), key=lambda one: one.cells[measure].value)
        for measure in MEASURES[labels.task]
    }

    def over_best(one: _Asked) -> dict[str, Interval]:
        return {
            measure: interval(difference_of(best[measure].statistics[measure], statistic), draws, level)
            for measure, statistic in one.statistics.items()
        }

    return Probed(
        task=labels.task,
        classes=labels.classes,
        left_out=labels.left_out,
        clips=labels.labelled,
        titles=tuple(title_ids),
        folds=tuple(fold_of.tolist()),
        seed=seed,
        level=level,
        model=model,
        learned=learned,
        chance=chance(labels),
        best={measure: one.name for measure, one in best.items()},
        rows=tuple(
            ProbedRow(one.name, one.baseline, one.width, one.cells, {} if one.baseline else over_best(one))
            for one in asked
        ),
    )


def split_titles(labels: Labels, folds: int | None, seed: int) -> tuple[Labels, np.ndarray]:
    """The labels that can be asked in every fold, and the fold of each title; see ``run_probe`` for ``folds``.

    Raises:
        UsageError: the titles or labels are too few.
    """
    count = len(labels.values)
    if count < LEAST_TITLES:
        why = f"The list names {count}, and no title may be learned from and asked as well."
        raise UsageError(f"Probing takes clips of {LEAST_TITLES} titles at least.", why, "Add clips of other titles.")
    fold_of = fold_titles(count, min(folds or FOLDS[labels.task], count), seed)
    return leave_out_rare(labels, fold_of), fold_of


@dataclass(frozen=True)
class _Asked:
    """A row that has been probed, while the best baseline is not known yet."""

    name: str
    baseline: bool
    width: int
    statistics: dict[str, Statistic]
    cells: dict[str, Interval]


def statistics_of(scores: Arrays, labels: Labels) -> dict[str, Statistic]:
    """The measures of the task, by name."""
    if labels.task == "ranking":
        return {"kendall_tau": mean_of(*kendall_by_title(scores, labels.values))}
    ranking = rank_titles(scores, labels.values)
    if labels.task == "retrieval":
        return {"ap_at_ratio": macro_statistic(ranking, RATIO)}
    return {"ap_macro": macro_statistic(ranking), "ap_micro": micro_statistic(ranking)}


def chance(labels: Labels) -> dict[str, float]:
    """What scores that are all equal have, by measure."""
    width = () if labels.task == "ranking" else (len(labels.classes),)
    guesses = [np.zeros((len(values), *width)) for values in labels.values]
    once = np.ones((1, len(labels.values)))
    return {measure: float(of(once)[0]) for measure, of in statistics_of(guesses, labels).items()}


def require_apart(titles: Sequence[Title], media: Sequence[str]) -> None:
    """Raise a UsageError where two titles are one under two ids: it would be learned from and asked as well.

    Args:
        media: the fingerprint of each title's media file, since the vectors of one film may differ.
    """
    contents = [hashlib.sha256(title.vectors.tobytes()).hexdigest() for title in titles]
    for kind, marks in (("shots", contents), ("media files", media)):
        first: dict[str, str] = {}
        for title, mark in zip(titles, marks, strict=True):
            other = first.setdefault(mark, title.title_id)
            if other != title.title_id:
                what = f"{other!r} and {title.title_id!r} are one title under two ids."
                why = f"Their {kind} are the same, so a probe would be asked what it has learned."
                raise UsageError(what, why, "Leave one of them out.")


def media_sha256(path: Path) -> str:
    """The fingerprint of the media file that a store was made from."""
    with open_store(path) as store:
        return store.source.fingerprint
