"""``mediafm embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.cli.titles import run_over_titles
from mediafm_cli.errors import SomeTitlesFailedError, UsageError, counted


def embed(
    stores: shared.Stores,
    model: shared.Model,
    name: Annotated[
        str | None, typer.Option(help="Name of the embeddings in the store. Default: that of the model's folder.")
    ] = None,
    layer: Annotated[
        Literal["output", "hidden"] | None,
        typer.Option(help="In the space of the fused vectors, or the state before it. Default: the model's."),
    ] = None,
    window: Annotated[int | None, typer.Option(min=1, help="Shots seen at once. Default: the model's.")] = None,
    overlap: Annotated[int | None, typer.Option(min=0, help="Shots that windows share. Default: half.")] = None,
    device: shared.Device = "auto",
    batch_shots: Annotated[int, typer.Option(min=1, help="Shots at once on a GPU, of several titles.")] = 8192,
    precision: Annotated[Literal["fp32", "bf16"], typer.Option(help="Of the matrix products.")] = "fp32",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="Write the vectors of all shots here, too.")
    ] = None,
    export: Annotated[
        Literal["npy", "parquet"] | None, typer.Option(help="As matrices with an index, or tables. Default: npy.")
    ] = None,
    pool: Annotated[
        Path | None,
        typer.Option(metavar="CLIPS.csv", help="With -o: not of shots, but of clips (title,start_s,end_s)."),
    ] = None,
    overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Embed every shot in its context, and the title.

    mediafm embed stores/ --model model/

    mediafm embed stores/ --model model/ -o vectors/ --pool clips.csv

    mediafm embed stores/film.h5 --model model/ --layer hidden --name hidden
    """
    titles = find_inputs(stores, STORE_SUFFIXES, nul=null)
    if output is None and (export or pool):
        raise UsageError("--export and --pool write into a folder, and none was given.", hint="Add -o FOLDER.")
    from mediafm_cli.device import find_device
    from mediafm_cli.evaluate.clips import find_clips, read_clips
    from mediafm_cli.model.folder import load_model, model_fingerprint
    from mediafm_cli.model.pretrained import find_model
    from mediafm_cli.stages.embed import EmbedSettings, embed_stores
    from mediafm_cli.stages.export import export_titles, require_unique
    from mediafm_cli.stages.pool import pool_clips
    from mediafm_cli.stages.tables import require_form, write_table

    form = export or "npy"
    require_form(form)
    clips = read_clips(pool) if pool else []
    found = find_clips(clips, require_unique(titles), pool) if pool else {}
    settings = EmbedSettings(name or model.resolve().name, layer, window, overlap, batch_shots, precision)
    folder = find_model(model)
    loaded, fingerprint = load_model(folder, find_device(device)), model_fingerprint(folder)
    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    ends = embed_stores(titles, loaded, fingerprint, settings, overwrite=overwrite, dry_run=dry_run)
    try:
        done = run_over_titles("embed", titles, lambda *_: next(ends)(), console, nul=null)
    except SomeTitlesFailedError as error:
        if output is None:
            raise
        hint = "Leave them out, or mend them, and run the command again: what is done is not done twice."
        raise SomeTitlesFailedError(error.what, f"The others are embedded; {output} is not written.", hint) from error
    if output is None:
        return
    if dry_run:
        console.say(f"embed: would write {counted(len(clips), 'clip') if pool else 'all shots'} to {output}")
    elif pool:
        write_table(output, "clips", [pool_clips(clips, found, loaded, settings)], form)
        console.say(f"embed: {counted(len(clips), 'clip')} {'is' if len(clips) == 1 else 'are'} in {output}")
    else:
        export_titles(done, settings.name, output, form)
        console.say(f"embed: all shots of {counted(len(done), 'title')} are in {output}")
