"""Frozen dataclasses to and from JSON, strictly: no unknown key, none missing, no value of another type."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class RecordError(ValueError):
    """The JSON is not the record that was asked for; the message says where."""


def to_json(record: Any) -> Any:
    """The dataclass as plain dicts, lists and scalars."""
    return json.loads(json.dumps(dataclasses.asdict(record), allow_nan=False))


def from_json(kind: type[T], value: Any, place: str = "") -> T:
    """The plain JSON ``value`` as a ``kind``.

    Raises:
        RecordError: a key is unknown or missing, or a value has another type.
    """
    return _parse(kind, value, place)


def _parse(hint: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _parse_record(hint, value, place)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _parse(hint, value, place)
    if origin is tuple:
        _require(isinstance(value, list), place, "a list", value)
        return tuple(_parse(arguments[0], item, f"{place}[{number}]") for number, item in enumerate(value))
    if origin is Mapping:
        _require(isinstance(value, dict), place, "an object", value)
        return {key: _parse(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
    if origin is typing.Literal:
        _require(value in arguments, place, f"one of {', '.join(map(repr, arguments))}", value)
        return value
    if hint is Any:
        return value
    if hint is float and type(value) is int:
        value = float(value)
    fits = type(value) is hint and (hint is not float or math.isfinite(value))
    _require(fits, place, f"of type {hint.__name__}", value)
    return value


def _parse_record(kind: Any, value: Any, place: str) -> Any:
    _require(isinstance(value, dict), place, "an object", value)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in value.keys() - fields.keys():
        raise RecordError(f"{_at(place, key)} is unknown")
    for key in fields.keys() - value.keys():
        raise RecordError(f"{_at(place, key)} is missing")
    hints = typing.get_type_hints(kind)
    return kind(**{key: _parse(hints[key], item, _at(place, key)) for key, item in value.items()})


def _require(holds: bool, place: str, wanted: str, value: Any) -> None:
    if not holds:
        raise RecordError(f"{place or 'the record'} is {repr(value)[:80]}, not {wanted}")


def _at(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
