"""Vectors of clips, pooled over the shots that each overlaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_titles import SHOT_S, make_model, make_store

from mediafm_cli.evaluate.clips import Clip, find_clips
from mediafm_cli.model.context import embed_title
from mediafm_cli.model.folder import load_model, model_fingerprint
from mediafm_cli.stages.embed import EmbedSettings, embed_store
from mediafm_cli.stages.export import require_unique
from mediafm_cli.stages.pool import pool_clips
from mediafm_cli.stages.tables import Rows
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import open_store
from mediafm_cli.train.catalogue import open_title

SETTINGS = EmbedSettings("model")


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Titles of 12 and 5 shots of 1.5 s; the second one is not called like its store."""
    stores = [make_store(tmp_path, "one", 12), make_store(tmp_path, "two", 5)]
    return [stores[0], stores[1].rename(tmp_path / "film.h5")]


# --- its vectors ------------------------------------------------------------------------------------------------------


def pool(stores: list[Path], folder: Path, clips: list[Clip]) -> Rows:
    model = load_model(folder)
    for store in stores:
        embed_store(store, model, model_fingerprint(folder), SETTINGS)
    return pool_clips(clips, find_clips(clips, require_unique(stores), Path("clips.csv")), model, SETTINGS)


def test_a_clip_is_the_mean_of_its_shots_weighted_by_the_seconds_of_overlap(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0])

    rows = pool(stores, folder, [Clip(2, "one", 2 * SHOT_S + 1.0, 4 * SHOT_S + 0.25)])

    # By hand: half a second of shot 2, all 1.5 s of shot 3, a quarter of a second of shot 4.
    with open_store(stores[0]) as store:
        embedding, flat = store.embedding("model").shots, store.fused.vectors
    title = open_title(stores[0])[1].load()
    alone = embed_title(load_model(folder), title.window(2, 5)).shots
    for column, shots in (("in_context", embedding[2:5]), ("isolated", alone), ("flat", flat[2:5])):
        one, two, three = (shot / np.linalg.norm(shot) for shot in shots)
        expected = (0.5 * one + 1.5 * two + 0.25 * three) / 2.25
        np.testing.assert_allclose(rows.vectors[column], expected[None], rtol=1e-5, atol=1e-7)
        assert rows.vectors[column].dtype == np.float32


def test_a_shot_in_which_nothing_is_present_adds_nothing(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0])
    with open_store(stores[0]) as store:
        fused = store.fused
    vectors, present = fused.vectors.copy(), fused.present.copy()
    vectors[1], present[1] = 0, False
    empty = replace(fused, vectors=vectors, present=present)
    update_store(stores[0], lambda contents: contents.with_group("fused", empty))

    rows = pool(stores, folder, [Clip(2, "one", 0, 2 * SHOT_S), Clip(3, "one", SHOT_S, 2 * SHOT_S)])

    np.testing.assert_allclose(rows.vectors["flat"], [vectors[0] / 2, 0 * vectors[0]], rtol=1e-6)
    assert np.isfinite(rows.vectors["in_context"]).all()


def test_in_context_is_not_isolated_unless_the_clip_is_the_whole_title(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0])

    rows = pool(stores, folder, [Clip(2, "two", 0, 5 * SHOT_S), Clip(3, "two", 0, 2 * SHOT_S)])

    in_context, isolated = rows.vectors["in_context"], rows.vectors["isolated"]
    np.testing.assert_array_equal(in_context[0], isolated[0])
    assert np.abs(in_context[1] - isolated[1]).max() > 1e-4


def test_clips_keep_the_order_of_the_list_and_what_it_says(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0])
    clips = [
        Clip(2, "film", 0, 1, {"tone": "sad"}),
        Clip(3, "one", 0, 1, {"tone": ""}),
        Clip(4, "two", 3, 7, {"tone": "Ärger"}),
    ]

    rows = pool(stores, folder, clips)
    by_itself = [pool(stores, folder, [clip]) for clip in clips]

    assert rows.index == [
        {"title": "two", "start_s": 0, "end_s": 1, "tone": "sad"},
        {"title": "one", "start_s": 0, "end_s": 1, "tone": ""},
        {"title": "two", "start_s": 3, "end_s": 7, "tone": "Ärger"},
    ]
    for column, vectors in rows.vectors.items():
        np.testing.assert_array_equal(vectors, np.concatenate([one.vectors[column] for one in by_itself]))


def test_a_clip_longer_than_the_model_is_isolated_in_windows(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0], max_shots=4)

    rows = pool(stores, folder, [Clip(2, "one", 0, 10 * SHOT_S)])

    title = open_title(stores[0])[1].load()
    alone = embed_title(load_model(folder), title.window(0, 10)).shots
    expected = (alone / np.linalg.norm(alone, axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(rows.vectors["isolated"][0], expected, rtol=1e-4, atol=1e-6)
