"""Open a file that claims to be a store, and refuse whatever a store may not hold before any of it is used.

HDF5 follows links and external storage into other files, declares terabytes in no bytes, and loads filters from
shared libraries. A store needs none of that: hard links to contiguous, uncompressed arrays that lie inside the file.
Attributes and texts have a fixed length, so that nothing read is larger than the file.

A catalogue opens thousands of stores before its first step, so all of it goes through h5py's low-level API: the usual
objects take several times as long, and compare a type through the NumPy dtype that it comes nearest to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

from mediafm_cli.errors import StoreError
from mediafm_cli.store.raw import Attribute, Raw, array_fields, field_types
from mediafm_cli.store.schema import FORMAT, FORMAT_VERSION, KINDS, METADATA, Kind

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, NotImplementedError)
"""What h5py raises on a damaged file."""

ROOT_ATTRIBUTES: dict[str, Any] = {
    "format": str,
    "format_version": int,
    "title_id": str,
    "created_by": str,
    "groups": list,
}
ATTRIBUTE_DTYPES = {str: "text", int: "<i8", float: "<f8", bool: "?"}
"""How an attribute of a Python type is stored; any other type is kept as text."""

_ANEW = "Restore it from a copy, or remove it and make it anew."

SHA256 = "content_sha256"
ROOT = "/"
MAX_NAMES = 64
MAX_ROWS = 1_000_000
MAX_WIDTH = 65_536


@dataclass(frozen=True, eq=False)
class OpenGroup:
    """A group that was checked against the format.

    Attributes:
        attributes: as they are stored, texts as bytes, ``content_sha256`` among them. ``datasets``: none of them read.
    """

    attributes: Mapping[str, bytes | int | float | bool]
    datasets: Mapping[str, h5d.DatasetID]

    def raw(self, place: str, read: Callable[[h5d.DatasetID], np.ndarray]) -> Raw:
        """Everything in it; ``read`` makes an array of a dataset."""
        attributes = {name: self.attribute(name) for name in self.attributes}
        return Raw(place, attributes, {name: read(dataset) for name, dataset in self.datasets.items()})

    def attribute(self, name: str) -> Attribute:
        value = self.attributes[name]
        return value.decode() if isinstance(value, bytes) else value


@contextmanager
def safe_open(path: Path) -> Iterator[Mapping[str, OpenGroup]]:
    """Open a store for reading, its whole structure checked against the format: its groups by their places.

    They come in the order of the format, and before them ``"/"``, the store itself.

    Raises:
        StoreError: it is missing, is no HDF5 file, is of a newer version, or holds anything the format does not know.
    """
    _require_hdf5(path)
    while h5py.h5pl.size():
        h5py.h5pl.remove(0)
    try:
        file = h5py.File(path, "r")
    except HDF5_ERRORS as error:
        raise _damaged(path, error) from error
    with file:
        try:
            groups = _open_groups(h5g.open(file.id, ROOT.encode()), path.stat().st_size)
        except HDF5_ERRORS as error:
            raise _damaged(path, error) from error
        except StoreError as error:
            raise StoreError(f"{path} is not a valid store.", str(error), error.hint) from error
        yield groups


def read_array(dataset: h5d.DatasetID) -> np.ndarray:
    values = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5s.ALL, h5s.ALL, values, mtype=dataset.get_type())
    return values


def _require_hdf5(path: Path) -> None:
    try:
        if not path.is_file():
            reason = "it is a folder" if path.is_dir() else "there is no such file"
            raise StoreError(f"{path} is not a store: {reason}.", hint="Stores are made by: mediafm segment FILM")
        with path.open("rb") as file:
            start = file.read(len(HDF5_SIGNATURE))
    except OSError as error:
        raise StoreError(f"{path} cannot be read.", f"{error.strerror}.") from error
    if start != HDF5_SIGNATURE:
        if not start:
            raise StoreError(f"{path} is not a store.", "It is empty.", _ANEW)
        hint = "Stores are made by: mediafm segment FILM"
        raise StoreError(f"{path} is not a store.", "It is not an HDF5 file.", hint)


def _damaged(path: Path, error: Exception) -> StoreError:
    detail = " ".join(str(error).split())[:200]
    return StoreError(f"{path} is damaged.", f"HDF5 says: {detail}.", _ANEW)


# --- structure --------------------------------------------------------------------------------------------------------


def _open_groups(root: h5g.GroupID, file_size: int) -> dict[str, OpenGroup]:
    _require_format(root)
    found = {ROOT: OpenGroup(_read_attributes(root, ROOT, ROOT_ATTRIBUTES), {})}
    names = _names(root, ROOT)
    for name in names:
        if name not in {kind.place for kind in KINDS}:
            raise StoreError(f"The format knows no /{name}.")
    rows: dict[str, int] = {}
    for kind in (kind for kind in KINDS if kind.place in names):
        group = _subgroup(root, kind.place)
        children = {kind.place: group} if kind.name is None else _children(group, kind)
        for place, child in children.items():
            found[place] = _open_group(child, f"/{place}", kind)
            sizes = _check_datasets(found[place].datasets, f"/{place}", kind, file_size)
            if "n" in sizes and place != f"encodings/{METADATA}":
                rows[place] = sizes["n"]
    shots = rows.get("shots", max(rows.values(), default=0))
    for place, count in rows.items():
        if count != shots:
            raise StoreError(f"/{place} has {count} rows for {shots} shots.")
    return found


def _require_format(root: h5g.GroupID) -> None:
    known = _attribute_names(root)
    found = _read_attribute(h5a.open(root, b"format"), str) if "format" in known else None
    if found is None:
        raise StoreError("It is an HDF5 file, but it has no attribute format.")
    if found != FORMAT.encode():
        raise StoreError(f"Its format is {found.decode()!r}, not {FORMAT!r}.")
    version = _read_attribute(h5a.open(root, b"format_version"), int) if "format_version" in known else None
    if version is None:
        raise StoreError("It has no attribute format_version.")
    if version != FORMAT_VERSION:
        raise StoreError(
            f"Its format is version {version}; this mediafm reads version {FORMAT_VERSION}.",
            hint="Upgrade mediafm: pip install --upgrade mediafm-cli",
        )


def _children(group: h5g.GroupID, kind: Kind) -> dict[str, h5g.GroupID]:
    """The groups of a kind that has several, by their places."""
    if h5a.get_num_attrs(group):
        raise StoreError(f"/{kind.place} has attributes, and the format knows none there.")
    names = sorted(_names(group, f"/{kind.place}"))
    for name in names:
        if kind.name is None or not kind.name.fullmatch(name):
            raise StoreError(f"{name!r} is no name for a group of /{kind.place}.")
    return {f"{kind.place}/{name}": _subgroup(group, name) for name in names}


def _names(group: h5g.GroupID, place: str) -> list[str]:
    count = group.get_num_objs()
    if count > MAX_NAMES:
        raise StoreError(f"{place} holds {count} names; the format allows {MAX_NAMES}.")
    found: dict[bytes, int] = {}
    group.links.iterate(lambda name, link: found.update({name: link.type}), info=True)
    names = {name.decode(): kind for name, kind in found.items()}
    for name, kind in names.items():
        if kind != h5l.TYPE_HARD:
            raise StoreError(f"{name!r} in {place} is a link to elsewhere, which a store may not hold.")
    return list(names)


def _subgroup(group: h5g.GroupID, name: str) -> h5g.GroupID:
    child = h5o.open(group, name.encode())
    if not isinstance(child, h5g.GroupID):
        raise StoreError(f"{name!r} is not a group.")
    return child


def _open_group(group: h5g.GroupID, place: str, kind: Kind) -> OpenGroup:
    attributes = _read_attributes(group, place, field_types(kind.group))
    wanted = array_fields(kind.group)
    _require_same_names(f"datasets of {place}", _names(group, place), wanted)
    datasets = {name: h5o.open(group, name.encode()) for name in wanted}
    for name, dataset in datasets.items():
        if not isinstance(dataset, h5d.DatasetID):
            raise StoreError(f"{place}/{name} is not a dataset.")
    return OpenGroup(attributes, datasets)


def _check_datasets(datasets: Mapping[str, h5d.DatasetID], place: str, kind: Kind, file_size: int) -> dict[str, int]:
    """Check the datasets of one group; the length of each of its dimensions."""
    sizes: dict[str, int] = {}
    for name, kept in array_fields(kind.group).items():
        path = f"{place}/{name}"
        shape = _check_dataset(datasets[name], path, kept.dtype, file_size)
        if len(shape) != len(kept.dims):
            raise StoreError(f"{path} has {len(shape)} dimensions, not {len(kept.dims)}.")
        for dim, size in zip(kept.dims, shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise StoreError(f"{path} has {size} along {dim}; the group's other datasets have {sizes[dim]}.")
            bound = MAX_ROWS if dim in ("n", "c") else MAX_WIDTH
            if not 1 <= size <= bound:
                raise StoreError(f"{path} has {size} along {dim}; the format allows 1 to {bound:,}.")
    return sizes


def _check_dataset(dataset: h5d.DatasetID, path: str, dtype: str, file_size: int) -> tuple[int, ...]:
    """Check one dataset; its shape."""
    properties = dataset.get_create_plist()
    if properties.get_layout() != h5d.CONTIGUOUS or properties.get_external_count():
        raise StoreError(f"{path} is not stored contiguously inside the file.")
    if h5a.get_num_attrs(dataset):
        raise StoreError(f"{path} has attributes, and the format knows none there.")
    stored = dataset.get_type()
    if not _is_type(stored, dtype):
        raise StoreError(f"{path} is of type {stored.dtype}, not {dtype}.")
    shape = dataset.shape
    if shape is None:
        raise StoreError(f"{path} has no shape.")
    offset, size = dataset.get_offset(), dataset.get_storage_size()
    wanted = prod(shape) * stored.get_size()
    if offset is None or size != wanted or offset + size > file_size:
        raise StoreError(f"{path} declares {wanted:,} bytes that do not lie inside the file.")
    return shape


def _is_type(stored: h5t.TypeID, dtype: str) -> bool:
    """Whether a type is that of the format to the bit; a text's may have any length."""
    if dtype == "text":
        return isinstance(stored, h5t.TypeStringID) and not stored.is_variable_str()
    return stored.equal(number_type(dtype))


@cache
def number_type(dtype: str) -> h5t.TypeID:
    """How numbers of a NumPy type are stored, and truth values."""
    return h5t.py_create(np.dtype(dtype).newbyteorder("<"))


# --- attributes -------------------------------------------------------------------------------------------------------


def _attribute_names(group: h5g.GroupID) -> list[str]:
    found: list[bytes] = []
    h5a.iterate(group, found.append)  # an error in a callback would end HDF5's walk half way
    return [name.decode() for name in found]


def _read_attributes(
    group: h5g.GroupID, place: str, wanted: Mapping[str, Any]
) -> dict[str, bytes | int | float | bool]:
    count = h5a.get_num_attrs(group)
    if count > MAX_NAMES:
        raise StoreError(f"{place} has {count} attributes; the format allows {MAX_NAMES}.")
    _require_same_names(f"attributes of {place}", _attribute_names(group), [*wanted, SHA256])
    values = {}
    for name, hint in {**wanted, SHA256: str}.items():
        kept_as = hint if hint in ATTRIBUTE_DTYPES else str
        values[name] = _read_attribute(h5a.open(group, name.encode()), kept_as)
        if values[name] is None:
            raise StoreError(f"The attribute {name} of {place} is not of type {kept_as.__name__}.")
    return values


def _read_attribute(attribute: h5a.AttrID, kept_as: type) -> Any:
    """Its value, a text as bytes; None where it is not a scalar that is stored as the format stores a ``kept_as``."""
    stored, dtype = attribute.get_type(), ATTRIBUTE_DTYPES[kept_as]
    is_scalar = attribute.get_space().get_simple_extent_type() == h5s.SCALAR
    if not is_scalar or not _is_type(stored, dtype):
        return None
    value = np.empty((), f"S{stored.get_size()}" if kept_as is str else dtype)
    attribute.read(value, mtype=stored)
    return value.item()


def _require_same_names(what: str, found: list[str], wanted: Any) -> None:
    missing, unknown = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or unknown:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
        raise StoreError(f"The {what} are not those of the format ({'; '.join(parts)}).")
