"""What a list of cuts says once it is read, and what every list must keep to, whatever its format."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mediafm_cli.errors import UsageError

MAX_ENTRIES = 200_000
"""Most entries of a list; the fastest cut films have 3,000."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One cut or gradual transition.

    Attributes:
        where: its place in the file, such as ``line 3``.
        first, last: in the list's unit: the first and last frame of a transition; for a cut both are that of the new
            shot's first frame.
        kind: ``"cut"`` or ``"gradual"``.
    """

    where: str
    first: float
    last: float
    kind: Literal["cut", "gradual"] = "cut"


@dataclass(frozen=True)
class CutList:
    """A list of cuts, in order.

    Attributes:
        path: of the file.
        entries: each begins after the one before it has ended.
        unit: what ``first`` and ``last`` count: frames from 0, or seconds.
        zero: what 0 seconds are: the start of the title, or its first frame, which may be shown later.
        frames: number of frames of the title that the list was made for, where it says so.
    """

    path: Path
    entries: tuple[Entry, ...]
    unit: Literal["frames", "seconds"]
    zero: Literal["title", "first frame"] = "title"
    frames: int | None = None


def refuse(path: Path, where: str, why: str, hint: str = "") -> UsageError:
    """The error for a list that cannot be used: the file, the place in it, and what is wrong there."""
    place = f"{where[:1].upper()}{where[1:]}: " if where else ""
    return UsageError(f"The list of cuts {path} cannot be used.", f"{place}{why}.", hint)


def check_entries(path: Path, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries as they are, if each is a place in a title and begins after the one before it has ended.

    Raises:
        UsageError: they are too many, or one is negative, not finite, out of order, or there twice.
    """
    checked: list[Entry] = []
    for entry in entries:
        if len(checked) == MAX_ENTRIES:
            raise refuse(path, entry.where, f"{MAX_ENTRIES:,} cuts are the most that are read")
        if not (math.isfinite(entry.first) and math.isfinite(entry.last)):
            raise refuse(path, entry.where, "it is not a finite number")
        if entry.first < 0:
            raise refuse(path, entry.where, f"{_shown(entry.first)} is negative")
        if entry.last < entry.first:
            raise refuse(path, entry.where, f"it ends at {_shown(entry.last)}, before it begins")
        if checked and entry.first <= checked[-1].last:
            raise refuse(path, entry.where, _disorder(entry, checked[-1]), "Sort the list, and name each cut once.")
        checked.append(entry)
    return tuple(checked)


def _disorder(entry: Entry, before: Entry) -> str:
    if entry.first == before.first:
        return f"{_shown(entry.first)} is named by {before.where} already"
    if entry.first > before.first:
        return f"{_shown(entry.first)} lies within the transition of {before.where}"
    return f"{_shown(entry.first)} comes after {_shown(before.first)} of {before.where}, but is less"


def _shown(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else f"{number:.3f}"
