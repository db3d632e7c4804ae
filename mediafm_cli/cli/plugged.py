"""A command group that installed plugins add to: their commands are listed by metadata and imported when called."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from mediafm_cli.errors import PluginError
from mediafm_cli.registry import COMMANDS, Found, find, load_command, pick


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
        found = pick(COMMANDS, str(name))
        loaded = load_command(found)
        if not isinstance(loaded, typer.Typer):
            raise PluginError(f"{found.described} is not a typer.Typer.")
        return name, typer.main.get_command(loaded), rest
