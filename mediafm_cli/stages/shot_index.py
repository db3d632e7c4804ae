"""An index of vectors in a file, for catalogues of millions of shots: which shots are worth comparing to a query.

It names some more shots than are asked for, and ``search`` compares these exactly. Up to ``EXACT_ROWS`` shots nothing
is lost by that (``IndexFlatIP``). Beyond, the shots are divided into lists around centres, and only the lists nearest
to the query are looked through (``IndexIVFFlat``; Sivic & Zisserman 2003), so that a near shot can be missed.

The file is a cache: it is made again when any store has changed. Searched with faiss (Douze et al. 2024, arXiv
2401.08281).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_cli.errors import MediafmError, UsageError
from mediafm_cli.model.atomic import TEMPORARY
from mediafm_cli.stages.search import Titles
from mediafm_cli.stages.spaces import OneSpace, read_vectors, rows_of
from mediafm_cli.store.read import open_store

SUFFIX = ".faiss"

EXACT_ROWS = 1_000_000
"""Shots up to which every one is compared."""

LISTS_LOOKED_THROUGH = 64
"""Of the lists of shots of a larger index, of which there are ``4 √shots``."""

SAMPLE_ROWS = 40
"""Shots a list, from which the centres of the lists are learned."""

SPARE_ROWS = 64
"""Shots named beyond those that are asked for: rounding in float32 may put equals in another order."""


@dataclass(frozen=True, eq=False)
class _Index:
    """An index as it is in memory.

    Attributes:
        faiss: of unit vectors, by the number of the row through all stores; rows without the modality are not in it.
        edges: [stores + 1], the number of the first row of each store, and how many there are in all.
    """

    faiss: Any
    edges: list[int]


def preselect(
    file: Path,
    titles: Titles,
    place: str,
    query: np.ndarray,
    *,
    count: int = 10,
    left_out: Mapping[Path, int | None] | None = None,
) -> dict[Path, np.ndarray]:
    """The shots of each store that ``search`` need compare with ``query``, by the index in ``file``.

    The index is made first where there is none, or where the stores are not what it was made of.

    Args:
        file: ends in ``.faiss``. Beside it, ``<file>.json`` says what it was made of.
        count, left_out: as for ``search``.

    Returns:
        store → int64 [k], the numbers of shots in ascending order, for stores that have any.

    Raises:
        UsageError: faiss is not installed, the file is called otherwise, or ``query`` is of another width.
        StoreError, StaleError: the vectors cannot be indexed; see ``search``.
        MediafmError: the file cannot be written.
    """
    if file.suffix != SUFFIX:
        raise UsageError(f"{file} cannot be an index.", hint=f"Let its name end in {SUFFIX}.")
    faiss = _import_faiss()
    made_of = {"place": place, "stores": [[str(path), dict(groups)] for path, groups in titles.digests.items()]}
    index = _read(faiss, file, made_of) or _make(faiss, file, titles, place, made_of)
    if index.faiss.d != len(query):
        raise UsageError(f"{place} has {index.faiss.d} numbers a shot.", f"What it is searched for has {len(query)}.")
    spans = dict(zip(titles.ids, pairwise(index.edges), strict=True))
    passed_over = sum(spans[path][1] - spans[path][0] if shot is None else 1 for path, shot in (left_out or {}).items())
    nearest = min(count + SPARE_ROWS + passed_over, max(1, index.faiss.ntotal))
    rows = np.sort(index.faiss.search(_unit(query[None]), nearest)[1][0])
    bounds = {path: np.searchsorted(rows, span) for path, span in spans.items()}
    return {path: rows[low:high] - spans[path][0] for path, (low, high) in bounds.items() if low < high}


def _read(faiss: Any, file: Path, made_of: Mapping[str, Any]) -> _Index | None:
    """The index, where it is there and of these stores as they are."""
    try:
        about = json.loads(_about(file).read_bytes())
        if about["made_of"] != made_of:
            return None
        return _Index(faiss.read_index(str(file)), about["edges"])
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):  # as damaged as if it were not there
        return None


def _make(faiss: Any, file: Path, titles: Titles, place: str, made_of: Mapping[str, Any]) -> _Index:
    sizes = [len(vectors) for vectors, _ in _parts(titles, place)]
    edges = np.cumsum([0, *sizes]).tolist()
    index = None
    for (vectors, present), start in zip(_parts(titles, place), edges[:-1], strict=True):
        index = index or _blank(faiss, titles, place, vectors.shape[1], edges[-1])
        rows = np.flatnonzero(present)
        index.add_with_ids(_unit(vectors[rows]), rows + start)
    temporary = file.with_name(TEMPORARY.format(name=file.name))
    try:
        _about(file).unlink(missing_ok=True)
        try:
            faiss.write_index(index, str(temporary))
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
        _about(file).write_text(json.dumps({"made_of": made_of, "edges": edges}), encoding="utf-8")
    except (OSError, RuntimeError) as error:
        why = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise MediafmError(f"{file} could not be written.", f"{why}.", "Search without --index.") from error
    return _Index(index, edges)


def _blank(faiss: Any, titles: Titles, place: str, width: int, shots: int) -> Any:
    """An index with no vector in it, its lists laid out where it has any."""
    if shots <= EXACT_ROWS:
        return faiss.IndexIDMap(faiss.IndexFlatIP(width))
    lists = 4 * math.isqrt(shots)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
    step = max(1, shots // (lists * SAMPLE_ROWS))
    index.train(_unit(np.concatenate([vectors[present][::step] for vectors, present in _parts(titles, place)])))
    index.nprobe = LISTS_LOOKED_THROUGH
    return index


def _parts(titles: Titles, place: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each store, float32 [n, d], and bool [n]: which rows have a direction."""
    space = OneSpace(place)
    for path in titles.ids:
        with open_store(path) as store:
            group = read_vectors(store, place)
        space.admit(path, group)
        vectors = rows_of(group)
        yield vectors, np.any(vectors, axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    exact = vectors.astype(np.float64)
    return (exact / np.linalg.norm(exact, axis=1, keepdims=True)).astype(np.float32)


def _about(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        hint = "Install it with: pip install 'mediafm-cli[faiss]'. Or search without --index."
        raise UsageError("An index is made by faiss, which is not installed.", hint=hint) from error
    return faiss
