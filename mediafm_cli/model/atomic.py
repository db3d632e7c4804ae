"""Write a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from mediafm_cli.errors import ELSEWHERE, FORBIDDEN, TrainingError

TEMPORARY = ".{name}.tmp"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``. A reader or a crash finds the old file or the new one.

    Raises:
        TrainingError: the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(TEMPORARY.format(name=path.name))
    try:
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> TrainingError:
    """The error for a failed write of ``path``."""
    room = "What was saved before is whole; make room, and run it again; pretrain goes on with --resume."
    hint = ELSEWHERE if error.errno in FORBIDDEN else room
    return TrainingError(f"{path} could not be written.", f"{error.strerror}.", hint)
