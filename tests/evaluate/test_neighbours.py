"""Nearest shots of other titles, against a search written out shot by shot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine as cosine_distance

from mediafm_cli.evaluate.neighbours import CHUNK_ROWS, nearest_elsewhere, nearest_rows, share_alike, window_means


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


def parts_of(vectors: np.ndarray, *sizes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The vectors cut into parts, every row of which may be found."""
    return [(part, np.ones(len(part), bool)) for part in np.split(vectors, np.cumsum(sizes)[:-1])]


@pytest.mark.parametrize("count", [1, 7, 300])
@pytest.mark.parametrize("sizes", [(300,), (1, 299), (100, 150, 50)])
def test_the_nearest_rows_are_those_of_the_smallest_cosine_distance(count: int, sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(300, 8)).astype(np.float32)
    query = random.normal(size=8).astype(np.float32)
    expected = sorted(range(300), key=lambda row: cosine_distance(query, vectors[row]))[:count]

    rows, cosines = nearest_rows(query, parts_of(vectors, *sizes), count)

    assert rows.tolist() == expected
    np.testing.assert_allclose(cosines, [1 - cosine_distance(query, vectors[row]) for row in expected], atol=1e-6)


def test_of_equal_rows_the_first_are_found_wherever_they_stand() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(2 * CHUNK_ROWS + 11, 13)).astype(np.float32)
    query = random.normal(size=13).astype(np.float32)
    equal = [5, 6, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 7, 2 * CHUNK_ROWS + 10]
    vectors[equal] = query

    for sizes in ((len(vectors),), (6, len(vectors) - 6), (CHUNK_ROWS + 3, CHUNK_ROWS + 8)):
        rows, cosines = nearest_rows(query, parts_of(vectors, *sizes), 5)

        assert rows.tolist() == equal[:5]
        assert len(set(cosines.tolist())) == 1
        assert cosines[0] == pytest.approx(1)


def test_rows_without_a_direction_or_not_allowed_are_never_found() -> None:
    vectors = np.array([[1, 0], [0, 0], [1, 0.1], [-1, 0]], np.float32)

    rows, cosines = nearest_rows(np.array([2, 0]), [(vectors, np.array([False, True, True, True]))], 10)

    assert rows.tolist() == [2, 3]
    assert cosines[1] == -1


def test_no_part_has_no_nearest_row() -> None:
    rows, cosines = nearest_rows(np.ones(3), [], 4)

    assert (rows.tolist(), cosines.tolist()) == ([], [])
