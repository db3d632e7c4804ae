"""``--opt key=value`` against the frozen dataclass that an encoder or segmenter declares as its ``Options``."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import math
import re
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mediafm_cli.errors import UsageError

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def parse_options(schema: type, pairs: Sequence[str]) -> Any:
    """Build ``schema`` from texts such as ``"n_mels=80"``.

    Field types may be ``int``, ``float``, ``bool``, ``str``, a ``Literal`` of texts, or any of these ``| None``.

    Raises:
        UsageError: an unknown key (the nearest known one is named), a key given twice, or a value of the wrong type.
    """
    hints = get_type_hints(schema)
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--opt {pair} has no value.", hint="Write it as --opt key=value")
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            known = f"Known: {', '.join(hints)}." if hints else "It takes none."
            raise UsageError(f"There is no option {key!r}.", known, f"Did you mean {close[0]}?" if close else "")
        if key in values:
            raise UsageError(f"The option {key!r} is given twice.")
        values[key] = _parse(key, text, hints[key])
    try:
        return schema(**values)
    except (TypeError, ValueError) as error:
        raise UsageError("These options cannot be used.", f"{error}.") from error


def options_as_json(options: Any) -> dict[str, Any]:
    """The values of an options dataclass, for the record in a store."""
    return dataclasses.asdict(options)


@dataclass(frozen=True)
class OptionInfo:
    """One option as a person is shown it: its type and default as text, and what its docstring says of it."""

    name: str
    type: str
    default: str
    about: str


def describe_options(schema: type) -> list[OptionInfo]:
    """The options of ``schema``, in order; ``about`` comes from the section ``Attributes:`` of its docstring."""
    section = inspect.cleandoc(schema.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^ {4}(\w+(?:, \w+)*): (.+(?:\n {8}.+)*)", section, re.MULTILINE)
    abouts = {name: about for names, about in entries for name in names.split(", ")}
    hints = get_type_hints(schema)
    return [
        OptionInfo(
            field.name,
            _type_name(hints[field.name]),
            str(field.default_factory() if callable(field.default_factory) else field.default),
            " ".join(abouts.get(field.name, "").replace("``", "").split()),
        )
        for field in dataclasses.fields(schema)
    ]


def _type_name(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    return hint.__name__ if isinstance(hint, type) else str(hint)


def compared_options(options: Any) -> list[str]:
    """Names of the options that change what comes out; ``field(compare=False)`` marks those that do not."""
    return [field.name for field in dataclasses.fields(options) if field.compare]


def _parse(key: str, text: str, hint: Any) -> Any:
    choices = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        if text.lower() in ("none", "") and type(None) in choices:
            return None
        (hint,) = (choice for choice in choices if choice is not type(None))
        choices = get_args(hint)
    if get_origin(hint) is Literal:
        if text not in choices:
            raise UsageError(f"{key} is {text!r}.", f"It can be: {', '.join(map(str, choices))}.")
        return text
    if hint is bool:
        if text.lower() not in TRUE + FALSE:
            raise UsageError(f"{key} is {text!r}.", "It can be true or false.")
        return text.lower() in TRUE
    try:
        value = hint(text)
    except ValueError as error:
        raise UsageError(f"{key} is {text!r}.", f"It must be of type {hint.__name__}.") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{key} is {text!r}.", "It must be finite.")
    return value
