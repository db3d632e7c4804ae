"""Options that several commands have, spelled the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mediafm_cli.config import DEFAULT_PRESET, PRESETS

Stores = Annotated[
    list[str], typer.Argument(metavar="STORES…", help="Stores, folders of stores, globs, or - for paths on stdin.")
]
Nul = Annotated[bool, typer.Option("-0", "--null", help="Paths on stdin and stdout end with NUL, not newline.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what was made differently before.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the inputs and say what would be done.")]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON Lines.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only results and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Also say what was skipped, and why.")]
Opt = Annotated[list[str], typer.Option("--opt", metavar="KEY=VALUE", help="An option of the plugin; repeatable.")]
Preset = Annotated[
    str, typer.Option("--preset", envvar="MEDIAFM_PRESET", help=f"Default encoders: {', '.join(PRESETS)}.")
]
Device = Annotated[str, typer.Option("--device", envvar="MEDIAFM_DEVICE", help="auto, cpu, cuda or cuda:N.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Titles at once.")]
Seed = Annotated[int, typer.Option("--seed", min=0, envvar="MEDIAFM_SEED", help="The same seed gives the same result.")]
Media = Annotated[
    Path | None, typer.Option("--media", metavar="FOLDER", help="Where the media files are now, if they moved.")
]
MediaFiles = Annotated[
    list[str], typer.Argument(metavar="MEDIA…", help="Media files, folders, globs, or - for paths on stdin.")
]
Subtitles = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Subtitle file. Default: beside the media file, then inside it.")
]
Language = Annotated[str | None, typer.Option(help="Languages of the subtitles, best first: en or pt,es.")]
SubtitleEncoding = Annotated[str | None, typer.Option(help="Of subtitles that are not UTF-8. Default: found out.")]
Metadata = Annotated[
    Path | None, typer.Option(metavar="FILE.json|txt", help="What is known of the title: synopsis, tags.")
]
Normalize = Annotated[
    Literal["none", "per-modality"], typer.Option(help="per-modality: make each one a unit vector before it is fused.")
]
MaxSteps = Annotated[int, typer.Option("--max-steps", min=1, help="Optimiser steps.")]
Model = Annotated[
    Path, typer.Option("--model", metavar="MODEL", help="A folder that pretrain has made, or hf-hub:OWNER/NAME.")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, envvar="MEDIAFM_JOBS", help="Films decoded at once. Default: one for four cores."),
]
Hwaccel = Annotated[
    str, typer.Option("--hwaccel", metavar="DEVICE", help="Decode on cuda, cuda:1, vaapi, …, if it can.")
]
PRESET = DEFAULT_PRESET
