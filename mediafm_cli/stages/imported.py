"""The way back: stores from the tables that ``export_stores`` wrote of all that they held."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm_cli.errors import MediafmError, StoreError, UsageError
from mediafm_cli.stages.columns import CUES, SHOTS, TITLES, group_from
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.stages.tables import INDEX_SUFFIX, Form, Rows, TableReader, open_table, require_form
from mediafm_cli.store.commit import require_writable, update_store
from mediafm_cli.store.read import Contents, read_contents
from mediafm_cli.store.schema import FORMAT, FORMAT_VERSION


@dataclass(frozen=True, eq=False)
class ExportedTitle:
    """One row of the table ``titles``.

    Attributes:
        title_id: of the title. ``store``: name of the file that held it.
        shots, cues: how many rows it has in these tables.
        groups: place → attributes and checksum; None for one that was left out.
        rows: the row itself.
    """

    title_id: str
    store: str
    shots: int
    cues: int
    groups: Mapping[str, Mapping[str, Any] | None]
    rows: Rows


class Export:
    """An export, open for reading. Get one from ``open_export``.

    Attributes:
        titles: in their order, which is that in which they are read.
    """

    def __init__(self, folder: Path, titles: list[ExportedTitle], tables: Mapping[str, TableReader]) -> None:
        self.titles = titles
        self._folder = folder
        self._tables = tables

    def read(self, title: ExportedTitle) -> Contents:
        """What the store of the next title held.

        Raises:
            StoreError: it is not what was exported, or some of it was left out.
        """
        with _blame(self._folder):
            counts = {SHOTS: title.shots, CUES: title.cues}
            tables = {name: self._tables[name].take(count) for name, count in counts.items() if count}
            for name, rows in tables.items():
                if [row["title"] for row in rows.index] != [title.title_id] * counts[name]:
                    raise ValueError(f"the rows of {name} are not those that {TITLES} tells of")
            left_out = [place for place, described in title.groups.items() if described is None]
            if left_out:
                why = f"It was exported without {', '.join(left_out)}."
                raise StoreError(f"{title.store} cannot be made again.", why, "Export it with --what all.")
            tables[TITLES] = title.rows
            groups = {place: group_from(place, described or {}, tables) for place, described in title.groups.items()}
            return Contents(title.title_id, groups)


@contextmanager
def open_export(folder: Path) -> Iterator[Export]:
    """Open the export in ``folder``, of whatever form.

    Raises:
        UsageError: there is none; Parquet cannot be read here.
        StoreError: it is damaged, or of a newer format.
    """
    forms = [form for form, suffix in INDEX_SUFFIX.items() if (folder / f"{TITLES}{suffix}").is_file()]
    if len(forms) != 1:
        what = f"{folder} holds {'two exports' if forms else 'no export that is whole'}."
        raise UsageError(what, hint="Write one with: mediafm export STORES -o FOLDER")
    require_form(forms[0])
    with ExitStack() as stack:
        with _blame(folder):
            titles = list(_read_titles(folder, forms[0]))
            if not titles:
                raise ValueError("it has no titles")
            names = [SHOTS, *[CUES] * any(title.cues for title in titles)]
            tables = {name: stack.enter_context(open_table(folder, name, forms[0])) for name in names}
        yield Export(folder, titles, tables)


def restore_store(path: Path, contents: Contents, *, overwrite: bool = False, dry_run: bool = False) -> Outcome:
    """Make a store that holds ``contents``.

    Raises:
        UsageError: there is one that holds something else.
        MediafmError: the disk is full, or the folder cannot be written.
    """
    summary = f"title {contents.title_id!r}, {len(contents.groups)} groups"
    there = read_contents(path) if path.exists() else None
    if there is not None and _digests(there) == _digests(contents):
        return Outcome(path, "unchanged", summary)
    if there is not None and not overwrite:
        raise UsageError(f"{path} is there already, and holds something else.", hint="Replace it with --overwrite.")
    if dry_run:
        return Outcome(path, "planned", summary)
    before = None if there is None else _digests(there)

    def put(now: Contents | None) -> Contents:
        if (None if now is None else _digests(now)) != before:
            raise StoreError(f"{path} changed while it was being replaced.", hint="Run the command again.")
        return contents

    require_writable(path)
    update_store(path, put)
    return Outcome(path, "written", summary)


def _read_titles(folder: Path, form: Form) -> Iterator[ExportedTitle]:
    names: set[str] = set()
    with open_table(folder, TITLES, form) as table:
        while (rows := table.take(1)).index:
            row = rows.index[0]
            if (row["format"], row["format_version"]) != (FORMAT, FORMAT_VERSION):
                what = f"{folder} is of {row['format']} {row['format_version']}."
                why = f"This mediafm reads {FORMAT} {FORMAT_VERSION}."
                raise StoreError(what, why, "Upgrade mediafm: pip install --upgrade mediafm-cli")
            store, counts = row["store"], (row["shots"], row["cues"])
            if Path(store).name != store or not store.endswith(".h5") or store.startswith(".") or store in names:
                raise ValueError(f"a store cannot be called {store!r}")
            if type(row["title"]) is not str or not all(type(count) is int and count >= 0 for count in counts):
                raise ValueError(f"{store} cannot be of {row['title']!r}, with {counts} shots and cues")
            names.add(store)
            yield ExportedTitle(row["title"], store, *counts, groups=_unfold(row["groups"]), rows=rows)


def _unfold(groups: Any) -> Mapping[str, Any]:
    """Parquet holds an object as the text of its JSON."""
    found = json.loads(groups) if isinstance(groups, str) else groups
    return dict(found)


def _digests(contents: Contents) -> tuple[str, dict[str, str]]:
    return contents.title_id, {place: contents.digest(place) for place in contents.groups}


@contextmanager
def _blame(folder: Path) -> Iterator[None]:
    """Turn what a damaged or foreign export makes the reading raise into an error that names the folder."""
    try:
        yield
    except MediafmError:
        raise
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError, NotImplementedError) as error:
        detail = " ".join(str(error).split())[:200]
        hint = "Export the stores again, or restore the folder from a copy."
        raise StoreError(
            f"{folder} holds no export that can be read.", f"{type(error).__name__}: {detail}.", hint
        ) from error
