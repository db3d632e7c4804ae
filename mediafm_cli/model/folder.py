"""A model is a folder: ``config.json`` and ``model.safetensors``. No pickle.

``config.json`` carries the hash of every file beside it, and the weights carry the hash of what ``config.json`` says:
one without the other, or a flipped bit in either, is found. The same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.atomic import write_atomically
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.records import RecordError, from_json, to_json
from mediafm_cli.model.transformer import MediaFM

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CHECKPOINTS = "checkpoints"
"""Beside the model, what its training goes on from; without a model, what is left of one that was not finished."""
FORMAT = "mediafm-model"
FORMAT_VERSION = 1
MAX_CONFIG_BYTES = 256 << 20
"""Room for the record of a run over half a million titles."""


@dataclass(frozen=True)
class TitleRecord:
    """One title of a training run. ``fingerprint`` is that of ``Title``."""

    title_id: str
    shots: int
    fingerprint: str
    split: Literal["train", "validation"]


@dataclass(frozen=True)
class TrainingRecord:
    """What a model was made of.

    Attributes:
        recipe: the name of the objective.
        steps: optimiser steps done; 0 for a model that was never trained.
        settings: the fields of the ``TrainConfig``.
        validation: how it did on the titles that it never learned from, at that step; None where it was not asked.
        titles: every title, and the side on which it stood. Only ``validation`` titles were never learned from.
        versions: the packages it ran on, for the record.
    """

    recipe: str
    steps: int
    seed: int
    settings: Mapping[str, Any]
    titles: tuple[TitleRecord, ...]
    versions: Mapping[str, str]
    validation: Mapping[str, Any] | None = None

    def title_ids(self, split: Literal["train", "validation"]) -> tuple[str, ...]:
        return tuple(title.title_id for title in self.titles if title.split == split)


@dataclass(frozen=True)
class FolderConfig:
    """``config.json``; ``sha256`` is that of each file beside it."""

    format: str
    format_version: int
    model: ModelConfig
    training: TrainingRecord
    sha256: Mapping[str, str]


def save_model(
    folder: Path,
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    training: TrainingRecord,
    beside: Mapping[str, bytes] | None = None,
) -> None:
    """Write a model into ``folder``, which is made where it is missing, and the files of ``beside`` with it.

    ``config.json`` comes last: a crash before leaves files that ``load_model`` refuses together, never a wrong model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = _said(config, training)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    # One key only: safetensors writes several in a random order.
    content = save_tensors(tensors, metadata={"config_sha256": _sha256(said)})
    files = {WEIGHTS: content, **(beside or {})}
    for name, content in files.items():
        write_atomically(folder / name, content)
    hashes = {name: _sha256(content) for name, content in files.items()}
    record = FolderConfig(FORMAT, FORMAT_VERSION, config, training, hashes)
    write_atomically(folder / CONFIG, (json.dumps(to_json(record), indent=1) + "\n").encode())


def load_model(folder: Path, device: torch.device | str = "cpu") -> MediaFM:
    """The trained model in ``folder``, ready to embed (``eval``).

    Raises:
        TrainingError: a file is missing or damaged, the two do not belong together, or it was never trained.
    """
    config = read_config(folder)
    if config.training.steps == 0:
        hint = f"Train it: mediafm pretrain STORES -o {folder}"
        raise TrainingError(f"{folder} holds a model that was never trained.", "It has done 0 steps.", hint)
    model = read_weights(folder, config).to(device).eval()
    model.record = config.training
    return model


def read_config(folder: Path) -> FolderConfig:
    """What ``config.json`` says: the shape of the model, and the record of its training. The weights are not read.

    Raises:
        TrainingError: there is none, or it is not one of this format.
    """
    path = folder / CONFIG
    content = _read(path, MAX_CONFIG_BYTES)
    try:
        value = json.loads(content)
        found = (value.get("format"), value.get("format_version")) if isinstance(value, dict) else None
        if found != (FORMAT, FORMAT_VERSION):
            raise RecordError(f"it is not of format {FORMAT} {FORMAT_VERSION}")
        return from_json(FolderConfig, value)
    except (ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error


def read_weights(folder: Path, config: FolderConfig) -> MediaFM:
    """The model of ``config`` on the CPU, with the weights in ``folder``.

    The shapes are compared before anything is allocated, so a config that declares a giant costs nothing.

    Raises:
        TrainingError: the weights are missing, damaged, of another config, or not finite.
    """
    path = folder / WEIGHTS
    content = read_beside(path, config)
    if _config_sha256(content) != _sha256(_said(config.model, config.training)):
        raise damaged(path, f"it was saved with another {CONFIG}")
    tensors = parse_tensors(path, content)
    with torch.device("meta"):
        model = MediaFM(config.model)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != wanted:
        raise damaged(path, f"its tensors are not those of the model in {CONFIG}")
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or not tensor.isfinite().all():
            raise damaged(path, f"{name} is not all finite float32")
    model.load_state_dict(tensors, assign=True)
    return model


def read_beside(path: Path, config: FolderConfig) -> bytes:
    """The file at ``path``, which is the one that ``config`` was saved with; a TrainingError where it is not."""
    content = _read(path)
    if _sha256(content) != config.sha256.get(path.name):
        raise damaged(path, f"it does not match the hash in {CONFIG}")
    return content


def parse_tensors(path: Path, content: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file that was read from ``path``; a TrainingError where it is damaged."""
    try:
        # A copy of each: where in a file a tensor lies must not decide how a kernel rounds.
        return {name: tensor.clone() for name, tensor in load_tensors(content).items()}
    except SafetensorError as error:
        raise damaged(path, str(error)) from error


def model_fingerprint(folder: Path) -> str:
    """sha256 of ``config.json``, which holds the hashes of the other files: one model, one fingerprint."""
    return _sha256(_read(folder / CONFIG, MAX_CONFIG_BYTES))


def _said(model: ModelConfig, training: TrainingRecord) -> bytes:
    return json.dumps([to_json(model), to_json(training)], sort_keys=True).encode()


def _config_sha256(content: bytes) -> str | None:
    """The hash in the header of a safetensors file: 8 bytes of length, then JSON."""
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return header["__metadata__"]["config_sha256"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: Path, limit: int | None = None) -> bytes:
    try:
        if limit is not None and path.stat().st_size > limit:
            raise damaged(path, f"it is larger than {limit >> 20} MiB")
        return path.read_bytes()
    except FileNotFoundError as error:
        why, hint = f"It has no {path.name}.", "Train one: mediafm pretrain STORES -o MODEL"
        if (path.parent / CHECKPOINTS).is_dir() and not (path.parent / CONFIG).exists():
            why, hint = "Its training has not been finished.", "The command that began it goes on with --resume."
        raise TrainingError(f"{path.parent} is not a model folder.", why, hint) from error
    except OSError as error:
        raise TrainingError(f"{path} cannot be read.", f"{error.strerror}.") from error


def damaged(path: Path, why: str) -> TrainingError:
    """The error for a file that cannot be trusted."""
    hint = "Write it again with: mediafm pretrain --resume, or restore it from a copy."
    return TrainingError(f"{path} is damaged: {why.rstrip('.')}.", hint=hint)
