"""The chain as MediaFM has it, three pre-trained encoders of 768 numbers, on a real clip, as it is typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import transformers
from embeddings_server import KEY, EmbeddingsServer, embedding_of
from PIL import Image
from tiny_checkpoints import write_open_clip, write_speech_model
from typed_commands import Mediafm, Typed

from mediafm_cli.api import Frames
from mediafm_cli.media.audio import read_spans
from mediafm_cli.media.frames import sample_frames
from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle

WIDTH = 768


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
def typed(shell: Mediafm, checkpoints: Path, server: EmbeddingsServer, monkeypatch: pytest.MonkeyPatch) -> Mediafm:
    """A shell with the default preset, whose hub is the cache and whose server is on this machine; it shows no key."""
    monkeypatch.delenv("MEDIAFM_PRESET")
    monkeypatch.setenv("HF_HUB_CACHE", str(checkpoints / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*words: object) -> Typed:
        done = shell(*words)
        assert KEY not in done.out + done.err
        return done

    return run


def encode_all(typed: Mediafm, store: Path, checkpoints: Path) -> list[Typed]:
    return [
        typed("encode", store, "--modality", "video", "--opt", f"model={checkpoints / 'clip'}"),
        typed("encode", store, "--modality", "audio"),
        typed("encode", store, "--modality", "text"),
    ]


FIRST_SHOT_ONLY = "1\n00:00:00,500 --> 00:00:01,500\nWe are on our way.\n"


@pytest.mark.parametrize(("own_subtitles", "shots_with_cue"), [(True, [True] * 3), (False, [True, False, False])])
def test_the_preset_gives_2304_columns_with_text_zero_exactly_where_no_cue_is(
    own_subtitles: bool,
    shots_with_cue: list[bool],
    media: Path,
    typed: Mediafm,
    checkpoints: Path,
    server: EmbeddingsServer,
    tmp_path: Path,
) -> None:
    (tmp_path / "first.srt").write_text(FIRST_SHOT_ONLY)
    subtitles = [] if own_subtitles else ["--subtitles", tmp_path / "first.srt"]
    film, store, model = media / "nasa_13013.mp4", tmp_path / "nasa.h5", tmp_path / "model"
    small = ["--max-steps", 3, "--hidden", 32, "--layers", 1, "--heads", 2]

    done = [
        typed("segment", film, "-o", store, *subtitles),
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
    assert [bool(text) for text in shots.text] == shots_with_cue
    assert fused.vectors[:, 2 * WIDTH :].any(axis=1).tolist() == shots_with_cue
    assert fused.vectors[:, : 2 * WIDTH].reshape(3, 2, WIDTH).any(axis=2).all()
    assert sorted(server.paid_for) == sorted({text for text in shots.text if text})


def test_what_is_stored_is_what_the_libraries_give(
    media: Path, typed: Mediafm, checkpoints: Path, tmp_path: Path
) -> None:
    film, store = media / "nasa_13013.mp4", tmp_path / "nasa.h5"
    typed("segment", film, "-o", store)

    encode_all(typed, store, checkpoints)

    with open_store(store) as opened:
        shots = opened.shots
        video, audio, text = (opened.encoding(modality).vectors for modality in ("video", "audio", "text"))
    clip, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{checkpoints / 'clip'}")
    spans = list(zip(shots.start_pts.tolist(), shots.end_pts.tolist(), strict=True))
    for row, frames in sample_frames(film, spans, Frames(4), shots.video_stream):
        with torch.no_grad():
            images = torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])
            expected = clip.eval().encode_image(images, normalize=True).mean(dim=0)
        np.testing.assert_allclose(video[row], expected, atol=1e-5)
    folder = checkpoints / "hub" / "models--facebook--wav2vec2-base-960h" / "snapshots" / ("a" * 40)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    speech = transformers.AutoModel.from_pretrained(folder).eval()
    spans_s = list(zip(shots.start_s.tolist(), shots.end_s.tolist(), strict=True))
    for row, samples in read_spans(film, spans_s, 16_000, shots.audio_stream):
        with torch.no_grad():
            states = speech(**extractor(samples, sampling_rate=16_000, return_tensors="pt")).last_hidden_state[0]
        expected = states.mean(dim=0).numpy()
        np.testing.assert_allclose(audio[row], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    for row in np.flatnonzero(shots.text != ""):
        np.testing.assert_allclose(text[row], embedding_of(shots.text[row], WIDTH), atol=1e-6)


# --- before any work --------------------------------------------------------------------------------------------------


def test_run_asks_for_the_key_before_it_reads_a_film_or_fetches_weights(
    typed: Mediafm, films: list[SyntheticTitle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    (tmp_path / "stores").mkdir()

    done = typed("run", films[0].path, "-o", tmp_path / "stores")

    assert done.code == 1
    assert "OPENAI_API_KEY is not set" in done.err
    assert "weights" not in done.err
    assert list((tmp_path / "stores").iterdir()) == []


def test_run_asks_for_weights_before_it_reads_a_film(
    typed: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    (tmp_path / "stores").mkdir()

    done = typed("run", films[0].path, "-o", tmp_path / "stores")  # the cache has the speech model only

    assert done.code == 1
    assert "laion/CLIP-ViT-L-14" in done.err
    assert list((tmp_path / "stores").iterdir()) == []


def test_a_plan_needs_no_weights(typed: Mediafm, stores: list[Path], films: list[SyntheticTitle]) -> None:
    media = films[0].path.parent

    done = typed("encode", *stores, "--modality", "video", "--media", media, "--overwrite", "--dry-run")

    assert done.code == 0, done.err
    assert "3 planned" in done.err


def test_encode_without_a_key_says_once_for_all_titles_what_to_do(
    typed: Mediafm, stores: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")

    done = typed("encode", *stores, "--modality", "text", "--overwrite")

    assert done.code == 1
    assert done.err.count("error:") == 1
    assert "OPENAI_API_KEY is not set" in done.err
    assert "--preset offline" in done.err


def test_a_dry_run_tells_the_price_of_all_titles_before_and_the_run_tells_it_after(
    typed: Mediafm, stores: list[Path], server: EmbeddingsServer
) -> None:
    words = ["encode", *stores, "--modality", "text", "--overwrite"]

    before, after = typed(*words, "--dry-run"), typed(*words)

    assert "encode text: it would take about " in before.err
    assert f"to {server.url}" in before.err
    said = sum(len(text.split()) for text in server.paid_for)
    assert f"encode text: it took {said:,} tokens in {len(server.answered)} requests" in after.err


def test_a_revision_is_an_option_of_the_weights(
    typed: Mediafm, stores: list[Path], films: list[SyntheticTitle]
) -> None:
    words = ["encode", stores[0], "--modality", "audio", "--media", films[0].path.parent, "--overwrite"]

    pinned, missing = (typed(*words, "--revision", letter * 40) for letter in "ab")

    assert pinned.code == 0, pinned.err
    assert missing.code == 1
    assert "facebook/wav2vec2-base-960h" in missing.err
