"""Titles longer than the model: where its windows meet, a trained model's embeddings jump no more than elsewhere.

Measured against the same model that sees the title whole. Titles are scenes of 4 to 12 shots under much noise, so that
a shot is better known from its neighbours than by itself, and what a window cuts off is missed.
"""

from __future__ import annotations

import numpy as np
import pytest

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_titles, window_starts
from mediafm_cli.model.folder import load_model
from mediafm_cli.model.title import Layout, Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.store.schema import Block
from mediafm_cli.train.config import MODALITY_WISE, TrainConfig
from mediafm_cli.train.loop import pretrain

SHOTS, WINDOW = 96, 24
LAYOUT = Layout((Block("video", 0, 16, "video.a", "1"), Block("audio", 16, 24, "audio.a", "2")))


def make_scenes(count: int, seed: int) -> list[Title]:
    draws = np.random.default_rng(seed)
    kinds = np.random.default_rng(99).normal(size=(6, LAYOUT.width))
    titles = []
    for number in range(count):
        lengths = draws.integers(4, 13, size=SHOTS // 4)
        scenes = np.repeat(draws.integers(len(kinds), size=len(lengths)), lengths)[:SHOTS]  # [n]
        vectors = kinds[scenes] + draws.normal(size=(SHOTS, LAYOUT.width))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        present, start_s = np.ones((SHOTS, 2), bool), 4.0 * np.arange(SHOTS)
        titles.append(Title(f"title-{number}", vectors.astype(np.float32), present, start_s, None, "v1"))
    return titles


@pytest.fixture(scope="module", params=["rotary", "learned"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MediaFM:
    folder = tmp_path_factory.mktemp("seams") / "model"
    told = {**MODALITY_WISE.model, "dropout": 0.0, "position": request.param}
    config = ModelConfig(LAYOUT, hidden=32, layers=2, heads=2, max_shots=SHOTS, **told)
    pretrain(make_scenes(30, seed=0), config, TrainConfig(max_steps=100, batch_shots=480), folder)
    return load_model(folder)


def embed(model: MediaFM, **windows: int) -> np.ndarray:
    """Directions of 40 titles that the model has not seen: float64 [40, SHOTS, D]."""
    shots = np.stack([found.shots for found in embed_titles(model, make_scenes(40, seed=7), **windows)])
    return shots.astype(np.float64) / np.linalg.norm(shots, axis=-1, keepdims=True)


def seams(overlap: int) -> np.ndarray:
    """Where a window begins or ends: bool [SHOTS - 1], of the steps from one shot to the next."""
    starts = window_starts(SHOTS, WINDOW, overlap)
    edges = {edge for start in starts for edge in (start, start + WINDOW) if 0 < edge < SHOTS}
    return np.isin(np.arange(1, SHOTS), list(edges))


def seam_jump(shots: np.ndarray, overlap: int) -> float:
    """Mean cosine distance of neighbours across a seam, divided by that of all other neighbours."""
    jumps = 1 - (shots[:, 1:] * shots[:, :-1]).sum(axis=-1)  # [titles, SHOTS - 1]
    at = seams(overlap)
    return float(jumps[:, at].mean() / jumps[:, ~at].mean())


def test_neighbours_across_a_seam_are_as_near_as_in_a_run_that_sees_the_title_whole(trained: MediaFM) -> None:
    whole, blended, cut = embed(trained), embed(trained, window=WINDOW), embed(trained, window=WINDOW, overlap=0)

    error = seam_jump(blended, WINDOW // 2) / seam_jump(whole, WINDOW // 2) - 1
    without_blending = seam_jump(cut, 0) / seam_jump(whole, 0) - 1
    assert abs(error) < 0.05
    assert without_blending > 0.5


def test_a_blended_run_is_as_true_to_the_whole_at_the_seams_as_elsewhere(trained: MediaFM) -> None:
    whole, blended, cut = embed(trained), embed(trained, window=WINDOW), embed(trained, window=WINDOW, overlap=0)

    at = np.flatnonzero(seams(WINDOW // 2))
    apart = 1 - (whole * blended).sum(axis=-1)  # [titles, SHOTS]
    cut_apart = 1 - (whole * cut).sum(axis=-1)
    assert apart[:, [*at, *(at + 1)]].mean() < 1.2 * apart.mean()
    assert apart.mean() < cut_apart.mean()
