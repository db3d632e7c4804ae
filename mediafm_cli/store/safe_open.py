"""Open a file that claims to be a store, and refuse whatever a store may not hold before any of it is used.

HDF5 follows links and external storage into other files, declares terabytes in no bytes, and loads filters from
shared libraries. A store needs none of that: hard links to contiguous, uncompressed arrays that lie inside the file.
Attributes and texts have a fixed length, so that nothing read is larger than the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

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
SHA256 = "content_sha256"
ROOT = "/"
MAX_NAMES = 64
MAX_ROWS = 1_000_000
MAX_WIDTH = 65_536


@contextmanager
def safe_open(path: Path) -> Iterator[h5py.File]:
    """Open a store for reading, its whole structure checked against the format; values are not read.

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
    try:
        with file:
            try:
                _check_structure(file, path.stat().st_size)
            except HDF5_ERRORS as error:
                raise _damaged(path, error) from error
            except StoreError as error:
                raise StoreError(f"{path} is not a valid store.", str(error), error.hint) from error
            yield file
    finally:
        file.close()


def places(file: h5py.File) -> tuple[str, ...]:
    """The groups that the store holds, in the order of the format."""
    found = []
    for kind in KINDS:
        if kind.place in file:
            found += [f"{kind.place}/{name}" for name in sorted(file[kind.place])] if kind.name else [kind.place]
    return tuple(found)


def read_raw(file: h5py.File, place: str, read: Callable[[h5py.Dataset], np.ndarray] = lambda found: found[()]) -> Raw:
    """Read every attribute and array at ``place``, ``content_sha256`` included; ``"/"`` is the store itself."""
    group = file[place]
    attributes = {name: _read_attribute(group, name) for name in group.attrs}
    return Raw(place, attributes, {} if place == ROOT else {name: read(group[name]) for name in group})


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
        why = "It is empty." if not start else "It is not an HDF5 file."
        raise StoreError(f"{path} is not a store.", why, "Stores are made by: mediafm segment FILM")


def _damaged(path: Path, error: Exception) -> StoreError:
    detail = " ".join(str(error).split())[:200]
    return StoreError(f"{path} is damaged.", f"HDF5 says: {detail}.", "Restore it from a copy, or make it anew.")


# --- structure --------------------------------------------------------------------------------------------------------


def _check_structure(file: h5py.File, file_size: int) -> None:
    if "format" not in file.attrs or _attribute_type(file, "format") is not str:
        raise StoreError("It is an HDF5 file, but it has no attribute format.")
    if _read_attribute(file, "format") != FORMAT:
        raise StoreError(f"Its format is {_read_attribute(file, 'format')!r}, not {FORMAT!r}.")
    if "format_version" not in file.attrs or _attribute_type(file, "format_version") is not int:
        raise StoreError("It has no attribute format_version.")
    version = _read_attribute(file, "format_version")
    if version != FORMAT_VERSION:
        raise StoreError(
            f"Its format is version {version}; this mediafm reads version {FORMAT_VERSION}.",
            hint="Upgrade mediafm: pip install --upgrade mediafm-cli",
        )
    _check_attributes(file, ROOT_ATTRIBUTES)
    top = {kind.place: kind for kind in KINDS}
    rows: dict[str, int] = {}
    for name in _names(file):
        kind = top.get(name)
        if kind is None:
            raise StoreError(f"The format knows no /{name}.")
        group = _subgroup(file, name)
        if kind.name is None:
            rows |= _check_group(group, kind, file_size)
            continue
        if len(group.attrs):
            raise StoreError(f"/{name} has attributes, and the format knows none there.")
        for child in _names(group):
            if not kind.name.fullmatch(child):
                raise StoreError(f"{child!r} is no name for a group of /{name}.")
            rows |= _check_group(_subgroup(group, child), kind, file_size)
    rows.pop(f"/encodings/{METADATA}", None)
    shots = rows.get("/shots", max(rows.values(), default=0))
    for place, count in rows.items():
        if count != shots:
            raise StoreError(f"{place} has {count} rows for {shots} shots.")


def _names(group: h5py.Group) -> list[str]:
    if len(group) > MAX_NAMES:
        raise StoreError(f"{group.name} holds {len(group)} names; the format allows {MAX_NAMES}.")
    names = list(group)
    for name in names:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise StoreError(f"{name!r} in {group.name} is a link to elsewhere, which a store may not hold.")
    return names


def _subgroup(group: h5py.Group, name: str) -> h5py.Group:
    child = group[name]
    if not isinstance(child, h5py.Group):
        raise StoreError(f"{name!r} in {group.name} is not a group.")
    return child


def _check_group(group: h5py.Group, kind: Kind, file_size: int) -> dict[str, int]:
    """Check one group; its place and the number of its shots, where it has them."""
    _check_attributes(group, field_types(kind.group))
    wanted = array_fields(kind.group)
    _require_same_names(f"datasets of {group.name}", _names(group), wanted)
    sizes: dict[str, int] = {}
    for name, kept in wanted.items():
        dataset = group[name]
        if not isinstance(dataset, h5py.Dataset):
            raise StoreError(f"{group.name}/{name} is not a dataset.")
        _check_dataset(dataset, kept.dtype, file_size)
        if len(dataset.shape) != len(kept.dims):
            raise StoreError(f"{dataset.name} has {len(dataset.shape)} dimensions, not {len(kept.dims)}.")
        for dim, size in zip(kept.dims, dataset.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise StoreError(
                    f"{dataset.name} has {size} along {dim}; the group's other datasets have {sizes[dim]}."
                )
            bound = MAX_ROWS if dim in ("n", "c") else MAX_WIDTH
            if not 1 <= size <= bound:
                raise StoreError(f"{dataset.name} has {size} along {dim}; the format allows 1 to {bound:,}.")
    return {group.name: sizes["n"]} if "n" in sizes else {}


def _check_dataset(dataset: h5py.Dataset, dtype: str, file_size: int) -> None:
    properties = dataset.id.get_create_plist()
    if properties.get_layout() != h5py.h5d.CONTIGUOUS or properties.get_external_count():
        raise StoreError(f"{dataset.name} is not stored contiguously inside the file.")
    if len(dataset.attrs):
        raise StoreError(f"{dataset.name} has attributes, and the format knows none there.")
    if not _is_dtype(dataset.id.get_type(), dtype):
        raise StoreError(f"{dataset.name} is of type {dataset.dtype}, not {dtype}.")
    if dataset.shape is None:
        raise StoreError(f"{dataset.name} has no shape.")
    offset, size = dataset.id.get_offset(), dataset.id.get_storage_size()
    wanted = int(np.prod(dataset.shape, dtype=object)) * dataset.id.get_type().get_size()
    if offset is None or size != wanted or offset + size > file_size:
        raise StoreError(f"{dataset.name} declares {wanted:,} bytes that do not lie inside the file.")


def _is_dtype(found: h5py.h5t.TypeID, dtype: str) -> bool:
    if dtype == "text":
        return isinstance(found, h5py.h5t.TypeStringID) and not found.is_variable_str()
    return not isinstance(found, h5py.h5t.TypeCompoundID) and found.dtype == np.dtype(dtype).newbyteorder("<")


# --- attributes -------------------------------------------------------------------------------------------------------


def _check_attributes(group: h5py.Group, wanted: dict[str, Any]) -> None:
    if len(group.attrs) > MAX_NAMES:
        raise StoreError(f"{group.name} has {len(group.attrs)} attributes; the format allows {MAX_NAMES}.")
    _require_same_names(f"attributes of {group.name}", list(group.attrs), [*wanted, SHA256])
    for name, hint in {**wanted, SHA256: str}.items():
        kept_as = hint if hint in (int, float, bool) else str
        if _attribute_type(group, name) is not kept_as:
            raise StoreError(f"The attribute {name} of {group.name} is not of type {kept_as.__name__}.")


def _attribute_type(group: h5py.Group, name: str) -> type | None:
    """The Python type of a scalar attribute as the format stores it; None for anything else."""
    attribute = h5py.h5a.open(group.id, name.encode())
    stored = attribute.get_type()
    if attribute.get_space().get_simple_extent_type() != h5py.h5s.SCALAR:
        return None
    if isinstance(stored, h5py.h5t.TypeStringID):
        return None if stored.is_variable_str() else str
    if isinstance(stored, h5py.h5t.TypeEnumID):
        return bool if stored.dtype == np.dtype(bool) else None
    if isinstance(stored, h5py.h5t.TypeIntegerID):
        return int if stored.dtype == np.dtype("<i8") else None
    if isinstance(stored, h5py.h5t.TypeFloatID):
        return float if stored.dtype == np.dtype("<f8") else None
    return None


def _read_attribute(group: h5py.Group, name: str) -> Attribute:
    value = group.attrs[name]
    return value.decode() if isinstance(value, bytes) else value.item() if isinstance(value, np.generic) else value


def _require_same_names(what: str, found: list[str], wanted: Any) -> None:
    missing, unknown = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or unknown:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
        raise StoreError(f"The {what} are not those of the format ({'; '.join(parts)}).")
