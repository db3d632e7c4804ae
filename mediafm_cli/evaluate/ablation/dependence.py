"""Which modality something depends on: the one without which most is lost, if it leads the second for sure.

What is lost has to be asked of what matters. Of the prediction of hidden shots, most is lost without the modality that
stays alike from shot to shot: an ambience, or who is in frame. What labels are about can be a small part of another
one, and then only a probe of these labels finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_cli.evaluate.ablation.masked import Tallies
from mediafm_cli.evaluate.bootstrap import Interval, Statistic, difference_of, interval, mean_of


@dataclass(frozen=True)
class Dependence:
    """What taking each modality away costs.

    Attributes:
        of: what may depend on a modality, such as "predicting hidden shots".
        measured: what falls, such as "the mean cosine over modalities".
        costs: by modality, the dearest first. ``lead``: how much more the first costs than the second.
    """

    of: str
    measured: str
    costs: dict[str, Interval]
    lead: Interval

    @property
    def modality(self) -> str | None:
        """The one that stands out; None where the first costs nothing for sure, or no more than the second."""
        first = next(iter(self.costs))
        return first if self.costs[first].low > 0 and self.lead.low > 0 else None


def find_dependence(
    of: str, measured: str, costs: Mapping[str, Statistic], draws: np.ndarray, level: float
) -> Dependence:
    """Order the modalities by what taking them away costs; there are two of them at least.

    Args:
        costs: by modality, what is lost without it, where titles are drawn; see ``draw_counts`` for ``draws``.
    """
    found = {name: interval(cost, draws, level) for name, cost in costs.items()}
    ordered = sorted(found, key=lambda name: -found[name].value)
    lead = interval(difference_of(costs[ordered[1]], costs[ordered[0]]), draws, level)
    return Dependence(of, measured, {name: found[name] for name in ordered}, lead)


def mean_cosine(tallies: Tallies, among: Sequence[str]) -> Statistic:
    """The mean over modalities of the cosine on each; one that no shot has is left out."""
    cosines = [
        mean_of(tally.sums, tally.counts)
        for tally in (tallies.by_modality[name] for name in among)
        if tally.counts.any()
    ]
    return lambda weights: np.mean([cosine(weights) for cosine in cosines], axis=0)


def cosine_lost(whole: Tallies, changed: Tallies, among: Sequence[str]) -> Statistic:
    """How far the mean cosine falls."""
    return difference_of(mean_cosine(changed, among), mean_cosine(whole, among))
