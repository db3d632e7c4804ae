"""Clips: a list of stretches of titles, and vectors pooled over the shots that each overlaps."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mediafm_cli.errors import UsageError
from mediafm_cli.model.fusion import unit_rows
from mediafm_cli.store.read import open_store

COLUMNS = ("title", "start_s", "end_s")
VECTORS = ("in_context", "isolated", "flat")

SLACK_S = 0.05
"""How far a clip may reach past either end of its title, since the times of lists are rounded."""


@dataclass(frozen=True)
class Clip:
    """A stretch of a title.

    Attributes:
        line: where it stands in the list; 1 is the first line.
        title: the id of the title, or the name of its store without ``.h5``.
        start_s, end_s: seconds on the title's clock, end exclusive.
        more: the other columns, as they were read.
    """

    line: int
    title: str
    start_s: float
    end_s: float
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Overlap:
    """The shots of a title that a clip overlaps.

    Attributes:
        at: these shots, which are consecutive. ``weights``: float64 [shots of the clip], the seconds of overlap.
    """

    at: slice
    weights: np.ndarray


def read_clips(path: Path) -> list[Clip]:
    """The clips of a CSV file in UTF-8, whose first line names its columns: title, start_s, end_s and any others.

    Raises:
        UsageError: the file cannot be read; a column is missing or there twice, or takes the name of a vector's; a line
            has too few or too many values; a time is no number; a clip does not end after it starts.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read.", f"{error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not in UTF-8.", f"Byte {error.start} is not.", "Save it as CSV UTF-8.") from error
    rows = _read_rows(path, text)
    _, header = next(rows, (1, []))
    columns = [name.strip() for name in header]
    _require_columns(path, columns)
    clips = [_read_clip(path, line, dict(zip(columns, values, strict=True))) for line, values in rows]
    if not clips:
        hint = f"Add a line for each clip: {','.join(columns)}"
        raise UsageError(f"{path} lists no clip.", "There is nothing below the first line.", hint)
    return clips


def find_clips(clips: Sequence[Clip], titles: Mapping[str, Path], source: Path) -> dict[Path, list[int]]:
    """The numbers of each store's clips, by the order of the list.

    Args:
        titles: the store of each title id. ``source``: the list, for errors.

    Raises:
        UsageError: a clip's title is in no store or in two, or the clip lies outside it.
        StoreError: a store is not valid.
    """
    owners: dict[str, set[Path]] = defaultdict(set)
    for title_id, path in titles.items():
        owners[title_id].add(path)
        owners[path.stem].add(path)
    found: dict[Path, list[int]] = defaultdict(list)
    for number, clip in enumerate(clips):
        named = sorted(owners.get(clip.title, ()))
        if not named:
            none = f"None of the {len(titles)} stores has" if len(titles) > 1 else "The store does not have"
            why = f"{none} this id or name."
            close = difflib.get_close_matches(clip.title, owners, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "Name the title's store too, or remove the line."
            raise _fault(source, clip.line, f"there is no title {clip.title!r}", why, hint)
        if len(named) > 1:
            what = f"{clip.title!r} can be {' or '.join(map(str, named))}"
            raise _fault(source, clip.line, what, hint="Name its title id, or leave one of the stores out.")
        found[named[0]].append(number)
    for path, numbers in found.items():
        with open_store(path) as store:
            start_s, end_s = float(store.shots.start_s[0]), float(store.shots.end_s[-1])
        for clip in (clips[number] for number in numbers):
            reaches_out = clip.start_s < start_s - SLACK_S or clip.end_s > end_s + SLACK_S
            if reaches_out or clip.start_s >= end_s or clip.end_s <= start_s:
                what = f"the clip from {clip.start_s} s to {clip.end_s} s is outside {clip.title!r}"
                why = f"The title goes from {start_s:.3f} s to {end_s:.3f} s."
                raise _fault(source, clip.line, what, why, "Mend the times of that line, or remove it.")
    return dict(found)


def find_overlaps(path: Path, clips: Sequence[Clip]) -> list[Overlap]:
    """Of each clip, which shots of the title in the store ``path`` it overlaps, and for how long.

    Raises:
        StoreError: the store is not valid.
    """
    with open_store(path) as store:
        start_s, end_s = store.shots.start_s, store.shots.end_s
    return [_overlap(clip, start_s, end_s) for clip in clips]


def pool_shots(vectors: np.ndarray, overlaps: Sequence[Overlap]) -> np.ndarray:
    """The mean direction of the shots of each clip, weighted by the seconds of overlap; float32 [clips, d].

    The lengths of what a model makes of shots mean nothing.

    Args:
        vectors: float32 [n, d], all shots of the title.
    """
    return np.stack([pool_clip(vectors[overlap.at], overlap) for overlap in overlaps])


def pool_clip(vectors: np.ndarray, overlap: Overlap) -> np.ndarray:
    """The same for one clip, whose shots alone are given; float32 [d]."""
    directions = unit_rows(vectors.astype(np.float64))
    return np.average(directions, axis=0, weights=overlap.weights).astype(np.float32)


def _overlap(clip: Clip, start_s: np.ndarray, end_s: np.ndarray) -> Overlap:
    seconds = np.minimum(end_s, clip.end_s) - np.maximum(start_s, clip.start_s)
    inside = np.flatnonzero(seconds > 0)
    at = slice(int(inside[0]), int(inside[-1]) + 1)
    return Overlap(at, seconds[at])


def _read_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with its line: the first one where a value in quotes has several."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    width = 0
    line = 1
    try:
        for values in reader:
            if values:
                width = width or len(values)
                if len(values) != width:
                    raise _fault(path, line, f"it has {len(values)} values", f"The first line names {width} columns.")
                yield line, values
            line = reader.line_num + 1
    except csv.Error as error:
        raise _fault(path, line, str(error)) from error


def _require_columns(path: Path, columns: Sequence[str]) -> None:
    for name in COLUMNS:
        if name not in columns:
            why = f"The first line names {', '.join(columns) or 'none'}."
            separated = any(mark in column for mark in ";\t" for column in columns)
            begin = "Save it with commas between the values, and begin it" if separated else "Begin it"
            raise UsageError(f"{path} has no column {name}.", why, f"{begin} with: {','.join(COLUMNS)}")
    for name in columns:
        if columns.count(name) > 1:
            raise UsageError(f"{path} has {columns.count(name)} columns called {name!r}.", hint="Rename one of them.")
        if name in VECTORS:
            raise UsageError(f"{path} has a column {name!r}.", "The clips' vectors are called so.", "Rename it.")


def _read_clip(path: Path, line: int, values: Mapping[str, str]) -> Clip:
    times = []
    for name in ("start_s", "end_s"):
        try:
            time = float(values[name])
        except ValueError:
            time = math.nan
        if not math.isfinite(time):
            raise _fault(path, line, f"{name} is {values[name]!r}, which is no number of seconds")
        times.append(time)
    start_s, end_s = times
    if not start_s < end_s:
        raise _fault(path, line, f"the clip ends at {end_s} s and starts at {start_s} s", "It has to end later.")
    more = {name: value for name, value in values.items() if name not in COLUMNS}
    return Clip(line, values["title"].strip(), start_s, end_s, more)


def _fault(path: Path, line: int, what: str, why: str = "", hint: str = "") -> UsageError:
    return UsageError(f"{path}, line {line}: {what}.", why, hint)
