"""What the model hears: the same as transformers' own generation and pipeline, in order and within the sound."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_media import HIGH_HZ, LOW_HZ, RATE, tone, tones
from mediafm_whisper.recognizer import Whisper, tidy_cues
from mediafm_whisper.windows import is_silent
from transformers import WhisperForConditionalGeneration, WhisperProcessor, pipeline

from mediafm_cli.errors import UnavailableError, UsageError
from mediafm_cli.media.audio import read_spans
from mediafm_cli.media.captions import Cue

MINUTE = tones((LOW_HZ, 30), (HIGH_HZ, 30))


def as_pipeline(checkpoint: Path, samples: np.ndarray) -> list[tuple[float, float, str]]:
    """The chunks of transformers' pipeline for speech recognition."""
    recognize = pipeline("automatic-speech-recognition", model=str(checkpoint), device="cpu")
    asked = {"language": "en", "task": "transcribe"}
    heard = recognize(samples.copy(), return_timestamps=True, generate_kwargs=asked)
    return [(*chunk["timestamp"], chunk["text"].strip()) for chunk in heard["chunks"]]


def as_tuples(cues: list[Cue]) -> list[tuple[float, float, str]]:
    return [(cue.start_s, cue.end_s, cue.text) for cue in cues]


def assert_same(cues: list[tuple[float, float, str]], expected: list[tuple[float, float, str]]) -> None:
    assert [text for _, _, text in cues] == [text for _, _, text in expected]
    np.testing.assert_allclose([cue[:2] for cue in cues], [cue[:2] for cue in expected], atol=1e-5)


@pytest.mark.parametrize("name", ["seeking", "all-in-one"])
def test_cues_are_those_of_the_pipeline_of_transformers(name: str, checkpoints: Path) -> None:
    cues = Whisper(str(checkpoints / name)).transcribe(MINUTE, "en")

    expected = as_pipeline(checkpoints / name, MINUTE)
    assert len(expected) >= 4
    assert {text.split()[0] for _, _, text in expected} == {"low", "high"}
    assert_same(as_tuples(cues), expected)


def test_real_speech_is_heard_as_by_the_pipeline(media: Path, checkpoints: Path) -> None:
    (_, samples), *_ = read_spans(media / "jfk.flac", [(0.0, 11.0)], RATE, 0)
    assert samples is not None
    assert not is_silent(samples)

    cues = Whisper(str(checkpoints / "all-in-one")).transcribe(samples, "en")

    assert_same(as_tuples(cues), as_pipeline(checkpoints / "all-in-one", samples))


@pytest.mark.parametrize(("language", "task"), [("en", "transcribe"), ("de", "translate")])
def test_random_weights_say_what_generate_says(language: str, task: str, checkpoints: Path) -> None:
    sound = tones((LOW_HZ, 20), (HIGH_HZ, 20))
    model = WhisperForConditionalGeneration.from_pretrained(checkpoints / "random")
    processor = WhisperProcessor.from_pretrained(checkpoints / "random")
    inputs = processor(sound, sampling_rate=RATE, return_tensors="pt", truncation=False, padding="longest")
    torch.manual_seed(0)
    heard = model.generate(
        **inputs,
        # The values that the documentation of ``generate`` calls common.
        compression_ratio_threshold=1.35,
        logprob_threshold=-1.0,
        no_speech_threshold=0.6,
        temperature=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        condition_on_prev_tokens=False,
        return_timestamps=True,
        return_segments=True,
        language=language,
        task=task,
    )

    cues = Whisper(str(checkpoints / "random"), task=task).transcribe(sound, language)

    texts = [processor.decode(segment["tokens"], skip_special_tokens=True) for segment in heard["segments"][0]]
    words = [re.sub(r"[\s\x00-\x1f\x7f-\xa0]+", " ", text).strip() for text in texts]
    times = [(float(segment["start"]), min(float(segment["end"]), 40.0)) for segment in heard["segments"][0]]
    expected = [(*time, text) for time, text in zip(times, words, strict=True) if text and time[0] < time[1]]
    assert len(expected) >= 2
    assert_same(as_tuples(cues), expected)


def test_the_same_sound_gives_the_same_cues_and_the_random_state_is_left_alone(checkpoints: Path) -> None:
    whisper = Whisper(str(checkpoints / "random"))
    torch.manual_seed(5)
    expected_draw = torch.rand(1)
    torch.manual_seed(5)

    once = whisper.transcribe(MINUTE, "en")
    drawn = torch.rand(1)

    assert once == whisper.transcribe(MINUTE, "en")
    assert drawn == expected_draw


@pytest.mark.parametrize("seconds", [0.001, 0.3, 7.0])
def test_no_cue_goes_on_after_the_end_of_the_sound(seconds: float, checkpoints: Path) -> None:
    (cue,) = Whisper(str(checkpoints / "seeking")).transcribe(tone(LOW_HZ, seconds))

    assert (cue.start_s, cue.end_s) == (0.0, seconds)


def test_progress_is_told_in_seconds(checkpoints: Path) -> None:
    told: list[float] = []

    Whisper(str(checkpoints / "seeking")).transcribe(MINUTE, "en", told.append)

    assert told == pytest.approx([0, 12, 24, 36, 48])


def test_the_language_of_most_pieces_is_that_of_the_title(checkpoints: Path) -> None:
    whisper = Whisper(str(checkpoints / "seeking"))
    low, high = tone(LOW_HZ, 5), tone(HIGH_HZ, 5)

    # The model that was made for the tests hears a low tone as English and a high one as German.
    assert whisper.detect_language([low, high, high]) == "de"
    assert whisper.detect_language([low, high, low]) == "en"
    assert whisper.detect_language([]) is None


def test_a_model_of_english_alone_transcribes_it(checkpoints: Path) -> None:
    whisper = Whisper(str(checkpoints / "english"), language="en")

    assert whisper.detect_language([MINUTE]) == "en"
    assert [cue.text for cue in whisper.transcribe(MINUTE, "en")] == [*["low tone"] * 2, *["high tone"] * 3]


def test_cues_are_in_order_within_the_sound_and_hold_words() -> None:
    said = [
        (0.0, 2.0, " One  \n two. "),
        (1.5, 3.0, "three"),
        (3.0, 3.0, "no time"),
        (3.5, 4.0, " \x00 "),
        (4, 9, "end"),
    ]
    segments = [{"start": start, "end": end, "tokens": text} for start, end, text in [*said, (5.2, 9.0, "after")]]

    cues = tidy_cues(segments, 5.0, str)

    assert as_tuples(cues) == [(0.0, 2.0, "One two."), (2.0, 3.0, "three"), (4.0, 5.0, "end")]


@pytest.mark.parametrize(
    ("checkpoint", "options", "said"),
    [
        ("seeking", {"language": "xx"}, "does not know the language 'xx'. It knows de, en, zh."),
        ("english", {"language": "de"}, "knows English only."),
        ("english", {"task": "translate"}, "knows English only."),
        ("seeking", {"device": "tpu"}, "There is no device 'tpu'."),
    ],
)
def test_what_the_model_cannot_do_is_a_usage_error(
    checkpoint: str, options: dict[str, str], said: str, checkpoints: Path
) -> None:
    whisper = Whisper(str(checkpoints / checkpoint), **options)

    with pytest.raises(UsageError) as caught:
        whisper.load()
    assert said in str(caught.value)


def test_a_model_of_another_kind_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoints / "seeking", tmp_path / "other"))
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))

    with pytest.raises(
        UsageError, match=r"is not a Whisper model. Its config.json says that it is of the type 'wav2vec"
    ):
        Whisper(str(folder)).load()


def with_a_damaged_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def cut_short(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"cut short")


def without_a_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def without_a_feature_extractor(folder: Path) -> None:
    (folder / "processor_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_mel_bins": 128}))


def without_time_stamps(folder: Path) -> None:
    config = json.loads((folder / "generation_config.json").read_text())
    del config["no_timestamps_token_id"]
    (folder / "generation_config.json").write_text(json.dumps(config))


def without_a_layer(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.decoder.layers.0.fc1.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    "damage",
    [
        with_a_damaged_configuration,
        cut_short,
        without_a_tokenizer,
        without_a_feature_extractor,
        without_time_stamps,
        without_a_layer,
    ],
)
def test_a_model_that_is_not_whole_is_refused(
    damage: Callable[[Path], None], checkpoints: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoints / "seeking", tmp_path / "damaged"))
    damage(folder)

    with pytest.raises(UnavailableError, match="is not a whole Whisper model"):
        Whisper(str(folder)).load()


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")

    with pytest.raises(UnavailableError, match=r"Missing in .*: model.safetensors. Name a whole folder with --model."):
        Whisper(str(tmp_path)).load()
