"""A command group that installed plugins add to: their commands are listed by metadata and imported when called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mediafm_cli.errors import PluginError
from mediafm_cli.registry import COMMANDS, Found, find, load_command, pick

if TYPE_CHECKING:
    from mediafm_cli.testing import Check


class PluggedCommand(TyperCommand):
    """Stands in ``--help`` for a command that is not imported yet."""

    def __init__(self, found: Found) -> None:
        super().__init__(found.name, help=f"Added by {found.distribution} {found.version}.")


class PluggedGroup(TyperGroup):
    """Built-in commands first, in their order; a plugin never replaces one of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = list(self.commands)
        return own + sorted({found.name for found in find(COMMANDS)} - set(own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        plugged = [found for found in find(COMMANDS) if found.name == cmd_name] if own is None else []
        return PluggedCommand(plugged[0]) if plugged else own

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if not isinstance(command, PluggedCommand):
            return name, command, rest
        return name, typer.main.get_command(load_app(pick(COMMANDS, str(name)))), rest


def load_app(found: Found) -> typer.Typer:
    """Import the application behind a command that a plugin adds.

    Raises:
        PluginError: it cannot be imported, or is something else.
    """
    loaded = load_command(found)
    if not isinstance(loaded, typer.Typer):
        raise PluginError(f"{found.described} is not a typer.Typer.")
    return loaded


def command_checks(found: Found) -> list[Check]:
    """What a command that a plugin adds promises; a failure of one check leaves the others to be run."""
    from typer.testing import CliRunner

    from mediafm_cli.testing.check import expect, run_check
    from mediafm_cli.testing.isolation import check_module_import

    def check_help() -> None:
        shown = CliRunner().invoke(load_app(found), ["--help"])
        expect(shown.exit_code == 0, f"--help ends with exit code {shown.exit_code}: {shown.exception!r}")

    checks: dict[str, Callable[[], object]] = {
        "is a typer.Typer": lambda: load_app(found),
        "importing it loads no model library and opens no connection": lambda: check_module_import(
            found.value.partition(":")[0]
        ),
        "answers --help": check_help,
    }
    return [run_check(name, check) for name, check in checks.items()]
