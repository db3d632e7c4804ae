"""``audio.wav2vec2``: a shot's sound through a self-supervised speech model, pooled over time.

Any wav2vec 2.0 (Baevski et al. 2020, arXiv 2006.11477), HuBERT, WavLM or data2vec-audio checkpoint of transformers.

A shot is normalised as the checkpoint's feature extractor does it, cut into equal chunks if it is long, and batched
with others of its length. The attention mask hides the padding from the layers, and not from all convolutions: those
that are normalised over all of time (``feat_extract_norm: group``), and the stacked ones that give data2vec its
positions, see it. Through these each chunk goes alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mediafm_cli.api import Audio, Encoder, Shot
from mediafm_cli.errors import UsageError

_RATE = 16_000
_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")


@dataclass(frozen=True)
class AudioWav2Vec2Options:
    """Options of ``audio.wav2vec2``.

    Attributes:
        model: a repository on the hub, or a folder.
        revision: branch, tag or commit of the repository.
        layer: whose states are pooled: 0 is what the first layer is given, 1 what it gives, -1 what the last gives;
            ``None`` is the output of the model.
        pooling: over time: ``mean``, or ``mean+std``, the two one after the other, twice as wide.
        chunk_s: longest stretch that is encoded at once; a longer shot is cut into equal chunks.
        batch_s: seconds of sound that are encoded at once, padding included.
        precision: ``auto`` is bf16 on a GPU and fp32 elsewhere.
    """

    model: str = field(default="facebook/wav2vec2-base-960h", compare=False)
    revision: str | None = field(default=None, compare=False)
    layer: int | None = None
    pooling: Literal["mean", "mean+std"] = "mean"
    chunk_s: float = 30.0
    batch_s: float = field(default=120.0, compare=False)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    def __post_init__(self) -> None:
        if not 1.0 <= self.chunk_s <= self.batch_s:
            raise UsageError("audio.wav2vec2 needs chunk_s of at least 1, and batch_s of at least chunk_s.")


class AudioWav2Vec2(Encoder):
    """States of a speech model, pooled over time: float32 [n, hidden size], or twice that with ``mean+std``."""

    needs = Audio(_RATE)
    Options = AudioWav2Vec2Options
    packages = ("torch", "transformers")

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._config.hidden_size) * (2 if self.options.pooling == "mean+std" else 1)

    def fingerprint(self) -> Mapping[str, str]:
        """The version of the method, and a hash of the weights and of the files that say how they are used."""
        from mediafm_cli.hub import find_weights, sha256_of_files

        how = [self._folder / name for name in ("config.json", "preprocessor_config.json")]
        return {"version": "1", "weights_sha256": sha256_of_files([*how, *find_weights(self._folder)])}

    def load(self) -> None:
        """Load the model and its feature extractor."""
        from mediafm_cli.device import find_device
        from mediafm_cli.hub import load_model, load_processor

        self._extractor = load_processor(self._folder, "AutoFeatureExtractor")
        if self._extractor.sampling_rate != _RATE:
            what = f"{self.options.model} was trained on sound of {self._extractor.sampling_rate} samples a second."
            raise UsageError(what, f"audio.wav2vec2 gives it {_RATE}.")
        self._device = find_device(self.device)
        self._model = load_model(self._folder, self._config, unused=["masked_spec_embed"]).to(self._device)
        self._alone = _make_row_by_row(self._model, self._config)

    def prepare(self, shot: Shot) -> Shot:
        """Normalise the sound; what is too short for the convolutions is first padded with silence."""
        assert shot.audio is not None  # the host fills in what the encoder needs
        padded = np.pad(shot.audio, (0, max(0, self._shortest - len(shot.audio))))
        normalised = self._extractor(padded, sampling_rate=_RATE, return_tensors="np").input_values[0]
        return replace(shot, audio=normalised)

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Encode prepared shots: float32 [len(shots), dim]."""
        import torch

        width = int(self._config.hidden_size)
        frames = np.zeros((len(shots), 1))
        sums = np.zeros((len(shots), 2, width))  # of the states and of their squares
        with torch.inference_mode():
            for rows, chunks in self._batches(shots):
                states, mask = self._run(chunks)  # (B, T, width), (B, T)
                states = states.double() * mask[..., None]
                moments = torch.stack([states.sum(dim=1), states.square().sum(dim=1)], dim=1)  # (B, 2, width)
                np.add.at(sums, rows, moments.cpu().numpy())
                np.add.at(frames, rows, mask.sum(dim=1, keepdim=True).cpu().numpy())
        means = sums / frames[..., None] if len(shots) else sums
        mean, square = means[:, 0], means[:, 1]
        if self.options.pooling == "mean":
            return mean.astype(np.float32)
        return np.concatenate([mean, np.sqrt(np.maximum(square - mean**2, 0))], axis=1).astype(np.float32)

    def close(self) -> None:
        """Drop the model."""
        self.__dict__.pop("_model", None)

    def _batches(self, shots: Sequence[Shot]) -> Iterator[tuple[list[int], list[np.ndarray]]]:
        """Chunks of like length, longest first, and the rows of the shots that they belong to."""
        longest = int(self.options.chunk_s * _RATE)
        chunks = []
        for row, shot in enumerate(shots):
            assert shot.audio is not None  # the host fills in what the encoder needs
            chunks += [(row, chunk) for chunk in np.array_split(shot.audio, -(-len(shot.audio) // longest))]
        chunks.sort(key=lambda numbered: -len(numbered[1]))
        while chunks:
            fits = max(1, int(self.options.batch_s * _RATE) // len(chunks[0][1]))
            batch, chunks = chunks[:fits], chunks[fits:]
            yield [row for row, _ in batch], [chunk for _, chunk in batch]

    def _run(self, chunks: Sequence[np.ndarray]) -> tuple[Any, Any]:
        """States of the chosen layer, [B, T, width], and which of them are of sound, not of padding, [B, T]."""
        import torch

        from mediafm_cli.device import autocast

        lengths = torch.tensor([len(chunk) for chunk in chunks])
        values = torch.zeros(len(chunks), int(lengths.max()))
        for row, chunk in zip(values, chunks, strict=True):
            row[: len(chunk)] = torch.from_numpy(chunk)
        heard = torch.arange(values.shape[1]) < lengths[:, None]  # (B, samples)
        layer = self.options.layer
        frames = self._model._get_feat_extract_output_lengths(lengths)
        for convolutions, of in zip(self._alone, (lengths, frames), strict=True):
            convolutions.lengths = of.tolist()
        with autocast(self._device, self.options.precision):
            output = self._model(
                values.to(self._device),
                attention_mask=heard.to(self._device, torch.long),
                output_hidden_states=layer is not None,
            )
        states = output.last_hidden_state if layer is None else output.hidden_states[layer]
        return states, (torch.arange(states.shape[1]) < frames[:, None]).to(self._device)

    @cached_property
    def _folder(self) -> Path:
        from mediafm_cli.hub import fetch_model

        return fetch_model(self.options.model, self.options.revision)

    @cached_property
    def _config(self) -> Any:
        from mediafm_cli.hub import fetch_file, load_config

        config = load_config(fetch_file(self.options.model, "config.json", revision=self.options.revision).parent)
        if config.model_type not in _TYPES:
            raise UsageError(f"{self.options.model} is a {config.model_type} model.", f"Wanted: {', '.join(_TYPES)}.")
        layers = config.num_hidden_layers
        if self.options.layer is not None and not -layers - 1 <= self.options.layer <= layers:
            raise UsageError(f"{self.options.model} has no layer {self.options.layer}.", f"It has 0 to {layers}.")
        config.add_adapter = False  # an adapter would thin out time, and was trained for another task
        return config

    @cached_property
    def _shortest(self) -> int:
        """Samples that the convolutions need to give one state."""
        samples = 1
        for kernel, stride in zip(reversed(self._config.conv_kernel), reversed(self._config.conv_stride), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples


def _make_row_by_row(model: Any, config: Any) -> tuple[Any, Any]:
    """Make the convolutions of ``model`` that would see padding run on each row at its own length.

    Returns:
        Two modules, for sound and for positions, that are to be told ``lengths``: of the rows in samples, in states.
    """
    import torch

    class RowByRow(torch.nn.Module):
        def __init__(self, convolutions: torch.nn.Module, time: int, sees_padding: bool) -> None:
            super().__init__()
            self.convolutions = convolutions
            self.time = time  # which dimension of the result
            self.sees_padding = sees_padding
            self.lengths: Sequence[int] = ()

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            if not self.sees_padding:
                return self.convolutions(values)
            rows = [
                self.convolutions(row[None, :length])[0].movedim(self.time - 1, 0)  # (T of the row, channels)
                for row, length in zip(values, self.lengths, strict=True)
            ]
            return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).movedim(1, self.time)

    model.feature_extractor = RowByRow(
        model.feature_extractor, 2, getattr(config, "feat_extract_norm", "layer") == "group"
    )
    model.encoder.pos_conv_embed = RowByRow(model.encoder.pos_conv_embed, 1, config.model_type == "data2vec-audio")
    return model.feature_extractor, model.encoder.pos_conv_embed
