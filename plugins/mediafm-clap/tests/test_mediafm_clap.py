"""The encoder keeps the contract, and its vectors are those that transformers gives for the same samples.

The checkpoints are small and random, in the format of real ones, and take 10 s of sound at 48 kHz in 64 mel bands as
real ones do. Reference vectors come from ``ClapModel.get_audio_features``, a class that the encoder does not use.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from mediafm_clap import RATE, Clap, ClapOptions
from transformers import (
    ClapAudioModelWithProjection,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapProcessor,
)

from mediafm_cli.api import Shot
from mediafm_cli.errors import UnavailableError, UsageError
from mediafm_cli.options import parse_options
from mediafm_cli.testing import assert_encoder

DIM = 12
WITHIN = 1e-5  # what a batch of another size may change in fp32


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def fused_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fusion = {"enable_fusion": True, "fusion_type": "aff_2d"}
    return save_checkpoint(tmp_path_factory.mktemp("fused"), audio=fusion, extractor={"truncation": "fusion"})


@pytest.fixture(scope="module")
def short_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("short"), extractor={"max_length_s": 1})


def save_checkpoint(
    folder: Path, *, audio: dict[str, Any] | None = None, extractor: dict[str, Any] | None = None, seed: int = 0
) -> Path:
    torch.manual_seed(seed)
    small_audio = {
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,  # of the last layer: it doubles with each
        "num_hidden_layers": 2,
    }
    small_text = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ClapConfig(audio_config=small_audio | (audio or {}), text_config=small_text, projection_dim=DIM)
    model = ClapModel(config)
    # A new model has zeros and ones where a trained one has not, and a key that is not read would go unnoticed.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.audio_model.audio_encoder.batch_norm.running_mean.fill_(-40.0)
        model.audio_model.audio_encoder.batch_norm.running_var.fill_(400.0)
    model.save_pretrained(folder)
    ClapFeatureExtractor(**{"truncation": "rand_trunc", **(extractor or {})}).save_pretrained(folder)
    return folder


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """White noise that grows louder, so that no two stretches of it are alike."""
    level = np.linspace(0.01, 0.3, samples)
    return (level * np.random.default_rng(seed).normal(size=samples)).clip(-1, 1).astype(np.float32)


def tone(samples: int, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)).astype(np.float32)


def make_shots(*sounds: np.ndarray) -> list[Shot]:
    return [Shot(index, float(index), index + 1.0, audio=sound) for index, sound in enumerate(sounds)]


def load_clap(model: Path, **options: Any) -> Clap:
    encoder = Clap(ClapOptions(model=str(model), **options))
    encoder.load()
    return encoder


def encode(encoder: Clap, *sounds: np.ndarray) -> np.ndarray:
    return encoder.encode([encoder.prepare(shot) for shot in make_shots(*sounds)])


def reference(model: Path, sound: np.ndarray) -> np.ndarray:
    """The vector that transformers gives for at most 10 s, of which no part counts as too long."""
    inputs = ClapFeatureExtractor.from_pretrained(model)(sound, sampling_rate=RATE, return_tensors="pt")
    clap = ClapModel.from_pretrained(model, dtype=torch.float32)
    with torch.inference_mode():
        output = clap.get_audio_features(inputs["input_features"], is_longer=torch.tensor([[False]]))
    return output.pooler_output[0].numpy()


def edit_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_audio_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit_json(folder / "config.json", audio_config=config["audio_config"] | changes)


def test_keeps_the_contract_of_an_encoder(checkpoint: Path) -> None:
    assert_encoder(Clap, ClapOptions(model=str(checkpoint)))


def test_keeps_the_contract_with_feature_fusion(fused_checkpoint: Path) -> None:
    assert_encoder(Clap, ClapOptions(model=str(fused_checkpoint)))


@pytest.mark.parametrize("samples", [1, RATE // 25, 3 * RATE, 10 * RATE])
def test_a_vector_is_that_of_get_audio_features(checkpoint: Path, samples: int) -> None:
    sound = noise(samples)

    vectors = encode(load_clap(checkpoint), sound)

    np.testing.assert_allclose(vectors, [reference(checkpoint, sound)], rtol=0, atol=WITHIN)


def test_a_fused_checkpoint_gives_the_vector_of_get_audio_features(fused_checkpoint: Path) -> None:
    sounds = [noise(3 * RATE), tone(10 * RATE), noise(RATE, seed=1)]

    vectors = encode(load_clap(fused_checkpoint), *sounds)

    expected = [reference(fused_checkpoint, sound) for sound in sounds]
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=WITHIN)


def test_a_longer_sound_is_the_mean_of_its_equal_chunks_weighted_by_duration(checkpoint: Path) -> None:
    sound = noise(25 * RATE + 1)

    vectors = encode(load_clap(checkpoint), sound)

    chunks = [sound[:400_001], sound[400_001:800_001], sound[800_001:]]
    weights = [400_001, 400_000, 400_000]
    expected = np.average([reference(checkpoint, chunk) for chunk in chunks], axis=0, weights=weights)
    np.testing.assert_allclose(vectors, [expected], rtol=0, atol=WITHIN)


def test_one_sample_more_than_the_extractor_takes_makes_two_halves(checkpoint: Path) -> None:
    sound = noise(10 * RATE + 1)

    vectors = encode(load_clap(checkpoint), sound)

    halves = [reference(checkpoint, sound[:240_001]), reference(checkpoint, sound[240_001:])]
    np.testing.assert_allclose(vectors, [np.mean(halves, axis=0)], rtol=0, atol=WITHIN)


def test_a_chunk_that_is_a_sample_longer_weighs_more(checkpoint: Path) -> None:
    sound = np.concatenate([tone(2401, hz=3000), noise(2400)])

    vectors = encode(load_clap(checkpoint, chunk_s=0.1), sound)

    halves = [reference(checkpoint, sound[:2401]), reference(checkpoint, sound[2401:])]
    weighted, plain = np.average(halves, axis=0, weights=[2401, 2400]), np.mean(halves, axis=0)
    assert np.abs(vectors - weighted).max() < 0.1 * np.abs(weighted - plain).max()


def test_chunk_s_bounds_what_is_encoded_at_once(checkpoint: Path) -> None:
    sound = noise(4 * RATE)

    vectors = encode(load_clap(checkpoint, chunk_s=2.5), sound)

    halves = [reference(checkpoint, sound[: 2 * RATE]), reference(checkpoint, sound[2 * RATE :])]
    np.testing.assert_allclose(vectors, [np.mean(halves, axis=0)], rtol=0, atol=WITHIN)


def test_a_shot_alone_and_in_a_batch_has_the_same_vector(short_checkpoint: Path) -> None:
    # 42 chunks: more than the model is given at once, and the longest shot lies across the seam.
    sounds = [noise(1), noise(RATE // 25), noise(38 * RATE), np.zeros(RATE, np.float32), tone(RATE // 2)]
    encoder = load_clap(short_checkpoint)

    together = encode(encoder, *sounds)

    alone = np.concatenate([encode(encoder, sound) for sound in sounds])
    np.testing.assert_allclose(together, alone, rtol=0, atol=WITHIN)


def test_silence_and_hardly_any_sound_have_unit_vectors(checkpoint: Path) -> None:
    sounds = [np.zeros(RATE, np.float32), np.zeros(1, np.float32), np.ones(1, np.float32), noise(RATE // 25)]

    vectors = encode(load_clap(checkpoint), *sounds)

    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)


def test_a_prepared_shot_holds_features_and_the_sound_given_is_as_it_was(checkpoint: Path) -> None:
    (shot,) = make_shots(noise(11 * RATE))

    prepared = load_clap(checkpoint).prepare(shot)

    assert prepared.features.shape == (2, 1, 1001, 64)
    assert prepared.durations.tolist() == [264_000, 264_000]
    assert (prepared.index, prepared.start_s, prepared.end_s) == (shot.index, shot.start_s, shot.end_s)
    np.testing.assert_array_equal(shot.audio, noise(11 * RATE))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_comes_close_to_the_vector_of_transformers(checkpoint: Path, precision: str) -> None:
    sound = noise(2 * RATE)

    (vector,) = encode(load_clap(checkpoint, precision=precision), sound)

    expected = reference(checkpoint, sound)
    assert vector.dtype == np.float32
    assert float(vector @ expected) > 0.999
    assert np.abs(vector - expected).max() > WITHIN  # else it was computed in fp32


def test_auto_is_fp32_on_a_processor(checkpoint: Path) -> None:
    auto, fp32 = (encode(load_clap(checkpoint, precision=name), noise(RATE)) for name in ("auto", "fp32"))

    np.testing.assert_array_equal(auto, fp32)


def test_weights_saved_in_half_precision_are_used_in_fp32(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    ClapModel.from_pretrained(folder).half().save_pretrained(folder)
    edit_audio_config(folder, dtype="float16")

    vectors = encode(load_clap(folder), noise(RATE))

    np.testing.assert_allclose(vectors, [reference(folder, noise(RATE))], rtol=0, atol=WITHIN)


def test_the_width_of_the_whole_model_holds_and_not_that_of_its_audio_half(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    edit_audio_config(folder, projection_dim=512)

    vectors = encode(load_clap(folder), noise(RATE))

    np.testing.assert_allclose(vectors, [reference(folder, noise(RATE))], rtol=0, atol=WITHIN)


def test_a_checkpoint_of_the_audio_tower_alone_gives_the_same_vectors(checkpoint: Path, tmp_path: Path) -> None:
    audio_config = ClapConfig.from_pretrained(checkpoint).audio_config
    ClapAudioModelWithProjection.from_pretrained(checkpoint, config=audio_config).save_pretrained(tmp_path)
    ClapFeatureExtractor.from_pretrained(checkpoint).save_pretrained(tmp_path)

    vectors = encode(load_clap(tmp_path), noise(RATE))

    np.testing.assert_allclose(vectors, [reference(checkpoint, noise(RATE))], rtol=0, atol=WITHIN)


def test_pytorch_weights_are_read_where_there_are_no_safetensors(checkpoint: Path, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    torch.save(ClapModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()

    vectors = encode(load_clap(folder), noise(RATE))

    np.testing.assert_allclose(vectors, [reference(checkpoint, noise(RATE))], rtol=0, atol=WITHIN)


def test_the_extractor_settings_of_a_saved_processor_are_used(checkpoint: Path, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    nested = {"processor_class": ClapProcessor.__name__, "feature_extractor": settings | {"frequency_min": 500}}
    (folder / "processor_config.json").write_text(json.dumps(nested))

    vectors = encode(load_clap(folder), noise(RATE))

    np.testing.assert_allclose(vectors, [reference(folder, noise(RATE))], rtol=0, atol=WITHIN)
    assert np.abs(vectors - reference(checkpoint, noise(RATE))).max() > WITHIN


def test_the_width_is_known_before_load(checkpoint: Path) -> None:
    assert Clap(ClapOptions(model=str(checkpoint))).dim == DIM


def test_a_copy_of_a_folder_has_the_same_fingerprint(checkpoint: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "copy")

    original, copied = (Clap(ClapOptions(model=str(folder))).fingerprint() for folder in (checkpoint, copy))

    assert list(original) == ["weights_sha256"]
    assert copied == original


def test_other_weights_have_another_fingerprint(checkpoint: Path, tmp_path: Path) -> None:
    other = save_checkpoint(tmp_path, seed=1)

    before, after = (Clap(ClapOptions(model=str(folder))).fingerprint() for folder in (checkpoint, other))

    assert before != after


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_other_settings_have_another_fingerprint(checkpoint: Path, tmp_path: Path, file: str) -> None:
    other = shutil.copytree(checkpoint, tmp_path / "other")
    edit_json(other / file, note="changed")

    before, after = (Clap(ClapOptions(model=str(folder))).fingerprint() for folder in (checkpoint, other))

    assert before != after


def test_loading_prints_nothing(checkpoint: Path) -> None:
    code = "import sys, mediafm_clap as m; m.Clap(m.ClapOptions(model=sys.argv[1])).load()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    ran = subprocess.run(
        [sys.executable, "-c", code, str(checkpoint)], env=environment, capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_hub_out_of_reach_says_how_to_fetch_the_weights_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(UnavailableError) as caught:
        _ = Clap().dim

    assert caught.value.what == "The weights of laion/clap-htsat-unfused cannot be found."
    assert "hf download laion/clap-htsat-unfused --include" in caught.value.hint
    assert "--opt model=clap-htsat-unfused" in caught.value.hint


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("preprocessor_config.json", {"sampling_rate": 44_100}, "takes 44100 samples per second"),
        ("preprocessor_config.json", {"truncation": "fusion"}, "without feature fusion"),
        ("config.json", {"model_type": "wav2vec2"}, "is not a CLAP model"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_before_load(
    tmp_path: Path, file: str, changes: dict[str, object], said: str
) -> None:
    edit_json(save_checkpoint(tmp_path) / file, **changes)

    with pytest.raises(UsageError, match=said):
        _ = Clap(ClapOptions(model=str(tmp_path))).dim


def test_a_fused_model_with_the_extractor_of_another_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, audio={"enable_fusion": True, "fusion_type": "aff_2d"})

    with pytest.raises(UsageError, match="with feature fusion, and the truncation of its feature extractor is 'rand"):
        _ = Clap(ClapOptions(model=str(tmp_path))).dim


def test_missing_extractor_settings_are_named(tmp_path: Path) -> None:
    (save_checkpoint(tmp_path) / "preprocessor_config.json").unlink()

    with pytest.raises(UnavailableError, match=r"no preprocessor_config\.json"):
        _ = Clap(ClapOptions(model=str(tmp_path))).dim


@pytest.mark.parametrize("content", ["{", "[]"])
def test_damaged_settings_are_named(tmp_path: Path, content: str) -> None:
    (save_checkpoint(tmp_path) / "config.json").write_text(content)

    with pytest.raises(UnavailableError, match=r"config\.json cannot be read"):
        _ = Clap(ClapOptions(model=str(tmp_path))).dim


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    weights = ClapModel.from_pretrained(folder).state_dict()
    torch.save({k: v for k, v in weights.items() if "audio_projection" not in k}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()

    with pytest.raises(UnavailableError, match=r"It has none for audio_projection\.linear1\.bias.*and others"):
        load_clap(folder)


def test_a_chunk_longer_than_the_extractor_takes_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match=r"takes 10 s at once. Use --opt chunk_s=10 or less"):
        _ = Clap(ClapOptions(model=str(checkpoint), chunk_s=11.0)).dim


@pytest.mark.parametrize("pair", ["precision=fp8", "chunk_s=0", "chunk_s=-1", "chunk_s=nan", "model=", "revision= "])
def test_options_that_cannot_be_are_refused(pair: str) -> None:
    with pytest.raises(UsageError):
        parse_options(ClapOptions, [pair])


@pytest.mark.parametrize("changes", [{"precision": "fp8"}, {"chunk_s": float("inf")}, {"model": " "}])
def test_options_made_in_python_are_held_to_the_same(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ClapOptions(**changes)
