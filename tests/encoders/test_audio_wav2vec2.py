"""``audio.wav2vec2`` gives what transformers itself gives on the same samples."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_checkpoints import write_bert, write_speech_model

from mediafm_cli.api import Shot
from mediafm_cli.encoders.audio_wav2vec2 import AudioWav2Vec2, AudioWav2Vec2Options
from mediafm_cli.errors import UnavailableError, UsageError
from mediafm_cli.testing import assert_encoder

RATE = 16_000
WIDTH = 16
KINDS = [
    ("wav2vec2", "group"),
    ("wav2vec2", "layer"),
    ("hubert", "group"),
    ("wavlm", "group"),
    ("data2vec-audio", "layer"),
]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_speech_model(tmp_path_factory.mktemp("speech") / "tiny", *request.param)


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_speech_model(tmp_path_factory.mktemp("wav2vec2") / "tiny")


def make_shots(*seconds: float, level: float = 0.1) -> list[Shot]:
    random = np.random.default_rng(5)
    samples = [random.normal(0, level, round(length * RATE)).astype(np.float32) for length in seconds]
    return [Shot(row, row * 60.0, row * 60.0 + length, audio=samples[row]) for row, length in enumerate(seconds)]


def encode(shots: list[Shot], folder: Path, **options: Any) -> np.ndarray:
    encoder = AudioWav2Vec2(AudioWav2Vec2Options(model=str(folder), **options))
    encoder.load()
    return encoder.encode([encoder.prepare(shot) for shot in shots])


def reference(audio: np.ndarray, folder: Path, layer: int | None = None) -> np.ndarray:
    """The states of one stretch of sound by transformers' own classes: [T, width]."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        output = model(**extractor(audio, sampling_rate=RATE, return_tensors="pt"), output_hidden_states=True)
    return (output.last_hidden_state if layer is None else output.hidden_states[layer])[0].numpy()


def test_it_keeps_the_contract(folder: Path) -> None:
    assert_encoder(AudioWav2Vec2, AudioWav2Vec2Options(model=str(folder)))


@pytest.mark.parametrize("layer", [None, 0, 1, -1])
def test_a_shot_is_the_mean_of_the_states_that_transformers_gives(layer: int | None, folder: Path) -> None:
    (shot,) = make_shots(1.3)

    (vector,) = encode([shot], folder, layer=layer)

    np.testing.assert_allclose(vector, reference(shot.audio, folder, layer).mean(axis=0), atol=1e-5)


def test_shots_of_very_different_length_are_in_a_batch_what_they_are_alone(folder: Path) -> None:
    shots = make_shots(0.04, 3.0, 0.5, 0.06, 1.7, 2.999)

    together = encode(shots, folder)

    alone = np.stack([reference(shot.audio, folder).mean(axis=0) for shot in shots])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_mean_and_std_stand_one_after_the_other(wav2vec2: Path) -> None:
    (shot,) = make_shots(2.0)

    (vector,) = encode([shot], wav2vec2, pooling="mean+std")

    states = reference(shot.audio, wav2vec2)
    np.testing.assert_allclose(vector, np.concatenate([states.mean(axis=0), states.std(axis=0)]), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "mean+std"])
def test_a_long_shot_is_cut_into_equal_chunks_and_pooled_over_all_their_states(pooling: Any, wav2vec2: Path) -> None:
    (shot,) = make_shots(2.5)
    samples = transformers.AutoFeatureExtractor.from_pretrained(wav2vec2)(shot.audio, sampling_rate=RATE)
    model = transformers.AutoModel.from_pretrained(wav2vec2).eval()
    with torch.no_grad():
        chunks = [
            model(torch.from_numpy(c)[None]).last_hidden_state[0] for c in np.array_split(samples.input_values[0], 3)
        ]
    states = torch.cat(chunks).numpy()

    (vector,) = encode([shot], wav2vec2, pooling=pooling, chunk_s=1.0)

    expected = {"mean": states.mean(axis=0), "mean+std": np.concatenate([states.mean(axis=0), states.std(axis=0)])}
    np.testing.assert_allclose(vector, expected[pooling], atol=1e-5)


def test_how_much_is_encoded_at_once_changes_nothing(wav2vec2: Path) -> None:
    shots = make_shots(1.0, 2.5, 0.3, 4.0, 1.1)

    np.testing.assert_allclose(
        encode(shots, wav2vec2, chunk_s=1.0, batch_s=1.0), encode(shots, wav2vec2, chunk_s=1.0, batch_s=60.0), atol=1e-5
    )


@pytest.mark.parametrize("samples", [0, 1, 399, 400])
def test_what_is_too_short_for_the_convolutions_is_padded_with_silence(samples: int, wav2vec2: Path) -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, samples).astype(np.float32)

    (vector,) = encode([Shot(0, 0.0, 0.01, audio=audio)], wav2vec2)

    padded = np.concatenate([audio, np.zeros(400 - samples, np.float32)])  # 400 samples, 25 ms, are one state
    np.testing.assert_allclose(vector, reference(padded, wav2vec2).mean(axis=0), atol=1e-5)


def test_silence_is_finite(folder: Path) -> None:
    shots = [Shot(row, 0.0, 1.0, audio=np.zeros(length, np.float32)) for row, length in enumerate((1, 400, RATE))]

    assert np.isfinite(encode(shots, folder)).all()


def test_a_quiet_shot_is_as_good_as_a_loud_one(wav2vec2: Path) -> None:
    # The feature extractor of wav2vec 2.0 brings each input to unit variance.
    loud, quiet = make_shots(1.0, level=0.3), make_shots(1.0, level=0.03)

    np.testing.assert_allclose(encode(loud, wav2vec2), encode(quiet, wav2vec2), atol=1e-3)


def test_a_speech_recogniser_gives_the_states_of_the_model_inside_it(wav2vec2: Path, tmp_path: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(wav2vec2, vocab_size=12)
    recogniser = transformers.Wav2Vec2ForCTC(config)
    recogniser.wav2vec2.load_state_dict(transformers.AutoModel.from_pretrained(wav2vec2).state_dict())
    recogniser.save_pretrained(tmp_path / "ctc")
    shutil.copy(wav2vec2 / "preprocessor_config.json", tmp_path / "ctc")
    shots = make_shots(0.7)

    np.testing.assert_allclose(encode(shots, tmp_path / "ctc"), encode(shots, wav2vec2), atol=1e-6)


def test_an_adapter_is_left_out(tmp_path: Path) -> None:
    folder = write_speech_model(tmp_path / "adapted", add_adapter=True, output_hidden_size=WIDTH)
    (shot,) = make_shots(1.0)

    (vector,) = encode([shot], folder)

    without = transformers.AutoConfig.from_pretrained(folder, add_adapter=False)
    model = transformers.AutoModel.from_pretrained(folder, config=without).eval()
    samples = transformers.AutoFeatureExtractor.from_pretrained(folder)(
        shot.audio, sampling_rate=RATE, return_tensors="pt"
    )
    with torch.no_grad():
        states = model(samples.input_values).last_hidden_state[0].numpy()
    np.testing.assert_allclose(vector, states.mean(axis=0), atol=1e-5)


def test_pickled_weights_are_read_as_tensors(wav2vec2: Path, tmp_path: Path) -> None:
    shutil.copytree(wav2vec2, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    state = transformers.AutoModel.from_pretrained(wav2vec2).state_dict()
    torch.save(state, tmp_path / "pickled" / "pytorch_model.bin")
    shots = make_shots(0.5)

    np.testing.assert_allclose(encode(shots, tmp_path / "pickled"), encode(shots, wav2vec2), atol=1e-6)


def test_other_weights_are_another_encoder_and_another_place_is_not(wav2vec2: Path, tmp_path: Path) -> None:
    shutil.copytree(wav2vec2, tmp_path / "copy")
    other = write_speech_model(tmp_path / "other", seed=1)

    prints = [
        AudioWav2Vec2(AudioWav2Vec2Options(model=str(path))).fingerprint()
        for path in (wav2vec2, tmp_path / "copy", other)
    ]

    assert prints[0] == prints[1] != prints[2]


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"chunk_s": 0.5}, {"chunk_s": 200.0}, {"batch_s": 1.0}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="chunk_s of at least 1"):
        AudioWav2Vec2Options(**options)


def test_a_layer_that_is_not_there_is_refused(wav2vec2: Path) -> None:
    with pytest.raises(UsageError, match=r"has no layer 3\. It has 0 to 2"):
        assert AudioWav2Vec2(AudioWav2Vec2Options(model=str(wav2vec2), layer=3)).dim


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a bert model"):
        assert AudioWav2Vec2(AudioWav2Vec2Options(model=str(write_bert(tmp_path / "bert")))).dim


def test_a_model_of_another_rate_is_refused(wav2vec2: Path, tmp_path: Path) -> None:
    shutil.copytree(wav2vec2, tmp_path / "narrow")
    path = tmp_path / "narrow" / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sampling_rate": 8000}))

    with pytest.raises(UsageError, match="sound of 8000 samples a second"):
        encode(make_shots(1.0), tmp_path / "narrow")


def test_a_model_with_code_of_its_own_is_refused(wav2vec2: Path, tmp_path: Path) -> None:
    shutil.copytree(wav2vec2, tmp_path / "remote")
    described = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (tmp_path / "remote" / "config.json").write_text(json.dumps(described))
    (tmp_path / "remote" / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'x')")

    with pytest.raises(UnavailableError, match="Code that comes with a model is never run"):
        assert AudioWav2Vec2(AudioWav2Vec2Options(model=str(tmp_path / "remote"))).dim

    assert not (tmp_path / "ran").exists()


def test_a_feature_extractor_with_code_of_its_own_is_refused_whatever_stdin_says(
    wav2vec2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(wav2vec2, tmp_path / "remote")
    path = tmp_path / "remote" / "preprocessor_config.json"
    described = {"feature_extractor_type": "Mine", "auto_map": {"AutoFeatureExtractor": "mine.Mine"}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **described}))
    (tmp_path / "remote" / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'x')\nclass Mine: pass")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\ny\n"))

    with pytest.raises(UnavailableError, match="Code that comes with a model is never run"):
        encode(make_shots(0.5), tmp_path / "remote")

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_folder_without_a_file_names_the_file(lost: str, wav2vec2: Path, tmp_path: Path) -> None:
    shutil.copytree(wav2vec2, tmp_path / "part")
    (tmp_path / "part" / lost).unlink()

    with pytest.raises(UnavailableError, match=f"Missing in .*: {lost}"):
        AudioWav2Vec2(AudioWav2Vec2Options(model=str(tmp_path / "part"))).fingerprint()


def test_a_checkpoint_that_lacks_weights_is_refused_not_made_up(wav2vec2: Path, tmp_path: Path) -> None:
    shutil.copytree(wav2vec2, tmp_path / "part")
    weights = load_file(tmp_path / "part" / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "layers.1." not in name}
    save_file(kept, tmp_path / "part" / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(UnavailableError, match=r"lacks weights of the model.*encoder\.layers\.1\."):
        encode(make_shots(0.5), tmp_path / "part")
