"""Metrics are scikit-learn's and SciPy's on the same scores, ties included, weighted and not."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import average_precision_score

from mediafm_cli.evaluate.bootstrap import draw_counts, interval
from mediafm_cli.evaluate.probes import metrics
from mediafm_cli.evaluate.probes.metrics import (
    kendall_by_title,
    macro_average_precision,
    macro_statistic,
    micro_average_precision,
    micro_statistic,
    rank_titles,
    weighted_average_precision,
)

SPLIT = [20, 35]


@pytest.fixture
def scores() -> np.ndarray:
    """Of 50 shots by three classes, with ties."""
    return np.random.default_rng(4).integers(12, size=(50, 3)) / 12


@pytest.fixture
def several() -> np.ndarray:
    """Of the same shots, any number of three labels."""
    return np.random.default_rng(5).random((50, 3)) < [0.2, 0.5, 0.1]


def by_title(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, SPLIT)


def test_macro_and_micro_are_scikit_learns(scores: np.ndarray, several: np.ndarray) -> None:
    given = by_title(scores), by_title(several)

    assert macro_average_precision(*given) == pytest.approx(average_precision_score(several, scores, average="macro"))
    assert micro_average_precision(*given) == pytest.approx(average_precision_score(several, scores, average="micro"))


def test_of_one_label_a_shot_those_without_are_left_out(scores: np.ndarray) -> None:
    labels = np.random.default_rng(6).integers(-1, 3, size=50)
    known = labels >= 0
    hits = labels[known, None] == np.arange(3)

    found = macro_average_precision(by_title(scores), by_title(labels))

    assert found == pytest.approx(average_precision_score(hits, scores[known], average="macro"))


def test_a_class_that_has_no_score_is_scored_as_a_guess() -> None:
    found = macro_average_precision([np.array([[0.9, 0.1], [0.2, 0.8]])], [np.array([0, 2])])

    assert found == pytest.approx((1 + 1 / 2) / 2)


def test_a_ratio_is_what_negatives_drawn_so_give_on_average() -> None:
    draws = np.random.default_rng(7)
    hits = np.arange(400) < 40
    scores = draws.normal(size=400) + hits
    drawn = []
    for _ in range(400):
        some = np.concatenate([np.arange(40), draws.choice(np.arange(40, 400), 120, replace=False)])
        drawn.append(average_precision_score(hits[some], scores[some]))

    given = [scores[:, None]], [hits[:, None]]
    assert macro_average_precision(*given, 3) == pytest.approx(np.mean(drawn), abs=0.01)
    assert macro_average_precision(*given, 9) == pytest.approx(average_precision_score(hits, scores))


def test_a_ratio_is_scikit_learns_with_sample_weights(scores: np.ndarray, several: np.ndarray) -> None:
    expected = []
    for hits, own in zip(several.T, scores.T, strict=True):
        weights = np.where(hits, 1.0, 3 * hits.sum() / (~hits).sum())
        expected.append(average_precision_score(hits, own, sample_weight=weights))

    assert macro_average_precision(by_title(scores), by_title(several), 3) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("ratio", [None, 3.0])
@pytest.mark.parametrize("cells", [metrics.CELLS, 12])
def test_weighted_average_precision_is_scikit_learns_with_ties(
    ratio: float | None, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "CELLS", cells)
    draws = np.random.default_rng(8)
    hits, scores, titles = draws.random(60) < 0.3, draws.integers(9, size=60) / 9, draws.integers(5, size=60)
    weights = draws.integers(0, 4, size=(6, 5)).astype(float)
    expected = []
    for row in weights:
        counted = row[titles]
        scale = 1.0 if ratio is None else ratio * counted[hits].sum() / counted[~hits].sum()
        expected.append(average_precision_score(hits, scores, sample_weight=counted * np.where(hits, 1.0, scale)))

    found = weighted_average_precision(hits, scores, titles, weights, ratio)

    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_memory_of_many_draws_of_many_shots_is_bounded() -> None:
    draws = np.random.default_rng(5)
    hits, scores = draws.random(40_000) < 0.5, draws.random(40_000)
    titles, weights = draws.integers(4, size=40_000), draw_counts(4, 1000).astype(float)

    tracemalloc.start()
    found = weighted_average_precision(hits, scores, titles, weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 12 * 8 * metrics.CELLS
    drawn = np.repeat(np.arange(40_000), weights[0, titles].astype(int))
    assert found[0] == pytest.approx(average_precision_score(hits[drawn], scores[drawn]))


def test_no_hit_among_the_drawn_titles_is_undefined() -> None:
    hits, titles = np.array([True, False, False]), np.array([0, 1, 1])
    weights = np.array([[0.0, 1.0], [1.0, 0.0]])

    assert np.isnan(weighted_average_precision(hits, np.arange(3.0), titles, weights)).tolist() == [True, False]
    assert np.isnan(weighted_average_precision(hits, np.arange(3.0), titles, weights, 3)).tolist() == [True, True]


def test_the_value_of_an_interval_is_the_metric(scores: np.ndarray, several: np.ndarray) -> None:
    given = by_title(scores), by_title(several)
    ranking, draws = rank_titles(*given), draw_counts(3)

    assert interval(macro_statistic(ranking), draws).value == pytest.approx(macro_average_precision(*given))
    assert interval(macro_statistic(ranking, 3), draws).value == pytest.approx(macro_average_precision(*given, 3))
    assert interval(micro_statistic(ranking), draws).value == pytest.approx(micro_average_precision(*given))


def test_drawing_a_title_twice_is_having_it_twice(scores: np.ndarray, several: np.ndarray) -> None:
    one, two, three = zip(by_title(scores), by_title(several), strict=True)
    drawn = np.array([[2.0, 0.0, 1.0]])

    found = macro_statistic(rank_titles(*zip(one, two, three, strict=True)))(drawn)

    assert found[0] == pytest.approx(macro_average_precision(*zip(one, one, three, strict=True)))


def test_95_percent_intervals_of_average_precision_hold_about_that_often() -> None:
    def make(seed: int, titles: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Two classes, one shot in four a hit; titles differ in how well and how high they are scored."""
        draws = np.random.default_rng([9, seed])
        hits = [draws.random((draws.integers(10, 40), 2)) < 0.25 for _ in range(titles)]
        return [
            of_title * draws.normal(1, 0.5) + draws.normal(0, 0.3) + draws.normal(size=of_title.shape)
            for of_title in hits
        ], hits

    truth = macro_average_precision(*make(0, 20_000))
    held = 0
    for seed in range(1, 301):
        found = interval(macro_statistic(rank_titles(*make(seed, 30))), draw_counts(30, 1000, seed))
        held += found.low <= truth <= found.high

    assert held / 300 == pytest.approx(0.95, abs=0.03)  # a standard error of 1.3 %


def test_kendalls_tau_is_scipys_within_each_title_with_ties() -> None:
    draws = np.random.default_rng(10)
    scores, values = draws.integers(6, size=50) / 6, draws.integers(5, size=50).astype(float)

    taus, counts = kendall_by_title(by_title(scores), by_title(values))

    expected = [kendalltau(*pair).statistic for pair in zip(by_title(scores), by_title(values), strict=True)]
    np.testing.assert_allclose(taus, expected)
    np.testing.assert_array_equal(counts, [1, 1, 1])


def test_titles_without_two_values_that_differ_are_not_ranked_and_equal_scores_rank_nothing() -> None:
    values = [np.array([1.0, 1.0]), np.array([2.0, np.nan]), np.array([1.0, 2.0, np.nan]), np.array([1.0, 2.0])]
    scores = [np.array([0.1, 0.2]), np.array([0.1, 0.2]), np.array([0.3, 0.4, 0.0]), np.array([0.5, 0.5])]

    taus, counts = kendall_by_title(scores, values)

    assert (taus.tolist(), counts.tolist()) == ([0, 0, 1, 0], [0, 0, 1, 1])


def test_nothing_to_score_is_said() -> None:
    with pytest.raises(ValueError, match="no shot has a label"):
        macro_average_precision([np.zeros((2, 3))], [np.array([-1, -1])])
