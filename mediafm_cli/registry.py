"""Plugins by entry point: find them without importing, load one by name, explain one that is broken.

``Found`` is what the metadata of the installed distributions says, ``Loaded`` is what importing it gave. The built-in
encoders and segmenters are found the same way as everybody else's. The command line imports this module for its help,
so what takes long to import is imported where it is used.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from mediafm_cli.errors import FailedOnTitleError, MediafmError, PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from mediafm_cli.api import Encoder, Segmenter

ENCODERS = "mediafm.encoders.v1"
SEGMENTERS = "mediafm.segmenters.v1"
COMMANDS = "mediafm.commands.v1"
GROUPS = (ENCODERS, SEGMENTERS, COMMANDS)
HOST = "mediafm-cli"
ALLOW_LIST = "MEDIAFM_PLUGINS"

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """A plugin as its distribution's metadata describes it; not imported."""

    name: str
    group: str
    value: str
    distribution: str
    version: str

    @property
    def modality(self) -> str:
        """The modality of an encoder: its name up to the first dot."""
        return self.name.partition(".")[0]

    @property
    def kind(self) -> str:
        """``encoder``, ``segmenter`` or ``command``."""
        return kind_of(self.group)

    @property
    def described(self) -> str:
        """Its name and where it comes from, for a person."""
        return f"{self.name} ({self.distribution} {self.version})" if self.distribution else self.name


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """A plugin that was imported: a complete class of the right kind, and where it was found."""

    found: Found
    plugin: type[T]


def kind_of(group: str) -> str:
    """What plugins of an entry-point group are called."""
    return group.split(".")[1].removesuffix("s")


def find(group: str) -> list[Found]:
    """Every plugin of ``group`` that the allow-list admits, by name; two distributions may offer one name.

    What is installed is looked up once in a process, for each ``sys.path`` anew.

    ``MEDIAFM_PLUGINS``, a comma-separated list of distributions, is the allow-list; unset, all are admitted.
    """
    allowed = os.environ.get(ALLOW_LIST)
    admitted = None if allowed is None else {HOST, *(_normalized(name) for name in allowed.split(",") if name.strip())}
    found = _installed(group, tuple(sys.path))
    return [plugin for plugin in found if admitted is None or _normalized(plugin.distribution) in admitted]


@cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[Found, ...]:
    """Every plugin of ``group``, by name. To look takes tens of milliseconds, and each title asks.

    Args:
        path: ``sys.path``, on which they are looked for.
    """
    from importlib.metadata import entry_points

    owners: dict[int, tuple[str, str]] = {}
    found = {_found(entry, owners) for entry in entry_points(group=group)}
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def pick(group: str, name: str) -> Found:
    """The one plugin called ``name``, or ``DISTRIBUTION:name`` where two distributions offer it.

    Raises:
        PluginError: there is none, or more than one.
    """
    distribution, _, bare = name.rpartition(":")
    plugins = find(group)
    matches = [
        plugin
        for plugin in plugins
        if plugin.name == bare and (not distribution or _normalized(plugin.distribution) == _normalized(distribution))
    ]
    kind = kind_of(group)
    if name.endswith(".py"):
        raise PluginError(f"There is no {kind} called {name!r}.", hint=f"Name the class in the file too: {name}:CLASS")
    if not matches:
        close = difflib.get_close_matches(bare, [plugin.name for plugin in plugins], n=1)
        hint = f"Did you mean {close[0]}?" if close else "List them with: mediafm plugins list"
        known = ", ".join(plugin.name for plugin in plugins) or "none"
        raise PluginError(f"There is no {kind} called {name!r}.", f"Known: {known}.{_admitted()}", hint)
    if len(matches) > 1:
        raise PluginError(
            f"Two distributions offer the {kind} {bare!r}: {' and '.join(m.distribution for m in matches)}.",
            hint=f"Pick one: {matches[0].distribution}:{bare}",
        )
    return matches[0]


def load_encoder(name: str) -> Loaded[Encoder]:
    """Import the encoder called ``name``: an entry point, or ``PATH.py:CLASS`` while it is being written.

    Raises:
        PluginError: it is not there, cannot be imported, or is not a complete Encoder.
    """
    from mediafm_cli.api import Encoder

    return _load(ENCODERS, name, Encoder)  # type: ignore[type-abstract]


def load_segmenter(name: str) -> Loaded[Segmenter]:
    """Import the segmenter called ``name``; see ``load_encoder``."""
    from mediafm_cli.api import Segmenter

    return _load(SEGMENTERS, name, Segmenter)  # type: ignore[type-abstract]


def find_named(name: str) -> Found:
    """The plugin called ``name``, of whatever kind; encoders first, then segmenters, then commands.

    Raises:
        PluginError: there is none, or two distributions offer it.
    """
    bare = name.rpartition(":")[2]
    known = [found for group in GROUPS for found in find(group)]
    group = next((found.group for found in known if found.name == bare), None)
    if group is None:
        close = difflib.get_close_matches(bare, [found.name for found in known], n=1)
        hint = f"Did you mean {close[0]}?" if close else "List them with: mediafm plugins list"
        raise PluginError(f"There is no plugin called {name!r}.", _admitted().strip(), hint)
    return pick(group, name)


def load_class(name: str) -> Loaded[Encoder] | Loaded[Segmenter]:
    """Import the encoder or segmenter called ``name``, or ``PATH.py:CLASS``; see ``load_encoder``."""
    from mediafm_cli.api import Segmenter

    path, _, class_name = name.rpartition(":")
    if path.endswith(".py"):
        loaded = _import_file(Path(path), class_name)
        is_segmenter = isinstance(loaded, type) and issubclass(loaded, Segmenter)
        return load_segmenter(name) if is_segmenter else load_encoder(name)
    return load_segmenter(name) if find_named(name).group == SEGMENTERS else load_encoder(name)


@contextmanager
def blame(described: str, doing: str, debug: str = "mediafm --debug …") -> Iterator[None]:
    """Turn what a plugin raises into a PluginError that names it; a MediafmError of its own stays as it is.

    Args:
        described: the plugin's name and distribution. ``doing``: what it was asked for, as in "to load".
        debug: what to type to see where it failed.
    """
    try:
        yield
    except MediafmError:
        raise
    except Exception as error:
        is_memory = type(error).__name__ in ("OutOfMemoryError", "MemoryError")
        hint = "Give it less at once, such as with --batch-size." if is_memory else f"{debug} shows where."
        raise PluginError(f"{described} failed {doing}.", f"{type(error).__name__}: {error}.", hint) from error


@contextmanager
def blame_on_title(described: str, doing: str) -> Iterator[None]:
    """As ``blame``, for work on one title: a PluginError, too, becomes one that is of this title alone."""
    try:
        with blame(described, doing, "mediafm --debug … on this title alone"):
            yield
    except PluginError as error:
        raise FailedOnTitleError(error.what, error.why, error.hint) from error


def load_command(found: Found) -> object:
    """Import a command that a plugin adds."""
    return _import(found)


def _load(group: str, name: str, base: type[T]) -> Loaded[T]:
    path, _, class_name = name.rpartition(":")
    if path.endswith(".py"):
        found = Found(name, group, name, "", "")
        return Loaded(found, _require_complete(found, _import_file(Path(path), class_name), base))
    found = pick(group, name)
    return Loaded(found, _require_complete(found, _import(found), base))


def _import(found: Found) -> object:
    from importlib.metadata import EntryPoint

    try:
        return EntryPoint(found.name, found.value, found.group).load()
    except Exception as error:
        raise PluginError(
            f"{found.described} could not be loaded.", f"{type(error).__name__}: {error}.", _repair(found)
        ) from error


def _repair(found: Found) -> str:
    return f"Repair it, or remove it with: pip uninstall {found.distribution}" if found.distribution else ""


def _import_file(path: Path, class_name: str) -> object:
    spec = importlib.util.spec_from_file_location(f"mediafm_plugin_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"There is no Python file at {path}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(f"{path} could not be loaded.", f"{type(error).__name__}: {error}.") from error
    if not hasattr(module, class_name):
        raise PluginError(f"{path} has no class {class_name!r}.")
    return getattr(module, class_name)


def _require_complete(found: Found, loaded: object, base: type[T]) -> type[T]:
    if not (isinstance(loaded, type) and issubclass(loaded, base)):
        what = f"{found.described} is not a subclass of mediafm_cli.api.{base.__name__}."
        raise PluginError(what, hint=_repair(found))
    if inspect.isabstract(loaded):
        missing = ", ".join(sorted(getattr(loaded, "__abstractmethods__")))  # noqa: B009 - typeshed has it on ABCMeta
        raise PluginError(f"{found.described} is not complete.", f"It does not define: {missing}.", _repair(found))
    return loaded


def _found(entry: EntryPoint, owners: dict[int, tuple[str, str]]) -> Found:
    """Reading a distribution's metadata takes milliseconds, so it is read once for all its entries (``owners``)."""
    key = id(entry.dist)
    if key not in owners:
        metadata = entry.dist.metadata if entry.dist else {"Name": "unknown", "Version": "unknown"}
        owners[key] = (metadata["Name"], metadata["Version"])
    return Found(entry.name, entry.group, entry.value, *owners[key])


def _admitted() -> str:
    allowed = os.environ.get(ALLOW_LIST)
    return "" if allowed is None else f" {ALLOW_LIST} admits only: {allowed or 'none'}."


def _normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()
