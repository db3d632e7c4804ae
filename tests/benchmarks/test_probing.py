"""Probes by title, their score, and the interval of a difference."""

from __future__ import annotations

import numpy as np
import pytest
from probing import (
    bootstrap_difference,
    macro_average_precision,
    probe,
    score_titles,
    weighted_average_precision,
)
from sklearn.metrics import average_precision_score


def make_rows(titles: int, shots: int, noise: float, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Three classes as noisy corners; labels of one in ten shots are not given."""
    draws = np.random.default_rng(seed)
    labels = [draws.integers(3, size=shots) for _ in range(titles)]
    features = [np.eye(3)[label] + noise * draws.normal(size=(shots, 3)) for label in labels]
    for label in labels:
        label[draws.random(shots) < 0.1] = -1
    return features, labels


def test_classes_that_stand_apart_are_told_on_new_titles() -> None:
    features, labels = make_rows(9, 30, noise=0.1, seed=0)
    assert probe(features[:6], labels[:6], features[6:], labels[6:]) == pytest.approx(1.0)


def test_noise_is_scored_at_the_share_of_each_class() -> None:
    features, labels = make_rows(30, 100, noise=1e4, seed=1)
    assert probe(features[:15], labels[:15], features[15:], labels[15:]) == pytest.approx(1 / 3, abs=0.05)


def test_the_scale_of_a_feature_does_not_matter() -> None:
    features, labels = make_rows(12, 40, noise=1.0, seed=2)
    scaled = [rows * [1.0, 1e-4, 1e4] + [0.0, 5.0, -7.0] for rows in features]
    plain = score_titles(features[:8], labels[:8], features[8:])
    for one, other in zip(plain, score_titles(scaled[:8], labels[:8], scaled[8:]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_class_that_no_training_shot_has_scores_nothing() -> None:
    features, labels = make_rows(9, 30, noise=0.1, seed=3)
    learned = [np.where(label == 1, -1, label) for label in labels[:6]]
    scores = score_titles(features[:6], learned, features[6:])
    assert all((rows[:, 1] == 0).all() for rows in scores)


def test_the_macro_score_is_the_mean_of_scikit_learns() -> None:
    draws = np.random.default_rng(4)
    scores, labels = draws.random((50, 3)), draws.integers(-1, 3, size=50)
    known = labels >= 0
    expected = np.mean([average_precision_score(labels[known] == kind, scores[known, kind]) for kind in range(3)])
    split = [20, 35]
    assert macro_average_precision(np.split(scores, split), np.split(labels, split)) == pytest.approx(expected)


def test_nothing_to_score_is_said() -> None:
    with pytest.raises(ValueError, match="no shot has a label"):
        macro_average_precision([np.zeros((2, 3))], [np.array([-1, -1])])


def test_weighted_average_precision_is_scikit_learns_with_ties() -> None:
    draws = np.random.default_rng(5)
    hits, scores = draws.random(40) < 0.3, draws.integers(8, size=40) / 8
    weights = draws.integers(0, 4, size=(6, 40))
    expected = [average_precision_score(hits, scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(weighted_average_precision(hits, scores, weights), expected, rtol=1e-10)


def test_a_row_does_not_differ_from_itself() -> None:
    features, labels = make_rows(10, 30, noise=1.0, seed=6)
    found = bootstrap_difference(features, features, labels)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_the_interval_is_about_as_wide_as_differences_of_new_titles_are() -> None:
    def difference(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        features, labels = make_rows(20, 30, noise=0.6, seed=seed)
        draws = np.random.default_rng(1000 + seed)
        return [rows + 0.5 * draws.normal(size=rows.shape) for rows in features], features, labels

    fresh = [bootstrap_difference(*difference(seed), resamples=1).value for seed in range(60)]
    found = [bootstrap_difference(*difference(seed), resamples=400) for seed in range(60, 70)]
    width = np.mean([one.high - one.low for one in found])
    assert width == pytest.approx(2 * 1.96 * np.std(fresh), rel=0.35)
    assert all(one.low < one.value < one.high for one in found)
    assert sum(one.low < np.mean(fresh) < one.high for one in found) >= 8
