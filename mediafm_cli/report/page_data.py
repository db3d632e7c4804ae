"""What the scripts of a page draw from: cosines, maps, neighbours, sound and texts, small enough to be sent."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from mediafm_cli.report.sound import FLOOR_DB
from mediafm_cli.report.title import Report, ReportTitle, Sound
from mediafm_cli.report.vectors import cosine_matrix, energy_shares, find_nearest, project, shots_a_cell

NEAREST = 6
"""Shots that are named beside a chosen one."""

_LEVELS = 255


def page_data(report: Report) -> dict[str, Any]:
    """Everything that the scripts of a page draw from, as plain lists, numbers and texts."""
    titles = report.titles
    spaces = {"fused": [title.fused for title in titles]}
    if report.model:
        spaces["context"] = [title.context for title in titles if title.context is not None]
    cells = shots_a_cell([len(title) for title in titles], len(spaces))
    matrices = {
        space: [cosine_matrix(rows, cell) for rows, cell in zip(vectors, cells, strict=True)]
        for space, vectors in spaces.items()
    }
    lowest = min(float(matrix.min()) for of_space in matrices.values() for matrix in of_space)
    floor = min(0.9, np.floor(lowest * 10) / 10)
    owners = [title.title_id for title in titles for _ in range(len(title))]
    starts = np.cumsum([0, *(len(title) for title in titles)]).tolist()
    return {
        "modalities": [block.name for block in report.blocks],
        "spaces": list(spaces),
        "layer": report.model.layer if report.model else None,
        "floor": round(float(floor), 3),
        "label": report.label,
        "titles": [
            {
                **_title_data(title, starts[number], report),
                "cell": cells[number],
                "matrices": {space: _triangle(of_space[number], floor) for space, of_space in matrices.items()},
            }
            for number, title in enumerate(titles)
        ],
        "maps": {space: _map(np.concatenate(vectors)) for space, vectors in spaces.items()},
        "nearest": {space: _nearest(np.concatenate(vectors), owners) for space, vectors in spaces.items()},
    }


def _title_data(title: ReportTitle, first: int, report: Report) -> dict[str, Any]:
    edges = [(block.start, block.stop) for block in report.blocks]
    in_fused_space = title.context is not None and report.model is not None and report.model.layer == "output"
    return {
        "id": title.title_id,
        "media": title.media,
        "first": first,
        "all": title.shots,
        "part": title.part,
        "labels": None if title.labels is None else list(title.labels),
        "start": _rounded(title.start_s, 3),
        "end": round(float(title.end_s[-1]), 3),
        "text": list(title.text),
        "begins": list(title.begins),
        "transitions": {shot: _rounded(span, 3) for shot, span in title.transitions.items()},
        "present": [[bool(one) for one in row] for row in title.present],
        "captions": [[round(one.start_s, 3), round(one.end_s, 3), int(one.sound), one.text] for one in title.captions],
        "captionsFrom": title.captions_from,
        "segmenter": title.segmenter,
        "picturesNote": title.pictures_note,
        "sound": _sound_data(title.sound) if title.sound else None,
        "soundNote": title.sound_note,
        "energy": _rounded(title.energy, 4),
        "energyInContext": _rounded(energy_shares(title.context, edges), 4)
        if in_fused_space and title.context is not None
        else None,
    }


def _sound_data(sound: Sound) -> dict[str, Any]:
    scale = max(float(np.abs(sound.high).max()), float(np.abs(sound.low).max()), 1e-6)
    level = np.clip((sound.level_db - FLOOR_DB) / -FLOOR_DB, 0, 1)
    return {
        "part": round(sound.part_s, 6),
        "peak": round(scale, 4),
        "low": _bytes(-sound.low / scale),
        "high": _bytes(sound.high / scale),
        "level": _bytes(level),
    }


def _map(vectors: np.ndarray) -> dict[str, Any]:
    found = project(vectors)
    return {
        "x": _rounded(found.points[:, 0], 4),
        "y": _rounded(found.points[:, 1], 4),
        "variance": _rounded(found.variance, 4),
    }


def _nearest(vectors: np.ndarray, owners: Sequence[str]) -> dict[str, Any]:
    asked = {"anywhere": [str(row) for row in range(len(owners))]}
    if len(set(owners)) > 1:
        asked["elsewhere"] = list(owners)
    found = {scope: find_nearest(vectors, of, NEAREST) for scope, of in asked.items()}
    return {
        scope: {"rows": one.rows.tolist(), "cosines": [_rounded(row, 3) for row in one.cosines]}
        for scope, one in found.items()
    }


def _triangle(matrix: np.ndarray, floor: float) -> dict[str, Any]:
    """The upper half of a symmetric matrix, row by row, a byte a cell from ``floor`` to 1."""
    rows, columns = np.triu_indices(len(matrix))
    return {"side": len(matrix), "cells": _bytes((matrix[rows, columns] - floor) / (1 - floor))}


def _bytes(shares: np.ndarray) -> str:
    """Numbers of 0 to 1 as bytes, in base64."""
    return encode_base64(np.round(_LEVELS * np.clip(shares, 0, 1)).astype(np.uint8).tobytes())


def encode_base64(content: bytes) -> str:
    """Bytes as ASCII text."""
    return base64.b64encode(content).decode("ascii")


def _rounded(values: Sequence[float] | np.ndarray, digits: int) -> list[float]:
    return [round(float(value), digits) + 0.0 for value in values]
