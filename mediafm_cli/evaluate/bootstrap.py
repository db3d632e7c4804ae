"""How sure a figure is: a bootstrap that draws whole titles, the same ones for every row of a comparison.

Shots of one title are alike, so titles are what is drawn. The plain percentile interval is too narrow where titles are
few, so means have the studentised one, which measures each draw by its own standard error, and every other figure the
percentile one, widened: by how much larger the jackknife's standard error is, where it is, and as Student's t is wider
than the normal distribution, with the degrees of freedom of a spread to which some titles add much more than others.
Two or three titles can be drawn in too few ways for either, and have Student's t itself.

Sources: Davison and Hinkley, Bootstrap Methods and their Application (1997), 5.2; for the widening, Hesterberg, What
teachers should know about the bootstrap, The American Statistician 69 (2015), "expanded percentile"; for the degrees of
freedom, Satterthwaite, An approximate distribution of estimates of variance components, Biometrics Bulletin 2 (1946).
How often such intervals hold: ``benchmarks/intervals.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

FEWEST_DRAWN = 8
"""Titles that are drawn from. Of fewer, draws of nearly one title alone have hardly any error of their own, and blow
the interval up; these have Student's t."""

ENOUGH_TITLES = 30
"""Below that an interval is not to be trusted: it may hold the truth less often than it says."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""Float [r, titles], how often each title counts → float [r]; NaN where these titles leave it undefined."""


@dataclass(frozen=True)
class Interval:
    """A figure and its confidence interval.

    Attributes:
        low, high: NaN where a single title was measured, or only one says anything: no interval can be had of it.
        level: how often such an interval holds the true value, such as 0.95.
    """

    value: float
    low: float
    high: float
    level: float

    @property
    def includes_zero(self) -> bool:
        """Nothing is shown of the sign, to the third decimal; so too where there is no interval."""
        return not (round(self.low, 3) > 0 or round(self.high, 3) < 0)


def draw_counts(titles: int, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """How often each title is drawn in each resample of as many titles: int64 [resamples, titles]."""
    chances = np.full(titles, 1 / titles)
    return np.random.default_rng(seed).multinomial(titles, chances, size=resamples)


def interval(
    statistic: Statistic, draws: np.ndarray, level: float = 0.95, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """The interval of any figure of weighted titles, such as an average precision: percentiles, widened.

    It ends where the draws do.

    Args:
        statistic: also called with ones, for the value itself, and with each title left out once.
        draws: int [r, titles]; see ``draw_counts``. Give the same to all rows of a comparison.
        bounds: what the figure can be. The interval of a few titles, which a Student's t gives, does not know.
    """
    from scipy.stats import norm, t

    titles = draws.shape[1]
    value = float(statistic(np.ones((1, titles)))[0])
    if titles < 2 or not np.isfinite(value):
        return Interval(value, np.nan, np.nan, level)
    without = statistic(1.0 - np.eye(titles))
    if not np.isfinite(without).all():  # one title alone makes the figure
        return Interval(value, np.nan, np.nan, level)
    error = float(np.sqrt((titles - 1) * without.var()))
    if titles < FEWEST_DRAWN:
        found = _student(value, error, titles, level)
        return replace(found, low=max(found.low, bounds[0]), high=min(found.high, bounds[1]))
    drawn = statistic(draws.astype(np.float64))
    drawn = drawn[np.isfinite(drawn)]
    if not (spread := float(drawn.std())):
        return Interval(value, value, value, level)
    reach = max(error / spread, 1.0) * t.ppf((1 + level) / 2, _degrees_of_freedom(without))
    low, high = np.quantile(drawn, norm.cdf([-reach, reach]))
    return Interval(value, float(low), float(high), level)


def mean_interval(sums: np.ndarray, counts: np.ndarray, draws: np.ndarray, level: float = 0.95) -> Interval:
    """The mean over shots, ``sums.sum() / counts.sum()``, and its studentised interval.

    Args:
        sums, counts: [titles], the sum over the shots of each title, and how many they are.
        draws: int [r, titles].
    """
    sums, counts, weights = (np.asarray(part, np.float64) for part in (sums, counts, draws))
    titles = draws.shape[1]
    value = float(mean_of(sums, counts)(np.ones((1, titles)))[0])
    telling = counts != 0
    number = int(np.count_nonzero(telling))
    if number < 2 or not np.isfinite(value):
        return Interval(value, np.nan, np.nan, level)
    rest = sums - value * counts
    if number < FEWEST_DRAWN:
        _, (error,) = _ratio(rest[telling], counts[telling], np.ones((1, number)))
        return _student(value, float(error), number, level)
    apart, errors = _ratio(rest, counts, weights)
    _, (error,) = _ratio(rest, counts, np.ones((1, titles)))
    told = errors > 1e-6 * error  # a draw of one title again and again has no error of its own, but of rounding
    if not told.any():
        return Interval(value, value, value, level)
    low, high = np.quantile(apart[told] / errors[told], [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(value - high * error), float(value - low * error), level)


def difference_interval(
    first: np.ndarray, second: np.ndarray, counts: np.ndarray, draws: np.ndarray, level: float = 0.95
) -> Interval:
    """How much higher the mean of the second row is than that of the first, over the same shots.

    Args:
        first, second: [titles], the sums of two rows. ``counts``, ``draws``: see ``mean_interval``.
    """
    return mean_interval(np.asarray(second) - first, counts, draws, level)


def mean_of(sums: np.ndarray, counts: np.ndarray) -> Statistic:
    """The mean of ``mean_interval``, for ``interval``."""

    def mean(weights: np.ndarray) -> np.ndarray:
        total, number = weights @ np.asarray(sums, np.float64), weights @ np.asarray(counts, np.float64)
        return np.divide(total, number, out=np.full(len(weights), np.nan), where=number > 0)

    return mean


def difference_of(first: Statistic, second: Statistic) -> Statistic:
    """How much higher the second is than the first, in the same titles."""
    return lambda weights: second(weights) - first(weights)


def _ratio(sums: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row of weights [r, titles], the ratio of the weighted sums and its standard error by linearisation, [r].

    A row in which nothing is counted has an error of 0.
    """
    titles = weights.shape[1]
    number = weights @ counts
    there = number > 0
    ratio = np.divide(weights @ sums, number, out=np.zeros(len(weights)), where=there)
    squares = weights @ sums**2 - 2 * ratio * (weights @ (sums * counts)) + ratio**2 * (weights @ counts**2)
    error = np.sqrt(np.maximum(squares, 0) * titles / (titles - 1))
    return ratio, np.divide(error, number, out=np.zeros(len(weights)), where=there)


def _student(value: float, error: float, titles: int, level: float) -> Interval:
    from scipy.stats import t

    reach = float(t.ppf((1 + level) / 2, titles - 1)) * error
    return Interval(value, value - reach, value + reach, level)


def _degrees_of_freedom(without: np.ndarray) -> float:
    """Those of the figure's variance, from the figure without each title in turn; of titles alike, one less than these.

    The variance is a mean of squares, each title's own; the more these differ, the less sure it is.
    """
    titles = len(without)
    squares = (without - without.mean()) ** 2
    varying = float(squares.var())
    most = titles - 1.0
    return most if varying == 0 else min(most, 2 * titles * float(squares.mean()) ** 2 / varying)
