"""Checkpoints: each a model folder with the state of the optimisers beside it, there whole or not at all.

A checkpoint is written into a temporary folder and renamed. The optimisers' state is safetensors too: training needs no
pickle, and a stranger's checkpoint runs no code.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.optim import AdamW, Optimizer

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.atomic import TEMPORARY, sync_folder, unwritable, write_atomically
from mediafm_cli.model.card import CARD, model_card, renew_card
from mediafm_cli.model.config import ModelConfig
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
from mediafm_cli.train.distributed import World, part_like, whole
from mediafm_cli.train.muon import Muon

STATE = "training_state.safetensors"
NAME = re.compile(r"step-(\d{8,})")
BEFORE = ".before"
"""Ends the name of a best model while another of the same step takes its place."""

BEST = re.compile(rf"best-(\d{{8,}})(?:{re.escape(BEFORE)})?")
STATE_KEYS = {Muon: ("momentum_buffer",), AdamW: ("step", "exp_avg", "exp_avg_sq")}
AVERAGE = "average"


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run changes from step to step.

    Attributes:
        average: the averaged weights, by the names of the model's; None where none are kept.
    """

    model: MediaFM
    optimizers: Sequence[Optimizer]
    average: Mapping[str, Tensor] | None = None

    def kept_weights(self) -> dict[str, Tensor]:
        """The weights that are validated and kept: whole, on every process."""
        return whole_tensors({**self.model.state_dict(), **(self.average or {})})


def whole_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of which each process may hold a part, whole; every process has to ask.

    They are asked for by name, so in one order: a state that was read from a file lies in another in each process.
    """
    return {name: whole(tensors[name].detach()) for name in sorted(tensors)}


def save_checkpoint(folder: Path, trained: Trained, record: TrainingRecord, keep_last: int, world: World) -> None:
    """Add the checkpoint of step ``record.steps`` to ``folder``, and remove all but the last ``keep_last``.

    Every process hands over its parts, and the first one writes.

    Raises:
        TrainingError: the disk is full, or the folder cannot be written.
    """
    weights, state = whole_tensors(trained.model.state_dict()), _state(trained)

    def write() -> None:
        beside = {STATE: save_tensors(state)}
        _save(folder / f"step-{record.steps:08d}", trained.model.config, weights, record, beside)
        remove_old(folder, keep_last)

    world.by_first(write)


def save_best(folder: Path, trained: Trained, record: TrainingRecord, world: World) -> None:
    """Put a model in the place of the best one so far; processes and errors as in ``save_checkpoint``."""
    weights = trained.kept_weights()
    final = folder / f"best-{record.steps:08d}"

    def write() -> None:
        _save(final, trained.model.config, weights, record, {})
        for other in _found(folder, BEST):
            if other != final:  # a later step's too: a run that was cut off after it goes on from an earlier one
                _remove(other)

    world.by_first(write)


def best_checkpoint(folder: Path) -> Path | None:
    """The best model so far: of the latest step, where a kill has left two."""
    found = _found(folder, BEST)
    return found[-1] if found else None


def best_validation(folder: Path) -> Mapping[str, Any] | None:
    """How the best model so far did on the validation titles; None where there is none."""
    best = best_checkpoint(folder)
    if best is None:
        return None
    with _way_out(best, "the next validation makes another"):
        return read_config(best).training.validation


def keep_best(folder: Path, checkpoints: Path) -> int:
    """Leave the best model of a run in its ``folder``, with its card; the step that it is of."""
    best = best_checkpoint(checkpoints)
    if best is None:
        raise TrainingError(f"{checkpoints} holds no model.", hint="Train it again with --overwrite.")
    with _way_out(best, "a longer run with --resume makes another"):
        config = read_config(best)
        weights = read_weights(best, config).state_dict()
    if not renew_card(folder, config.model, config.training):
        write_atomically(folder / CARD, model_card(config.model, config.training).encode())
    save_model(folder, config.model, weights, config.training)
    return config.training.steps


def _save(
    final: Path, config: ModelConfig, weights: Mapping[str, Tensor], record: TrainingRecord, beside: dict[str, bytes]
) -> None:
    temporary = final.with_name(TEMPORARY.format(name=final.name))
    try:
        try:
            save_model(temporary, config, weights, record, beside)
            if final.exists():  # the best model of a run that was cut off after it
                os.rename(final, final.with_suffix(BEFORE))
            os.rename(temporary, final)
            sync_folder(final.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise unwritable(final, error) from error


def remove_old(folder: Path, keep_last: int) -> None:
    """Remove all checkpoints but the last ``keep_last``."""
    for old in _found(folder, NAME)[:-keep_last]:
        _remove(old)


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the latest step in ``folder``."""
    found = _found(folder, NAME)
    return found[-1] if found else None


def is_checkpoint(path: Path) -> bool:
    """Whether a run has made it, whole or not."""
    name = path.name.removeprefix(".").removesuffix(".tmp")
    return path.is_dir() and bool(NAME.fullmatch(name) or BEST.fullmatch(name))


def remove_leftovers(folder: Path) -> None:
    """Remove what a kill left half written or replaced. Call it only under the lock of the run."""
    for pattern in ("step-*", "best-*"):
        for path in folder.glob(TEMPORARY.format(name=pattern)):
            shutil.rmtree(path)
    for before in folder.glob(f"best-*{BEFORE}"):
        final = before.with_suffix("")
        if final.exists():
            _remove(before)
        else:
            os.rename(before, final)


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


def restore_state(path: Path, config: FolderConfig, trained: Trained) -> None:
    """Put the state of a checkpoint into fresh optimisers and averages of its model; raises as ``read_checkpoint``."""
    with _way_out(path):
        state = path / STATE
        tensors = parse_tensors(state, read_beside(state, config))
        if {name: tensor.shape for name, tensor in tensors.items()} != _shapes(trained):
            raise damaged(state, "its tensors are not those of the optimisers")
        for number, optimizer in enumerate(trained.optimizers):
            parameters = _parameters(optimizer)
            fresh = optimizer.state_dict()
            for name, tensor in tensors.items():
                owner, _, rest = name.partition(".")
                if owner == str(number):
                    index, _, key = rest.partition(".")
                    part = part_like(tensor, parameters[int(index)])
                    fresh["state"].setdefault(int(index), {})[key] = part
            optimizer.load_state_dict(fresh)
        for name, average in (trained.average or {}).items():
            average.copy_(part_like(tensors[f"{AVERAGE}.{name}"], average))


def _state(trained: Trained) -> dict[str, Tensor]:
    """Every tensor of the optimisers' state, as ``<optimiser>.<parameter>.<key>``, and ``average.<name>``.

    Rates follow from the step.
    """
    found = {
        f"{number}.{index}.{key}": tensor
        for number, optimizer in enumerate(trained.optimizers)
        for index, state in optimizer.state_dict()["state"].items()
        for key, tensor in state.items()
    }
    found |= {f"{AVERAGE}.{name}": tensor for name, tensor in (trained.average or {}).items()}
    return {name: tensor.cpu().contiguous() for name, tensor in whole_tensors(found).items()}


def _shapes(trained: Trained) -> dict[str, torch.Size]:
    """The shapes that ``_state`` has once every parameter has been stepped."""
    shapes = {f"{AVERAGE}.{name}": tensor.shape for name, tensor in (trained.average or {}).items()}
    for number, optimizer in enumerate(trained.optimizers):
        for index, parameter in enumerate(_parameters(optimizer)):
            for key in STATE_KEYS[type(optimizer)]:
                shapes[f"{number}.{index}.{key}"] = torch.Size() if key == "step" else parameter.shape
    return shapes


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@contextmanager
def _way_out(path: Path, then: str = "--resume goes on from the checkpoint before it") -> Iterator[None]:
    try:
        yield
    except TrainingError as error:
        hint = f"Remove {path}, and {then}."
        raise TrainingError(error.what, error.why, hint) from error


def _found(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """In order of their steps; what was replaced stands before what replaces it."""
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda one: (one[0], one[1].suffix != BEFORE))]


def _remove(path: Path) -> None:
    """Remove a checkpoint; a kill half way leaves no half of one under its name."""
    temporary = path.with_name(TEMPORARY.format(name=path.name))
    os.rename(path, temporary)
    shutil.rmtree(temporary)
