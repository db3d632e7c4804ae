"""The loss and the cosines by modality, against formulas in NumPy's float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm_cli.model.batch import Batch, Masks, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import Distances, hide_shots, mean_cosines, mean_distance, measure, term_weights
from mediafm_cli.model.title import Title

MakeTitle = Callable[..., Title]
EDGES = ((0, 8), (8, 12), (12, 18))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    return a @ b / np.sqrt((a @ a) * (b @ b))


def some_weights(shots: int, seed: int) -> np.ndarray:
    """Whole shots and single blocks that are hidden, some that are not and count 0.25, and some that do not count."""
    weights = np.random.default_rng(seed).choice([0, 0.25, 1], size=(shots, 3))
    weights[0], weights[1], weights[2] = 0, 1, [1, 0.25, 0]
    return weights


@pytest.fixture
def asked(config: ModelConfig, make_title: MakeTitle) -> tuple[Batch, np.ndarray, np.ndarray]:
    """A batch, a prediction for all of its shots, [13, D], and how much each of their blocks counts, [13, m]."""
    weights = [some_weights(9, 0), some_weights(4, 1)]
    masks = [Masks(weight == 1, weight) for weight in weights]
    batch = collate([make_title(9, 1), make_title(4, 2)], config, masks)
    predicted = np.random.default_rng(5).normal(size=(13, 18)).astype(np.float32)
    return batch, predicted, np.concatenate(weights)


def judge(rows: torch.Tensor, batch: Batch, config: ModelConfig, loss: str) -> Distances:
    """``rows`` are predicted, and the vectors as they are were there."""
    return measure(rows, batch.vectors[batch.target_rows], batch, config.layout.blocks, loss)


def loss_of(batch: Batch, predicted: np.ndarray, config: ModelConfig, loss: str) -> float:
    rows = torch.from_numpy(predicted)[batch.target_rows]
    found = judge(rows, batch, config, loss)
    return mean_distance(found.sums, term_weights(batch, loss)).item()


def test_the_vector_loss_is_the_weighted_mean_cosine_distance(
    config: ModelConfig, asked: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    batch, predicted, weights = asked
    truth = batch.vectors.numpy()

    distances = [1 - cosine(*pair) for pair in zip(predicted, truth, strict=True)]
    expected = np.average(distances, weights=weights.max(axis=1))

    assert loss_of(batch, predicted, config, "vector") == pytest.approx(expected, abs=1e-6)


def test_the_block_loss_is_the_mean_over_modalities_of_their_weighted_mean_cosine_distances(
    config: ModelConfig, asked: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    batch, predicted, weights = asked
    truth = batch.vectors.numpy()

    means = []
    for column, (start, stop) in enumerate(EDGES):
        pairs = zip(predicted[:, start:stop], truth[:, start:stop], strict=True)
        means.append(np.average([1 - cosine(*pair) for pair in pairs], weights=weights[:, column]))

    assert loss_of(batch, predicted, config, "blocks") == pytest.approx(np.mean(means), abs=1e-6)


def test_cosine_by_modality_counts_only_what_is_hidden_and_present(
    config: ModelConfig, asked: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    batch, predicted, weights = asked
    truth = batch.vectors.numpy()

    for loss in ("vector", "blocks"):
        found = judge(torch.from_numpy(predicted)[batch.target_rows], batch, config, loss)
        cosines = mean_cosines(found.cosines, found.counts, config.layout.blocks)

        for column, (name, (start, stop)) in enumerate(zip(("video", "audio", "text"), EDGES, strict=True)):
            hidden = np.flatnonzero(weights[:, column] == 1)
            expected = np.mean([cosine(predicted[shot, start:stop], truth[shot, start:stop]) for shot in hidden])
            assert cosines[name] == pytest.approx(expected, abs=1e-6)
            assert found.counts[column] == len(hidden)


@pytest.mark.parametrize("loss", ["vector", "blocks"])
def test_sums_of_several_batches_add_up(
    config: ModelConfig, make_title: MakeTitle, asked: tuple[Batch, np.ndarray, np.ndarray], loss: str
) -> None:
    batch, predicted, weights = asked
    parts = [
        collate([make_title(shots, seed)], config, [Masks(weights[own] == 1, weights[own])])
        for shots, seed, own in ((9, 1, slice(0, 9)), (4, 2, slice(9, 13)))
    ]
    rows = [
        torch.from_numpy(predicted[own])[part.target_rows]
        for own, part in zip((slice(9), slice(9, 13)), parts, strict=True)
    ]

    found = [judge(*pair, config, loss) for pair in zip(rows, parts, strict=True)]

    total = mean_distance(sum(one.sums for one in found), sum(term_weights(part, loss) for part in parts))
    assert total.item() == pytest.approx(loss_of(batch, predicted, config, loss), abs=1e-6)


def test_a_modality_of_which_nothing_is_asked_is_left_out_of_the_mean(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    weights = np.tile([1.0, 0.0, 1.0], (4, 1))
    title = make_title(4)
    batch = collate([title], config, [Masks(weights == 1, weights)])
    predicted = np.random.default_rng(0).normal(size=(4, 18)).astype(np.float32)

    found = judge(torch.from_numpy(predicted), batch, config, "blocks")

    distances = [
        np.mean([1 - cosine(predicted[shot, own], title.vectors[shot, own]) for shot in range(4)])
        for own in (slice(0, 8), slice(12, 18))
    ]
    assert mean_distance(found.sums, term_weights(batch, "blocks")).item() == pytest.approx(
        np.mean(distances), abs=1e-6
    )
    assert set(mean_cosines(found.cosines, found.counts, config.layout.blocks)) == {"video", "text"}


@pytest.mark.parametrize("loss", ["vector", "blocks"])
def test_only_the_direction_of_a_prediction_counts(
    config: ModelConfig, asked: tuple[Batch, np.ndarray, np.ndarray], loss: str
) -> None:
    batch, predicted, _ = asked

    assert loss_of(batch, 7 * predicted, config, loss) == pytest.approx(loss_of(batch, predicted, config, loss))
    assert loss_of(batch, 3 * batch.vectors.numpy(), config, loss) == pytest.approx(0, abs=1e-6)


def test_the_length_of_a_block_as_a_share_of_the_true_one_is_held_against_its_cosine(
    config: ModelConfig, asked: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    batch, predicted, weights = asked
    truth = batch.vectors.numpy()

    found = judge(torch.from_numpy(predicted)[batch.target_rows], batch, config, "blocks")

    for column, (start, stop) in enumerate(EDGES):
        parts = zip(predicted[:, start:stop], truth[:, start:stop], weights[:, column], strict=True)
        expected = sum(
            weight * (np.linalg.norm(guess) / np.linalg.norm(there) - cosine(guess, there)) ** 2
            for guess, there, weight in parts
            if weight
        )
        assert found.length_errors[column].item() == pytest.approx(expected, rel=1e-5)


def test_a_length_is_taught_without_turning_the_prediction(
    config: ModelConfig, asked: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    batch, predicted, _ = asked
    rows = torch.from_numpy(predicted)[batch.target_rows].requires_grad_()

    judge(rows, batch, config, "blocks").length_errors.sum().backward()

    assert rows.grad is not None
    for start, stop in EDGES:
        gradient, part = rows.grad[:, start:stop], rows.detach()[:, start:stop]
        along = (gradient * part).sum(dim=-1, keepdim=True) / part.square().sum(dim=-1, keepdim=True) * part
        torch.testing.assert_close(gradient, along)


def test_the_length_of_a_whole_vector_is_held_against_its_cosine(
    config: ModelConfig, asked: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    batch, predicted, weights = asked

    found = judge(torch.from_numpy(predicted)[batch.target_rows], batch, config, "vector")

    rows = zip(predicted, batch.vectors.numpy(), weights.max(axis=1), strict=True)
    lengths = [
        weight * (np.linalg.norm(guess) / np.linalg.norm(there) - cosine(guess, there)) ** 2
        for guess, there, weight in rows
    ]
    assert found.length_errors.item() == pytest.approx(sum(lengths), rel=1e-5)


@pytest.mark.parametrize("loss", ["vector", "blocks"])
def test_the_loss_of_a_batch_without_targets_is_zero_and_has_a_gradient(
    config: ModelConfig, make_title: MakeTitle, loss: str
) -> None:
    batch = collate([make_title(4)], config, [hide_shots(np.zeros(4, bool), 3)])
    weight = torch.ones(18, requires_grad=True)

    found = judge(batch.vectors[batch.target_rows] * weight, batch, config, loss)
    total = mean_distance(found.sums, term_weights(batch, loss))
    total.backward()

    assert total.item() == 0
    assert weight.grad is not None
    assert not weight.grad.any()


def test_a_prediction_in_half_precision_is_compared_in_float32(
    config: ModelConfig, asked: tuple[Batch, np.ndarray, np.ndarray]
) -> None:
    batch, predicted, _ = asked
    half = torch.from_numpy(predicted)[batch.target_rows].bfloat16()

    found = judge(half, batch, config, "blocks")

    exact = judge(half.float(), batch, config, "blocks")
    assert torch.equal(found.sums, exact.sums)


def test_a_batch_of_which_nothing_is_known_cannot_be_judged(config: ModelConfig, make_title: MakeTitle) -> None:
    batch = replace(collate([make_title(4)], config))

    with pytest.raises(ValueError, match="nothing is asked"):
        term_weights(batch, "blocks")
