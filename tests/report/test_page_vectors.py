"""Cosines, maps and neighbours of a page, against scikit-learn on the same vectors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize

from mediafm_cli.report.vectors import (
    LARGEST_SIDE,
    MOST_CELLS,
    cosine_matrix,
    energy_shares,
    find_nearest,
    project,
    shots_a_cell,
)

VECTORS = np.random.default_rng(4).standard_normal((23, 9)).astype(np.float32)


def test_the_matrix_holds_the_cosines_of_all_pairs() -> None:
    np.testing.assert_allclose(cosine_matrix(VECTORS), cosine_similarity(VECTORS), atol=1e-6)


def test_a_zero_vector_is_like_nothing() -> None:
    matrix = cosine_matrix(np.vstack([VECTORS, np.zeros((1, 9), np.float32)]))

    assert not matrix[-1].any()
    assert np.isfinite(matrix).all()


def test_a_cell_of_several_shots_is_the_mean_over_their_pairs() -> None:
    smaller = cosine_matrix(VECTORS, 5)

    whole = cosine_similarity(VECTORS)
    assert smaller.shape == (5, 5)
    assert smaller[1, 3] == pytest.approx(whole[5:10, 15:20].mean(), abs=1e-6)
    assert smaller[4, 0] == pytest.approx(whole[20:23, :5].mean(), abs=1e-6)


def test_short_titles_are_shown_shot_by_shot_and_long_ones_within_the_largest_side() -> None:
    assert shots_a_cell([40, 512], 2) == [1, 1]
    assert shots_a_cell([513, 1500], 1) == [2, 3]


def test_many_titles_share_the_room_of_a_page() -> None:
    lengths = [400] * 40

    cells = shots_a_cell(lengths, 2)

    sides = [-(-length // cell) for length, cell in zip(lengths, cells, strict=True)]
    assert 2 * sum(side**2 // 2 for side in sides) <= MOST_CELLS
    assert max(sides) < LARGEST_SIDE


def test_the_map_is_the_first_two_principal_components_of_the_directions() -> None:
    found = project(VECTORS)

    pca = PCA(2).fit(normalize(VECTORS.astype(np.float64)))
    expected = pca.transform(normalize(VECTORS.astype(np.float64)))
    np.testing.assert_allclose(np.abs(found.points), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(found.variance, pca.explained_variance_ratio_, atol=1e-6)


def test_the_order_of_the_shots_does_not_turn_the_map() -> None:
    backwards = project(VECTORS[::-1])

    np.testing.assert_allclose(backwards.points[::-1], project(VECTORS).points, atol=1e-5)


@pytest.mark.parametrize("vectors", [VECTORS[:1], np.repeat(VECTORS[:1], 4, axis=0), np.zeros((3, 9), np.float32)])
def test_shots_that_do_not_differ_lie_in_the_middle(vectors: np.ndarray) -> None:
    found = project(vectors)

    assert not found.points.any()
    assert found.variance == (0.0, 0.0)


def test_the_nearest_are_those_with_the_highest_cosine_but_for_the_shot_itself() -> None:
    found = find_nearest(VECTORS, [str(row) for row in range(23)], 4)

    whole = cosine_similarity(VECTORS) - 2 * np.eye(23)
    np.testing.assert_array_equal(found.rows, np.argsort(-whole, axis=1)[:, :4])
    np.testing.assert_allclose(found.cosines, -np.sort(-whole, axis=1)[:, :4], atol=1e-6)


def test_the_energy_of_a_block_is_its_share_of_the_squared_length() -> None:
    vectors = np.array([[3, 4, 0], [0, 0, 2], [0, 0, 0]], np.float32)

    assert energy_shares(vectors, [(0, 1), (1, 3)]) == pytest.approx([(9 / 25 + 0) / 2, (16 / 25 + 1) / 2])
