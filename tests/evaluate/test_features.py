"""The rows that probes learn from: which there are, and what each of them knows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from made_titles import BLOCKS, LAYOUT, make_title

from mediafm_cli.evaluate.clips import Overlap
from mediafm_cli.evaluate.neighbours import window_means
from mediafm_cli.evaluate.probes.features import FeatureRow, feature_rows, shuffled_order
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_title, embed_titles
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM

NAMES = [
    "video flat",
    "audio flat",
    "text flat",
    "all flat",
    "window mean ±2",
    "flat + window mean ±2",
    "window mean ±4",
    "flat + window mean ±4",
    "untrained",
    "flat + untrained",
    "shuffled",
    "flat + shuffled",
    "trained, in context",
    "flat + trained, in context",
    "trained, isolated",
    "flat + trained, isolated",
]


@pytest.fixture(scope="module")
def titles() -> list[Title]:
    return [make_title(9, 1), make_title(6, 2)]


@pytest.fixture(scope="module")
def model() -> MediaFM:
    """Stands for one that was trained."""
    return MediaFM.seeded(ModelConfig(LAYOUT, hidden=16, layers=2, heads=2, max_shots=16), 5)


@pytest.fixture(scope="module")
def rows(titles: list[Title], model: MediaFM) -> dict[str, FeatureRow]:
    return {row.name: row for row in feature_rows(titles, BLOCKS, model, seed=3)}


def unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def assert_row(row: FeatureRow, expected: list[np.ndarray]) -> None:
    for found, wanted in zip(row.vectors, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        assert found.dtype == np.float32


def test_every_row_is_there_and_all_but_the_trained_ones_are_baselines(rows: dict[str, FeatureRow]) -> None:
    assert list(rows) == NAMES
    assert [name for name in NAMES if not rows[name].baseline] == NAMES[-4:]


def test_without_a_model_only_what_needs_none_and_one_modality_has_no_row_of_its_own(titles: list[Title]) -> None:
    assert [row.name for row in feature_rows(titles, BLOCKS, reaches=[1])] == [
        *NAMES[:4],
        "window mean ±1",
        "flat + window mean ±1",
    ]
    assert next(row.name for row in feature_rows(titles, BLOCKS[:1])) == "all flat"


def test_flat_rows_are_the_directions_of_the_vectors_and_of_their_blocks(
    rows: dict[str, FeatureRow], titles: list[Title]
) -> None:
    assert_row(rows["all flat"], [title.vectors for title in titles])
    assert_row(rows["audio flat"], [unit(title.vectors[:, 6:10]) for title in titles])
    for reach in (2, 4):
        means = [unit(window_means(title.vectors, reach)) for title in titles]
        assert_row(rows[f"window mean ±{reach}"], means)


def test_models_run_over_whole_titles_or_over_each_clip_alone(
    rows: dict[str, FeatureRow], titles: list[Title], model: MediaFM
) -> None:
    untrained = MediaFM.seeded(model.config, 3)

    assert_row(rows["trained, in context"], [unit(embed_title(model, title).shots) for title in titles])
    assert_row(rows["untrained"], [unit(embed_title(untrained, title).shots) for title in titles])
    alone = [
        np.concatenate([embed_title(model, title.window(n, n + 1)).shots for n in range(len(title))])
        for title in titles
    ]
    assert_row(rows["trained, isolated"], [unit(shots) for shots in alone])


def test_a_row_beside_the_flat_one_is_both(rows: dict[str, FeatureRow]) -> None:
    for name in NAMES[4::2]:
        both = zip(rows["all flat"].vectors, rows[name].vectors, strict=True)
        assert_row(rows[f"flat + {name}"], [np.concatenate(pair, axis=1) for pair in both])


def test_shuffled_shots_keep_their_row_and_lose_their_neighbours(
    rows: dict[str, FeatureRow], titles: list[Title], model: MediaFM
) -> None:
    shuffled, in_context = rows["shuffled"].vectors[0], rows["trained, in context"].vectors[0]
    title = titles[0]
    order = shuffled_order(title, 3)
    mixed = replace(title, vectors=title.vectors[order], present=title.present[order])

    assert np.abs(shuffled - in_context).max() > 1e-4
    np.testing.assert_allclose(shuffled[order], unit(embed_title(model, mixed).shots), atol=1e-6)


def test_clips_are_pooled_over_their_shots(titles: list[Title], model: MediaFM) -> None:
    clips = [[Overlap(slice(2, 4), np.array([1.0, 3.0]))], [Overlap(slice(0, 6), np.ones(6))] * 2]

    rows = {row.name: row.vectors for row in feature_rows(titles, BLOCKS, model, clips)}

    in_context = unit(embed_title(model, titles[0]).shots)
    alone = unit(embed_title(model, titles[0].window(2, 4)).shots)
    np.testing.assert_allclose(rows["trained, in context"][0], [[0.25, 0.75] @ in_context[2:4]], atol=1e-6)
    np.testing.assert_allclose(rows["trained, isolated"][0], [[0.25, 0.75] @ alone], atol=1e-6)
    np.testing.assert_allclose(rows["trained, isolated"][1], rows["trained, in context"][1], atol=1e-6)
    assert rows["all flat"][1].shape == (2, LAYOUT.width)


def test_another_layer_can_be_asked_for_and_isolated_runs_left_out(titles: list[Title], model: MediaFM) -> None:
    embed = partial(embed_titles, layer="hidden")

    rows = {row.name: row.vectors for row in feature_rows(titles, BLOCKS, model, embed=embed, isolated=False)}

    assert rows["trained, in context"][0].shape == (9, 16)
    assert "trained, isolated" not in rows
