"""Embedding a title in windows that leave no seam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mediafm_cli.errors import UsageError
from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_title, window_starts, window_weights
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM

MakeTitle = Callable[..., Title]


@given(st.integers(1, 300), st.integers(1, 60), st.data())
def test_windows_cover_a_title_and_their_weights_sum_to_one(shots: int, window: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, window - 1))

    starts = window_starts(shots, window, overlap)
    weights = window_weights(shots, starts, window, overlap)

    total = np.zeros(shots)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + window] += weight
    assert total == pytest.approx(np.ones(shots), abs=1e-6)
    assert (weights > 0).all()
    assert all(after - before <= window - overlap for before, after in pairwise(starts))


def test_a_weight_never_jumps_where_windows_meet() -> None:
    starts = window_starts(100, 20, 10)
    weights = window_weights(100, starts, 20, 10)

    share = np.zeros((len(starts), 100))
    for row, start, weight in zip(share, starts, weights, strict=True):
        row[start : start + 20] = weight
    assert np.abs(np.diff(share, axis=1)).max() <= 1 / 10


@pytest.mark.parametrize("layer", ["output", "hidden"])
def test_a_title_within_the_window_is_one_pass(model: MediaFM, make_title: MakeTitle, layer: str) -> None:
    title = make_title(12)

    embedding = embed_title(model, title, layer=layer)

    output = model(collate([title], model.config))
    rows = {"output": output.predicted, "hidden": output.hidden}[layer][0]
    assert np.array_equal(embedding.shots, rows.detach().numpy())
    assert np.array_equal(embedding.title, output.cls[0].detach().numpy())


def test_a_long_title_is_the_weighted_sum_of_its_windows(model: MediaFM, make_title: MakeTitle) -> None:
    title = make_title(20)

    embedding = embed_title(model, title, window=12, overlap=4)

    # By hand: windows 0:12 and 8:20. Their ramps cross in shots 8 to 11 as 4:1, 3:2, 2:3, 1:4.
    first, second = (model(collate([title.window(at, at + 12)], model.config)) for at in (0, 8))
    left, right = first.predicted[0].detach().numpy(), second.predicted[0].detach().numpy()
    fade = np.array([4, 3, 2, 1])[:, None] / 5
    expected = np.concatenate([left[:8], fade * left[8:] + (1 - fade) * right[:4], right[4:]])
    assert embedding.shots == pytest.approx(expected, abs=1e-6)
    assert embedding.title == pytest.approx((first.cls[0] + second.cls[0]).detach().numpy() / 2, abs=1e-6)


def test_no_seam_shows_where_the_context_is_constant(model: MediaFM, make_title: MakeTitle) -> None:
    with torch.no_grad():
        model.position.zero_()  # positions restart in each window; without them constant input must stay constant
    title = make_title(1)
    still = replace(title, vectors=title.vectors.repeat(50, axis=0), present=title.present.repeat(50, axis=0))

    embedding = embed_title(model, still)

    assert np.ptp(embedding.shots, axis=0) == pytest.approx(np.zeros(18), abs=1e-6)


def test_a_model_that_drifts_along_its_window_shows_no_seam_where_windows_meet(
    model: MediaFM, make_title: MakeTitle
) -> None:
    with torch.no_grad():  # the same shot says something else at the end of a window than at its start
        model.position.copy_(torch.linspace(0, 1, len(model.position))[:, None] * torch.linspace(-1, 1, 16))
    title = make_title(1)
    still = replace(title, vectors=title.vectors.repeat(60, axis=0), present=title.present.repeat(60, axis=0))

    cut, blended = (embed_title(model, still, overlap=overlap).shots for overlap in (0, 6))

    seam, largest = (np.linalg.norm(np.diff(shots, axis=0), axis=1).max() for shots in (cut, blended))
    assert largest < seam / 2


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_changes_no_bit(model: MediaFM, make_title: MakeTitle, batch_size: int) -> None:
    title = make_title(75)

    reference, embedding = embed_title(model, title), embed_title(model, title, batch_size=batch_size)

    assert np.array_equal(embedding.shots, reference.shots)
    assert np.array_equal(embedding.title, reference.title)


def test_dropout_is_off(config: ModelConfig, make_title: MakeTitle) -> None:
    model = MediaFM.seeded(replace(config, dropout=0.5), 0).train()

    first, second = (embed_title(model, make_title(8)).shots for _ in range(2))

    assert np.array_equal(first, second)


def test_one_shot_and_no_metadata_are_enough(model: MediaFM, make_title: MakeTitle) -> None:
    embedding = embed_title(model, make_title(1, metadata=False))

    assert embedding.shots.shape == (1, 18)
    assert np.isfinite(embedding.shots).all()


@pytest.mark.parametrize("arguments", [{"window": 13}, {"window": 0}, {"window": 4, "overlap": 4}, {"overlap": -1}])
def test_windows_that_cannot_be_are_refused(model: MediaFM, make_title: MakeTitle, arguments: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="shots"):
        embed_title(model, make_title(5), **arguments)
