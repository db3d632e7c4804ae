"""The agreement of found with true boundaries, added up over titles, and how sure the sum is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mediafm_cli.evaluate.boundaries.agreement import TOLERANCES, BoundaryScore, Counts

FEWEST_TITLES = 5
"""Of fewer, an interval would say more than is known."""

_RESAMPLES, _AT_ONCE = 10_000, 200  # a resample holds a number for each title


@dataclass(frozen=True)
class TitleScore:
    """The score of one title.

    Attributes:
        store: where the boundaries found were read. ``media``: name of the media file.
        frames: length of the title.
        times_s: of each of the score's mistakes, seconds on the title's clock, interpolated within a shot.
        notes: what a person should know beside it.
    """

    title_id: str
    store: Path
    media: str
    frames: int
    score: BoundaryScore
    times_s: tuple[float, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One kind of boundary.

    Attributes:
        boundaries: ``hard``, ``gradual`` or ``any kind``. ``tolerance``: in frames; ``None`` for any kind.
        f1_95: 95 % interval of F1; ``None`` for few titles, and where there is no F1.
    """

    boundaries: str
    tolerance: int | None
    counts: Counts
    f1_95: tuple[float, float] | None


@dataclass(frozen=True)
class Totals:
    """Counts added up over titles, so that a boundary weighs the same in a short and a long one.

    Attributes:
        mean_iou: of the gradual transitions found with the true ones; ``None`` where none was found.
        mistakes: how many of each kind. ``left_out``: found in ambiguous places.
    """

    titles: int
    frames: int
    rows: tuple[Row, ...]
    mean_iou: float | None
    mistakes: Counter[str]
    left_out: int


def add_up(titles: Sequence[TitleScore]) -> Totals:
    """Add up titles; of a single one, its own score."""
    scores = [title.score for title in titles]
    ious = [iou for score in scores for iou in score.ious]
    return Totals(
        len(titles),
        sum(title.frames for title in titles),
        (
            *(_row("hard", tolerance, [score.hard[tolerance] for score in scores]) for tolerance in TOLERANCES),
            *(_row("gradual", tolerance, [score.gradual[tolerance] for score in scores]) for tolerance in TOLERANCES),
            _row("any kind", None, [score.any_kind for score in scores]),
        ),
        float(np.mean(ious)) if ious else None,
        Counter(str(mistake.kind) for score in scores for mistake in score.mistakes),
        sum(score.left_out for score in scores),
    )


def bootstrap_f1(counts: Sequence[Counts], seed: int = 0) -> tuple[float, float] | None:
    """95 % interval of the F1 of all titles together: the percentile bootstrap, titles drawn with replacement.

    Where no title has a mistake the interval has no width: it cannot tell of mistakes that were never seen.

    Args:
        counts: of each title.

    Returns:
        ``None`` where fewer than ``FEWEST_TITLES`` titles have any boundary.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    if sum(one.true + one.found > 0 for one in counts) < FEWEST_TITLES:
        return None
    of_titles = np.array([(2 * one.hits, one.true + one.found) for one in counts])
    shares = np.full(len(counts), 1 / len(counts))
    rng = np.random.default_rng(seed)
    drawn = (rng.multinomial(len(counts), shares, _AT_ONCE) for _ in range(_RESAMPLES // _AT_ONCE))
    hits, all_of_them = np.concatenate([times @ of_titles for times in drawn]).T
    defined = all_of_them > 0
    low, high = np.percentile(hits[defined] / all_of_them[defined], [2.5, 97.5])
    return float(low), float(high)


def _row(boundaries: str, tolerance: int | None, counts: Sequence[Counts]) -> Row:
    return Row(boundaries, tolerance, sum(counts, Counts()), bootstrap_f1(counts))
