"""What each predictor says of a hidden shot, and that none of them looks at it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_titles import BLOCKS, LAYOUT, make_title

from mediafm_cli.evaluate.ablation.interventions import without
from mediafm_cli.evaluate.ablation.masked import make_folds
from mediafm_cli.evaluate.ablation.predictors import (
    Predictor,
    flat_predictors,
    isolated_predictor,
    mean_predictor,
    model_predictor,
    predict_hidden,
    shuffled_predictor,
    window_predictor,
)
from mediafm_cli.evaluate.probes.features import shuffled_order
from mediafm_cli.model.batch import Batch, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import hide_shots
from mediafm_cli.model.title import MetadataSource
from mediafm_cli.model.transformer import MediaFM, Output

MODEL = MediaFM.seeded(ModelConfig(LAYOUT, hidden=16, layers=1, heads=2, max_shots=8), 0).eval()
PREDICTORS = (
    *flat_predictors(BLOCKS),
    mean_predictor(np.arange(13, dtype=np.float32)),
    window_predictor(2),
    model_predictor("model", MODEL),
    shuffled_predictor("shuffled", MODEL, 5),
    isolated_predictor("isolated", MODEL),
    *(model_predictor(one.name, MODEL, one.change) for one in map(without, BLOCKS, range(3))),
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


@pytest.mark.parametrize("predictor", [p for p in PREDICTORS if p.name not in ("mean vector", "isolated")], ids=named)
def test_every_other_predictor_looks_at_the_visible_shots(predictor: Predictor) -> None:
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

    found = window_predictor(2).predict(title, hide(9, 0, 4, 8))

    expected = [title.vectors[near].mean(axis=0) for near in ([1, 2], [2, 3, 6], [6, 7])]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_window_mean_falls_back_to_the_nearest_visible_shot() -> None:
    title = make_title(9, 1)

    found = window_predictor(2).predict(title, hide(9, 0, 1, 2, 3, 4, 5, 6))

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
    assert predict_hidden(MODEL, without(BLOCKS[0], 0).change(only_video), hidden).shape == (4, 13)


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


def test_shuffled_shots_are_predicted_from_the_same_shots_in_another_order() -> None:
    title, hidden = make_title(8, 1), hide(8, 1, 6, 7)
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    class Spy(MediaFM):
        def forward(self, batch: Batch) -> Output:
            seen.append((batch.vectors.numpy(), batch.masked.numpy()[:, 0]))
            rows = batch.vectors[batch.target_rows]
            return Output(rows, rows, rows, rows)

    found = shuffled_predictor("shuffled", Spy(MODEL.config), 5).predict(title, hidden)

    ((vectors, masked),) = seen
    order = [int(np.flatnonzero((title.vectors == row).all(axis=1))[0]) for row in vectors]
    assert sorted(order) == list(range(8)) != order
    np.testing.assert_array_equal(masked, hidden[order])
    # The spy says what is at the place of each hidden shot: each prediction is given to the shot it was made for.
    np.testing.assert_array_equal(found, title.vectors[hidden])


def test_what_is_hidden_together_does_not_come_to_stand_in_a_row_when_shots_are_shuffled() -> None:
    title = make_title(100, 1)

    moved = [fold.hidden[shuffled_order(title, 0)] for fold in make_folds([title], 0)]

    runs = [int(np.diff(np.flatnonzero(np.diff([False, *hidden, False]))[::2]).size) + 1 for hidden in moved]
    assert min(runs) > 8  # of 20 shots that are hidden


def test_an_isolated_shot_is_predicted_from_global_alone() -> None:
    model = MediaFM.seeded(replace(MODEL.config, layout=replace(LAYOUT, metadata=MetadataSource(4, "text.a", "9"))), 0)
    title = replace(make_title(8, 1), metadata=np.ones(4, np.float32))
    hidden = hide(8, 1, 6)
    isolated = isolated_predictor("isolated", model)

    found = isolated.predict(title, hidden)
    other_shots = isolated.predict(replace(make_title(8, 2), metadata=title.metadata), hidden)
    other_title = isolated.predict(replace(title, metadata=None), hidden)

    np.testing.assert_allclose(
        found, predict_hidden(model, title.window(0, 1), hide(1, 0)).repeat(2, axis=0), atol=1e-6
    )
    np.testing.assert_array_equal(other_shots, found)
    assert not np.allclose(other_title, found)


def test_a_change_is_what_the_model_is_shown_and_leaves_the_title_as_it_was() -> None:
    title, hidden = make_title(8, 1), hide(8, 3)
    before, zeroed = title.vectors.copy(), without(BLOCKS[0], 0)

    found = model_predictor("zeroed", MODEL, zeroed.change).predict(title, hidden)

    np.testing.assert_array_equal(title.vectors, before)
    assert not np.allclose(found, predict_hidden(MODEL, title, hidden))
    np.testing.assert_array_equal(found, predict_hidden(MODEL, zeroed.change(title), hidden))
