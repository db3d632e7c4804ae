"""Checkpoints: each a model folder with the state of the optimisers beside it, there whole or not at all.

A checkpoint is written into a temporary folder and renamed. The optimisers' state is safetensors too: training needs no
pickle, and a stranger's checkpoint runs no code.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.optim import AdamW, Optimizer

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.atomic import TEMPORARY, sync_folder, unwritable
from mediafm_cli.model.folder import (
    FolderConfig,
    TrainingRecord,
    damaged,
    parse_tensors,
    read_beside,
    read_config,
    read_weights,
    save_model,
)
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.muon import Muon

STATE = "training_state.safetensors"
NAME = re.compile(r"step-(\d{8,})")
STATE_KEYS = {Muon: ("momentum_buffer",), AdamW: ("step", "exp_avg", "exp_avg_sq")}


def save_checkpoint(
    folder: Path, model: MediaFM, optimizers: Sequence[Optimizer], record: TrainingRecord, keep_last: int
) -> None:
    """Add the checkpoint of step ``record.steps`` to ``folder``, and remove all but the last ``keep_last``.

    Raises:
        TrainingError: the disk is full, or the folder cannot be written.
    """
    final = folder / f"step-{record.steps:08d}"
    temporary = folder / TEMPORARY.format(name=final.name)
    try:
        try:
            save_model(temporary, model, record, {STATE: save_tensors(_state(optimizers))})
            os.rename(temporary, final)
            sync_folder(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        remove_old(folder, keep_last)
    except OSError as error:
        raise unwritable(final, error) from error


def remove_old(folder: Path, keep_last: int) -> None:
    """Remove all checkpoints but the last ``keep_last``."""
    for old in _checkpoints(folder)[:-keep_last]:
        _remove(old)


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the latest step in ``folder``."""
    found = _checkpoints(folder)
    return found[-1] if found else None


def remove_leftovers(folder: Path) -> None:
    """Remove what a kill left half written. Call it only under the lock of the run."""
    for path in folder.glob(TEMPORARY.format(name="step-*")):
        shutil.rmtree(path)


def read_checkpoint(path: Path) -> FolderConfig:
    """The config of a checkpoint, whose record says what was trained on what, and how far.

    Raises:
        TrainingError: it is damaged; the hint says how to go on.
    """
    with _way_out(path):
        return read_config(path)


def restore_model(path: Path, config: FolderConfig) -> MediaFM:
    """The model of a checkpoint, on the CPU; raises as ``read_checkpoint``."""
    with _way_out(path):
        return read_weights(path, config)


def restore_optimizers(path: Path, config: FolderConfig, optimizers: Sequence[Optimizer]) -> None:
    """Put the state of a checkpoint into ``optimizers``, fresh ones of its model; raises as ``read_checkpoint``."""
    with _way_out(path):
        state = path / STATE
        tensors = parse_tensors(state, read_beside(state, config))
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if shapes != _shapes(optimizers):
            raise damaged(state, "its tensors are not those of the optimisers")
        for number, optimizer in enumerate(optimizers):
            fresh = optimizer.state_dict()
            for name, tensor in tensors.items():
                owner, index, key = name.split(".")
                if int(owner) == number:
                    fresh["state"].setdefault(int(index), {})[key] = tensor
            optimizer.load_state_dict(fresh)


def _state(optimizers: Sequence[Optimizer]) -> dict[str, Tensor]:
    """Every tensor of the optimisers' state, as ``<optimiser>.<parameter>.<key>``. Rates follow from the step."""
    return {
        f"{number}.{index}.{key}": tensor.detach().cpu().contiguous()
        for number, optimizer in enumerate(optimizers)
        for index, state in optimizer.state_dict()["state"].items()
        for key, tensor in state.items()
    }


def _shapes(optimizers: Sequence[Optimizer]) -> dict[str, torch.Size]:
    """The shapes that ``_state`` has once every parameter has been stepped."""
    shapes = {}
    for number, optimizer in enumerate(optimizers):
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for index, parameter in enumerate(parameters):
            for key in STATE_KEYS[type(optimizer)]:
                shapes[f"{number}.{index}.{key}"] = torch.Size() if key == "step" else parameter.shape
    return shapes


@contextmanager
def _way_out(path: Path) -> Iterator[None]:
    try:
        yield
    except TrainingError as error:
        hint = f"Remove {path}, and --resume goes on from the checkpoint before it."
        raise TrainingError(error.what, error.why, hint) from error


def _checkpoints(folder: Path) -> list[Path]:
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def _remove(path: Path) -> None:
    """Remove a checkpoint; a kill half way leaves no half of one under its name."""
    temporary = path.with_name(TEMPORARY.format(name=path.name))
    os.rename(path, temporary)
    shutil.rmtree(temporary)
