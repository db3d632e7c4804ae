"""From a file to a list of cuts: which reader a suffix has, and how much of a file is read."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from mediafm_cli.errors import UsageError
from mediafm_cli.segmenters.cut_lists.documents import read_document
from mediafm_cli.segmenters.cut_lists.edl import read_edl
from mediafm_cli.segmenters.cut_lists.entries import CutList, refuse
from mediafm_cli.segmenters.cut_lists.tables import read_table
from mediafm_cli.segmenters.cut_lists.timelines import read_timeline

_MIB = 1 << 20
MAX_BYTES = {".csv": 8 * _MIB, ".json": 8 * _MIB, ".edl": 8 * _MIB, ".otio": 32 * _MIB}
"""Suffixes that are read, and the largest file of each; a timeline takes some kB a clip, the others 100 bytes a cut."""


def read_cut_list(path: Path, title: str, title_rate: Fraction | None, rate: Fraction | None) -> tuple[CutList, str]:
    """Read the cuts of a title, and the SHA-256 of the file that holds them.

    Args:
        title: name of the title, for files that hold many.
        title_rate: its frames a second. ``rate``: those of the list, where they were given.

    Raises:
        UsageError: the file cannot be read, or is no list of cuts of its format.
        UnavailableError: it needs a library that is not installed.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        hint = f"Name the list of each title in it: --opt 'file={path}/{{title}}.csv'"
        raise UsageError(f"{path} is a folder, and no list of cuts.", hint=hint)
    if suffix not in MAX_BYTES:
        known = ", ".join(MAX_BYTES)
        raise UsageError(f"{path} is no list of cuts that can be read.", f"Known are {known}.", "Convert it to one.")
    data = read_bounded(path, MAX_BYTES[suffix])
    text = decode(path, data)
    counted = rate or title_rate
    readers: dict[str, Callable[[], CutList]] = {
        ".csv": lambda: read_table(path, text, counted),
        ".json": lambda: read_document(path, text, title),
        ".edl": lambda: read_edl(path, text, counted),
        ".otio": lambda: read_timeline(path, text, title_rate, rate),
    }
    return readers[suffix](), hashlib.sha256(data).hexdigest()


def read_bounded(path: Path, most: int) -> bytes:
    """What a file holds, if it is at most ``most`` bytes.

    Raises:
        UsageError: it is not there, cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError as error:
        raise UsageError(f"There is no list of cuts at {path}.", hint="Name an existing file.") from error
    except OSError as error:
        raise UsageError(f"The list of cuts {path} cannot be read.", f"{error.strerror}.") from error
    if len(data) > most:
        raise refuse(path, "", f"It is larger than the {most >> 20} MiB that are read of such a list")
    return data


def decode(path: Path, data: bytes) -> str:
    """Text with its lines ended by newlines.

    Raises:
        UsageError: it is no UTF-8 text.
    """
    if b"\0" in data and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise refuse(path, "", "It holds binary data, and no text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refuse(path, f"line {line}", "it is not UTF-8 text", "Convert it: iconv -t UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
