"""``audio.clap``: what a shot sounds like, as the audio tower of CLAP embeds it beside text.

CLAP (Wu et al. 2023, "Large-scale contrastive language-audio pretraining with feature fusion and keyword-to-caption
augmentation", arXiv 2211.06687) trains an audio tower, HTS-AT (Chen et al. 2022, arXiv 2202.00874), and a text tower
until a sound and its caption have close unit vectors. Model and feature extractor are those of ``transformers``; the
text tower is not loaded.

- Nothing is random, and all of the sound is heard. Left alone, the feature extractor cuts a random stretch out of what
  is longer than it takes (10 s). So a long shot is cut into equal chunks here, and its vector is the mean of their unit
  vectors, weighted by duration: its length is 1 for one chunk, and the less the less the chunks are alike.
- A shorter shot is repeated and then padded with zeros (``repeatpad``) or as else the checkpoint says.
- Checkpoints with feature fusion work as well. No chunk is too long, so none is marked ``is_longer``; the feature
  extractor would mark one at random, which training needs and embedding does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mediafm_cli.api import Audio, Encoder, Shot
from mediafm_cli.errors import UnavailableError, UsageError
from mediafm_cli.hub import fetch_model, find_weights, load_model, sha256_of_files

if TYPE_CHECKING:
    import torch
    from transformers import ClapAudioModelWithProjection, ClapFeatureExtractor

RATE = 48_000
SHORTEST_CHUNK_S = 0.1
CHUNKS_AT_ONCE = 32  # bounds the memory of a batch with a shot that lasts an hour

# The feature extractor's settings: saved on their own, or, by newer releases, inside those of the processor.
_EXTRACTOR_FILES = ("processor_config.json", "preprocessor_config.json")

# Computed when the model is built, or not used in inference; some checkpoints leave them out.
_NOT_LEARNED = ("relative_position_index", "num_batches_tracked")


@dataclass(frozen=True)
class ClapOptions:
    """Options of ``audio.clap``.

    Attributes:
        model: a repository on the Hugging Face hub, or a folder with its files.
        revision: branch, tag or commit of the repository; its main branch otherwise.
        precision: of the model's arithmetic; ``auto`` is bf16 on a GPU and fp32 on a CPU. Weights are kept in fp32.
        chunk_s: longest stretch of sound, in seconds, that is encoded at once; by default all that the feature
            extractor takes, 10 s.
    """

    model: str = field(default="laion/clap-htsat-unfused", compare=False)
    revision: str | None = field(default=None, compare=False)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    chunk_s: float | None = None

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise UsageError("model is empty.", hint=f"Name a repository, such as {type(self).model}, or a folder.")
        if self.revision is not None and not self.revision.strip():
            raise UsageError("revision is empty.", hint="Leave it away, or name a branch, tag or commit.")
        if self.precision not in ("auto", "fp32", "bf16", "fp16"):
            raise UsageError(f"precision is {self.precision!r}.", "It can be: auto, fp32, bf16, fp16.")
        if self.chunk_s is not None and not (math.isfinite(self.chunk_s) and self.chunk_s >= SHORTEST_CHUNK_S):
            raise UsageError(f"chunk_s is {self.chunk_s}.", f"It is a number of seconds, at least {SHORTEST_CHUNK_S}.")


@dataclass(frozen=True)
class Checkpoint:
    """What a folder of weights says of itself.

    Attributes:
        folder: where its files are.
        dim: width of the vectors.
        extractor: settings of the feature extractor.
        longest_s: seconds of sound that the feature extractor takes.
    """

    folder: Path
    dim: int
    extractor: Mapping[str, Any]
    longest_s: float


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedShot(Shot):
    """A shot whose sound has become the model's input; the sound itself is let go.

    Attributes:
        features: log-mel spectra in dB, float32 [chunks, 1, windows, mel bands].
        durations: samples in each chunk, before padding, int64 [chunks].
    """

    features: np.ndarray
    durations: np.ndarray


class Clap(Encoder):
    """CLAP's embedding of the sound: float32 [n, projection_dim], unit vectors or, of several chunks, their mean."""

    needs = Audio(RATE)
    Options = ClapOptions

    def __init__(self, options: ClapOptions | None = None, *, device: str = "cpu") -> None:
        super().__init__(options, device=device)
        self._extractor: ClapFeatureExtractor | None = None
        self._model: ClapAudioModelWithProjection | None = None
        self._device: torch.device | None = None

    @property
    def dim(self) -> int:
        """Width of the vectors, as ``config.json`` says.

        Raises:
            UnavailableError: the checkpoint is not to be had.
            UsageError: it is not one that this encoder can use, or ``chunk_s`` is more than it takes.
        """
        return self._checkpoint.dim

    def fingerprint(self) -> Mapping[str, str]:
        """A hash of the checkpoint's settings and weights; raises as ``dim`` does."""
        return {"weights_sha256": self._weights_sha256}

    def load(self) -> None:
        """Read the audio tower, in fp32, and make the feature extractor.

        Raises:
            UnavailableError: the checkpoint lacks weights.
            UsageError: there is no such device.
        """
        from transformers import ClapFeatureExtractor

        from mediafm_cli.device import find_device

        self._device = find_device(self.device)
        self._extractor = ClapFeatureExtractor(**self._checkpoint.extractor)
        self._model = load_audio_tower(self._checkpoint.folder).to(self._device)

    def prepare(self, shot: Shot) -> PreparedShot:
        """Cut the sound into equal chunks, to within a sample, and compute their log-mel spectra."""
        assert shot.audio is not None  # the host fills in what the encoder needs
        assert self._extractor is not None  # the host loads first
        longest = int((self.options.chunk_s or self._checkpoint.longest_s) * RATE)
        chunks = np.array_split(shot.audio, math.ceil(shot.audio.size / longest))
        extracted = self._extractor(chunks, sampling_rate=RATE, return_tensors="np")["input_features"]
        # With feature fusion there are four spectra, equal where nothing is too long, and the model reads the first.
        features = np.ascontiguousarray(extracted[:, :1])
        durations = np.array([chunk.size for chunk in chunks])
        return PreparedShot(shot.index, shot.start_s, shot.end_s, features=features, durations=durations)

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Embed the sound of each shot: float32 [len(shots), dim]."""
        rows = np.zeros((len(shots), self.dim), np.float32)
        if not shots:
            return rows
        prepared = [shot if isinstance(shot, PreparedShot) else self.prepare(shot) for shot in shots]
        features = np.concatenate([shot.features for shot in prepared])  # [chunks, 1, windows, mel bands]
        parts = [self._embed(features[at : at + CHUNKS_AT_ONCE]) for at in range(0, len(features), CHUNKS_AT_ONCE)]
        chunks_before = np.cumsum([len(shot.durations) for shot in prepared])[:-1]
        of_each = np.split(np.concatenate(parts), chunks_before)
        for row, shot, vectors in zip(rows, prepared, of_each, strict=True):
            row[:] = np.average(vectors, axis=0, weights=shot.durations)
        return rows

    def close(self) -> None:
        """Let the model go."""
        self._model = self._extractor = None

    def _embed(self, features: np.ndarray) -> np.ndarray:
        """Unit vectors, float32 [chunks, dim], of log-mel spectra."""
        import torch

        from mediafm_cli.device import autocast

        assert self._model is not None  # the host loads first
        assert self._device is not None
        is_longer = torch.zeros(len(features), 1, dtype=torch.bool, device=self._device)
        with torch.inference_mode(), autocast(self._device, self.options.precision):
            vectors = self._model(torch.from_numpy(features).to(self._device), is_longer=is_longer).audio_embeds
        unit = torch.nn.functional.normalize(vectors.float(), dim=-1)  # as ClapModel.get_audio_features does
        return unit.cpu().numpy()

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        checkpoint = read_checkpoint(self.options.model, self.options.revision)
        if self.options.chunk_s is not None and self.options.chunk_s > checkpoint.longest_s:
            why = f"The feature extractor of {self.options.model} takes {checkpoint.longest_s:g} s at once."
            hint = f"Use --opt chunk_s={checkpoint.longest_s:g} or less, or leave it away."
            raise UsageError(f"chunk_s is {self.options.chunk_s:g}.", why, hint)
        return checkpoint

    @cached_property
    def _weights_sha256(self) -> str:
        folder = self._checkpoint.folder
        settings = [folder / name for name in ("config.json", *_EXTRACTOR_FILES)]
        return sha256_of_files([*settings, *find_weights(folder)])


def read_checkpoint(model: str, revision: str | None = None) -> Checkpoint:
    """Fetch a checkpoint where it is not there yet, and read what it says of itself; no weights are read.

    Raises:
        UnavailableError: it is not to be had, or files are missing or damaged.
        UsageError: it is no CLAP checkpoint, takes another sample rate, or its two parts do not fit together.
    """
    folder = fetch_model(model, revision)
    config = _read_json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in ("clap", "clap_audio_model"):
        why = f"Its config.json says that it is {kind!r}."
        raise UsageError(f"{model} is not a CLAP model.", why, f"Name one such as {ClapOptions.model}.")
    extractor = _read_extractor(folder)
    rate = extractor.get("sampling_rate", RATE)
    if rate != RATE:
        why = f"Its feature extractor takes {rate} samples per second, and audio.clap hands it {RATE}."
        raise UsageError(f"{model} cannot be used.", why, f"Name a CLAP model for {RATE} samples per second.")
    has_fusion = bool((config.get("audio_config") or config).get("enable_fusion", False))
    truncation = extractor.get("truncation", "fusion")
    if has_fusion != (truncation == "fusion"):
        what = "with" if has_fusion else "without"
        why = f"The model is one {what} feature fusion, and the truncation of its feature extractor is {truncation!r}."
        raise UsageError(f"{model} cannot be used.", why, "Fetch config.json and the extractor's settings together.")
    longest_s = float(extractor.get("max_length_s", 10))
    return Checkpoint(folder, int(config.get("projection_dim", 512)), extractor, longest_s)


def load_audio_tower(folder: Path) -> ClapAudioModelWithProjection:
    """The audio half of a CLAP model and its projection, in fp32, ready for inference.

    Raises:
        UnavailableError: the checkpoint lacks some of their weights.
    """
    from transformers import ClapAudioConfig, ClapConfig

    config: Any = ClapAudioConfig.from_pretrained(folder)
    if _read_json(folder / "config.json")["model_type"] == "clap":
        # ClapConfig hands its projection_dim on to the audio half, whose own entry may differ.
        config = ClapConfig.from_pretrained(folder).audio_config
    model: ClapAudioModelWithProjection = load_model(
        folder, config, "ClapAudioModelWithProjection", unused=_NOT_LEARNED
    )
    return model


def _read_extractor(folder: Path) -> Mapping[str, Any]:
    """The settings of the feature extractor, found as transformers finds them: those in the processor's go first."""
    processor, alone = (folder / name for name in _EXTRACTOR_FILES)
    if processor.is_file():
        nested = _read_json(processor).get("feature_extractor")
        if nested:
            return nested
    if alone.is_file():
        return _read_json(alone)
    why = f"There is no {alone.name}, which says how sound becomes the model's input."
    raise UnavailableError(f"{folder} is not complete.", why, "Fetch all of its .json files.")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnavailableError(f"{file} cannot be read.", f"{error}.", "Fetch it again.") from error
    if not isinstance(read, dict):
        raise UnavailableError(f"{file} cannot be read.", "It is no JSON object.", "Fetch it again.")
    return read
