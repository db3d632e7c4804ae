"""``mediafm report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs, require_folder
from mediafm_cli.errors import UsageError, counted

PAGE = "report.html"
MOST_SHOTS = 5000
"""A page of more is no longer quick: every shot is compared with every other."""


def report(
    stores: shared.Stores,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER|FILE.html", help=f"Folder for {PAGE}, or the file.")
    ],
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL", help="The model whose embeddings the stores hold.")
    ] = None,
    ablation: Annotated[
        Path | None, typer.Option("--ablation", metavar="FOLDER", help="What ablate wrote, to be shown as bars.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="CLIPS.csv", help="Mark shots in the map by labels of clips.")
    ] = None,
    column: Annotated[str, typer.Option("--column", help="Column of the labels.")] = "label",
    media: shared.Media = None,
    max_shots: Annotated[
        int, typer.Option("--max-shots", min=1, max=MOST_SHOTS, help="Shots of all titles on the page at most.")
    ] = 2000,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Make a page of titles, their shots and what is alike in them.

    mediafm report stores/ --model model/ -o report/

    mediafm report stores/film.h5 -o film.html

    One HTML file with everything in it: open it in a browser, or send it. It asks nothing of the network.
    """
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    file = output if output.suffix.lower() in (".html", ".htm") and not output.is_dir() else output / PAGE
    if file.parent.exists() and not file.parent.is_dir():
        raise UsageError(f"{file.parent} is a file.", hint="Name a folder for the page with -o.")
    require_folder(media)
    from mediafm_cli.model.atomic import write_atomically
    from mediafm_cli.report.ablation import read_ablation, require_of_model
    from mediafm_cli.report.page import render_page
    from mediafm_cli.stages.report import gather_report

    folder = None
    if model:
        from mediafm_cli.model.pretrained import find_model

        folder = find_model(model)
    console = Console(quiet=quiet, as_json=json)
    bars = read_ablation(ablation) if ablation else None
    if bars and ablation and folder:
        require_of_model(bars, ablation, folder)
    with console.progress("report") as progress:
        found = gather_report(
            paths,
            folder,
            max_shots=max_shots,
            media_folder=media,
            labels=(labels, column) if labels else None,
            progress=progress,
        )
    for warning in found.warnings:
        console.warn(warning)
    content = render_page(found, bars).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content)
    shown, shots = sum(map(len, found.titles)), sum(title.shots for title in found.titles)
    pictures = sum(picture is not None for title in found.titles for picture in title.pictures)
    if shown < shots:
        console.warn(f"the page shows {shown:,} of {shots:,} shots; --max-shots takes more, up to {MOST_SHOTS:,}")
    things = f"{counted(len(paths), 'title')}, {counted(shown, 'shot')}, {counted(pictures, 'picture')}"
    console.say(f"report: {things}, {len(content) / 1e6:.1f} MB")
    if json:
        console.record(
            "report",
            path=str(file),
            bytes=len(content),
            titles=[title.title_id for title in found.titles],
            shots=shown,
            shots_in_all=shots,
            pictures=pictures,
            model=found.model.name if found.model else None,
        )
    else:
        console.result(str(file))
