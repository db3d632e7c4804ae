"""``mediafm segment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import find_inputs, refuse_for_many, store_paths
from mediafm_cli.errors import UsageError
from mediafm_cli.media.suffixes import FILM_SUFFIXES


def segment(
    media: shared.MediaFiles,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of stores, or FILE.h5 for a single title.")],
    segmenter: Annotated[str, typer.Option(help="What finds the cuts; see mediafm plugins list.")] = "content",
    opt: shared.Opt = [],  # noqa: B006 - Typer copies it
    min_shot: Annotated[float, typer.Option(min=0, help="Seconds; a shorter shot joins the one before.")] = 0.15,
    max_shot: Annotated[
        float | None, typer.Option(min=0.04, help="Seconds, twice --min-shot or more; a longer shot is split evenly.")
    ] = None,
    subtitles: shared.Subtitles = None,
    language: shared.Language = None,
    subtitle_encoding: shared.SubtitleEncoding = None,
    metadata: shared.Metadata = None,
    keep_frames: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Keep K frames a shot beside the store for encode.")
    ] = None,
    jobs: shared.Jobs = None,
    hwaccel: shared.Hwaccel = "",
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

    With --keep-frames 4, encode need not decode the film again.
    """
    from mediafm_cli.api import Frames
    from mediafm_cli.cli.segmenting import require_text_settings, segment_titles
    from mediafm_cli.media.shots import ShotRules
    from mediafm_cli.stages.segment import SegmentSettings

    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    titles = find_inputs(media, FILM_SUFFIXES, nul=null)
    stores = store_paths(titles, output)
    if len(titles) > 1:
        refuse_for_many(subtitles=subtitles, metadata=metadata)
    require_text_settings(language, subtitle_encoding)
    if max_shot is not None and max_shot < 2 * min_shot:
        raise UsageError(
            f"--max-shot {max_shot:g} is less than twice --min-shot {min_shot:g}.",
            "A shot that is a little longer is split in halves, which would be too short.",
            f"Give --max-shot {2 * min_shot:g} or more, or --min-shot {max_shot / 2:g} or less.",
        )
    settings = SegmentSettings(
        segmenter,
        opt,
        ShotRules(min_shot, max_shot),
        subtitles,
        language,
        subtitle_encoding,
        metadata,
        keep_frames=Frames(keep_frames) if keep_frames else None,
    )
    segment_titles(
        stores,
        dict.fromkeys(titles, settings),
        console,
        jobs=jobs,
        hwaccel=hwaccel,
        overwrite=overwrite,
        dry_run=dry_run,
        nul=null,
    )
