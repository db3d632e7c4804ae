"""``ablate --labels``: what linear probes read from the model, from the model shown something else, and from baselines.

A probe is asked of titles that it has not seen, and it learned from vectors that were changed in the same way: what it
finds is what is still there to be found. It gets the flat vectors beside those in context, both as they are without
what was taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mediafm_cli.evaluate.ablation.comparison import Kind, Row
from mediafm_cli.evaluate.ablation.dependence import Dependence, find_dependence
from mediafm_cli.evaluate.ablation.interventions import energy_share, interventions
from mediafm_cli.evaluate.bootstrap import Statistic, difference_of, draw_counts, interval
from mediafm_cli.evaluate.clips import Overlap, pool_shots
from mediafm_cli.evaluate.probes.features import feature_rows
from mediafm_cli.evaluate.probes.labels import Labels
from mediafm_cli.evaluate.probes.probe import (
    BOUNDS,
    MEASURES,
    chance,
    find_learned,
    read_labelled,
    split_titles,
    statistics_of,
)
from mediafm_cli.evaluate.probes.probing import Task, cross_validate
from mediafm_cli.evaluate.probes.results import HEADINGS
from mediafm_cli.model.context import embed_titles
from mediafm_cli.model.folder import FolderConfig
from mediafm_cli.model.title import Block, Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.catalogue import Catalogue

WHOLE = "flat + trained, in context"
"""The row of ``feature_rows`` that is changed."""


@dataclass(frozen=True)
class Question:
    """What is asked of the vectors: the labels in a column of a CSV file of clips."""

    source: Path
    task: Task
    column: str = "label"


@dataclass(frozen=True)
class ProbeRecord:
    """What probes were asked.

    Attributes:
        classes, left_out: see ``Labels``. ``clips``: that have a label.
        titles: their ids. ``learned``: how many of them the model was trained on, without labels.
        chance: what equal scores for all clips have, by measure.
    """

    task: Task
    column: str
    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    clips: int
    titles: tuple[str, ...]
    learned: int
    chance: dict[str, float]


@dataclass(frozen=True, eq=False)
class Asked:
    """A row that was probed.

    Attributes:
        runs: the measures of each of several models, or of one.
        changed_from: the row that it is a change of. ``removed``: the modality that was taken away, if one was.
    """

    name: str
    kind: Kind
    runs: tuple[Mapping[str, Statistic], ...]
    changed_from: str = ""
    removed: str = ""
    energy: dict[str, float] | None = None

    def of(self, measure: str) -> Statistic:
        """The mean over models."""
        return lambda weights: np.mean([run[measure](weights) for run in self.runs], axis=0)


class Probes:
    """The same probes for every row: of the same clips, in the same folds.

    Args:
        labels: of the clips of ``overlaps``, a list a title. ``learned``: see ``ProbeRecord``.
        folds: int [titles]. ``draws``: int [r, titles], of the bootstrap.
    """

    def __init__(
        self,
        question: Question,
        titles: list[Title],
        overlaps: list[list[Overlap]],
        labels: Labels,
        learned: int,
        folds: np.ndarray,
        draws: np.ndarray,
        level: float,
    ) -> None:
        self.titles = titles
        self.column = question.column
        self.measures = MEASURES[labels.task]
        self._question = question
        self._overlaps = overlaps
        self._labels = labels
        self._learned = learned
        self._folds = folds
        self._draws = draws
        self._level = level

    def ask_rows(
        self, blocks: Sequence[Block], model: MediaFM, seed: int, progress: Callable[[int], None]
    ) -> list[Asked]:
        """Probe every row of ``feature_rows``, and the model shown something else.

        Args:
            seed: of the untrained model and of shuffled shots. ``progress``: called with the rows done.
        """
        asked: list[Asked] = []
        for one in self._questions(blocks, model, seed):
            asked.append(one)
            progress(len(asked))
        return asked

    def ask_model(self, model: MediaFM, titles: Sequence[Title]) -> dict[str, Statistic]:
        """The measures of probes on what ``model`` makes of ``titles``, beside what it was shown.

        Args:
            titles: ``self.titles`` in order, changed or encoded otherwise, but of the same shots.
        """
        vectors = [
            np.concatenate([pool_shots(title.vectors, clips), pool_shots(embedding.shots, clips)], axis=1)
            for title, embedding, clips in zip(titles, embed_titles(model, titles), self._overlaps, strict=True)
        ]
        return self._ask(vectors)

    @property
    def record(self) -> ProbeRecord:
        return ProbeRecord(
            self._question.task,
            self._question.column,
            self._labels.classes,
            self._labels.left_out,
            self._labels.labelled,
            tuple(title.title_id for title in self.titles),
            self._learned,
            {HEADINGS[measure]: value for measure, value in chance(self._labels).items()},
        )

    def best(self, asked: Sequence[Asked]) -> dict[str, str]:
        """By measure, the baseline that does best."""
        found, once = {}, np.ones((1, len(self.titles)))
        baselines = [one for one in asked if one.kind == "baseline"]
        for measure in self.measures:
            values = [float(one.of(measure)(once)[0]) for one in baselines]
            found[HEADINGS[measure]] = baselines[int(np.argmax(values))].name
        return found

    def rows(self, asked: Sequence[Asked], retrained: Sequence[Asked] = ()) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """Both with their intervals; each change beside the row that it is a change of."""
        known = {one.name: one for one in (*asked, *retrained)}
        best = self.best(asked)
        rows = [tuple(self._row(one, best, known) for one in some) for some in (asked, retrained)]
        return rows[0], rows[1]

    def dependence(self, asked: Sequence[Asked], of: str) -> Dependence | None:
        """Which modality the labels are read from; None where fewer than two were taken away.

        Args:
            of: what may depend on it, as a question has it.
        """
        known, measure = {one.name: one for one in asked}, self.measures[0]
        costs = {
            one.removed: difference_of(one.of(measure), known[one.changed_from].of(measure))
            for one in asked
            if one.removed
        }
        if len(costs) < 2:
            return None
        return find_dependence(of, f"the {HEADINGS[measure]} of probes", costs, self._draws, self._level)

    def _questions(self, blocks: Sequence[Block], model: MediaFM, seed: int) -> Iterator[Asked]:
        for row in feature_rows(self.titles, blocks, model, self._overlaps, seed=seed):
            yield Asked(row.name, "baseline" if row.baseline else "trained", (self._ask(row.vectors),))
        for one in interventions(self.titles, model.config):
            shown = [one.change(title) for title in self.titles]
            found, energy = self.ask_model(model, shown), energy_share(shown, blocks)
            yield Asked(f"flat + trained, {one.name}", "intervention", (found,), WHOLE, one.removed, energy)

    def _ask(self, vectors: Sequence[np.ndarray]) -> dict[str, Statistic]:
        labels = self._labels
        return statistics_of(cross_validate(vectors, labels.values, self._folds, labels.task), labels)

    def _row(self, one: Asked, best: Mapping[str, str], known: Mapping[str, Asked]) -> Row:
        cells, over_best, change = {}, {}, {}
        for measure in self.measures:
            own, heading = one.of(measure), HEADINGS[measure]
            cells[heading] = interval(own, self._draws, self._level, BOUNDS[measure])
            if one.kind != "baseline":
                leader = known[best[heading]].of(measure)
                over_best[heading] = interval(difference_of(leader, own), self._draws, self._level)
            if one.changed_from:
                whole = known[one.changed_from].of(measure)
                change[heading] = interval(difference_of(whole, own), self._draws, self._level)
        seeds = self._by_seed(one, known[one.changed_from]) if one.changed_from else ()
        return Row(
            one.name,
            one.kind,
            cells=cells,
            energy=one.energy,
            over_best=over_best,
            changed_from=one.changed_from,
            change=change,
            seeds=seeds,
        )

    def _by_seed(self, one: Asked, whole: Asked) -> tuple[float, ...]:
        """The change of the first measure with each seed, where there are several."""
        if len(one.runs) == 1:
            return ()
        once, measure = np.ones((1, len(self.titles))), self.measures[0]
        pairs = zip(whole.runs, one.runs, strict=True)
        return tuple(float((after[measure](once) - before[measure](once))[0]) for before, after in pairs)


def read_probes(
    catalogue: Catalogue, config: FolderConfig, question: Question, seed: int, resamples: int, level: float
) -> Probes:
    """The probes of the labelled titles in a catalogue.

    Args:
        seed: of the folds and the bootstrap.

    Raises:
        UsageError: the list, its labels or its titles cannot be probed; see ``run_probe``.
    """
    found = read_labelled(catalogue, question.source, question.task, question.column, None, seed)
    labels, folds = split_titles(found.labels, None, seed)
    learned = len(find_learned(found.titles, config))
    draws = draw_counts(len(found.titles), resamples, seed)
    return Probes(question, found.titles, found.overlaps, labels, learned, folds, draws, level)
