"""``mediafm encode``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.encoding import encode_titles
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs, require_folder


def encode(
    stores: shared.Stores,
    modality: Annotated[str, typer.Option("--modality", help="video, audio, text, metadata, or a name of your own.")],
    encoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="An encoder plugin, or FILE.py:CLASS. Default: the preset's.")
    ] = None,
    opt: shared.Opt = [],  # noqa: B006 - Typer copies it
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit of the weights on the hub: --opt revision=… in short."),
    ] = None,
    preset: shared.Preset = shared.PRESET,
    media: shared.Media = None,
    device: shared.Device = "auto",
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Shots encoded at once. Default: the encoder's.")
    ] = None,
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
    from mediafm_cli.stages.encode import EncodeSettings
    from mediafm_cli.stages.host import make_host

    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    titles = find_inputs(stores, STORE_SUFFIXES, nul=null)
    require_folder(media)
    settings = EncodeSettings(modality, batch_size, media=media)
    options = [*opt, f"revision={revision}"] if revision else opt
    with make_host(modality, encoder, options, preset=preset, device=device) as host:
        console.detail(f"encoder: {host.described}, options {host.encoder.options}")
        encode_titles(titles, host, settings, console, overwrite=overwrite, dry_run=dry_run, nul=null)
