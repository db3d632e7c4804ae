"""Tables for other programs: NumPy matrices beside an index in JSON Lines, or a single Parquet file; and to read them.

Tables are whole or not there: their files are written beside their places and renamed when all are complete, indexes
last. The same content gives the same bytes.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from mediafm_cli.errors import ELSEWHERE, FORBIDDEN, MediafmError, UsageError
from mediafm_cli.model.atomic import TEMPORARY, sync_folder

Form = Literal["npy", "parquet"]

INDEX_SUFFIX: dict[Form, str] = {"npy": ".jsonl", "parquet": ".parquet"}

GROUP_ROWS = 4096
"""Rows of a Parquet row group, about: what a reader has to decompress at once."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a table.

    Attributes:
        index: one object a row, all with the same keys: texts, numbers, lists of one type, or an object, which Parquet
            holds as the text of its JSON.
        vectors: float32 [rows, width] for each column.
    """

    index: Sequence[Mapping[str, Any]]
    vectors: Mapping[str, np.ndarray]


def require_form(form: Form) -> None:
    """Raise a UsageError where ``form`` needs a package that is not installed."""
    if form == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            hint = "Install it with: pip install 'mediafm-cli[parquet]'. Or use npy."
            raise UsageError("Parquet is read and written by pyarrow, which is not installed.", hint=hint) from error


def table_files(table: str, columns: Iterable[str], form: Form) -> list[str]:
    """Names of the files of a table with these columns of vectors; that of its index first."""
    matrices = [f"{table}.{column}.npy" for column in columns] if form == "npy" else []
    return [f"{table}{INDEX_SUFFIX[form]}", *matrices]


# --- writing ----------------------------------------------------------------------------------------------------------


def write_table(folder: Path, table: str, parts: Iterable[Rows], form: Form) -> list[Path]:
    """Write one table; see ``write_tables``."""
    return write_tables(folder, ({table: part} for part in parts), form)


def write_tables(folder: Path, parts: Iterable[Mapping[str, Rows]], form: Form) -> list[Path]:
    """Write tables that belong together, replacing those that are there.

    ``npy``: ``<table>.<column>.npy`` for each column, and ``<table>.jsonl`` with a line for each of their rows.
    ``parquet``: ``<table>.parquet``, the columns of the index and, as lists of one length, those of the vectors.

    Args:
        parts: the next rows of each table that has any; they are asked for one by one. The index of the table that
            comes first is put in place last of all.

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
            writers: dict[str, _Writer] = {}
            for part in parts:
                for table, rows in part.items():
                    if table not in writers:
                        writers[table] = _NpyWriter(staged, table) if form == "npy" else _ParquetWriter(staged, table)
                    writers[table].add(rows)
            for writer in writers.values():
                writer.finish()
            return staged.publish()
    except OSError as error:
        hint = ELSEWHERE if error.errno in FORBIDDEN else "What was there before is left; run it again."
        raise MediafmError(f"{folder} could not be written.", f"{error.strerror}.", hint) from error


class _Staged:
    """Files that take their places together; where anything fails before, none does.

    The indexes, which say what the others hold, are removed before these are replaced, and put in place after them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._indexes: list[str] = []
        self._open = ExitStack()

    def __enter__(self) -> _Staged:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def open(self, name: str, *, is_index: bool = False) -> BinaryIO:
        path = self._temporary(name)
        self._open.callback(path.unlink, missing_ok=True)
        self._files[name] = self._open.enter_context(path.open("wb"))
        self._indexes += [name] * is_index
        return self._files[name]

    def publish(self) -> list[Path]:
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        if len(self._files) > 1:
            for name in self._indexes:
                (self._folder / name).unlink(missing_ok=True)
        others = [name for name in self._files if name not in self._indexes]
        for name in [*others, *reversed(self._indexes)]:
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
        self._index = staged.open(f"{table}.jsonl", is_index=True)
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
        self._file = staged.open(f"{table}.parquet", is_index=True)
        self._writer: Any = None
        self._waiting: list[Any] = []

    def add(self, part: Rows) -> None:
        import pyarrow

        columns = {key: pyarrow.array([_flat(row[key]) for row in part.index]) for key in part.index[0]}
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


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


# --- reading ----------------------------------------------------------------------------------------------------------


class TableReader(ABC):
    """Reads one table from its start to its end. A context manager.

    What a damaged file makes it raise is a ValueError or an OSError.
    """

    @abstractmethod
    def take(self, count: int) -> Rows:
        """The next ``count`` rows, or those that are left."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> TableReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_table(folder: Path, table: str, form: Form) -> TableReader:
    """Open a table that ``write_tables`` wrote."""
    return _NpyReader(folder, table) if form == "npy" else _ParquetReader(folder, table)


class _NpyReader(TableReader):
    def __init__(self, folder: Path, table: str) -> None:
        self._name = f"{table}.jsonl"
        self._matrices = {
            path.name.removeprefix(f"{table}.").removesuffix(".npy"): np.load(path, mmap_mode="r", allow_pickle=False)
            for path in sorted(folder.glob(f"{table}.*.npy"))
        }
        self._index = (folder / self._name).open(encoding="utf-8", newline="\n")
        self._at = 0

    def take(self, count: int) -> Rows:
        index = [json.loads(line) for line in islice(self._index, count)]
        here = slice(self._at, self._at + len(index))
        self._at += len(index)
        vectors = {column: np.array(matrix[here], np.float32) for column, matrix in self._matrices.items()}
        for column, found in vectors.items():
            if found.shape[:1] != (len(index),) or found.ndim != 2:
                raise ValueError(f"{column} has not the rows of {self._name}")
        return Rows(index, vectors)

    def close(self) -> None:
        self._index.close()


class _ParquetReader(TableReader):
    def __init__(self, folder: Path, table: str) -> None:
        from pyarrow import parquet, types

        self._file = parquet.ParquetFile(folder / f"{table}.parquet")
        schema = self._file.schema_arrow
        self._widths = {field.name: field.type.list_size for field in schema if types.is_fixed_size_list(field.type)}
        self._groups = iter(range(self._file.num_row_groups))
        self._waiting = schema.empty_table()

    def take(self, count: int) -> Rows:
        import pyarrow

        while len(self._waiting) < count:
            group = next(self._groups, None)
            if group is None:
                break
            self._waiting = pyarrow.concat_tables([self._waiting, self._file.read_row_group(group)])
        rows, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        vectors = {
            column: rows[column].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(rows), width)
            for column, width in self._widths.items()
        }
        return Rows(rows.drop_columns(list(vectors)).to_pylist(), vectors)

    def close(self) -> None:
        self._file.close()
