"""Linear probes: they find what is planted, at chance on noise, and never learn from a title that they are asked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from mediafm_cli.evaluate.probes import probing
from mediafm_cli.evaluate.probes.probing import cross_validate, figure, fold_titles, probe, ranks_within, score_titles


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


def test_it_is_scikit_learns_logistic_regression_at_the_strength_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "STRENGTHS", (0.05,))
    features, labels = make_rows(8, 30, noise=1.0, seed=4)
    known = np.concatenate(labels[:6]) >= 0
    rows, given = np.concatenate(features[:6])[known], np.concatenate(labels[:6])[known]
    scaler = StandardScaler().fit(rows)
    expected = LogisticRegression(C=0.05, tol=1e-8, max_iter=1000).fit(scaler.transform(rows), given)

    found = np.concatenate(score_titles(features[:6], labels[:6], features[6:]))

    wanted = expected.predict_proba(scaler.transform(np.concatenate(features[6:])))
    np.testing.assert_allclose(found, wanted, atol=2e-3)


@pytest.mark.filterwarnings("error")
def test_a_probe_that_is_not_done_when_its_steps_are_spent_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = make_rows(8, 30, noise=1.0, seed=4)
    done = np.concatenate(score_titles(features[:6], labels[:6], features[6:]))
    monkeypatch.setattr(probing, "STEPS", 1)

    begun = np.concatenate(score_titles(features[:6], labels[:6], features[6:]))

    assert np.isfinite(begun).all()
    assert not np.allclose(begun, done, atol=1e-3)


def test_a_strength_is_chosen_that_does_well_on_titles_that_were_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(5)
    labels = [draws.integers(2, size=12) for _ in range(80)]
    features = [np.c_[label + draws.normal(0, 2, 12), draws.normal(size=(12, 150))] for label in labels]
    fitted, asked = slice(0, 24), slice(24, 80)

    def at(strengths: tuple[float, ...]) -> float:
        monkeypatch.setattr(probing, "STRENGTHS", strengths)
        return probe(features[fitted], labels[fitted], features[asked], labels[asked])

    weak, strong = at((100.0,)), at((0.0001,))
    assert strong > weak + 0.02
    assert at((0.0001, 100.0)) == strong


def test_several_labels_a_shot_are_each_found() -> None:
    draws = np.random.default_rng(6)
    labels = [draws.random((40, 3)) < [0.5, 0.2, 0.1] for _ in range(12)]
    features = [label + 0.1 * draws.normal(size=label.shape) for label in labels]

    for task in ("multilabel", "retrieval"):
        assert probe(features[:8], labels[:8], features[8:], labels[8:], task) == pytest.approx(1, abs=0.01)
    noise = [draws.normal(size=(40, 3)) for _ in range(12)]
    assert probe(noise[:8], labels[:8], noise[8:], labels[8:], "multilabel") == pytest.approx(0.8 / 3, abs=0.08)
    # One positive to three negatives: a guess is right in one case of four.
    assert probe(noise[:8], labels[:8], noise[8:], labels[8:], "retrieval") == pytest.approx(1 / 4, abs=0.08)


def test_an_order_within_titles_is_found_whatever_their_level() -> None:
    draws = np.random.default_rng(7)
    found = [draws.random(20) for _ in range(12)]
    features = [np.c_[own + 0.02 * draws.normal(size=20), draws.normal(size=(20, 5))] for own in found]
    values = [100 * draws.normal() + own for own in found]
    values[0][3] = np.nan

    assert probe(features[:8], values[:8], features[8:], values[8:], "ranking") > 0.85
    assert probe(features[:8], values[:8], [row[:, ::-1] for row in features[8:]], values[8:], "ranking") < 0.3


def test_of_noise_no_order_is_found() -> None:
    found = []
    for seed in range(8):
        draws = np.random.default_rng([7, seed])
        features = [draws.normal(size=(10, 20)) for _ in range(20)]
        values = [draws.normal(size=10) for _ in range(20)]
        found.append(figure(cross_validate(features, values, fold_titles(20, 5, seed), "ranking"), values, "ranking"))

    assert np.mean(found) == pytest.approx(0, abs=0.08)


def test_a_ranking_is_scikit_learns_ridge_on_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PENALTIES", (7.0,))
    draws = np.random.default_rng(8)
    features, values = [draws.normal(size=(10, 4)) for _ in range(6)], [draws.normal(size=10) for _ in range(6)]
    scaler = StandardScaler().fit(np.concatenate(features[:4]))
    ranks = np.concatenate([np.argsort(np.argsort(own)) / 9 - 0.5 for own in values[:4]])
    expected = Ridge(alpha=7).fit(scaler.transform(np.concatenate(features[:4])), ranks)

    found = np.concatenate(score_titles(features[:4], values[:4], features[4:], "ranking"))

    np.testing.assert_allclose(found, expected.predict(scaler.transform(np.concatenate(features[4:]))))


def test_ranks_go_from_minus_a_half_to_a_half_in_each_title_with_ties_between() -> None:
    values, titles = np.array([3.0, 9.0, 9.0, 50.0, 1.0, 2.0, 7.0]), np.array([0, 0, 0, 0, 1, 1, 2])

    found = ranks_within(values, titles)

    np.testing.assert_allclose(found, [-1 / 2, 0, 0, 1 / 2, -1 / 2, 1 / 2, 0])
    assert spearmanr(found[:4], values[:4]).statistic == pytest.approx(1)


def test_every_title_is_scored_by_a_probe_that_did_not_learn_from_it() -> None:
    """Each title has a direction of its own: who has seen it knows its labels, and who has not knows nothing."""
    draws = np.random.default_rng(9)
    labels = [draws.integers(2, size=30) for _ in range(12)]
    features = [np.outer(2 * label - 1, row).astype(float) for label, row in zip(labels, np.eye(12), strict=True)]

    scores = cross_validate(features, labels, fold_titles(12, 4, 0), "multiclass")

    assert probe(features, labels, features, labels) == pytest.approx(1)
    assert figure(scores, labels, "multiclass") == pytest.approx(0.5, abs=0.1)


def test_probes_that_know_nothing_rank_like_a_guess_though_a_class_rare_in_a_fold_is_common_in_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probing, "STRENGTHS", (0.001,))
    found, guessed = [], []
    for seed in range(30):
        draws = np.random.default_rng([10, seed])
        labels = [(draws.random(8) < draws.beta(2, 2)).astype(int) for _ in range(12)]
        features = [draws.normal(size=(8, 2)) for _ in range(12)]
        scores = cross_validate(features, labels, fold_titles(12, 4, seed), "multiclass")
        found.append(figure(scores, labels, "multiclass"))
        guessed.append(figure([draws.random((8, 2)) for _ in range(12)], labels, "multiclass"))

    # Scores as the probes give them would be 0.09 lower.
    assert np.mean(found) == pytest.approx(np.mean(guessed), abs=0.03)


def test_within_a_fold_scores_keep_their_order_and_a_class_that_no_title_has_is_never_found() -> None:
    draws = np.random.default_rng(11)
    labels = [draws.integers(2, size=10) for _ in range(8)]
    features = [draws.normal(size=(10, 3)) for _ in range(8)]
    folds = fold_titles(8, 4, 0)
    learn, ask = np.flatnonzero(folds != 0), np.flatnonzero(folds == 0)
    probed = score_titles(
        *([rows[title] for title in learn] for rows in (features, labels)), [features[t] for t in ask]
    )

    moved = cross_validate(features, labels, folds, "multiclass")
    several = cross_validate(features, [np.eye(3, dtype=bool)[own] for own in labels], folds, "multilabel")

    one, other = (np.concatenate(rows) for rows in (probed, [moved[title] for title in ask]))
    np.testing.assert_array_equal(np.argsort(one, axis=0), np.argsort(other, axis=0))
    assert not np.concatenate(several)[:, 2].any()


def test_folds_are_of_one_size_and_follow_the_seed() -> None:
    assert sorted(np.bincount(fold_titles(13, 5, 0))) == [2, 2, 3, 3, 3]
    np.testing.assert_array_equal(fold_titles(13, 5, 4), fold_titles(13, 5, 4))
    assert (fold_titles(13, 5, 4) != fold_titles(13, 5, 5)).any()
