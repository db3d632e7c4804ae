"""``mediafm embed``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.cli.titles import run_over_titles


def embed(
    stores: shared.Stores,
    model: shared.Model,
    name: Annotated[
        str | None, typer.Option(help="Name of the embeddings in the store. Default: that of the model's folder.")
    ] = None,
    layer: Annotated[
        Literal["output", "hidden"], typer.Option(help="In the space of the fused vectors, or the state before it.")
    ] = "output",
    window: Annotated[int | None, typer.Option(min=1, help="Shots seen at once. Default: the model's.")] = None,
    overlap: Annotated[int | None, typer.Option(min=0, help="Shots that windows share. Default: half.")] = None,
    device: shared.Device = "auto",
    batch_size: shared.BatchSize = 8,
    overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Embed every shot in its context, and the title.

    mediafm embed stores/ --model model/

    mediafm embed stores/film.h5 --model model/ --layer hidden --name hidden
    """
    titles = find_inputs(stores, STORE_SUFFIXES, nul=null)
    from mediafm_cli.device import find_device
    from mediafm_cli.model.folder import load_model, model_fingerprint
    from mediafm_cli.stages.embed import EmbedSettings, embed_store

    settings = EmbedSettings(name or model.resolve().name, layer, window, overlap, batch_size)
    loaded, fingerprint = load_model(model, find_device(device)), model_fingerprint(model)
    run_over_titles(
        "embed",
        titles,
        lambda title, _: embed_store(title, loaded, fingerprint, settings, overwrite=overwrite, dry_run=dry_run),
        Console(quiet=quiet, verbose=verbose, as_json=json),
        nul=null,
    )
