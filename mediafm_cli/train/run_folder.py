"""The folder of a run: the model and its card when it is done, ``metrics.jsonl`` and its plot, and ``checkpoints/``."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mediafm_cli.errors import TrainingError, UsageError
from mediafm_cli.model.atomic import TEMPORARY, unwritable
from mediafm_cli.model.card import CARD
from mediafm_cli.model.folder import CHECKPOINTS, CONFIG, WEIGHTS
from mediafm_cli.train.checkpoints import is_checkpoint, newest_checkpoint, remove_leftovers

METRICS = "metrics.jsonl"
LOSS_CURVE = "loss.png"
TENSORBOARD = "tensorboard"
FILES = (CONFIG, WEIGHTS, CARD, METRICS, LOSS_CURVE)
_held: set[int] = set()
"""Handles of the folders that this process has locked."""

OWN = frozenset({CHECKPOINTS, TENSORBOARD, *FILES, *(TEMPORARY.format(name=name) for name in FILES)})
"""Everything that a run makes. ``overwrite`` removes nothing else."""


@contextmanager
def open_run(folder: Path, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold the folder of a run, made ready: empty, or with what ``resume`` goes on from.

    Raises:
        UsageError: ``resume`` and ``overwrite`` together, or a file in the folder's place.
        TrainingError: another process holds it; it is not empty and neither was asked for; there is no checkpoint to
            ``resume`` from, and a model that it would replace; or ``overwrite`` would remove what is not of a run.
    """
    _require_words(folder, resume, overwrite)
    with _lock(folder):
        try:
            _require_contents(folder, resume, overwrite)
            _prepare(folder, overwrite)
        except OSError as error:
            raise unwritable(folder, error) from error
        yield


def check_run(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise what ``open_run`` would raise about the folder as it is; nothing is made or removed."""
    _require_words(folder, resume, overwrite)
    if folder.exists():
        with _lock(folder):
            _require_contents(folder, resume, overwrite)


def _require_words(folder: Path, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other.", "One goes on, the other starts anew.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file.", "A model is a folder.", "Name another with -o.")


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """A lock on the folder itself: it leaves no file behind, and ends with the process.

    Raises:
        TrainingError: another process holds it, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        _require_lock(folder, handle)
        _held.add(handle)
        yield
    finally:
        _held.discard(handle)
        os.close(handle)


def _leave_locks() -> None:
    """In a forked process: it may outlive the one that trains, and must not keep the next one out of the folder."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_leave_locks)


def _require_lock(folder: Path, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TrainingError(f"{folder} is in use.", "Another process trains there.", "Wait for it to end.") from error


def _require_contents(folder: Path, resume: bool, overwrite: bool) -> None:
    if overwrite:
        _require_own(folder)
    elif resume:
        _require_resumable(folder)
    elif any(folder.iterdir()):
        hint = "Choose another folder."
        if not _strangers(folder):
            hint = "Go on with --resume, start anew with --overwrite, or choose another folder."
        raise TrainingError(f"{folder} is not empty.", hint=hint)


def _prepare(folder: Path, overwrite: bool) -> None:
    if overwrite:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / CHECKPOINTS).mkdir(exist_ok=True)
    remove_leftovers(folder / CHECKPOINTS)


def _require_resumable(folder: Path) -> None:
    """A checkpoint, or nothing that a start from step 0 would write over."""
    if (folder / CHECKPOINTS).is_dir() and newest_checkpoint(folder / CHECKPOINTS):
        return
    kept = sorted(path.name for path in folder.iterdir() if path.name in (CONFIG, WEIGHTS, CARD))
    at_stake = kept or _strangers(folder)
    if at_stake:
        why = f"It holds {', '.join(at_stake[:3])}, and no checkpoint."
        hint = "Choose another folder" + (", or start anew with --overwrite." if not _strangers(folder) else ".")
        raise TrainingError(f"There is nothing in {folder} to go on from.", why, hint)


def _require_own(folder: Path) -> None:
    strangers = _strangers(folder)
    if strangers:
        why = f"It holds {', '.join(strangers[:3])}, which no run has made."
        raise TrainingError(f"{folder} is not overwritten.", why, "Choose another folder.")


def _strangers(folder: Path) -> list[str]:
    """What no run makes, in the folder and among its checkpoints."""
    found = [path.name for path in folder.iterdir() if path.name not in OWN]
    if (folder / CHECKPOINTS).is_dir():
        inside = (path for path in (folder / CHECKPOINTS).iterdir() if not is_checkpoint(path))
        found += [f"{CHECKPOINTS}/{path.name}" for path in inside]
    return sorted(found)
