"""Masked shot modelling: what is masked, the loss, and the baselines beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm_cli.model.baselines import copied_neighbours, mean_vector
from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import block_cosines, choose_masked, mean_cosines, msm_loss
from mediafm_cli.model.title import Title

MakeTitle = Callable[..., Title]


def cosine_distance(one: torch.Tensor, other: np.ndarray) -> float:
    a, b = one.double().numpy(), other.astype(np.float64)
    return 1 - a @ b / np.sqrt((a @ a) * (b @ b))


@pytest.mark.parametrize(("shots", "expected"), [(1, 1), (2, 1), (5, 1), (10, 2), (100, 20), (512, 102)])
def test_a_fifth_of_the_shots_is_masked_and_at_least_one(shots: int, expected: int) -> None:
    masked = choose_masked(np.ones((shots, 3), np.float32), 0.2, np.random.default_rng(0))

    assert masked.sum() == expected


def test_a_shot_that_shows_nothing_is_never_masked() -> None:
    vectors = np.ones((10, 3), np.float32)
    vectors[[1, 4, 7]] = 0

    drawn = [choose_masked(vectors, 0.5, np.random.default_rng(seed)) for seed in range(50)]

    assert np.any(drawn, axis=0).tolist() == [True, False, True, True, False, True, True, False, True, True]


def test_nothing_is_masked_where_no_shot_shows_anything() -> None:
    masked = choose_masked(np.zeros((4, 3), np.float32), 0.2, np.random.default_rng(0))

    assert not masked.any()


def test_the_loss_is_the_mean_cosine_distance_at_the_masked_shots(config: ModelConfig, make_title: MakeTitle) -> None:
    titles, masks = [make_title(6, 1), make_title(3, 2)], [np.arange(6) % 3 == 0, np.arange(3) == 1]
    batch = collate(titles, config, masks)
    predicted = torch.randn(2, 6, 18, generator=torch.manual_seed(0))

    loss = msm_loss(predicted, batch)

    places = [(0, 0), (0, 3), (1, 1)]
    distances = [cosine_distance(predicted[row, shot], titles[row].vectors[shot]) for row, shot in places]
    assert loss.item() == pytest.approx(np.mean(distances), abs=1e-6)


def test_the_loss_of_a_batch_without_targets_is_zero_and_has_a_gradient(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    batch = collate([make_title(4)], config)
    predicted = torch.randn(1, 4, 18, requires_grad=True)

    msm_loss(predicted, batch).backward()

    assert predicted.grad is not None
    assert not predicted.grad.any()


def test_cosine_by_modality_counts_only_shots_that_have_it(config: ModelConfig, make_title: MakeTitle) -> None:
    title = make_title(6)
    present, vectors = title.present.copy(), title.vectors.copy()
    present[[0, 1], 2], vectors[[0, 1], 12:18] = False, 0  # no text in the first two shots
    masked = np.array([True, True, True, True, False, False])
    batch = collate([replace(title, vectors=vectors, present=present)], config, [masked])
    predicted = torch.randn(1, 6, 18, generator=torch.manual_seed(0))

    cosines = mean_cosines(*block_cosines(predicted, batch, config.layout.blocks), config.layout.blocks)

    def expected(start: int, stop: int, shots: range) -> float:
        pairs = [(predicted[0, shot, start:stop], vectors[shot, start:stop]) for shot in shots]
        return float(np.mean([1 - cosine_distance(*pair) for pair in pairs]))

    assert cosines["video"] == pytest.approx(expected(0, 8, range(4)), abs=1e-6)
    assert cosines["audio"] == pytest.approx(expected(8, 12, range(4)), abs=1e-6)
    assert cosines["text"] == pytest.approx(expected(12, 18, range(2, 4)), abs=1e-6)


def test_a_modality_that_no_masked_shot_has_is_left_out(config: ModelConfig, make_title: MakeTitle) -> None:
    title = make_title(4)
    batch = collate([replace(title, present=title.present & [True, True, False])], config, [np.ones(4, bool)])

    sums_and_counts = block_cosines(torch.randn(1, 4, 18), batch, config.layout.blocks)

    assert set(mean_cosines(*sums_and_counts, config.layout.blocks)) == {"video", "audio"}


def test_the_nearest_visible_shot_is_copied_the_earlier_of_two() -> None:
    vectors = np.eye(6, dtype=np.float32)
    vectors[4] = 0  # shows nothing, so there is nothing to copy

    copies = copied_neighbours(vectors, np.array([True, False, True, False, False, True]))

    assert copies.argmax(axis=1).tolist() == [1, 1, 3]


def test_nothing_is_copied_where_no_shot_is_visible() -> None:
    copies = copied_neighbours(np.ones((1, 4), np.float32), np.array([True]))

    assert copies.tolist() == [[0, 0, 0, 0]]


def test_the_mean_vector_leaves_out_shots_that_show_nothing() -> None:
    first, second = np.array([[1, 0], [0, 0]], np.float32), np.array([[0, 1], [1, 0]], np.float32)
    titles = [Title(str(number), rows, rows != 0) for number, rows in enumerate((first, second))]

    mean = mean_vector(titles)

    assert mean == pytest.approx([2 / 3, 1 / 3])
