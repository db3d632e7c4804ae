"""What a check is, how it is run, and the checks that encoders and segmenters share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mediafm_cli.api import Encoder, Segmenter


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: the promise, in a few words.
        passed: whether it is kept.
        detail: what was seen instead; empty where it is kept.
    """

    name: str
    passed: bool
    detail: str = ""


class BrokenPromiseError(AssertionError):
    """A promise that is not kept; the message says what was seen instead."""


def expect(kept: bool, otherwise: str) -> None:
    """Raise BrokenPromiseError, saying what was seen, where a promise is not kept."""
    if not kept:
        raise BrokenPromiseError(otherwise)


def run_check(name: str, check: Callable[[], object]) -> Check:
    """Run one check, which raises where the promise is broken."""
    try:
        check()
    except BrokenPromiseError as error:
        return Check(name, False, str(error))
    except Exception as error:  # whatever a plugin raises is a finding of this check and must not end the others
        return Check(name, False, f"{type(error).__name__}: {error}")
    return Check(name, True)


def assert_all(plugin_class: type, checks: Sequence[Check]) -> None:
    """Raise AssertionError that lists the checks that failed, where there are any."""
    broken = [f"- {check.name}: {check.detail}" for check in checks if not check.passed]
    if broken:
        heading = f"{plugin_class.__qualname__} fails {len(broken)} of {len(checks)} checks:"
        raise AssertionError("\n".join([heading, *broken]))


def check_options(plugin_class: type[Encoder] | type[Segmenter]) -> None:
    """``Options`` is a frozen dataclass, and every field has a default."""
    options: Any = plugin_class.Options
    expect(dataclasses.is_dataclass(options), "Options is no dataclass")
    expect(options.__dataclass_params__.frozen, "Options is not frozen")
    bare = [
        field.name
        for field in dataclasses.fields(options)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    expect(not bare, f"Options has no default for {', '.join(bare)}")
