"""Oracles against independent formulas, and against the frequencies of the worlds that they claim to know."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from oracles import _place, _process, _radial, _smooth, _types, in_context, one_shot, remembering, told
from scipy.special import log_ndtr
from worlds import WORLDS, SyntheticEncodings, World, draw_titles

from mediafm_cli.evaluate.probes.metrics import macro_average_precision

SEED = 5


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


@pytest.fixture(scope="module")
def titles(world: World) -> list[SyntheticEncodings]:
    return draw_titles(world, 30, SEED)


def assert_calibrated(posteriors: list[np.ndarray], titles: list[SyntheticEncodings]) -> None:
    """Of the types given a chance of about p, a share of p is true: what tells a posterior from any other score."""
    chances = np.concatenate(posteriors).ravel()
    true = (np.concatenate([title.scene for title in titles])[:, None] == np.arange(12)).ravel()
    for low, high in itertools.pairwise([0.02, 0.1, 0.3, 0.5, 0.7, 0.9]):
        chosen = (chances >= low) & (chances < high)
        assert true[chosen].mean() == pytest.approx(chances[chosen].mean(), abs=0.07)


def test_the_radial_integral_in_one_dimension_is_that_of_the_normal_distribution() -> None:
    along, values = _radial(1, 5)
    expected = np.log(2 * np.pi) / 2 + along**2 / 2 + log_ndtr(along)
    np.testing.assert_allclose(values, expected, atol=1e-3)


def test_the_radial_integral_of_many_dimensions_follows_from_those_of_fewer() -> None:
    """By parts: I(d + 2) = t I(d + 1) + d I(d)."""
    along, fewest = _radial(64, 20)
    fewer, whole = _radial(65, 20)[1], _radial(66, 20)[1]
    np.testing.assert_allclose(along * np.exp(fewer - whole) + 64 * np.exp(fewest - whole), 1.0, rtol=1e-9)


def test_smoothing_is_the_sum_over_all_paths() -> None:
    draws = np.random.default_rng(0)
    start, step = draws.dirichlet(np.ones(3)), draws.dirichlet(np.ones(3), size=3)
    evidence = draws.normal(size=(4, 3))
    expected = np.zeros((4, 3))
    for path in itertools.product(range(3), repeat=4):
        weight = start[path[0]] * np.prod([step[a, b] for a, b in itertools.pairwise(path)])
        weight *= np.exp(sum(evidence[shot, state] for shot, state in enumerate(path)))
        expected[np.arange(4), path] += weight
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(_smooth(start, step, evidence), expected, rtol=1e-10)


def test_the_chain_keeps_a_type_as_often_as_the_titles_do(world: World) -> None:
    start, step = _process(world)
    np.testing.assert_allclose(step.sum(axis=1), 1.0, atol=1e-9)
    types = _types(world)[_place(world)]
    titles = draw_titles(world, 300, SEED)
    for apart in (1, 2, 5):
        later = np.linalg.matrix_power(step, apart)
        expected = float(start @ (later * (types[:, None] == types)).sum(axis=1))
        kept = np.concatenate([title.scene[apart:] == title.scene[:-apart] for title in titles])
        assert kept.mean() == pytest.approx(expected, abs=0.02)


def test_one_shot_is_calibrated(world: World, titles: list[SyntheticEncodings]) -> None:
    assert_calibrated(one_shot(world, SEED, titles), titles)


def test_context_is_calibrated(world: World, titles: list[SyntheticEncodings]) -> None:
    assert_calibrated(in_context(world, SEED, titles), titles)


def test_context_tells_far_more_than_one_shot_and_less_than_all_else(
    world: World, titles: list[SyntheticEncodings]
) -> None:
    labels = [title.scene for title in titles]
    alone, context, all_else = (
        macro_average_precision(reader(world, SEED, titles), labels) for reader in (one_shot, in_context, told)
    )
    assert 0.5 < alone < 0.75
    assert context > alone + 0.2
    assert all_else > context - 1e-3


def test_an_object_is_told_by_the_shot_that_showed_it(world: World, titles: list[SyntheticEncodings]) -> None:
    labels = [title.recall for title in titles]
    assert macro_average_precision(remembering(world, SEED, titles), labels) > 0.97


@pytest.mark.parametrize("modality", ["video", "audio", "text"])
def test_a_world_that_depends_on_one_modality_is_about_as_hard(modality: str) -> None:
    world = WORLDS["interleaved"].depending_on(modality)
    titles = draw_titles(world, 30, SEED)
    labels = [title.scene for title in titles]
    alone = macro_average_precision(one_shot(world, SEED, titles), labels)
    context = macro_average_precision(in_context(world, SEED, titles), labels)
    assert context > max(alone + 0.15, 0.8)
