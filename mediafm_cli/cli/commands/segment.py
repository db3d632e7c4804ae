"""``mediafm segment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import MEDIA_SUFFIXES, find_inputs, refuse_for_many, store_paths
from mediafm_cli.cli.titles import run_over_titles


def segment(
    media: shared.MediaFiles,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of stores, or FILE.h5 for a single title.")],
    segmenter: Annotated[str, typer.Option(help="What finds the cuts; see mediafm plugins list.")] = "content",
    opt: shared.Opt = [],  # noqa: B006 - Typer copies it
    min_shot: Annotated[float, typer.Option(min=0, help="Seconds; a shorter shot joins the one before.")] = 0.15,
    subtitles: shared.Subtitles = None,
    language: Annotated[str | None, typer.Option(help="Preferred language of the subtitles, such as en.")] = None,
    metadata: shared.Metadata = None,
    overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Cut films into shots: one store a title.

    mediafm segment film.mp4 -o stores/

    mediafm segment *.mp4 -o stores/ | mediafm encode - --modality video
    """
    from mediafm_cli.stages.segment import SegmentSettings, segment_title

    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    titles = find_inputs(media, MEDIA_SUFFIXES, nul=null)
    stores = store_paths(titles, output)
    if len(titles) > 1:
        refuse_for_many(subtitles=subtitles, metadata=metadata)
    settings = SegmentSettings(segmenter, opt, min_shot, subtitles, language, metadata)
    run_over_titles(
        "segment",
        titles,
        lambda title, progress: segment_title(
            title, stores[title], settings, overwrite=overwrite, dry_run=dry_run, progress=progress
        ),
        console,
        nul=null,
    )
