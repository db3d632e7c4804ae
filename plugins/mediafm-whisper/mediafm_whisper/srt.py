"""Cues as an SRT file, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pysubs2

from mediafm_cli.errors import MediafmError
from mediafm_cli.media.captions import Cue

# pysubs2 takes braces and backslashes for formatting, and drops what they hold.
_NO_FORMATTING = str.maketrans("{}\\", "()/")


def write_srt(path: Path, cues: Sequence[Cue], *, overwrite: bool = False) -> None:
    """Write ``cues`` to ``path``. A reader or a crash finds the old file, the new one, or none.

    Raises:
        MediafmError: the file cannot be written, or is there although not to be overwritten.
    """
    events = [
        pysubs2.SSAEvent(round(cue.start_s * 1000), round(cue.end_s * 1000), cue.text.translate(_NO_FORMATTING))
        for cue in cues
    ]
    subtitles = pysubs2.SSAFile()
    subtitles.events = events
    temporary = _temporary(path)
    try:
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(subtitles.to_string("srt"))
                file.flush()
                os.fsync(file.fileno())
            _put_in_place(temporary, path, overwrite=overwrite)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def require_writable(path: Path) -> None:
    """Make the folder of ``path``, and see that a file can be made in it: before hours of work, not after.

    Raises:
        MediafmError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trial = _temporary(path)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _temporary(path: Path) -> Path:
    """A name that no player and no other process takes for subtitles."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _put_in_place(temporary: Path, path: Path, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # unlike a rename, it never replaces a file that has come meanwhile
    except OSError as error:
        if path.exists():
            what = f"{path} is there already."
            raise MediafmError(what, "It was written meanwhile.", "Replace it with --overwrite.") from error
        os.replace(temporary, path)  # a file system without hard links


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(path: Path, error: OSError) -> MediafmError:
    hint = "Make room or choose another folder with -o, and run the command again."
    return MediafmError(f"{path} could not be written.", f"{error.strerror}.", hint)
