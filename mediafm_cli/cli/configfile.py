"""``--config FILE.toml``: one table a command, one key an option, such as ``[encode]`` with ``batch_size = 16``."""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mediafm_cli.errors import UsageError


def read_config(
    path: Path, commands: Mapping[str, Callable[..., None]], plugged: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Read defaults for the options of ``commands``.

    Args:
        plugged: names of commands that plugins add; their options are known once they are loaded, see
            ``require_options``.

    Raises:
        UsageError: the file cannot be read or parsed, or names a command or an option that there is not.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read.", f"{error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML.", f"{error}.") from error
    for name, table in tables.items():
        _require_known(path, "command", name, [*commands, *plugged])
        if not isinstance(table, dict):
            raise UsageError(f"{path}: {name} is not a table.", hint=f"Write [{name}] and the options below it.")
        if name in commands:
            require_options(path, name, table, inspect.signature(commands[name]).parameters)
    return tables


def require_options(path: Path, command: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise a UsageError for an option in a command's table that the command does not have."""
    for option in table:
        _require_known(path, f"option of {command}", option, list(known))


def _require_known(path: Path, kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"{path}: there is no {kind} called {name!r}.", hint=f"Did you mean {close[0]}?" if close else ""
        )
