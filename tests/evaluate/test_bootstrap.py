"""Intervals hold the truth as often as they say, and agree with SciPy's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from intervals import coverage
from scipy import stats

from mediafm_cli.evaluate.bootstrap import (
    ENOUGH_TITLES,
    Interval,
    difference_interval,
    difference_of,
    draw_counts,
    interval,
    mean_interval,
    mean_of,
)

Titles = tuple[np.ndarray, np.ndarray]


def normal_titles(draws: np.random.Generator, titles: int) -> Titles:
    """Titles of 20 to 80 shots; a title's mean is normal around 0.1, and so are its shots. True mean: 0.1."""
    counts = draws.integers(20, 81, titles)
    return counts * draws.normal(0.1, 0.2, titles) + np.sqrt(counts) * draws.normal(0, 0.3, titles), counts


def skewed_titles(draws: np.random.Generator, titles: int) -> Titles:
    """Shots that are right or wrong, in few titles often. True mean: 1 / 5, that of Beta(1, 4)."""
    counts = draws.integers(10, 61, titles)
    return draws.binomial(counts, draws.beta(1, 4, titles)), counts


def share_that_holds(
    make: Callable[[np.random.Generator, int], Titles],
    truth: float,
    of: Callable[[np.ndarray, np.ndarray, np.ndarray], Interval],
    simulations: int,
    titles: int = ENOUGH_TITLES,
) -> float:
    held = 0
    for number in range(simulations):
        sums, counts = make(np.random.default_rng([11, number]), titles)
        found = of(sums, counts, draw_counts(titles, 1000, number))
        held += found.low <= truth <= found.high
    return held / simulations


def general(sums: np.ndarray, counts: np.ndarray, draws: np.ndarray) -> Interval:
    return interval(mean_of(sums, counts), draws)


MADE = [(normal_titles, 0.1), (skewed_titles, 0.2)]


@pytest.mark.parametrize("of", [mean_interval, general])
@pytest.mark.parametrize(("make", "truth"), MADE)
def test_95_percent_intervals_hold_about_that_often(
    make: Callable[[np.random.Generator, int], Titles],
    truth: float,
    of: Callable[[np.ndarray, np.ndarray, np.ndarray], Interval],
) -> None:
    # 500 simulations: a standard error of 1 %.
    assert share_that_holds(make, truth, of, 500) == pytest.approx(0.95, abs=0.03)


@pytest.mark.long
@pytest.mark.parametrize("of", [mean_interval, general])
@pytest.mark.parametrize(("make", "truth"), MADE)
def test_95_percent_intervals_of_enough_titles_hold_93_to_97_percent_of_the_time(
    make: Callable[[np.random.Generator, int], Titles],
    truth: float,
    of: Callable[[np.ndarray, np.ndarray, np.ndarray], Interval],
) -> None:
    # 6,000 simulations: a standard error of 0.3 %.
    assert 0.93 <= share_that_holds(make, truth, of, 6000) <= 0.97


@pytest.mark.long
@pytest.mark.parametrize("occurs", [1.0, 0.3])
def test_95_percent_intervals_of_average_precision_hold_93_to_97_percent_of_the_time(occurs: float) -> None:
    # 3,000 simulations: a standard error of 0.4 %.
    held = coverage(ENOUGH_TITLES, 3000, occurs)

    assert set(held) == {"macro", "micro", "at 1:3"}
    for of_figure, of_difference in held.values():
        assert 0.93 <= of_figure <= 0.97
        assert 0.93 <= of_difference <= 0.97


def test_the_interval_is_scipys_percentile_at_the_widened_level() -> None:
    values = np.random.default_rng(0).exponential(size=20)
    # The variance is a mean of 20 squares: by their kurtosis it has the degrees of freedom of Student's t. The
    # jackknife's standard error is sqrt(n / (n - 1)) times the bootstrap's (Hesterberg 2015).
    freedom = 2 * 20 / (stats.kurtosis(values, fisher=False) - 1)
    assert freedom < 19
    widened = 2 * stats.norm.cdf(np.sqrt(20 / 19) * stats.t.ppf(0.975, freedom)) - 1
    expected = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=widened,
        n_resamples=40_000,
        method="percentile",
        rng=np.random.default_rng(1),
    )

    found = interval(mean_of(values, np.ones(20)), draw_counts(20, 40_000, 2))

    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.confidence_interval.low, rel=0.01)
    assert found.high == pytest.approx(expected.confidence_interval.high, rel=0.01)


def test_the_interval_of_a_mean_of_many_titles_is_students() -> None:
    values = np.random.default_rng(3).normal(size=400)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)

    found = mean_interval(values, np.ones(400), draw_counts(400, 10_000), level=0.9)

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.005)


def test_a_title_weighs_as_many_shots_as_it_has() -> None:
    found = mean_interval(np.array([1.0, 30.0]), np.array([1, 10]), draw_counts(2))

    assert found.value == pytest.approx(31 / 11)


def test_a_difference_is_paired_so_that_what_titles_share_does_not_count() -> None:
    draws = np.random.default_rng(4)
    counts, level = np.full(40, 10), 100 * draws.normal(size=40)
    first, second = level, level + 5 + draws.normal(size=40)

    found = difference_interval(first, second, counts, draw_counts(40))

    assert found.value == pytest.approx(0.5, abs=0.05)
    assert found.high - found.low < 0.1
    general = interval(difference_of(mean_of(first, counts), mean_of(second, counts)), draw_counts(40))
    assert (found.low, found.high) == pytest.approx((general.low, general.high), abs=0.005)


def test_rows_that_do_not_differ_have_an_interval_of_nothing() -> None:
    sums, counts = np.arange(6.0), np.full(6, 3)

    found = difference_interval(sums, sums, counts, draw_counts(6))

    assert found == Interval(0, 0, 0, 0.95)
    assert found.includes_zero


def test_the_order_of_titles_hardly_matters_and_the_seed_decides_the_draws() -> None:
    values = np.random.default_rng(5).normal(size=50)

    one, other = (mean_interval(rows, np.ones(50), draw_counts(50, 10_000)) for rows in (values, values[::-1]))

    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.02)
    np.testing.assert_array_equal(draw_counts(7, 5, seed=1), draw_counts(7, 5, seed=1))
    assert (draw_counts(7, 5).sum(axis=1) == 7).all()


def test_a_single_title_has_no_interval_and_shows_nothing_of_the_sign() -> None:
    for found in (
        mean_interval(np.array([4.0]), np.array([2]), draw_counts(1)),
        interval(lambda w: w[:, 0], draw_counts(1)),
    ):
        assert np.isnan([found.low, found.high]).all()
        assert found.includes_zero


def test_an_interval_is_never_narrower_than_that_of_the_draws() -> None:
    """Without any title, the others' variance is the same: the jackknife has no error, and the draws have."""
    coin = np.array([0.0, 1.0] * 15)

    def variance(weights: np.ndarray) -> np.ndarray:
        share = weights @ coin / weights.sum(axis=1)
        return share * (1 - share)

    draws = draw_counts(30)
    found = interval(variance, draws)

    assert found.low <= np.quantile(variance(draws), 0.025)
    assert found.high == pytest.approx(found.value)


@pytest.mark.parametrize("of", [mean_interval, general])
@pytest.mark.parametrize("titles", [2, 3, 7])
def test_a_few_titles_have_the_interval_of_students_t(
    of: Callable[[np.ndarray, np.ndarray, np.ndarray], Interval], titles: int
) -> None:
    means = np.array([0.1, 0.5, 0.2, -0.9, 0.4, 0.3, -0.1])[:titles]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)

    found = of(4 * means, np.full(titles, 4), draw_counts(titles))

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.includes_zero


def test_an_interval_holds_nothing_that_the_figure_cannot_be() -> None:
    shares = mean_of(np.array([0.1, 1.0, 1.0]), np.ones(3))
    draws = draw_counts(3)

    free, bounded = interval(shares, draws), interval(shares, draws, bounds=(0.0, 1.0))

    assert free.low < 0
    assert free.high > 1
    assert (bounded.value, bounded.low, bounded.high) == (free.value, 0.0, 1.0)


@pytest.mark.parametrize("of", [mean_interval, general])
def test_what_one_title_alone_says_has_no_interval(
    of: Callable[[np.ndarray, np.ndarray, np.ndarray], Interval],
) -> None:
    found = of(np.array([0.0, 3.0, 0.0, 0.0, 0.0]), np.array([0, 6, 0, 0, 0]), draw_counts(5))

    assert found.value == 0.5
    assert np.isnan([found.low, found.high]).all()
    assert found.includes_zero


def test_draws_that_leave_the_figure_undefined_are_left_out() -> None:
    sums, counts = np.array([0.0, 0.0, 3.0, 4.0, 5.0]), np.array([0, 0, 3, 3, 3])

    for found in (mean_interval(sums, counts, draw_counts(5)), interval(mean_of(sums, counts), draw_counts(5))):
        assert found.value == pytest.approx(12 / 9)
        assert np.isfinite([found.low, found.high]).all()


@pytest.mark.parametrize(("low", "high", "includes"), [(-0.1, 0.2, True), (0.0004, 0.2, True), (0.0006, 0.2, False)])
def test_whether_zero_is_inside(low: float, high: float, includes: bool) -> None:
    assert Interval((low + high) / 2, low, high, 0.95).includes_zero == includes
    assert Interval(-(low + high) / 2, -high, -low, 0.95).includes_zero == includes
