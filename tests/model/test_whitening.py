"""Whitening: every direction of a modality varies alike, and predictions come back as fused vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_title
from mediafm_cli.model.title import Block, Layout, Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.model.whitening import RIDGE, Whitening

MakeTitle = Callable[..., Title]
EDGES = ((0, 8), (8, 12), (12, 18))


def uneven(make_title: MakeTitle, shots: int, seed: int = 0) -> Title:
    """A title whose blocks vary much in some directions and little in others, about a mean that is not zero."""
    title = make_title(shots, seed)
    vectors = title.vectors * np.geomspace(1, 0.1, 18, dtype=np.float32) + np.float32(0.1)
    return replace(title, vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def louder(title: Title) -> Title:
    """The same title with its second block ten times as loud beside the others."""
    vectors = title.vectors * np.repeat([1, 10, 1], [8, 4, 6]).astype(np.float32)
    return replace(title, vectors=unit(vectors))


def fitted(config: ModelConfig, *titles: Title) -> Whitening:
    whitening = Whitening(config.layout.blocks)
    whitening.fit(title.vectors for title in titles)
    return whitening


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_coordinates_are_those_of_an_independent_formula(config: ModelConfig, make_title: MakeTitle) -> None:
    title = uneven(make_title, 400)

    found = fitted(config, title)(torch.from_numpy(title.vectors)).numpy()

    for start, stop in EDGES:
        shown = unit(title.vectors[:, start:stop].astype(np.float64))
        centered = shown - shown.mean(axis=0)
        spread = np.cov(centered.T, bias=True)
        ridge = (RIDGE + len(spread) / len(shown)) * np.trace(spread) / len(spread)
        whitened = unit(centered @ np.linalg.inv(np.linalg.cholesky(spread + ridge * np.eye(len(spread)))).T)
        # Two whitenings differ by a rotation, which leaves the cosines between shots as they are.
        own = unit(found[:, start:stop].astype(np.float64))
        np.testing.assert_allclose(own @ own.T, whitened @ whitened.T, atol=1e-4)


def test_every_direction_varies_about_as_much_and_around_zero(config: ModelConfig, make_title: MakeTitle) -> None:
    title = uneven(make_title, 400)

    found = fitted(config, title)(torch.from_numpy(title.vectors)).numpy()

    for start, stop in EDGES:
        before, after = (unit(rows[:, start:stop]) for rows in (title.vectors, found))
        ratios = [np.linalg.eigvalsh(np.cov(rows.T))[[0, -1]] for rows in (before, after)]
        assert ratios[1][1] / ratios[1][0] < 0.6 * ratios[0][1] / ratios[0][0]
        means = [np.linalg.norm(rows.mean(axis=0)) for rows in (before, after)]
        assert means[1] < 0.2 < 0.4 < means[0]


def test_an_encoder_whose_axes_are_turned_tells_the_same(config: ModelConfig, make_title: MakeTitle) -> None:
    title = uneven(make_title, 100)
    turn = np.eye(18, dtype=np.float32)
    turn[:8, :8] = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    turned = replace(title, vectors=title.vectors @ turn)

    plain, other = (fitted(config, one)(torch.from_numpy(one.vectors)) for one in (title, turned))

    torch.testing.assert_close(other @ other.T, plain @ plain.T, atol=1e-4, rtol=1e-4)


def test_all_blocks_have_one_length_and_what_is_zero_stays_zero(config: ModelConfig, make_title: MakeTitle) -> None:
    title = uneven(make_title, 60)
    vectors = title.vectors.copy()
    vectors[0, 12:18] = 0
    vectors[1] = 0

    found = fitted(config, title)(torch.from_numpy(vectors)).numpy()

    lengths = np.stack([np.linalg.norm(found[:, start:stop], axis=1) for start, stop in EDGES], axis=1)
    np.testing.assert_allclose(lengths[0], [3**-0.5, 3**-0.5, 0], atol=1e-6)
    np.testing.assert_array_equal(lengths[1], 0)
    np.testing.assert_allclose(lengths[2:], 3**-0.5, atol=1e-6)


def test_a_certain_prediction_comes_back_as_what_it_predicts(config: ModelConfig, make_title: MakeTitle) -> None:
    title = louder(uneven(make_title, 400))
    whitening = fitted(config, title)

    back = whitening.undo(whitening(torch.from_numpy(title.vectors))).numpy()

    cosines = (unit(back) * unit(title.vectors)).sum(axis=1)
    assert cosines.mean() > 0.98  # a block's distance from the mean is told by its length, and here all are certain
    for start, stop in EDGES:
        lengths = [np.linalg.norm(rows[:, start:stop], axis=1).mean() for rows in (back, title.vectors)]
        assert lengths[0] == pytest.approx(lengths[1], rel=0.05)


def test_a_prediction_of_no_length_is_the_mean_of_all_shots(config: ModelConfig, make_title: MakeTitle) -> None:
    title = uneven(make_title, 40)

    back = fitted(config, title).undo(torch.zeros(1, 18)).numpy()[0]

    for start, stop in EDGES:
        block = title.vectors[:, start:stop]
        mean = unit(block).mean(axis=0) * np.linalg.norm(block, axis=1).mean()
        np.testing.assert_allclose(back[start:stop], mean, atol=1e-6)


def test_shots_that_lack_a_block_do_not_count_for_it(config: ModelConfig, make_title: MakeTitle) -> None:
    title = uneven(make_title, 40)
    vectors = title.vectors.copy()
    vectors[20:, 12:18] = 0

    some = fitted(config, replace(title, vectors=vectors))

    few = fitted(config, title.window(0, 20))
    torch.testing.assert_close(some.center[12:], few.center[12:])
    torch.testing.assert_close(some.scale[12:], few.scale[12:], rtol=1e-4, atol=1e-4)


def test_rows_that_are_not_finite_do_not_count(config: ModelConfig, make_title: MakeTitle) -> None:
    title = uneven(make_title, 40)
    vectors = title.vectors.copy()
    vectors[20:, 3] = np.nan

    found = fitted(config, replace(title, vectors=vectors))

    few = fitted(config, title.window(0, 20))
    for name, values in few.state_dict().items():
        assert torch.equal(found.get_buffer(name), values)


def test_directions_that_few_shots_never_showed_are_not_blown_up(config: ModelConfig, make_title: MakeTitle) -> None:
    draws = np.random.default_rng(0)
    wide = replace(config, layout=Layout((Block("video", 0, 256, "video.a", "1"),)))
    seen, others = (
        unit(draws.normal(size=(60, 256)) * np.geomspace(1, 0.01, 256)).astype(np.float32) for _ in range(2)
    )
    axes = np.linalg.svd(seen - seen.mean(axis=0))[2][60:]  # in which the shots did not vary at all

    whitening = Whitening(wide.layout.blocks)
    whitening.fit([seen])
    found = whitening(torch.from_numpy(others)).numpy()

    turn = whitening.get_buffer("axes_0").numpy()
    before, after = (np.square(rows @ axes.T).sum(axis=1).mean() for rows in (others, found @ turn.T))
    assert after < 4 * before


@pytest.mark.parametrize("shots", [1, 5])
def test_a_block_that_never_varies_is_left_as_it_is(config: ModelConfig, make_title: MakeTitle, shots: int) -> None:
    vectors = np.repeat(uneven(make_title, 1).vectors, shots, axis=0)
    title = replace(make_title(shots), vectors=vectors)

    whitening = fitted(config, title)
    found = whitening(torch.from_numpy(vectors))

    for start, stop in EDGES:
        np.testing.assert_allclose(unit(found[:, start:stop].numpy()), unit(vectors[:, start:stop]), atol=1e-6)
    np.testing.assert_allclose(whitening.undo(found).numpy(), vectors, atol=1e-6)  # as long as it was, too


def test_a_model_sees_and_predicts_in_its_coordinates(config: ModelConfig, make_title: MakeTitle) -> None:
    title = uneven(make_title, 12)
    model = MediaFM.seeded(replace(config, projection="whitened"), 0).eval()
    assert model.whitening is not None
    model.whitening.fit([title.vectors])
    batch = collate([title], model.config)

    with torch.no_grad():
        output = model(batch)
        plain = MediaFM.seeded(config, 0).eval()
        plain.load_state_dict({name: weight for name, weight in model.state_dict().items() if "whitening" not in name})
        expected = plain(replace(batch, vectors=model.whitening(batch.vectors)))

    torch.testing.assert_close(output.truth, model.whitening(batch.vectors))
    torch.testing.assert_close(output.hidden, expected.hidden)
    torch.testing.assert_close(output.predicted, expected.predicted)
    np.testing.assert_allclose(
        embed_title(model, title, layer="output").shots, model.whitening.undo(output.predicted).numpy(), atol=1e-5
    )


def test_an_untrained_model_shares_the_coordinates_and_not_the_weights(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    model = MediaFM.seeded(replace(config, projection="whitened"), 0)
    assert model.whitening is not None
    model.whitening.fit([uneven(make_title, 40).vectors])

    other = model.untrained(seed=1)

    assert other.whitening is not None
    assert torch.equal(other.whitening.center, model.whitening.center)
    assert torch.equal(other.whitening.get_buffer("axes_0"), model.whitening.get_buffer("axes_0"))
    assert not torch.equal(other.project.weight, model.project.weight)
