"""The chain as MediaFM has it, three pre-trained encoders of 768 numbers, on a real clip, as it is typed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from embeddings_server import KEY, EmbeddingsServer, embedding_of, serve_embeddings
from PIL import Image
from tiny_checkpoints import write_open_clip, write_speech_model
from typed_commands import Mediafm, Typed

from mediafm_cli.api import Frames
from mediafm_cli.media.frames import sample_frames
from mediafm_cli.store.read import open_store

WIDTH = 768


@pytest.fixture
def server() -> Iterator[EmbeddingsServer]:
    with serve_embeddings() as running:
        yield running
    assert running.refused == []


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP folder, and a hub's cache with the default speech model; both of random weights, and 768 wide."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_open_clip(folder / "clip", WIDTH)
    cached = folder / "hub" / "models--facebook--wav2vec2-base-960h"
    write_speech_model(cached / "snapshots" / ("a" * 40), width=WIDTH, num_hidden_layers=1)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a" * 40)
    return folder


@pytest.fixture
def typed(shell: Mediafm, checkpoints: Path, server: EmbeddingsServer) -> Mediafm:
    """A shell whose hub is the cache, and whose server is on this machine."""
    place = {"HF_HUB_CACHE": str(checkpoints / "hub"), "HF_HUB_OFFLINE": "1"}
    secrets = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MEDIAFM_")}

    def run(*words: object, **settings: object) -> Typed:
        done = shell(*words, env={**plain, **place, **secrets, **settings.pop("env", {})}, **settings)  # type: ignore[dict-item]
        assert KEY not in done.out + done.err
        return done

    return run


def encode_all(typed: Mediafm, store: Path, checkpoints: Path) -> list[Typed]:
    return [
        typed("encode", store, "--modality", "video", "--opt", f"model={checkpoints / 'clip'}"),
        typed("encode", store, "--modality", "audio"),
        typed("encode", store, "--modality", "text"),
    ]


def test_the_preset_gives_2304_columns_with_text_zero_exactly_where_no_cue_is(
    media: Path, typed: Mediafm, checkpoints: Path, server: EmbeddingsServer, tmp_path: Path
) -> None:
    film, store, model = media / "nasa_13013.mp4", tmp_path / "nasa.h5", tmp_path / "model"
    small = ["--max-steps", 3, "--hidden", 32, "--layers", 1, "--heads", 2]

    done = [
        typed("segment", film, "-o", store),
        *encode_all(typed, store, checkpoints),
        typed("fuse", store),
        typed("pretrain", store, "-o", model, *small),
        typed("embed", store, "--model", model),
        typed("check", store),
    ]

    assert [one.code for one in done] == [0] * len(done), "\n".join(one.err for one in done)
    with open_store(store) as opened:
        shots, fused, embedding = opened.shots, opened.fused, opened.embedding("model")
    assert fused.vectors.shape == embedding.shots.shape == (len(shots.start_s), 3 * WIDTH)
    assert [(block.name, block.encoder, block.start) for block in fused.blocks] == [
        ("video", "video.open-clip", 0),
        ("audio", "audio.wav2vec2", WIDTH),
        ("text", "text.openai", 2 * WIDTH),
    ]
    has_cue = np.array([bool(text) for text in shots.text])
    assert 0 < has_cue.sum() < len(has_cue)
    np.testing.assert_array_equal(fused.vectors[:, 2 * WIDTH :].any(axis=1), has_cue)
    assert fused.vectors[:, : 2 * WIDTH].reshape(len(has_cue), 2, WIDTH).any(axis=2).all()
    assert sorted(server.paid_for) == sorted({text for text in shots.text if text})


def test_what_is_stored_is_what_the_libraries_give(
    media: Path, typed: Mediafm, checkpoints: Path, tmp_path: Path
) -> None:
    film, store = media / "nasa_13013.mp4", tmp_path / "nasa.h5"
    typed("segment", film, "-o", store)

    encode_all(typed, store, checkpoints)

    with open_store(store) as opened:
        shots, video, text = opened.shots, opened.encoding("video").vectors, opened.encoding("text").vectors
    clip, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{checkpoints / 'clip'}")
    spans = list(zip(shots.start_pts.tolist(), shots.end_pts.tolist(), strict=True))
    for row, frames in sample_frames(film, spans, Frames(4), shots.video_stream):
        with torch.no_grad():
            images = torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])
            expected = clip.eval().encode_image(images, normalize=True).mean(dim=0)
        np.testing.assert_allclose(video[row], expected, atol=1e-5)
    for row in np.flatnonzero(shots.text != ""):
        np.testing.assert_allclose(text[row], embedding_of(shots.text[row], WIDTH), atol=1e-6)
