"""Stores as tables for other programs: their embeddings alone, or all that they hold, which ``imported`` reads back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mediafm_cli.errors import StoreError, UsageError
from mediafm_cli.stages.columns import CUES, SHOTS, TABLES, TITLES, Column, attributes_of, columns_of
from mediafm_cli.stages.spaces import OneSpace, Vectors, require_fresh_vectors
from mediafm_cli.stages.tables import Form, Rows, require_form, table_files, write_table, write_tables
from mediafm_cli.store.read import Store, open_store
from mediafm_cli.store.schema import FORMAT, FORMAT_VERSION, KINDS, Group, Shots, kind_at

What = Literal["shots", "fused", "encodings", "embeddings", "all"]

ALWAYS = ("source", "shots", "boundaries", "cues")
"""The groups that every export has: what each row is of."""


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
            require_one(owners, path, store.title_id)
    return owners


def require_one(owners: dict[str, Path], path: Path, title_id: str) -> None:
    """Put ``path`` down as the store of ``title_id``; a UsageError where another one is."""
    other = owners.setdefault(title_id, path)
    if other != path:
        raise UsageError(f"{other} and {path} both hold the title {title_id!r}.", hint="Leave one out.")


def _shot_rows(paths: Sequence[Path], name: str) -> Iterator[Rows]:
    space = OneSpace(f"embeddings/{name}")
    for path in paths:
        with open_store(path) as store:
            shots, embedding, title_id = store.shots, store.embedding(name), store.title_id
        space.admit(path, embedding)
        yield Rows(_shot_index(title_id, shots), {"in_context": embedding.shots})


def _title_row(path: Path, name: str) -> Rows:
    with open_store(path) as store:
        embedding = store.embedding(name)
        return Rows([{"title": store.title_id, "shots": len(embedding.shots)}], {"cls": embedding.title[None]})


def export_stores(paths: Sequence[Path], folder: Path, form: Form, what: What = "all") -> list[Path]:
    """Write what stores hold: the tables ``titles``, ``shots`` (a row a shot) and, where there are any, ``cues``.

    One title is in memory at a time. Where a title lacks a group that another one has, its rows are zero or empty.

    Args:
        what: the vectors to write. Of ``all`` alone, the stores can be made again, what is stale in them included.

    Returns:
        The files, as ``write_tables`` names them.

    Raises:
        StoreError: a store is not valid, or has no shots, or none of them has such vectors.
        StaleError: two stores have vectors that cannot be compared, which would be one matrix; or the vectors that were
            asked for are stale.
        UsageError: two stores share an id or a name, the folder holds another export, or Parquet cannot be written.
        MediafmError: the folder cannot be written, or the disk is full.
    """
    require_form(form)
    require_unique(paths)
    names: dict[str, Path] = {}
    for path in paths:
        if names.setdefault(path.name, path) != path:
            why = "A store is called the same when it comes back."
            raise UsageError(f"{names[path.name]} and {path} have one name.", why, "Export them to two folders.")
    columns = _plan(paths, what)
    files = [
        name
        for table in TABLES
        for name in table_files(table, [c.name for c in columns if c.table == table and c.is_vector], form)
    ]
    others = sorted({path.name for path in folder.glob("*") if path.name.split(".")[0] in TABLES} - set(files))
    if others:
        why = "It is not of this export, and would seem to be."
        raise UsageError(f"{folder} holds {others[0]} already.", why, "Choose another folder with -o, or remove it.")
    return write_tables(folder, (_read_tables(path, what, columns) for path in paths), form)


def _chosen(store: Store, what: What) -> list[str]:
    return [place for place in store.places if what == "all" or place in ALWAYS or place.split("/")[0] == what]


def _plan(paths: Sequence[Path], what: What) -> dict[Column, tuple[int, ...]]:
    """The columns of all titles, in the order of the format, and the shape that a row of each has."""
    spaces: dict[str, OneSpace] = {}
    shapes: dict[Column, tuple[int, ...]] = {}
    for path in paths:
        with open_store(path) as store:
            store.require(SHOTS)
            for place in _chosen(store, what):
                kind = kind_at(place)
                assert kind is not None  # of a place that an open store has
                group = store.mapped(place, kind.group)
                if isinstance(group, Vectors):
                    spaces.setdefault(place, OneSpace(place)).admit(path, group)
                    if what != "all":
                        require_fresh_vectors(store, place, group)
                shapes.update({column: column.rows(group).shape[1:] for column in columns_of(place)})
    if what not in ("all", "shots") and not any(place.split("/")[0] == what for place in spaces):
        why = f"None of the {len(paths)} stores has them." if len(paths) > 1 else f"{paths[0]} has none."
        raise StoreError(f"There are no {what} to export.", why)
    order = [kind.place for kind in KINDS]
    return dict(sorted(shapes.items(), key=lambda item: (order.index(item[0].place.split("/")[0]), item[0].place)))


def _read_tables(path: Path, what: What, columns: Mapping[Column, tuple[int, ...]]) -> dict[str, Rows]:
    with open_store(path) as store:
        groups = {place: store.read(place) for place in _chosen(store, what)}
        title_id, places, shots = store.title_id, store.places, store.shots
    counts = {TITLES: 1, SHOTS: len(shots.start_s), CUES: 0}
    if CUES in groups:
        counts[CUES] = len(next(columns_of(CUES)).rows(groups[CUES]))
    title: dict[str, Any] = {
        "title": title_id,
        "store": path.name,
        "shots": counts[SHOTS],
        "cues": counts[CUES],
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "groups": {place: attributes_of(place, groups[place]) if place in groups else None for place in places},
    }
    tables = {
        TITLES: _table(TITLES, [title], groups, columns),
        SHOTS: _table(SHOTS, _shot_index(title_id, shots), groups, columns),
        CUES: _table(CUES, [{"title": title_id} for _ in range(counts[CUES])], groups, columns),
    }
    return {table: rows for table, rows in tables.items() if rows.index}


def _table(
    table: str,
    index: Sequence[dict[str, Any]],
    groups: Mapping[str, Group],
    columns: Mapping[Column, tuple[int, ...]],
) -> Rows:
    """The rows of one title in one table, of which ``index`` is the beginning."""
    vectors = {}
    for column, shape in columns.items():
        if column.table != table:
            continue
        group = groups.get(column.place)
        values = column.blank(len(index), shape) if group is None else column.rows(group)
        if column.is_vector:
            vectors[column.name] = values
            continue
        for row, value in zip(index, values.tolist(), strict=True):
            row[column.name] = value
    return Rows(index, vectors)


def _shot_index(title_id: str, shots: Shots) -> list[dict[str, Any]]:
    columns = (shots.start_s.tolist(), shots.end_s.tolist(), shots.text.tolist())
    return [
        {"title": title_id, "shot": number, "start_s": start_s, "end_s": end_s, "text": text}
        for number, (start_s, end_s, text) in enumerate(zip(*columns, strict=True))
    ]
