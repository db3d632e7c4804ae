"""``mediafm plugins``: what is installed, and whether it keeps its contract."""

from __future__ import annotations

from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.errors import PluginError
from mediafm_cli.registry import COMMANDS, ENCODERS, SEGMENTERS, find

HELP = """List what is installed; check an encoder.

mediafm plugins list

mediafm plugins check audio.logmel
"""

plugins = typer.Typer(no_args_is_help=True, help=HELP)


@plugins.command("list")
def show_list(json: shared.Json = False) -> None:
    """List what is installed, from metadata alone; nothing is imported.

    mediafm plugins list

    mediafm plugins list --json
    """
    console = Console(as_json=json)
    for group in (ENCODERS, SEGMENTERS, COMMANDS):
        for found in find(group):
            kind = group.split(".")[1].removesuffix("s")
            if json:
                origin = {"distribution": found.distribution, "distribution_version": found.version}
                console.record("plugin", kind=kind, name=found.name, group=group, value=found.value, **origin)
            else:
                console.result(f"{kind:<10} {found.name:<20} {found.distribution} {found.version}  {found.value}")


@plugins.command("check")
def check(
    name: Annotated[str, typer.Argument(help="An encoder, or FILE.py:CLASS.")],
    opt: shared.Opt = [],  # noqa: B006 - Typer copies it
    device: shared.Device = "cpu",
) -> None:
    """Run the conformance checks on an encoder. Exit code 4 where one fails.

    mediafm plugins check audio.logmel

    mediafm plugins check ./mine.py:MyEncoder
    """
    from mediafm_cli.options import parse_options
    from mediafm_cli.registry import load_encoder
    from mediafm_cli.testing import encoder_checks

    kind = load_encoder(name)
    console = Console()
    checks = encoder_checks(kind, parse_options(kind.Options, opt), device=device)
    for found in checks:
        console.result(f"{'pass' if found.passed else 'FAIL'}  {found.name}{f': {found.detail}' * bool(found.detail)}")
    failed = [found.name for found in checks if not found.passed]
    if failed:
        raise PluginError(f"{name} fails {len(failed)} of {len(checks)} checks: {', '.join(failed)}.")
