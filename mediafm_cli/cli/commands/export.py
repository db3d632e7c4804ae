"""``mediafm export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs


def export(
    stores: shared.Stores,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where the tables are written.")],
    form: Annotated[
        Literal["npy", "parquet"], typer.Option(help="Matrices beside an index in JSON Lines, or tables.")
    ] = "npy",
    what: Annotated[
        Literal["shots", "fused", "encodings", "embeddings", "all"],
        typer.Option(help="Which vectors, beside the shots themselves. Only all can be imported again."),
    ] = "all",
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Write what stores hold as tables for other programs.

    mediafm export stores/ -o tables/

    mediafm export stores/ -o tables/ --what embeddings --form parquet

    A row of shots is a shot of a title, and a matrix has the same rows. mediafm import makes the stores again.
    """
    titles = find_inputs(stores, STORE_SUFFIXES, nul=null)
    from mediafm_cli.stages.export import export_stores

    console = Console(quiet=quiet, as_json=json)
    written = export_stores(titles, output, form, what)
    if json:
        console.record("export", titles=len(titles), files=[str(path) for path in written])
    else:
        for path in written:
            console.result(str(path), "\0" if null else "\n")
    console.say(f"export: {len(titles)} title{'s' * (len(titles) > 1)} in {output}")
