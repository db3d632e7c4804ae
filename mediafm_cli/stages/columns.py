"""Where each dataset of a store stands in exported tables: ``titles``, ``shots`` and ``cues``.

A vector is a matrix, named as its group: ``encodings.video``, ``fused``, ``embeddings.model``. Anything else is a
column of the index: ``start_pts``, ``boundaries.kind``, ``encodings.video.present``; those of the groups ``shots`` and
``cues`` go by their own names. So the schema of the store alone decides, for the way out and for the way back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mediafm_cli.errors import StoreError
from mediafm_cli.stages.tables import Rows
from mediafm_cli.store.raw import Attribute, Raw, array_fields, canonical_json, field_types, from_raw, to_raw
from mediafm_cli.store.schema import METADATA, Dataset, Group, Kind, kind_at

TITLES, SHOTS, CUES = "titles", "shots", "cues"
TABLES = (TITLES, SHOTS, CUES)


@dataclass(frozen=True)
class Column:
    """A column of a table, and the dataset that it holds.

    Attributes:
        table, name: where it stands.
        place, field: the group, and the name of its dataset.
        kept: how a store keeps it.
    """

    table: str
    name: str
    place: str
    field: str
    kept: Dataset

    @property
    def is_vector(self) -> bool:
        """It is a matrix beside the index."""
        return self.kept.dtype == "f4"

    def rows(self, group: Group) -> np.ndarray:
        """The dataset as the table holds it: a vector of the title is a matrix of one row."""
        values: np.ndarray = getattr(group, self.field)
        return values[None] if self.kept.dims == ("h",) else values

    def blank(self, count: int, shape: tuple[int, ...]) -> np.ndarray:
        """What stands in ``count`` rows of a title without the group; ``shape`` is that of one row."""
        if self.kept.dtype == "text":
            return np.full(count, "", dtype=object)
        return np.zeros((count, *shape), self.kept.dtype)

    def read(self, rows: Rows) -> np.ndarray:
        """The dataset, texts in UTF-8, from all rows of one title."""
        if self.is_vector:
            found = rows.vectors[self.name]
            return found[0] if self.kept.dims == ("h",) else found
        values = [row[self.name] for row in rows.index]
        if self.kept.dtype == "text":
            return np.array([text.encode() for text in values])
        found, dtype = np.array(values), np.dtype(self.kept.dtype).newbyteorder("<")
        if found.dtype.kind != dtype.kind:
            raise TypeError(f"{self.name} holds what is no {dtype.name}")
        return found.astype(dtype)


def columns_of(place: str) -> Iterator[Column]:
    """The columns that hold the datasets of the group at ``place``."""
    dotted = place.replace("/", ".", 1)
    for field, kept in array_fields(_kind(place).group).items():
        of_title = kept.dims == ("h",) or place == f"encodings/{METADATA}"
        table = TITLES if of_title else CUES if kept.dims == ("c",) else SHOTS
        own = kept.dtype == "f4" or place in (SHOTS, CUES)
        name = (dotted if kept.dtype == "f4" else field) if own else f"{dotted}.{field}"
        yield Column(table, name, place, field, kept)


def attributes_of(place: str, group: Group) -> dict[str, Any]:
    """The attributes of a group as JSON, and ``content_sha256`` over all of it."""
    raw = to_raw(place, group)
    hints = field_types(type(group))
    plain = {
        name: value if hints[name] in (str, int, float, bool) else json.loads(str(value))
        for name, value in raw.attributes.items()
    }
    return {**plain, "content_sha256": raw.sha256()}


def group_from(place: str, described: Mapping[str, Any], tables: Mapping[str, Rows]) -> Group:
    """Put the group at ``place`` together from what ``attributes_of`` told, and from all rows of its title.

    Raises:
        StoreError: it is not what was exported.
        KeyError, TypeError, ValueError, AttributeError: a column or an attribute is missing, or of another type.
    """
    kind = _kind(place).group
    attributes: dict[str, Attribute] = {}
    for name, hint in field_types(kind).items():
        value = described[name]
        if hint not in (str, int, float, bool):
            value = canonical_json(value)
        elif type(value) is not hint:
            raise TypeError(f"{place}: {name} is {value!r}")
        attributes[name] = value
    raw = Raw(place, attributes, {column.field: column.read(tables[column.table]) for column in columns_of(place)})
    if raw.sha256() != described["content_sha256"]:
        raise StoreError(f"{place} is not what was exported.", "Its content does not match its checksum.")
    return from_raw(kind, raw)


def _kind(place: str) -> Kind:
    kind = kind_at(place)
    if kind is None:
        raise StoreError(f"The format knows no {place}.")
    return kind
