"""``mediafm fuse``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.cli.titles import run_over_titles


def fuse(
    stores: shared.Stores,
    modality: Annotated[
        list[str], typer.Option("--modality", help="A modality, repeatable; the order counts. Default: all encoded.")
    ] = [],  # noqa: B006 - Typer copies it
    normalize: shared.Normalize = "none",
    overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Fuse the modalities of each shot.

    mediafm fuse stores/

    mediafm fuse stores/ --normalize per-modality

    The result is unit_norm(concat(video, audio, text)), with zeros for what is absent.
    """
    from mediafm_cli.stages.fuse import fuse_title

    run_over_titles(
        "fuse",
        find_inputs(stores, STORE_SUFFIXES, nul=null),
        lambda title, _: fuse_title(
            title, modalities=modality, normalize=normalize, overwrite=overwrite, dry_run=dry_run
        ),
        Console(quiet=quiet, verbose=verbose, as_json=json),
        nul=null,
    )
