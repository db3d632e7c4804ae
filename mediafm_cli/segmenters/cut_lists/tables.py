"""Cuts from a table: PySceneDetect's list of scenes, or any CSV file with a header that names a column known here."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mediafm_cli.segmenters.cut_lists.entries import CutList, Entry, check_entries, refuse
from mediafm_cli.segmenters.cut_lists.timecodes import parse_timecode

_PYSCENEDETECT = "start time (seconds)"
_FRAMES = ("frame", "start_frame")
_COLUMNS = (*_FRAMES, "time_s", "start_s", "timecode")
_DELIMITERS = (",", ";", "\t")
_WHOLE = re.compile(r"-?\d{1,12}(?:\.0*)?", re.ASCII)
_SECONDS = re.compile(r"-?(?:\d{1,12}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)


def read_table(path: Path, text: str, rate: Fraction | None) -> CutList:
    """Read one cut a row from the first of these columns that is there; the others are not looked at.

    - ``frame`` or ``start_frame``: number of the first frame of the new shot, from 0.
    - ``time_s`` or ``start_s``: seconds from the start of the title.
    - ``timecode``: time from the start of the title, as ``00:01:02.345``, or with frames ``00:01:02:12`` (``;`` for
      drop frames) at ``rate``.

    PySceneDetect's list, with or without its row of time codes, is known by ``Start Time (seconds)``, which counts
    from the first frame; its frame numbers are not taken, for they are estimates where the frame rate varies.

    Raises:
        UsageError: there is no such column, or a row is not what it should be.
    """
    header = _find_header(path, text)
    return CutList(
        path,
        check_entries(path, _read_entries(path, text, header, rate)),
        "frames" if header.column in _FRAMES else "seconds",
        zero="first frame" if header.column == _PYSCENEDETECT else "title",
    )


@dataclass(frozen=True)
class _Header:
    """Line of the header, how many columns it names, and the one that is read: its name and its place."""

    line: int
    delimiter: str
    column: str
    place: int
    width: int


def _find_header(path: Path, text: str) -> _Header:
    """The first line that names a column known here; PySceneDetect has a row of time codes above its own."""
    for line, row in enumerate(text.split("\n", 2)[:2], 1):
        for delimiter in _DELIMITERS:
            names = [name.strip().lower() for _, cells in _read_rows(path, row, delimiter) for name in cells]
            column = next((known for known in (_PYSCENEDETECT, *_COLUMNS) if known in names), None)
            if column is not None:
                return _Header(line, delimiter, column, names.index(column), len(names))
    known = ", ".join(_COLUMNS)
    raise refuse(path, "line 1", f"it names no column that is known: {known}", "Write one of them above the cuts.")


def _read_entries(path: Path, text: str, header: _Header, rate: Fraction | None) -> Iterator[Entry]:
    for line, cells in _read_rows(path, text, header.delimiter):
        if line <= header.line or not any(cell.strip() for cell in cells):
            continue
        if len(cells) <= header.place:
            raise refuse(path, f"line {line}", f"it has no column {header.column}")
        if any(cell.strip() for cell in cells[header.width :]):
            why = f"it has {len(cells)} cells, and the header {header.width}"
            raise refuse(path, f"line {line}", why, "Write decimals with a point, and a cell with a comma in quotes.")
        try:
            value = _parse(cells[header.place].strip(), header.column, rate)
        except ValueError as error:
            raise refuse(path, f"line {line}", str(error)) from error
        yield Entry(f"line {line}", value, value)


def _read_rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise refuse(path, f"line {reader.line_num}", str(error)) from error


def _parse(cell: str, column: str, rate: Fraction | None) -> float:
    if column == "timecode":
        return float(parse_timecode(cell, rate))
    if column in _FRAMES:
        if not _WHOLE.fullmatch(cell):
            raise ValueError(f"{column} is {cell!r}, not the number of a frame")
        return float(cell)
    if not _SECONDS.fullmatch(cell):
        raise ValueError(f"{column} is {cell!r}, not a number of seconds such as 12.345")
    return float(cell)
