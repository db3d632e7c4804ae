"""A label for each shot, from the labels of clips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mediafm_cli.errors import UsageError
from mediafm_cli.evaluate.clips import find_clips, find_overlaps, read_clips


def label_shots(
    titles: Mapping[str, Path], lengths: Mapping[Path, int], source: Path, column: str
) -> dict[Path, list[str]]:
    """For each store, the label of each shot: that of the clip that covers most of it; empty where none does.

    Args:
        titles: the store of each title id. ``lengths``: shots of each store.
        source: CSV with the columns title, start_s, end_s and ``column``.

    Raises:
        UsageError: the list cannot be read, names a title that is not there, or has no such column.
    """
    clips = read_clips(source)
    if column not in clips[0].more:
        named = ", ".join(clips[0].more) or "none beside title, start_s and end_s"
        hint = "Name the column of the labels with --column."
        raise UsageError(f"{source} has no column {column!r}.", f"Its columns are {named}.", hint)
    labelled = {path: [""] * length for path, length in lengths.items()}
    for path, numbers in find_clips(clips, titles, source).items():
        covered = np.zeros(lengths[path])
        some = [clips[number] for number in numbers if clips[number].more[column].strip()]
        for clip, overlap in zip(some, find_overlaps(path, some), strict=True):
            for shot, seconds in zip(range(overlap.at.start, overlap.at.stop), overlap.weights, strict=True):
                if seconds > covered[shot]:
                    covered[shot] = seconds
                    labelled[path][shot] = clip.more[column].strip()
    return labelled
