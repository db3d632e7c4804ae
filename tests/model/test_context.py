"""Embedding a title in windows that leave no seam."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from references import vivid

from mediafm_cli.errors import UsageError
from mediafm_cli.model.batch import Batch, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_title, embed_titles, window_starts, window_weights
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM, Output

MakeTitle = Callable[..., Title]


class OnAnotherDevice:
    """A model that says it is not on the processor, so that windows are run together; it notes how many shots."""

    device = torch.device("meta")

    def __init__(self, model: MediaFM) -> None:
        self.config = model.config
        self.eval = model.eval
        self.fused = model.fused
        self.batches: list[int] = []
        self._model = model

    def __call__(self, batch: Batch) -> Output:
        self.batches.append(len(batch))
        return self._model(batch)


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
    rows = {"output": output.predicted, "hidden": output.hidden}[layer]
    assert np.array_equal(embedding.shots, rows.detach().numpy())
    assert np.array_equal(embedding.title, output.cls[0].detach().numpy())


@pytest.mark.parametrize(("layer", "width"), [("output", 18), ("hidden", 16)])
def test_the_layer_is_the_one_that_the_model_was_made_for(
    config: ModelConfig, make_title: MakeTitle, layer: str, width: int
) -> None:
    model = MediaFM.seeded(replace(config, layer=layer), 0)  # type: ignore[arg-type]

    assert embed_title(model, make_title(5)).shots.shape == (5, width)
    assert embed_title(model, make_title(5), layer="output").shots.shape == (5, 18)


def test_a_long_title_is_the_weighted_sum_of_its_windows(model: MediaFM, make_title: MakeTitle) -> None:
    title = make_title(20)

    embedding = embed_title(model, title, window=12, overlap=4)

    # By hand: windows 0:12 and 8:20. Their ramps cross in shots 8 to 11 as 4:1, 3:2, 2:3, 1:4.
    first, second = (model(collate([title.window(at, at + 12)], model.config)) for at in (0, 8))
    left, right = first.predicted.detach().numpy(), second.predicted.detach().numpy()
    fade = np.array([4, 3, 2, 1])[:, None] / 5
    expected = np.concatenate([left[:8], fade * left[8:] + (1 - fade) * right[:4], right[4:]])
    assert embedding.shots == pytest.approx(expected, abs=1e-6)
    assert embedding.title == pytest.approx((first.cls[0] + second.cls[0]).detach().numpy() / 2, abs=1e-6)


def still(title: Title, shots: int) -> Title:
    """The first shot of a title, over and over."""
    vectors, present = (array[:1].repeat(shots, axis=0) for array in (title.vectors, title.present))
    return replace(title, vectors=vectors, present=present, start_s=4.0 * np.arange(shots))


def largest_step(shots: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(shots, axis=0), axis=1).max())


def test_no_seam_shows_where_the_context_is_constant(config: ModelConfig, make_title: MakeTitle) -> None:
    model = MediaFM.seeded(replace(config, position="learned"), 0)
    with torch.no_grad():
        model.position.zero_()  # positions restart in each window; without them constant input must stay constant

    embedding = embed_title(model, still(make_title(1), 50))

    assert np.ptp(embedding.shots, axis=0) == pytest.approx(np.zeros(18), abs=1e-6)


def test_a_model_that_drifts_along_its_window_shows_no_seam_where_windows_meet(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    model = MediaFM.seeded(replace(config, position="learned"), 0)
    with torch.no_grad():  # the same shot says something else at the end of a window than at its start
        model.position.copy_(torch.linspace(0, 1, len(model.position))[:, None] * torch.linspace(-1, 1, 16))
    title = still(make_title(1), 60)

    cut, blended = (embed_title(model, title, overlap=overlap).shots for overlap in (0, 6))

    assert largest_step(blended) < largest_step(cut) / 2


@pytest.mark.parametrize("position", ["rotary", "time"])
def test_where_windows_meet_the_step_from_shot_to_shot_is_nearer_to_that_of_one_pass_over_the_whole(
    config: ModelConfig, make_title: MakeTitle, position: str
) -> None:
    short, whole = (vivid(replace(config, position=position, max_shots=shots)) for shots in (12, 60))
    titles = [make_title(60, seed) for seed in range(5)]
    seams = [11, 23, 35, 47]  # windows of 12 that do not overlap meet after these shots

    def seam_error(overlap: int) -> float:
        pairs = [
            (embed_title(short, title, overlap=overlap).shots, embed_title(whole, title).shots) for title in titles
        ]
        steps = [np.diff(in_windows - at_once, axis=0)[seams] for in_windows, at_once in pairs]
        return float(np.linalg.norm(steps, axis=-1).mean())

    assert seam_error(6) < 0.75 * seam_error(0)


def test_titles_that_are_run_together_come_out_as_each_alone_to_the_bit(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    model = vivid(config)
    titles = [make_title(shots, shots, metadata=shots % 2 > 0) for shots in (7, 40, 1, 12, 23)]
    alone = [embed_title(model, title) for title in titles]

    for batch_shots in (1, 9, 30, 10_000):
        together = list(embed_titles(model, iter(titles), batch_shots=batch_shots))

        for found, expected in zip(together, alone, strict=True):
            assert np.array_equal(found.shots, expected.shots)
            assert np.array_equal(found.title, expected.title)


def test_titles_are_embedded_while_they_come(model: MediaFM, make_title: MakeTitle) -> None:
    asked: list[int] = []

    def titles() -> Iterator[Title]:
        for number in range(3):
            asked.append(number)
            yield make_title(5, number)

    embeddings = embed_titles(model, titles())

    assert asked == []
    for number in range(3):
        next(embeddings)
        assert asked == list(range(number + 1))


@pytest.mark.parametrize("batch_shots", [1, 24, 50, 10_000])
def test_windows_of_several_titles_that_share_a_batch_go_back_to_their_own(
    config: ModelConfig, make_title: MakeTitle, monkeypatch: pytest.MonkeyPatch, batch_shots: int
) -> None:
    model = vivid(config)
    titles = [make_title(shots, shots) for shots in (7, 40, 1, 12, 23)]
    alone = [embed_title(model, title) for title in titles]
    monkeypatch.setattr(Batch, "to", lambda batch, device: batch)
    elsewhere = OnAnotherDevice(model)

    together = list(embed_titles(elsewhere, titles, batch_shots=batch_shots))  # type: ignore[arg-type]

    assert max(elsewhere.batches) <= max(batch_shots, 12)  # a window is never cut
    assert sum(elsewhere.batches) == 7 + 12 * len(window_starts(40, 12, 6)) + 1 + 12 + 12 * len(
        window_starts(23, 12, 6)
    )
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(found.shots, expected.shots, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(found.title, expected.title, atol=1e-4, rtol=1e-4)


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
