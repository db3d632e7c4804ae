"""Rows of one table: each figure with its interval, and how much higher it is than another row's in the same titles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mediafm_cli.evaluate.ablation.masked import Scores, Tally
from mediafm_cli.evaluate.bootstrap import Interval, difference_interval, mean_interval

Kind = Literal["baseline", "trained", "intervention", "retrained"]
Intervals = dict[str, Interval]
"""By measure: those that apply."""


@dataclass(frozen=True)
class Row:
    """One row of an ablation: of predicted shots, or of probes.

    Attributes:
        kind: what stands in it. ``baseline``: what needs no training, or no context. ``trained``: the model as it is.
            ``intervention``: the model, shown something else. ``retrained``: a model trained for it.
        scores: the plain figures, of a row that predicts hidden shots.
        skill_over_mean, skill_over_copy: share of the baseline's cosine distance that is gone; None where it does not
            apply: for the baseline itself, and for a predictor that speaks of one modality only.
        cells: each figure with its interval.
        energy: share of each modality in the squared length of the vectors that the model was shown.
        over_best: how much higher than the best baseline, by the measure. ``change``: than the row ``changed_from``.
        seeds: of a row that stands for several runs, the change of its first measure in each.
    """

    name: str
    kind: Kind
    scores: Scores | None = None
    skill_over_mean: float | None = None
    skill_over_copy: float | None = None
    cells: Intervals = field(default_factory=dict)
    energy: dict[str, float] | None = None
    over_best: Intervals = field(default_factory=dict)
    changed_from: str = ""
    change: Intervals = field(default_factory=dict)
    seeds: tuple[float, ...] = ()


def intervals_of(measures: Mapping[str, Tally], draws: np.ndarray, level: float) -> Intervals:
    """Each measure that any title says something of, with its interval."""
    shown = {name: tally for name, tally in measures.items() if tally.counts.any()}
    return {name: mean_interval(tally.sums, tally.counts, draws, level) for name, tally in shown.items()}


def differences(first: Mapping[str, Tally], second: Mapping[str, Tally], draws: np.ndarray, level: float) -> Intervals:
    """How much higher ``second`` is, by each measure that both have, over the same shots."""
    pairs = {name: (first[name], tally) for name, tally in second.items() if name in first and tally.counts.any()}
    return {
        name: difference_interval(one.sums, other.sums, other.counts, draws, level)
        for name, (one, other) in pairs.items()
    }


def best_rows(rows: Iterable[tuple[str, Mapping[str, Tally]]]) -> dict[str, str]:
    """By measure, the name of the row that is highest; of equals, the first."""
    best: dict[str, tuple[float, str]] = {}
    for name, measures in rows:
        for measure, tally in measures.items():
            value = tally.mean
            if value is not None and (measure not in best or value > best[measure][0]):
                best[measure] = (value, name)
    return {measure: name for measure, (_, name) in best.items()}
