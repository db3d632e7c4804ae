"""``mediafm encode``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.cli.titles import run_over_titles


def encode(
    stores: shared.Stores,
    modality: Annotated[str, typer.Option("--modality", help="video, audio, text, metadata, or a name of your own.")],
    encoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="An encoder plugin, or FILE.py:CLASS. Default: the preset's.")
    ] = None,
    opt: shared.Opt = [],  # noqa: B006 - Typer copies it
    preset: shared.Preset = shared.PRESET,
    media: shared.Media = None,
    device: shared.Device = "auto",
    batch_size: shared.BatchSize = 32,
    overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Encode one modality of the shots.

    mediafm encode stores/ --modality video

    mediafm encode stores/ --modality audio --encoder audio.logmel

    An interrupted run goes on where it stopped. The modality metadata encodes what is known of the title.
    """
    from mediafm_cli.stages.encode import EncodeSettings, encode_title
    from mediafm_cli.stages.host import make_host

    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    titles = find_inputs(stores, STORE_SUFFIXES, nul=null)
    settings = EncodeSettings(modality, batch_size, media=media)
    with make_host(modality, encoder, opt, preset=preset, device=device) as host:
        console.detail(f"encoder: {host.name}, options {host.encoder.options}")
        run_over_titles(
            f"encode {modality}",
            titles,
            lambda title, progress: encode_title(
                title, host, settings, overwrite=overwrite, dry_run=dry_run, progress=progress
            ),
            console,
            nul=null,
        )
