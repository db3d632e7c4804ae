"""Nearest shots of other titles, against a search written out shot by shot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine as cosine_distance

from mediafm_cli.evaluate.neighbours import nearest_elsewhere, share_alike, window_means


def test_the_nearest_are_those_of_the_smallest_cosine_distance_in_other_titles() -> None:
    vectors = np.random.default_rng(0).normal(size=(15, 4)).astype(np.float32)
    titles = ["a"] * 4 + ["b"] * 6 + ["c"] * 5

    found = nearest_elsewhere(vectors, titles, 3)

    for shot in range(15):
        others = [other for other in range(15) if titles[other] != titles[shot]]
        expected = sorted(others, key=lambda other: cosine_distance(vectors[shot], vectors[other]))
        assert list(found[shot]) == expected[:3]


def test_length_does_not_make_a_shot_nearer() -> None:
    vectors = np.array([[1, 0], [100, 100], [0.1, 0.01]], np.float32)

    assert nearest_elsewhere(vectors, ["a", "b", "c"], 1)[0, 0] == 2


def test_a_shot_is_never_near_to_its_own_title_however_many_are_asked_for() -> None:
    vectors = np.random.default_rng(1).normal(size=(7, 4)).astype(np.float32)
    titles = np.array(["a", "a", "a", "a", "a", "b", "b"])

    found = nearest_elsewhere(vectors, list(titles), 5)

    assert found.shape == (7, 2)
    assert not (titles[found] == titles[:, None]).any()


def test_a_shot_that_shows_nothing_is_as_far_from_all() -> None:
    vectors = np.array([[0, 0], [1, 0], [-1, 0.5]], np.float32)

    found = nearest_elsewhere(vectors, ["a", "b", "c"], 2)

    assert list(found[0]) == [1, 2]
    assert list(found[1]) == [0, 2]


def test_share_alike_is_the_mean_share_of_equal_labels() -> None:
    labels = np.array(["x", "x", "y"])
    nearest = np.array([[1, 2], [0, 2], [0, 1]])

    assert share_alike(nearest, labels) == pytest.approx(np.mean([1 / 2, 1 / 2, 0]))


def test_a_window_mean_takes_in_what_is_there_on_each_side() -> None:
    vectors = np.array([[1, 0], [3, 0], [5, 6], [7, 0]], np.float32)

    assert window_means(vectors, 1).tolist() == [[2, 0], [3, 2], [5, 2], [6, 3]]
