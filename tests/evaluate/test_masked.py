"""Scores of hidden shots against formulas written out here, and against SciPy's distances and ranks."""

from __future__ import annotations

import numpy as np
import pytest
from made_titles import BLOCKS, make_title
from scipy.spatial.distance import cosine as cosine_distance
from scipy.stats import rankdata

from mediafm_cli.evaluate.ablation.masked import FOLDS, Fold, Tally, chance, make_folds, score, skill, tally
from mediafm_cli.evaluate.ablation.predictors import Predictor
from mediafm_cli.model.title import Block, Title


def noisy(noise: float, block: Block | None = None) -> Predictor:
    """Predicts the hidden shots themselves and some noise, the same for the same shots."""

    def predict(title: Title, hidden: np.ndarray) -> np.ndarray:
        draws = np.random.default_rng(int(hidden.sum()))
        truth = title.vectors[hidden]
        return truth + noise * draws.normal(size=truth.shape)

    return Predictor("noisy", predict, block)


def fixed(prediction: np.ndarray) -> Predictor:
    return Predictor("fixed", lambda title, hidden: prediction)


def all_hidden(vectors: np.ndarray) -> list[Fold]:
    """One title whose shots, present in the only modality, are all hidden at once."""
    title = Title("title", vectors.astype(np.float32), np.ones((len(vectors), 1), bool), np.arange(len(vectors)) * 4.0)
    return [Fold(title, np.ones(len(vectors), bool))]


def one_block(width: int) -> tuple[Block, ...]:
    return (Block("video", 0, width, "video.a", "1"),)


# --- folds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shots", [1, 3, 5, 13, 40])
def test_every_shot_that_shows_something_is_hidden_exactly_once(shots: int) -> None:
    title = make_title(shots + 2, blank=(0, shots))

    hidden = np.array([fold.hidden for fold in make_folds([title], seed=0)])

    np.testing.assert_array_equal(hidden.sum(axis=0), title.vectors.any(axis=1))


@pytest.mark.parametrize(("shots", "sizes"), [(1, [1]), (3, [1, 1, 1]), (13, [2, 2, 3, 3, 3]), (40, [8] * FOLDS)])
def test_a_fifth_is_hidden_at_a_time(shots: int, sizes: list[int]) -> None:
    folds = make_folds([make_title(shots)], seed=0)

    assert sorted(int(fold.hidden.sum()) for fold in folds) == sizes


def test_a_title_that_shows_nothing_has_no_folds() -> None:
    assert make_folds([make_title(4, blank=(0, 1, 2, 3))], seed=0) == []


def test_folds_do_not_depend_on_the_order_or_the_company_of_titles() -> None:
    one, two = make_title(12, 1), make_title(12, 2)

    together = make_folds([one, two], seed=4)
    turned = make_folds([two, one], seed=4)
    alone = make_folds([two], seed=4)

    expected = [fold.hidden for fold in together if fold.title is two]
    np.testing.assert_array_equal([fold.hidden for fold in turned if fold.title is two], expected)
    np.testing.assert_array_equal([fold.hidden for fold in alone], expected)


def test_folds_differ_between_seeds_and_between_titles() -> None:
    one, two = make_title(20, 1), make_title(20, 2)

    folds = [[fold.hidden for fold in make_folds([t], s)] for t, s in ((one, 0), (one, 1), (two, 0))]

    assert not np.array_equal(folds[0], folds[1])
    assert not np.array_equal(folds[0], folds[2])


# --- cosine -----------------------------------------------------------------------------------------------------------


def test_cosine_is_the_mean_over_shots_not_over_titles() -> None:
    titles = [make_title(4, 1), make_title(17, 2, blank=(3,))]
    predictor = noisy(0.3)
    folds = make_folds(titles, seed=0)

    found = score(predictor, folds, BLOCKS)

    pairs = [
        pair
        for fold in folds
        for pair in zip(predictor.predict(fold.title, fold.hidden), fold.title.vectors[fold.hidden], strict=True)
    ]
    assert found.cosine == pytest.approx(np.mean([1 - cosine_distance(*pair) for pair in pairs]), abs=1e-6)
    assert (found.shots, found.titles) == (20, 2)


def test_a_modality_is_scored_on_its_own_columns_where_it_is_present() -> None:
    title = make_title(30, 3)
    predictor = noisy(0.3)
    folds = make_folds([title], seed=0)

    found = score(predictor, folds, BLOCKS)

    cosines: dict[str, list[float]] = {"video": [], "audio": [], "text": []}
    for fold in folds:
        predicted = predictor.predict(title, fold.hidden)
        for column, block in enumerate(BLOCKS):
            rows = [row for row, shot in enumerate(np.flatnonzero(fold.hidden)) if title.present[shot, column]]
            for row in rows:
                own = slice(block.start, block.stop)
                truth = title.vectors[np.flatnonzero(fold.hidden)[row]]
                cosines[block.name].append(1 - cosine_distance(predicted[row, own], truth[own]))
    expected = {name: np.mean(values) for name, values in cosines.items()}
    assert found.by_modality == pytest.approx(expected, abs=1e-6)


def test_a_tally_keeps_titles_apart_and_its_mean_is_the_score() -> None:
    titles = [make_title(17, 2), make_title(4, 1), make_title(9, 3)]
    predictor = noisy(0.3)

    found = tally(predictor, make_folds(titles, seed=0), BLOCKS)

    alone = [score(predictor, make_folds([title], seed=0), BLOCKS) for title in titles]
    np.testing.assert_array_equal(found.cosine.counts, [17, 4, 9])
    np.testing.assert_allclose(found.cosine.sums / found.cosine.counts, [one.cosine for one in alone])
    np.testing.assert_array_equal(found.by_modality["text"].counts, [title.present[:, 2].sum() for title in titles])
    np.testing.assert_array_equal(found.mrr.counts, [17, 0, 8])  # of 4 and of 9 shots, 4 and 1 are hidden alone
    assert found.scores == score(predictor, make_folds(titles, seed=0), BLOCKS)


def test_a_modality_that_no_shot_has_has_no_score() -> None:
    vectors = np.zeros((3, 13), np.float32)
    vectors[:, :6] = np.eye(3, 6)
    title = Title("title", vectors, np.array([[True, False, False]] * 3), np.arange(3.0))

    found = score(noisy(0.0), make_folds([title], seed=0), BLOCKS)

    assert found.by_modality == {"video": pytest.approx(1), "audio": None, "text": None}


def test_only_the_direction_of_a_prediction_counts() -> None:
    folds = make_folds([make_title(12, 1)], seed=0)
    longer = Predictor("longer", lambda title, hidden: 7 * noisy(0.5).predict(title, hidden))

    plain, scaled = score(noisy(0.5), folds, BLOCKS), score(longer, folds, BLOCKS)

    assert scaled.cosine == pytest.approx(plain.cosine, abs=1e-6)
    assert scaled.mrr == plain.mrr


def test_a_prediction_of_nothing_has_cosine_0_and_no_nan() -> None:
    found = score(fixed(np.zeros((4, 6))), all_hidden(np.eye(4, 6)), one_block(6))

    assert found.cosine == 0
    assert found.by_modality == {"video": 0}


def test_a_perfect_predictor_scores_1_in_everything() -> None:
    found = score(noisy(0.0), make_folds([make_title(25, 1), make_title(9, 2)], seed=0), BLOCKS)

    assert found.cosine == pytest.approx(1, abs=1e-6)
    assert list(found.by_modality.values()) == pytest.approx([1, 1, 1], abs=1e-6)
    assert (found.top1, found.mrr) == (1, 1)


# --- retrieval --------------------------------------------------------------------------------------------------------


def test_ranks_are_those_of_scipy_among_the_shots_hidden_together() -> None:
    titles = [make_title(40, 1), make_title(23, 2)]
    predictor = noisy(0.6)
    folds = make_folds(titles, seed=0)

    found = score(predictor, folds, BLOCKS)

    ranks = []
    for fold in folds:
        truth = fold.title.vectors[fold.hidden]
        for row, prediction in enumerate(predictor.predict(fold.title, fold.hidden)):
            ranks.append(rankdata([cosine_distance(prediction, candidate) for candidate in truth])[row])
    assert max(ranks) > 1
    assert found.top1 == pytest.approx(np.mean(np.array(ranks) == 1))
    assert found.mrr == pytest.approx(np.mean(1 / np.array(ranks)))


def test_shots_that_are_alike_share_the_mean_of_their_ranks() -> None:
    # The prediction is the first axis: shots 0 and 1 are it (ranks 1 and 2), 2 and 3 are orthogonal to it (3 and 4).
    folds = all_hidden(np.eye(3)[[0, 0, 1, 2]])

    found = score(fixed(np.eye(3)[[0, 0, 0, 0]]), folds, one_block(3))

    assert found.top1 == 0
    assert found.mrr == pytest.approx(np.mean([1 / 1.5, 1 / 1.5, 1 / 3.5, 1 / 3.5]))


@pytest.mark.parametrize("alike", [2, 3, 7, 16, 33])
def test_shots_that_are_alike_tie_whatever_their_width(alike: int) -> None:
    row = np.random.default_rng(alike).normal(size=617)
    folds = all_hidden(np.tile(row / np.linalg.norm(row), (alike, 1)))
    prediction = np.random.default_rng(0).normal(size=(alike, 617))

    found = score(fixed(prediction), folds, one_block(617))

    assert found.mrr == pytest.approx(2 / (alike + 1))


def test_a_predictor_of_one_modality_is_asked_to_tell_shots_apart_by_it_alone() -> None:
    title = make_title(30, 5)
    audio = BLOCKS[1]
    folds = [Fold(title, title.present[:, 1])]

    def predict(title: Title, hidden: np.ndarray) -> np.ndarray:
        confused = title.vectors[hidden][::-1].copy()  # every other modality is that of another shot
        confused[:, audio.start : audio.stop] = title.vectors[hidden, audio.start : audio.stop]
        return confused

    assert score(Predictor("audio", predict, audio), folds, BLOCKS).top1 == 1
    assert score(Predictor("all", predict), folds, BLOCKS).top1 != 1


def test_there_is_no_retrieval_where_no_two_shots_are_hidden_together() -> None:
    folds = make_folds([make_title(5, 1)], seed=0)

    found = score(noisy(0.1), folds, BLOCKS)

    assert (found.top1, found.mrr) == (None, None)
    assert chance(folds) == (None, None)


# --- chance and skill -------------------------------------------------------------------------------------------------


def test_chance_is_what_random_guesses_reach() -> None:
    folds = make_folds([make_title(13, 1), make_title(31, 2), make_title(4, 3)], seed=0)
    sizes = [int(fold.hidden.sum()) for fold in folds]
    draws = np.random.default_rng(0)
    guessed = np.concatenate([draws.integers(1, size + 1, size=(20_000, size)) for size in sizes if size > 1], axis=1)

    top1, mrr = chance(folds)

    assert top1 == pytest.approx((guessed == 1).mean(), abs=0.003)
    assert mrr == pytest.approx((1 / guessed).mean(), abs=0.003)


@pytest.mark.parametrize(
    ("cosine", "baseline", "expected"),
    [(1.0, 0.3, 1.0), (0.3, 0.3, 0.0), (0.65, 0.3, 0.5), (0.1, 0.55, -1.0), (0.2, 1.0, None), (0.2, 1 - 2**-53, None)],
)
def test_skill_is_the_share_of_the_baselines_distance_that_is_gone(
    cosine: float, baseline: float, expected: float | None
) -> None:
    found = skill(Tally(np.array([3 * cosine]), np.array([3])), Tally(np.array([3 * baseline]), np.array([3])))

    assert found.mean == pytest.approx(expected)
