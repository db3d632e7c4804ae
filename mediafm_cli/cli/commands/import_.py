"""``mediafm import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.titles import run_over_titles


def import_(
    tables: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that mediafm export has written.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where the stores are made.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace stores that hold something else.")] = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Make the stores again that were exported.

    mediafm import tables/ -o stores/

    mediafm import tables/ -o stores/ --overwrite

    Every group, and what it records of how it was made, is as it was: nothing counts as stale that did not before.
    """
    from mediafm_cli.stages.imported import open_export, restore_store

    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    with open_export(tables) as export:
        titles = {output / title.store: title for title in export.titles}
        run_over_titles(
            "import",
            list(titles),
            lambda path, _: restore_store(path, export.read(titles[path]), overwrite=overwrite, dry_run=dry_run),
            console,
            nul=null,
        )
