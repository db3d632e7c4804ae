"""Groups as the plain attributes and arrays that go into a file, back again, and the hash over both."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from mediafm_cli.errors import StoreError
from mediafm_cli.store.schema import Block, Dataset, Group

Attribute = str | int | float | bool

ATTRIBUTE_BYTES = 60_000
"""The longest text that fits an attribute: HDF5 keeps attributes in a header of 64 KiB."""


@dataclass(frozen=True, eq=False)
class Raw:
    """A group without its meaning: what HDF5 stores and what the hash covers."""

    place: str
    attributes: Mapping[str, Attribute]
    arrays: Mapping[str, np.ndarray]

    def sha256(self) -> str:
        """Hash of the place, every attribute, and the name, type, shape and bytes of every array."""
        digest = hashlib.sha256(canonical_json([self.place, dict(self.attributes)]).encode())
        for name in sorted(self.arrays):
            values = np.ascontiguousarray(self.arrays[name])
            digest.update(canonical_json([name, values.dtype.str, list(values.shape)]).encode())
            digest.update(values.data)
        return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: one text for one value.

    Raises:
        StoreError: ``value`` holds something that JSON cannot carry, such as NaN.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StoreError("A value cannot be kept in a store as JSON.", f"{error}.") from error


def field_types(group: type[Group]) -> Mapping[str, Any]:
    """Name and type of each attribute of ``group``."""
    return _fields(group)[0]  # type: ignore[arg-type]  # a class can be hashed, whatever its objects can


def array_fields(group: type[Group]) -> Mapping[str, Dataset]:
    """Name, and how it is stored, of each dataset of ``group``."""
    return _fields(group)[1]  # type: ignore[arg-type]


@cache
def _fields(group: Any) -> tuple[Mapping[str, Any], Mapping[str, Dataset]]:
    hints = get_type_hints(group, include_extras=True)
    arrays = {name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}
    return {name: hint for name, hint in hints.items() if name not in arrays}, arrays


def to_raw(place: str, group: Group) -> Raw:
    """Take the group at ``place`` apart.

    Raises:
        StoreError: a value does not fit the format: a wrong shape or type, an attribute too long, a text with NUL.
    """
    attributes = {}
    for name, hint in field_types(type(group)).items():
        value = getattr(group, name)
        if hint not in (str, int, float, bool):
            value = canonical_json([dataclasses.asdict(b) for b in value] if hint == tuple[Block, ...] else value)
        if isinstance(value, str):
            _require_text(name, value)
        attributes[name] = hint(value) if hint in (int, float, bool) else value
    arrays = {
        name: _text_array(name, getattr(group, name)) if kept.dtype == "text" else _array(kept, getattr(group, name))
        for name, kept in array_fields(type(group)).items()
    }
    return Raw(place, attributes, arrays)


def from_raw(kind: type[Group], raw: Raw) -> Group:
    """Put a group together.

    Raises:
        StoreError: an attribute is too long or not the JSON that the format asks for, or a text is not UTF-8.
    """
    values: dict[str, Any] = {}
    for name, hint in field_types(kind).items():
        value = raw.attributes[name]
        if isinstance(value, str):
            _require_text(name, value)
        values[name] = value if hint in (str, int, float, bool) else _from_json(name, str(value), hint)
    for name, kept in array_fields(kind).items():
        values[name] = _decode(name, raw.arrays[name]) if kept.dtype == "text" else raw.arrays[name]
    return kind(**values)


def _from_json(name: str, text: str, hint: Any) -> Any:
    what = f"The attribute {name} is not what the format asks for."
    try:
        value = json.loads(text)
        canonical = canonical_json(value)
    except (ValueError, RecursionError, StoreError) as error:
        raise StoreError(what, f"{error}.") from error
    if canonical != text:
        raise StoreError(what, "Its JSON has white space, or keys that are not in order.")
    if not _is(value, hint):
        raise StoreError(what, f"It is {text if len(text) < 60 else f'{text[:60]}…'}.")
    return tuple(Block(**block) for block in value) if hint == tuple[Block, ...] else value


def _is(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON is one that a field of type ``hint`` is written as."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_is(value, choice) for choice in inner)
    if origin in (list, tuple):
        return isinstance(value, list) and all(_is(item, inner[0]) for item in value)
    if origin in (Mapping, dict):
        return isinstance(value, dict) and all(_is(item, inner[1]) for item in value.values())
    if dataclasses.is_dataclass(hint):
        types = get_type_hints(hint)
        return isinstance(value, dict) and value.keys() == types.keys() and all(_is(value[n], types[n]) for n in types)
    return type(value) in ((int, float) if hint is float else (hint,))


def _decode(name: str, texts: np.ndarray) -> np.ndarray:
    try:
        return np.array([text.decode() for text in texts.tolist()], dtype=object)
    except UnicodeDecodeError as error:
        raise StoreError(f"A text in {name} is not UTF-8.", f"{error}.") from error


def _array(kept: Dataset, values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.dtype(kept.dtype).newbyteorder("<"))


def _text_array(name: str, texts: np.ndarray) -> np.ndarray:
    for text in texts:
        if "\0" in text:
            raise StoreError(f"A text in {name} holds a NUL character.", "The store keeps texts padded with NUL.")
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=f"S{max([1, *map(len, encoded)])}")


def _require_text(name: str, value: str) -> None:
    if "\0" in value:
        raise StoreError(f"The attribute {name} holds a NUL character.", "The store keeps texts padded with NUL.")
    if len(value.encode()) > ATTRIBUTE_BYTES:
        raise StoreError(
            f"The attribute {name} would take {len(value.encode()):,} bytes.",
            f"A store keeps at most {ATTRIBUTE_BYTES:,}.",
        )
