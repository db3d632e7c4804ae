"""Predictions that need no training."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm_cli.model.baselines import copied_blocks, copied_neighbours, mean_vector
from mediafm_cli.model.title import Block, Title

BLOCKS = (Block("video", 0, 3, "v", "1"), Block("audio", 3, 5, "a", "1"))


def test_the_nearest_visible_shot_is_copied_the_earlier_of_two() -> None:
    vectors = np.eye(6, dtype=np.float32)
    vectors[4] = 0  # shows nothing, so there is nothing to copy

    copies = copied_neighbours(vectors, np.array([True, False, True, False, False, True]))

    assert copies.argmax(axis=1).tolist() == [1, 1, 3]


def test_nothing_is_copied_where_no_shot_is_visible() -> None:
    copies = copied_neighbours(np.ones((1, 4), np.float32), np.array([True]))

    assert copies.tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_each_hidden_block_is_copied_from_the_nearest_shot_where_it_is_visible_and_shows_something(seed: int) -> None:
    draws = np.random.default_rng(seed)
    vectors = draws.normal(size=(15, 5)).astype(np.float32)
    vectors[draws.random(15) < 0.3, 3:] = 0
    masked = draws.random((15, 2)) < 0.5

    copies = copied_blocks(vectors, masked, BLOCKS)

    expected = np.zeros((15, 5), np.float32)
    for column, own in enumerate((slice(0, 3), slice(3, 5))):
        shown = [shot for shot in range(15) if not masked[shot, column] and vectors[shot, own].any()]
        for shot in np.flatnonzero(masked[:, column]):
            nearest = min(shown, key=lambda other, shot=shot: (abs(other - shot), other))
            expected[shot, own] = vectors[nearest, own]
    assert np.array_equal(copies, expected)


def test_the_mean_vector_leaves_out_shots_that_show_nothing() -> None:
    first, second = np.array([[1, 0], [0, 0]], np.float32), np.array([[0, 1], [1, 0]], np.float32)
    titles = [Title(str(number), rows, rows != 0, np.arange(2.0)) for number, rows in enumerate((first, second))]

    mean = mean_vector(titles)

    assert mean == pytest.approx([2 / 3, 1 / 3])
