"""``mediafm config``: which value each option would have, and where it comes from."""

from __future__ import annotations

import typer

from mediafm_cli.cli.console import Console

HELP = """Show where the values of options come from.

mediafm config show

mediafm --config mediafm.toml config show
"""

config = typer.Typer(no_args_is_help=True, help=HELP)

ORIGINS = {"DEFAULT": "default", "DEFAULT_MAP": "config file", "ENVIRONMENT": "environment"}


@config.command("show")
def show(ctx: typer.Context) -> None:
    """Show each option's value and origin: environment, config file or default.

    mediafm config show

    mediafm --config mediafm.toml config show
    """
    console = Console()
    root = ctx.find_root()
    for name, command in sorted(root.command.commands.items()):  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            continue
        found = command.make_context(name, [], parent=root, resilient_parsing=True)
        for option in sorted(found.params):
            source = found.get_parameter_source(option)
            if source is not None and source.name in ORIGINS and found.params[option] is not None:
                console.result(f"{name}.{option} = {found.params[option]}  ({ORIGINS[source.name]})")
