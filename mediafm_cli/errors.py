"""Every error that mediafm raises on purpose: what happened, why, and what to type next.

The library raises; only ``cli/app.py`` prints and exits. ``exit_code`` is the process's exit code.
"""

from __future__ import annotations

import errno
import shlex
from collections.abc import Sequence
from pathlib import Path

INTERRUPTED, TERMINATED = 128 + 2, 128 + 15
"""Exit codes after Ctrl-C and after SIGTERM, as shells have them."""

FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Of an OSError: no room would help."""

ELSEWHERE = "Choose another folder with -o, or make this one writable."


def command(*words: object) -> str:
    """A command for a hint, as it can be typed in a shell."""
    return shlex.join(map(str, words))


def counted(number: int, noun: str) -> str:
    """A number and its noun: ``1 title``, ``2 titles``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Terminated(KeyboardInterrupt):
    """SIGTERM has come. It ends a command as Ctrl-C does."""


def interrupted_code(interrupt: KeyboardInterrupt) -> int:
    """Exit code after Ctrl-C, or after SIGTERM."""
    return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED


class MediafmError(Exception):
    """Something went wrong and we know what.

    Args:
        what: one sentence, naming the file, group or option concerned.
        why: the cause, where it is not in ``what``.
        hint: the next command to type, or what to change.
    """

    exit_code = 1

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what, why, hint)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.hint) if part)


class UsageError(MediafmError):
    """The command was given something it cannot take (exit code 2)."""

    exit_code = 2


class SomeTitlesFailedError(MediafmError):
    """Some titles of several failed; the others are done (exit code 3)."""

    exit_code = 3


class OthersDoneError(SomeTitlesFailedError):
    """Some titles of several failed, and the next stage can go on with the others.

    Args:
        failed: titles. ``done``: stores of the others, in order. ``planned``: nothing was done, and would be.
    """

    def __init__(self, failed: Sequence[Path], done: Sequence[Path], *, planned: bool = False) -> None:
        names, verb = ", ".join(map(str, failed)), "would fail" if planned else "failed"
        others = "The others would be done." if planned else "The others are done."
        super().__init__(f"{len(failed)} of {len(failed) + len(done)} titles {verb}: {names}.", others)
        self.failed = list(failed)
        self.done = list(done)


class AllFailedError(MediafmError):
    """All titles of several failed (the exit code of the last)."""

    def __init__(self, titles: int, exit_code: int) -> None:
        super().__init__(f"All {titles} titles failed.")
        self.exit_code = exit_code


class PluginError(MediafmError):
    """An encoder, segmenter or command could not be found, loaded or trusted (exit code 4)."""

    exit_code = 4


class FailedOnTitleError(PluginError):
    """An encoder or segmenter failed on one title, and may do well on others (exit code 4)."""


class StoreError(MediafmError):
    """A store is not valid, or not what the stage needs (exit code 5)."""

    exit_code = 5


class StaleError(StoreError):
    """A group was made from something that has changed since (exit code 5)."""


class MediaError(MediafmError):
    """A media or subtitle file cannot be read (exit code 1)."""


class EndedError(MediaError):
    """The process that read a media file was ended, and that file need not be at fault (exit code 1)."""


class UnavailableError(MediafmError):
    """What any title would need is not there: weights, a key, a server (exit code 1)."""


class TrainingError(MediafmError):
    """Training or a model folder cannot go on (exit code 1)."""
