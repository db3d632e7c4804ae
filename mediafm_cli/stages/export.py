"""Vectors for other programs: NumPy matrices beside an index in JSON Lines, or a single Parquet file.

A table is whole or not there: its files are written beside their place and renamed when all are complete, the index of
the matrices last. The same content gives the same bytes.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from mediafm_cli.errors import MediafmError, StaleError, UsageError
from mediafm_cli.model.atomic import TEMPORARY, sync_folder
from mediafm_cli.store.read import open_store

Form = Literal["npy", "parquet"]

GROUP_ROWS = 4096
"""Rows of a Parquet row group, about: what a reader has to decompress at once."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a table.

    Attributes:
        index: one object a row, all with the same keys: texts and numbers.
        vectors: float32 [rows, width] for each column.
    """

    index: Sequence[Mapping[str, str | int | float]]
    vectors: Mapping[str, np.ndarray]


def require_form(form: Form) -> None:
    """Raise a UsageError where ``form`` needs a package that is not installed."""
    if form == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            hint = "Install it with: pip install 'mediafm-cli[parquet]'. Or use --export npy."
            raise UsageError("Parquet is written by pyarrow, which is not installed.", hint=hint) from error


def export_titles(paths: Sequence[Path], name: str, folder: Path, form: Form) -> list[Path]:
    """Write the embeddings called ``name`` of all titles: the tables ``shots``, a row a shot, and ``titles``.

    One title is in memory at a time.

    Returns:
        The files, as ``write_table`` names them.

    Raises:
        StoreError: a store is not valid, or has no such embeddings.
        StaleError: two stores have such embeddings of two models.
        UsageError: two stores hold titles of one id, or Parquet cannot be written here.
        MediafmError: the folder cannot be written, or the disk is full.
    """
    require_unique(paths)
    shots = write_table(folder, "shots", _shot_rows(paths, name), form)
    return shots + write_table(folder, "titles", (_title_row(path, name) for path in paths), form)


def require_unique(paths: Sequence[Path]) -> dict[str, Path]:
    """The store of each title id; a UsageError where two stores share one."""
    owners: dict[str, Path] = {}
    for path in paths:
        with open_store(path) as store:
            other = owners.setdefault(store.title_id, path)
        if other != path:
            raise UsageError(f"{other} and {path} both hold the title {store.title_id!r}.", hint="Leave one out.")
    return owners


def _shot_rows(paths: Sequence[Path], name: str) -> Iterator[Rows]:
    made: dict[tuple[str, str], Path] = {}
    for path in paths:
        with open_store(path) as store:
            shots, embedding, title_id = store.shots, store.embedding(name), store.title_id
        made.setdefault((embedding.model, embedding.layer), path)
        if len(made) > 1:
            what = f"{' and '.join(map(str, made.values()))} have embeddings {name!r} of two models or layers."
            raise StaleError(what, hint="Embed them with one model: mediafm embed … --overwrite")
        columns = (shots.start_s.tolist(), shots.end_s.tolist(), shots.text.tolist())
        index = [
            {"title": title_id, "shot": number, "start_s": start_s, "end_s": end_s, "text": text}
            for number, (start_s, end_s, text) in enumerate(zip(*columns, strict=True))
        ]
        yield Rows(index, {"in_context": embedding.shots})


def _title_row(path: Path, name: str) -> Rows:
    with open_store(path) as store:
        embedding = store.embedding(name)
        return Rows([{"title": store.title_id, "shots": len(embedding.shots)}], {"cls": embedding.title[None]})


def write_table(folder: Path, table: str, parts: Iterable[Rows], form: Form) -> list[Path]:
    """Write a table, replacing one that is there.

    ``npy``: ``<table>.<column>.npy`` for each column, and ``<table>.jsonl`` with a line for each of their rows.
    ``parquet``: ``<table>.parquet``, the columns of the index and, as lists of one length, those of the vectors.

    Args:
        parts: at least one row in all; they are asked for one by one.

    Returns:
        The files.

    Raises:
        UsageError: Parquet cannot be written here.
        MediafmError: the folder cannot be written, or the disk is full.
    """
    require_form(form)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _Staged(folder) as staged:
            writer = _NpyWriter(staged, table) if form == "npy" else _ParquetWriter(staged, table)
            for part in parts:
                writer.add(part)
            writer.finish()
            return staged.publish()
    except OSError as error:
        what = f"{folder} could not be written."
        raise MediafmError(what, f"{error.strerror}.", "What was there before is left; run it again.") from error


class _Staged:
    """Files that take their places together; where anything fails before, none does.

    The one that was opened first is removed before the others are replaced, and put in place last.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._open = ExitStack()

    def __enter__(self) -> _Staged:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def open(self, name: str) -> BinaryIO:
        path = self._temporary(name)
        self._open.callback(path.unlink, missing_ok=True)
        self._files[name] = self._open.enter_context(path.open("wb"))
        return self._files[name]

    def publish(self) -> list[Path]:
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        first, *others = self._files
        if others:
            (self._folder / first).unlink(missing_ok=True)
        for name in [*others, first]:
            os.replace(self._temporary(name), self._folder / name)
        sync_folder(self._folder)
        return [self._folder / name for name in self._files]

    def _temporary(self, name: str) -> Path:
        return self._folder / TEMPORARY.format(name=name)


class _Writer(ABC):
    """Writes one table, part by part."""

    def __init__(self, staged: _Staged, table: str) -> None:
        self._staged = staged
        self._table = table

    @abstractmethod
    def add(self, part: Rows) -> None: ...

    @abstractmethod
    def finish(self) -> None: ...


class _NpyWriter(_Writer):
    def __init__(self, staged: _Staged, table: str) -> None:
        super().__init__(staged, table)
        self._index = staged.open(f"{table}.jsonl")
        self._matrices: dict[str, tuple[BinaryIO, int]] = {}
        self._rows = 0

    def add(self, part: Rows) -> None:
        for row in part.index:
            self._index.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode())
        for column, vectors in part.vectors.items():
            if column not in self._matrices:
                width = vectors.shape[1]
                self._matrices[column] = (self._staged.open(f"{self._table}.{column}.npy"), width)
                self._write_header(column)
            self._matrices[column][0].write(np.ascontiguousarray(vectors, "<f4").data)
        self._rows += len(part.index)

    def finish(self) -> None:
        for column, (file, _) in self._matrices.items():
            file.seek(0)
            self._write_header(column)

    def _write_header(self, column: str) -> None:
        """NumPy pads the header of a file so that the first number of its shape can grow."""
        file, width = self._matrices[column]
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._rows, width)}
        np.lib.format.write_array_header_1_0(file, header)


class _ParquetWriter(_Writer):
    def __init__(self, staged: _Staged, table: str) -> None:
        super().__init__(staged, table)
        self._file = staged.open(f"{table}.parquet")
        self._writer: Any = None
        self._waiting: list[Any] = []

    def add(self, part: Rows) -> None:
        import pyarrow

        columns = {key: pyarrow.array([row[key] for row in part.index]) for key in part.index[0]}
        for column, vectors in part.vectors.items():
            values = pyarrow.array(vectors.astype(np.float32).ravel())
            columns[column] = pyarrow.FixedSizeListArray.from_arrays(values, vectors.shape[1])
        self._waiting.append(pyarrow.table(columns))
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._write()

    def finish(self) -> None:
        if self._waiting:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        import pyarrow
        from pyarrow import parquet

        rows = pyarrow.concat_tables(self._waiting)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._file, rows.schema, compression="zstd")
        self._writer.write_table(rows)
        self._waiting = []
