"""``mediafm score``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs, require_folder
from mediafm_cli.errors import UsageError

if TYPE_CHECKING:
    from mediafm_cli.evaluate.boundaries.totals import TitleScore


def score(
    stores: shared.Stores,
    truth: Annotated[
        Path, typer.Option("--truth", metavar="FILE|FOLDER", help="True boundaries: a JSON file, or a folder of them.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FOLDER", help="Folder for a picture of each mistake.")
    ] = None,
    media: shared.Media = None,
    sheets: Annotated[int, typer.Option(min=1, metavar="N", help="Draw at most N pictures.")] = 50,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Say how well shots were found, where the truth is known.

    mediafm score stores/ --truth cuts.json

    mediafm score stores/ --truth cuts.json -o misses/ --json

    Precision, recall and F1 at tolerances of 0, 1 and 2 frames, hard cuts and gradual transitions apart; then each
    mistake. With -v, the score of each title too.
    """
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    if output and output.is_file():
        raise UsageError(f"{output} is a file.", hint="Name a folder for the pictures with -o.")
    require_folder(media)
    from mediafm_cli.evaluate.boundaries.results import mistake_record, mistake_table, score_record, score_table
    from mediafm_cli.evaluate.boundaries.totals import add_up
    from mediafm_cli.stages.score import score_stores

    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    scored = score_stores(paths, truth)
    titles, totals = scored.titles, add_up(scored.titles)
    if output:
        output.mkdir(parents=True, exist_ok=True)  # before the first result: where it fails, there is none
    if scored.without_truth:
        console.warn(f"left out, since {truth} does not tell of them: {', '.join(scored.without_truth)}")
    for title in titles:
        for note in title.notes:
            console.warn(f"{title.store}: {note}")
        if json:
            names = {"title_id": title.title_id, "store": str(title.store), "media": title.media}
            console.record("score.title", **names, **score_record(add_up([title])), notes=list(title.notes))
        elif verbose and len(titles) > 1:
            console.result(f"{title.media}, {title.frames:,} frames\n\n{score_table(add_up([title]), legend=False)}\n")
    if json:
        left_out = list(scored.without_truth)
        console.record("score.total", titles=totals.titles, **score_record(totals), without_truth=left_out)
    else:
        of = f" of {len(paths)}" * bool(scored.without_truth)
        counted = f"{totals.titles}{of} title{'s' * (len(paths) > 1)}"
        console.result(f"{counted}, {totals.frames:,} frames\n\n{score_table(totals)}")
    drawn = _draw_sheets(console, titles, output, media, sheets) if output else [{} for _ in titles]
    if json:
        for title, shown in zip(titles, drawn, strict=True):
            for place, (mistake, time_s) in enumerate(zip(title.score.mistakes, title.times_s, strict=True)):
                about = {"title_id": title.title_id, "store": str(title.store)}
                console.record("score.mistake", **about, **mistake_record(mistake, time_s), sheet=shown.get(place))
    elif totals.mistakes:
        console.result("\n" + mistake_table(titles, drawn))


def _draw_sheets(
    console: Console, titles: Sequence[TitleScore], output: Path, media: Path | None, most: int
) -> list[dict[int, str]]:
    """For each title, the place among its mistakes → the picture of it."""
    from mediafm_cli.stages.score import name_sheets, write_sheets

    drawn: list[dict[int, str]] = []
    for title, names in zip(titles, name_sheets(titles, most), strict=True):
        drawn.append({})
        if names:
            with console.progress(f"score {title.media}") as progress:
                written = write_sheets(title, names, output, media, progress)
            drawn[-1] = {place: str(path) for place, path in written.paths.items()}
            if written.note:
                console.warn(f"{title.store}: {written.note}")
    of_this_run = {Path(path).name for paths in drawn for path in paths.values()}
    mistakes = sum(len(title.score.mistakes) for title in titles)
    drawn_of = f"contact sheets in {output}: {len(of_this_run)} of {mistakes}"
    console.say(f"score: {drawn_of if mistakes else 'no mistake, and so no contact sheet'}")
    if mistakes > most:
        console.warn(f"only the first {most} of {mistakes} mistakes were drawn; --sheets {mistakes} draws all of them")
    others = sorted({path.name for path in output.glob("*.png")} - of_this_run)
    if others:
        console.warn(f"{output} also holds PNG files that are not of this run: {len(others)}, such as {others[0]}")
    return drawn
