"""Whisper through transformers: the language that is spoken, and the cues of a window of sound.

Sound of more than 30 s is heard as in section 3.8 of the paper, by transformers' own implementation: the model hears
30 s, and the time stamps that it writes say where the next 30 s begin. What is unlikely or repeats itself is heard
again at a higher temperature, and what is probably no speech is left out, by the thresholds that transformers'
documentation of ``WhisperForConditionalGeneration.generate`` gives. Text heard before is not shown to the model, which
costs it some context and keeps it from repeating a mistake through the rest of the film.

Source: Radford et al. 2022, "Robust speech recognition via large-scale weak supervision", arXiv 2212.04356.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from mediafm_cli.errors import UnavailableError, UsageError, command
from mediafm_cli.hub import fetch_model
from mediafm_cli.media.captions import Cue
from mediafm_whisper import DEFAULT_MODEL
from mediafm_whisper.windows import RATE

if TYPE_CHECKING:
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

Task = Literal["transcribe", "translate"]

PIECE_S = 30.0
"""What the model hears at once."""

DECODING = {
    "temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "compression_ratio_threshold": 1.35,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
    "condition_on_prev_tokens": False,
}
"""Keyword arguments of ``generate``."""

_FRAME_S = 0.01  # of the spectrogram
_SHORTEST = RATE  # samples; the spectrogram cannot be made of next to nothing


class Whisper:
    """A Whisper model. Cheap to make; ``load`` reads the weights.

    Args:
        model: a repository on the hub, or a folder that ``save_pretrained`` wrote.
        revision: a branch, tag or commit of the repository; its main branch otherwise.
        language: ISO 639-1 code of what is spoken; ``None`` where it is to be detected.
        task: ``translate`` writes English whatever is spoken.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        revision: str | None = None,
        *,
        language: str | None = None,
        task: Task = "transcribe",
        device: str = "auto",
    ) -> None:
        self.model = model
        self.revision = revision
        self.language = language.lower() if language else None
        self.task = task
        self.device = device
        self._loaded: _Loaded | None = None

    @property
    def described(self) -> str:
        """The model in a few words."""
        return " ".join([self.model, *([f"({self.revision})"] if self.revision else []), f"on {self.device}"])

    def load(self) -> None:
        """Read the weights, from the hub where they are not on this machine. The second time, it does nothing.

        Raises:
            UnavailableError: the weights are not to be had, or are not those of a whole Whisper model.
            UsageError: there is no such device; or the model does not know the language or the task.
        """
        if self._loaded is None:
            loaded = _Loaded(self.model, self.revision, self.device)
            loaded.require(self.language, self.task)
            self._loaded = loaded

    def detect_language(self, pieces: Iterable[np.ndarray]) -> str | None:
        """The language that the model hears in most of the pieces; ``None`` where there is no piece.

        Args:
            pieces: float32 [samples] at 16 kHz; of each, the first 30 s count.
        """
        loaded = self._require_loaded()
        if not loaded.languages:
            return "en"
        votes = Counter(loaded.detect_language(piece) for piece in pieces)
        return votes.most_common(1)[0][0] if votes else None

    def transcribe(
        self, samples: np.ndarray, language: str | None = None, progress: Callable[[float], None] | None = None
    ) -> list[Cue]:
        """Write down what is said.

        The same samples give the same cues, although what is unlikely is heard again at random.

        Args:
            samples: float32 [samples], mono, 16 kHz, of any length.
            language: of the speech; detected by the first 30 s where it is not given.
            progress: told how many seconds have been heard.

        Returns:
            Cues in seconds from the first sample, in order, without overlap, within the samples, none of them empty.
        """
        loaded = self._require_loaded()
        language = language or self.detect_language([samples])
        with _same_chances(loaded.device):
            segments = loaded.generate(samples, language, self.task, progress)
        return tidy_cues(segments, samples.size / RATE, loaded.read)

    def _require_loaded(self) -> _Loaded:
        self.load()
        assert self._loaded is not None
        return self._loaded


def tidy_cues(segments: Sequence[Mapping[str, Any]], length_s: float, read: Callable[[Any], str]) -> list[Cue]:
    """Segments as ``generate`` returns them, as cues.

    The model hears silence after the end of the sound, and may set a time stamp there: it is moved to the end.

    Args:
        length_s: of the sound.
        read: turns a segment's tokens into text.
    """
    cues: list[Cue] = []
    for segment in segments:
        text = " ".join(_printable(read(segment["tokens"])).split())
        start = max(round(float(segment["start"]), 3), cues[-1].end_s if cues else 0.0)
        end = round(min(float(segment["end"]), length_s), 3)
        if text and start < end:
            cues.append(Cue(start, end, text))
    return cues


def _printable(text: str) -> str:
    """A model that is unsure may write control characters, which no subtitle file can hold."""
    return "".join(character if character.isprintable() else " " for character in text)


class _Loaded:
    """The model in memory."""

    def __init__(self, name: str, revision: str | None, device: str) -> None:
        import torch

        from mediafm_cli.device import find_device

        self.name = name
        self.device = find_device(device)
        folder = _fetch(name, revision)
        dtype = torch.float16 if self.device.type == "cuda" else torch.float32
        model, self.processor = _read(name, folder, dtype)
        self.model: WhisperForConditionalGeneration = model.to(self.device).eval()
        self._config = self.model.generation_config
        if not hasattr(self._config, "no_timestamps_token_id"):
            raise _not_whole(name, "Its generation_config.json has no no_timestamps_token_id, so it can give no times.")
        self._require_matching_processor()
        by_token: dict[str, int] = getattr(self._config, "lang_to_id", None) or {}
        is_multilingual = getattr(self._config, "is_multilingual", bool(by_token))
        self.languages = {token.strip("<|>"): number for token, number in by_token.items()} if is_multilingual else {}

    def _require_matching_processor(self) -> None:
        """Raise an UnavailableError for what transformers made up because the files of it are not there."""
        if self.processor.feature_extractor.feature_size != self.model.config.num_mel_bins:
            raise _not_whole(self.name, "Its preprocessor_config.json is missing, or that of another model.")
        numbered = self.processor.tokenizer.convert_tokens_to_ids("<|notimestamps|>")
        if numbered != self._config.no_timestamps_token_id:
            raise _not_whole(self.name, "Its tokenizer.json is missing, or that of another model.")

    def require(self, language: str | None, task: Task) -> None:
        """Raise a UsageError if the model does not know the language or the task."""
        if not self.languages:
            if language not in (None, "en") or task != "transcribe":
                what = f"{self.name} knows English only."
                raise UsageError(what, "It cannot be told a language or to translate.", f"Use --model {DEFAULT_MODEL}.")
        elif language is not None and language not in self.languages:
            known = f"It knows {', '.join(sorted(self.languages))}."
            raise UsageError(
                f"{self.name} does not know the language {language!r}.", known, "Write it as in ISO 639-1."
            )

    def detect_language(self, samples: np.ndarray) -> str:
        features = self._features(samples, truncation=True, padding="max_length")
        found = int(self.model.detect_language(features, generation_config=self._config))
        return {number: language for language, number in self.languages.items()}[found]

    def generate(
        self, samples: np.ndarray, language: str | None, task: Task, progress: Callable[[float], None] | None
    ) -> list[dict[str, Any]]:
        """The segments of one stretch of sound, as transformers returns them."""
        padded = np.pad(samples, (0, max(0, _SHORTEST - samples.size)))
        features = self._features(padded, truncation=False, padding="longest")
        asked = {"language": f"<|{language}|>", "task": task} if self.languages else {}

        def watch(frames: torch.Tensor) -> None:
            if progress is not None:
                progress(float(frames[0, 0]) * _FRAME_S)

        heard = self.model.generate(
            features, return_timestamps=True, return_segments=True, monitor_progress=watch, **DECODING, **asked
        )
        (segments,) = heard["segments"]
        return segments

    def read(self, tokens: torch.Tensor) -> str:
        """Tokens as text, without time stamps."""
        return str(self.processor.tokenizer.decode(tokens, skip_special_tokens=True))

    def _features(self, samples: np.ndarray, *, truncation: bool, padding: str) -> torch.Tensor:
        """[1, mels, frames]."""
        extract = self.processor.feature_extractor
        made = extract(samples, sampling_rate=RATE, return_tensors="pt", truncation=truncation, padding=padding)
        return made["input_features"].to(self.device, self.model.dtype)


def _fetch(name: str, revision: str | None) -> Path:
    try:
        folder = fetch_model(name, revision)
    except UnavailableError as error:
        if Path(name).expanduser().is_dir():
            hint = error.hint if revision else "Name a whole folder with --model."
            raise UnavailableError(error.what, error.why, hint) from error
        elsewhere = command("hf", "download", name, "--local-dir", Path(name).name)
        hint = f"Fetch them where there is a network: {elsewhere}; and name that folder: --model {Path(name).name}"
        raise UnavailableError(error.what, error.why, hint) from error
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
    except ValueError as error:
        raise _not_whole(name, f"Its config.json cannot be read: {error}.") from error
    if kind != "whisper":
        what = f"{name} is not a Whisper model."
        raise UsageError(
            what, f"Its config.json says that it is of the type {kind!r}.", f"Use --model {DEFAULT_MODEL}."
        )
    return folder


def _read(name: str, folder: Path, dtype: torch.dtype) -> tuple[Any, WhisperProcessor]:
    from safetensors import SafetensorError
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    try:
        model, loading = cast(
            "tuple[Any, dict[str, Any]]",
            WhisperForConditionalGeneration.from_pretrained(
                folder, dtype=dtype, local_files_only=True, output_loading_info=True
            ),
        )
        processor = WhisperProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _not_whole(name, " ".join(str(error).split())[:300]) from error
    if missing := sorted(loading["missing_keys"]):
        raise _not_whole(name, f"Its weights lack {', '.join(missing[:3])}.")
    return model, processor


def _not_whole(name: str, why: str) -> UnavailableError:
    return UnavailableError(f"{name} is not a whole Whisper model.", why, f"Use --model {DEFAULT_MODEL}.")


@contextmanager
def _same_chances(device: torch.device) -> Iterator[None]:
    """Sample from a fixed seed, and leave the random state of the caller as it was."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield
