"""What each predictor says of a hidden shot, and that none of them looks at it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_titles import BLOCKS, LAYOUT, make_parts, make_title

from mediafm_cli.evaluate.predictors import (
    Predictor,
    flat_predictors,
    mean_predictor,
    model_predictor,
    predict_hidden,
    window_predictor,
    without_modality,
    zeroed_predictor,
)
from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.fusion import Normalize, fuse_shots
from mediafm_cli.model.msm import hide_shots
from mediafm_cli.model.transformer import MediaFM

MODEL = MediaFM.seeded(ModelConfig(LAYOUT, hidden=16, layers=1, heads=2, max_shots=8), 0).eval()
PREDICTORS = (
    *flat_predictors(BLOCKS),
    mean_predictor(np.arange(13, dtype=np.float32)),
    window_predictor(),
    model_predictor("model", MODEL),
    *(zeroed_predictor(MODEL, column) for column in range(3)),
)


def hide(shots: int, *hidden: int) -> np.ndarray:
    mask = np.zeros(shots, bool)
    mask[list(hidden)] = True
    return mask


def named(predictor: Predictor) -> str:
    return predictor.name


@pytest.mark.parametrize("predictor", PREDICTORS, ids=named)
def test_no_predictor_looks_at_a_hidden_shot(predictor: Predictor) -> None:
    title = make_title(20, 1, blank=(4,))
    hidden = hide(20, 0, 3, 7, 8, 9, 15, 19)
    changed = title.vectors.copy()
    changed[hidden] = make_title(20, 2).vectors[hidden]
    present = title.present.copy()
    present[hidden] = ~present[hidden]

    before = predictor.predict(title, hidden)
    after = predictor.predict(replace(title, vectors=changed, present=present), hidden)

    assert before.shape == (7, 13)
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("predictor", [p for p in PREDICTORS if p.name != "mean vector"], ids=named)
def test_every_predictor_but_the_mean_looks_at_the_visible_shots(predictor: Predictor) -> None:
    hidden = hide(8, 2, 5)

    one, two = predictor.predict(make_title(8, 1), hidden), predictor.predict(make_title(8, 2), hidden)

    assert not np.allclose(one, two)


@pytest.mark.parametrize("predictor", PREDICTORS, ids=named)
def test_a_title_that_is_hidden_altogether_is_predicted_without_nan(predictor: Predictor) -> None:
    found = predictor.predict(make_title(6, 1), np.ones(6, bool))

    assert found.shape == (6, 13)
    assert np.isfinite(found).all()


# --- copies and means -------------------------------------------------------------------------------------------------


def test_all_flat_copies_the_nearest_visible_shot_and_of_two_the_earlier() -> None:
    title = make_title(7, 1, blank=(2,))
    all_flat = list(flat_predictors(BLOCKS))[-1]

    found = all_flat.predict(title, hide(7, 0, 3, 5))

    # 0: 1 is nearest. 3: 2 is visible but blank, so 4. 5: 4 and 6 are equally near.
    np.testing.assert_array_equal(found, title.vectors[[1, 4, 4]])


@pytest.mark.parametrize("column", [0, 1, 2])
def test_one_modality_flat_copies_it_from_the_nearest_shot_that_has_it(column: int) -> None:
    title = make_title(16, 3)
    block = BLOCKS[column]
    predictor = list(flat_predictors(BLOCKS))[column]
    hidden = hide(16, 1, 6, 7, 12)

    found = predictor.predict(title, hidden)

    has = [shot for shot in range(16) if title.present[shot, column] and not hidden[shot]]
    nearest = [min(has, key=lambda other, shot=shot: (abs(other - shot), other)) for shot in (1, 6, 7, 12)]
    expected = np.zeros((4, 13))
    expected[:, block.start : block.stop] = title.vectors[nearest, block.start : block.stop]
    np.testing.assert_array_equal(found, expected)
    assert predictor.block == block


def test_the_window_mean_is_over_visible_shots_at_most_two_away_that_show_something() -> None:
    title = make_title(9, 1, blank=(5,))

    found = window_predictor().predict(title, hide(9, 0, 4, 8))

    expected = [title.vectors[near].mean(axis=0) for near in ([1, 2], [2, 3, 6], [6, 7])]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_window_mean_falls_back_to_the_nearest_visible_shot() -> None:
    title = make_title(9, 1)

    found = window_predictor().predict(title, hide(9, 0, 1, 2, 3, 4, 5, 6))

    np.testing.assert_allclose(found[:5], np.tile(title.vectors[7], (5, 1)))


def test_the_mean_vector_is_the_same_for_every_hidden_shot() -> None:
    mean = np.arange(13, dtype=np.float32)

    np.testing.assert_array_equal(mean_predictor(mean).predict(make_title(5), hide(5, 1, 2)), [mean, mean])


# --- the transformer --------------------------------------------------------------------------------------------------


def test_the_model_predicts_each_hidden_shot_of_a_title_that_fits() -> None:
    title = make_title(8, 1)
    hidden = hide(8, 1, 6)

    found = predict_hidden(MODEL, title, hidden)

    with torch.no_grad():
        expected = MODEL(collate([title], MODEL.config, [hide_shots(hidden, 3)])).predicted.numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_hidden_shot_is_predicted_even_where_it_shows_nothing_or_nothing_but_what_is_taken_away() -> None:
    title, hidden = make_title(20, 1, blank=(4, 9)), hide(20, 3, 4, 9, 12)
    only_video = replace(title, present=title.present & [True, False, False])

    assert predict_hidden(MODEL, title, hidden).shape == (4, 13)
    assert zeroed_predictor(MODEL, 0).predict(only_video, hidden).shape == (4, 13)


def test_nothing_is_predicted_where_nothing_is_hidden() -> None:
    assert predict_hidden(MODEL, make_title(20, 1), np.zeros(20, bool)).shape == (0, 13)


def test_a_long_title_is_predicted_in_consecutive_windows() -> None:
    title = make_title(19, 1)
    hidden = hide(19, 0, 7, 8, 18)

    found = predict_hidden(MODEL, title, hidden)

    windows = [predict_hidden(MODEL, title.window(at, at + 8), hidden[at : at + 8]) for at in (0, 8, 16)]
    np.testing.assert_allclose(found, np.concatenate(windows), atol=1e-6)


def test_a_model_in_training_mode_is_measured_without_dropout() -> None:
    model = MediaFM.seeded(MODEL.config, 0).train()
    title, hidden = make_title(8, 1), hide(8, 3)

    np.testing.assert_array_equal(predict_hidden(model, title, hidden), predict_hidden(model, title, hidden))


@pytest.mark.parametrize("normalize", ["none", "per-modality"])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_without_a_modality_a_title_is_as_if_it_had_been_fused_without_it(column: int, normalize: Normalize) -> None:
    title = make_title(30, 2, normalize=normalize)
    vectors, present = make_parts(30, 2)
    present[column] = np.zeros(30, bool)
    expected = fuse_shots(vectors, present, normalize)

    found = without_modality(title, BLOCKS[column], column)

    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)
    np.testing.assert_array_equal(found.present, expected.present)


def test_zeroing_leaves_the_title_as_it_was_and_changes_the_prediction() -> None:
    title, hidden = make_title(8, 1), hide(8, 3)
    before = title.vectors.copy()

    zeroed = zeroed_predictor(MODEL, 0).predict(title, hidden)

    np.testing.assert_array_equal(title.vectors, before)
    assert not np.allclose(zeroed, predict_hidden(MODEL, title, hidden))
    np.testing.assert_array_equal(zeroed, predict_hidden(MODEL, without_modality(title, BLOCKS[0], 0), hidden))
