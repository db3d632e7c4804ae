"""``mediafm run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import find_inputs, refuse_for_many, store_paths
from mediafm_cli.media.suffixes import FILM_SUFFIXES


def run(
    media: shared.MediaFiles,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of stores.")],
    preset: shared.Preset = shared.PRESET,
    model: Annotated[
        Path | None, typer.Option(help="A model folder. One is trained there if it holds none. Default: OUTPUT/model.")
    ] = None,
    subtitles: shared.Subtitles = None,
    language: shared.Language = None,
    subtitle_encoding: shared.SubtitleEncoding = None,
    metadata: shared.Metadata = None,
    normalize: shared.Normalize = "none",
    max_steps: shared.MaxSteps = 1000,
    seed: shared.Seed = 0,
    device: shared.Device = "auto",
    jobs: shared.Jobs = None,
    hwaccel: shared.Hwaccel = "",
    overwrite: shared.Overwrite = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Segment, encode, fuse, pretrain and embed.

    mediafm run film.mp4 -o stores/ --preset offline

    mediafm run episodes/ -o stores/ --model model/

    What is finished is skipped, and a model that is there already is used, not trained.
    A film that fails stops no other.
    """
    from mediafm_cli.cli.chain import ChainSettings, run_chain
    from mediafm_cli.cli.segmenting import require_text_settings

    titles = find_inputs(media, FILM_SUFFIXES, nul=null)
    if len(titles) > 1:
        refuse_for_many(subtitles=subtitles, metadata=metadata)
    require_text_settings(language, subtitle_encoding)
    from mediafm_cli.stages.segment import SegmentSettings

    segmenting = SegmentSettings(
        subtitles=subtitles, language=language, subtitle_encoding=subtitle_encoding, metadata=metadata
    )
    run_chain(
        store_paths(titles, output),
        dict.fromkeys(titles, segmenting),
        ChainSettings(preset, model or output / "model", normalize, max_steps, seed, device, jobs, hwaccel),
        Console(quiet=quiet, verbose=verbose, as_json=json),
        overwrite=overwrite,
    )
