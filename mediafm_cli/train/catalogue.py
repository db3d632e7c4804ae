"""The titles of a catalogue, in their stores. Fused vectors stay in the files until a window of them is asked for.

Every store is opened once before anything is trained, and refused by name where it is not fused, stale, or fused
otherwise than the first one. Its vectors are checked against their hash when they are first read.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mediafm_cli.device import own_cores
from mediafm_cli.errors import StaleError, StoreError, UsageError
from mediafm_cli.model.title import Layout, MetadataSource, Title
from mediafm_cli.store.freshness import encode_command, encoder_sha256, fuse_command, require_fresh
from mediafm_cli.store.read import Store, open_store
from mediafm_cli.store.schema import METADATA, Encoding, Fused, Shots

MANY = 64
"""Stores from which on they are opened by several processes; below, starting these takes longer."""

State = tuple[int, int, int]
"""Of a file: its number, size and time. It changes when the store is rewritten."""

ARRAYS = {"vectors": ("fused", Fused), "present": ("fused", Fused), "start_s": ("shots", Shots)}


@dataclass(frozen=True)
class Catalogue:
    """Titles that can be learned from together: all of one layout."""

    layout: Layout
    titles: tuple[StoredTitle, ...]


@dataclass(frozen=True)
class _Place:
    """Where an array lies in a file."""

    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]


class StoredTitle:
    """A title in its store, of which no more is in memory than the window that was asked for last.

    Args:
        digests: of ``fused`` and ``shots``, as they were when the store was opened.
        fingerprint, metadata: see ``Title``.
    """

    def __init__(
        self,
        path: Path,
        title_id: str,
        shots: int,
        digests: tuple[str, str],
        fingerprint: str,
        metadata: np.ndarray | None,
    ) -> None:
        self.path = path
        self.title_id = title_id
        self.fingerprint = fingerprint
        self.metadata = metadata
        self._shots = shots
        self._digests = digests
        self._verified: State | None = None  # the state of the file in which it was
        self._places: dict[str, _Place] = {}

    def __len__(self) -> int:
        return self._shots

    def load(self) -> Title:
        """The whole title; its vectors are mapped, and in memory only where they are used."""
        return self.window(0, len(self))

    def window(self, start: int, stop: int) -> Title:
        """The shots from ``start`` to ``stop``.

        Raises:
            StoreError: the vectors are damaged.
            StaleError: they were replaced since the catalogue was opened.
        """
        with self._open() as file:
            if _state(file) != self._verified:
                self._verify(_state(file))
            arrays = {name: _map(file, place, start, min(stop, len(self))) for name, place in self._places.items()}
        return Title(self.title_id, **arrays, metadata=self.metadata, fingerprint=self.fingerprint)

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read any more.", f"{error.strerror}.") from error

    def _verify(self, state: State) -> None:
        """Read everything once, and note where it lies: a store that is rewritten may have moved its arrays."""
        with open_store(self.path) as store, self._open() as file:
            if _state(file) != state or tuple(store.digest(place) for place in ("fused", "shots")) != self._digests:
                what = f"{self.path} was fused or segmented anew while it was in use."
                raise StaleError(what, hint="Run the command again.")
            store.read("fused")
            store.read("shots")
            maps = {name: getattr(store.mapped(place, kind), name) for name, (place, kind) in ARRAYS.items()}
        self._places = {name: _Place(array.offset, array.dtype, array.shape) for name, array in maps.items()}
        self._verified = state


def _state(file: BinaryIO) -> State:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def _map(file: BinaryIO, place: _Place, start: int, stop: int) -> np.ndarray:
    width = place.dtype.itemsize * int(np.prod(place.shape[1:]))
    return np.memmap(file, place.dtype, "r", place.offset + start * width, (stop - start, *place.shape[1:]))


def open_catalogue(paths: Sequence[Path]) -> Catalogue:
    """Open the titles of ``paths``; many of them on all cores that are this process's.

    Raises:
        StoreError: a store is not valid or not fused.
        StaleError: a store is stale, or its vectors cannot be compared with the first one's.
        UsageError: two stores hold titles of one id.
    """
    opened = _open_all(paths)
    layout = next((found for found, _ in opened if found.metadata), opened[0][0])
    owners: dict[str, Path] = {}
    for path, (found, title) in zip(paths, opened, strict=True):
        differences = "; ".join(layout.differences(found))
        if differences:
            fuse = fuse_command(path, layout.blocks, layout.normalize)
            first = "" if found.blocks == layout.blocks else "Encode it as the others, and then: "
            raise StaleError(f"{path} is not fused like the other titles.", f"In it {differences}.", f"{first}{fuse}")
        other = owners.setdefault(title.title_id, path)
        if other != path:
            raise UsageError(f"{other} and {path} both hold the title {title.title_id!r}.", hint="Leave one out.")
    return Catalogue(layout, tuple(title for _, title in opened))


def _open_all(paths: Sequence[Path]) -> list[tuple[Layout, StoredTitle]]:
    jobs = min(own_cores(), 32)
    if len(paths) < MANY or jobs < 2:
        return [open_title(path) for path in paths]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("forkserver")) as pool:
        return list(pool.map(open_title, paths, chunksize=16))


def open_title(path: Path) -> tuple[Layout, StoredTitle]:
    """One title, and the layout of its vectors; they are verified when they are read."""
    with open_store(path) as store:
        fused = store.mapped("fused", Fused)
        repair = fuse_command(path, fused.blocks, fused.normalize)
        require_fresh(store, "fused", fused.made_from, repair)
        for place in fused.made_from:
            encoding = store.mapped(place, Encoding)
            encode = f"{encode_command(path, encoding)} --overwrite"
            require_fresh(store, place, encoding.made_from, f"{encode} && {repair}")
        metadata, source = _read_metadata(store)
        layout = Layout(fused.blocks, fused.normalize, fused.missing, source)
        fingerprint = store.digest("fused") + (store.digest(f"encodings/{METADATA}") if metadata is not None else "")
        digests = (store.digest("fused"), store.digest("shots"))
        return layout, StoredTitle(path, store.title_id, len(fused.vectors), digests, fingerprint, metadata)


def _read_metadata(store: Store) -> tuple[np.ndarray | None, MetadataSource | None]:
    if f"encodings/{METADATA}" not in store:
        return None, None
    encoding = store.encoding(METADATA)
    repair = encode_command(store.path, encoding)
    if not encoding.complete:
        raise StoreError(f"{store.path}: encodings/{METADATA} is not complete.", hint=f"Finish it: {repair}")
    require_fresh(store, f"encodings/{METADATA}", encoding.made_from, f"{repair} --overwrite")
    source = MetadataSource(encoding.vectors.shape[1], encoding.encoder, encoder_sha256(encoding))
    return (encoding.vectors[0] if encoding.present[0] else None), source
