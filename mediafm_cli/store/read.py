"""Read stores, verified: one group at a time through ``Store``, or a whole title as ``Contents``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from h5py import h5d

from mediafm_cli.errors import StoreError
from mediafm_cli.store.raw import Raw, canonical_json, from_raw, to_raw
from mediafm_cli.store.safe_open import HDF5_ERRORS, ROOT, SHA256, OpenGroup, read_array, safe_open
from mediafm_cli.store.schema import (
    METADATA,
    TITLE_ID,
    Boundaries,
    Cues,
    Embedding,
    Encoding,
    Fused,
    Group,
    Shots,
    Source,
    kind_at,
)

G = TypeVar("G", bound=Group)

MADE_BY = {
    "source": "mediafm segment FILM -o FOLDER",
    "shots": "mediafm segment FILM -o FOLDER",
    "boundaries": "mediafm segment FILM -o FOLDER --overwrite",
    "cues": "mediafm segment FILM -o FOLDER --overwrite",
    "encodings": "mediafm encode {path} --modality {name}",
    "fused": "mediafm fuse {path}",
    "embeddings": "mediafm embed {path} --model MODEL",
}


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that one store holds, in memory. Changing it gives a new one."""

    title_id: str
    groups: Mapping[str, Group]

    def with_group(self, place: str, group: Group) -> Contents:
        return replace(self, groups={**self.groups, place: group})

    def without(self, dropped: set[str]) -> Contents:
        return replace(self, groups={place: group for place, group in self.groups.items() if place not in dropped})

    def digest(self, place: str) -> str:
        return to_raw(place, self.groups[place]).sha256()

    def encoding(self, modality: str) -> Encoding:
        return cast(Encoding, self.groups[f"encodings/{modality}"])


class Store:
    """An open store. Get one from ``open_store``."""

    def __init__(self, path: Path, groups: Mapping[str, OpenGroup]) -> None:
        self.path = path
        self._groups = groups

    @cached_property
    def title_id(self) -> str:
        return str(self._root.attributes["title_id"])

    @cached_property
    def created_by(self) -> str:
        return str(self._root.attributes["created_by"])

    @cached_property
    def places(self) -> tuple[str, ...]:
        """The groups present, such as ``"shots"`` and ``"encodings/video"``, in the order of the format."""
        return tuple(place for place in self._groups if place != ROOT)

    def __contains__(self, place: str) -> bool:
        return place in self.places

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities encoded shot by shot, in alphabetical order."""
        names = [place.removeprefix("encodings/") for place in self.places if place.startswith("encodings/")]
        return tuple(name for name in names if name != METADATA)

    def read(self, place: str) -> Group:
        """Read and verify the group at ``place``, whatever its kind."""
        kind = kind_at(place)
        if kind is None:
            raise StoreError(f"The format knows no {place}.")
        return self._read(place, kind.group)

    @cached_property
    def source(self) -> Source:
        return self._read("source", Source)

    @cached_property
    def shots(self) -> Shots:
        return self._read("shots", Shots)

    @property
    def boundaries(self) -> Boundaries:
        return self._read("boundaries", Boundaries)

    @property
    def cues(self) -> Cues:
        return self._read("cues", Cues)

    @property
    def fused(self) -> Fused:
        return self._read("fused", Fused)

    def encoding(self, modality: str) -> Encoding:
        return self._read(f"encodings/{modality}", Encoding)

    def embedding(self, name: str) -> Embedding:
        return self._read(f"embeddings/{name}", Embedding)

    def digest(self, place: str) -> str:
        """The hash that the group carries. It is checked when the group is read, not here."""
        self.require(place)
        try:
            return str(self._groups[place].attribute(SHA256))
        except HDF5_ERRORS as error:
            raise self._fault(place, f"HDF5 says: {error}") from error

    def mapped(self, place: str, kind: type[G]) -> G:
        """The group, its arrays read-only memory maps, which outlive the store being open; nothing is verified."""
        self.require(place)
        try:
            raw = self._groups[place].raw(place, self._map)
            return cast(G, from_raw(kind, raw))
        except HDF5_ERRORS as error:
            raise self._fault(place, f"HDF5 says: {error}") from error
        except StoreError as error:
            raise self._fault(place, str(error)) from error

    def _map(self, dataset: h5d.DatasetID) -> np.ndarray:
        return np.memmap(self.path, dataset.dtype, "r", dataset.get_offset(), dataset.shape)

    def contents(self) -> Contents:
        """Read and verify everything."""
        return Contents(self.title_id, {place: self.read(place) for place in self.places})

    def require(self, place: str) -> None:
        """Raise a StoreError that names the stage which makes ``place``, where it is not there."""
        if place not in self:
            stage, _, name = place.partition("/")
            hint = MADE_BY[stage].format(path=shlex.quote(str(self.path)), name=name)
            raise StoreError(f"{self.path} has no {place}.", hint=f"Make it with: {hint}")

    @cached_property
    def _root(self) -> Raw:
        root = self._verified(ROOT)
        if root.attributes["groups"] != canonical_json(self.places):
            raise self._fault(ROOT, f"its groups should be {root.attributes['groups']}")
        if not TITLE_ID.fullmatch(str(root.attributes["title_id"])):
            raise self._fault(ROOT, f"{root.attributes['title_id']!r} cannot be a title id")
        return root

    def _read(self, place: str, kind: type[G]) -> G:
        self.require(place)
        raw = self._verified(place)
        try:
            group = cast(G, from_raw(kind, raw))
        except StoreError as error:
            raise self._fault(place, str(error)) from error
        for fault in group.faults():
            raise self._fault(place, fault)
        if isinstance(group, Encoding) and place != f"encodings/{group.modality}":
            raise self._fault(place, f"its modality is {group.modality!r}")
        return group

    def _verified(self, place: str) -> Raw:
        """What is stored at ``place``, less the hash that it was checked against."""
        try:
            raw = self._groups[place].raw(place, read_array)
        except HDF5_ERRORS as error:
            raise self._fault(place, f"HDF5 says: {error}") from error
        attributes = {name: value for name, value in raw.attributes.items() if name != SHA256}
        bare = Raw(place, attributes, raw.arrays)
        if bare.sha256() != raw.attributes[SHA256]:
            raise self._fault(place, "its content does not match its checksum")
        return bare

    def _fault(self, place: str, why: str) -> StoreError:
        hint = "Restore the store from a copy, or remove it and make it anew."
        return StoreError(f"{self.path}: {place} is not valid.", f"{why[:1].upper()}{why[1:].rstrip('.')}.", hint)


@contextmanager
def open_store(path: Path) -> Iterator[Store]:
    """Open a store for reading.

    Raises:
        StoreError: it is not a store, is damaged, or holds what the format does not allow.
    """
    with safe_open(path) as groups:
        yield Store(path, groups)


def read_contents(path: Path) -> Contents:
    """Read and verify a whole store."""
    with open_store(path) as store:
        return store.contents()
