"""``mediafm probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.errors import UsageError


def probe(
    stores: shared.Stores,
    labels: Annotated[
        Path, typer.Option("--labels", metavar="CLIPS.csv", help="Clips: title,start_s,end_s and a column of labels.")
    ],
    task: Annotated[
        Literal["multilabel", "multiclass", "ranking", "retrieval"],
        typer.Option(help="What the labels are: see above."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="A model folder or hf-hub:OWNER/NAME. Without: only rows that need none."),
    ] = None,
    column: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder for results.json, results.csv, results.png."),
    ] = None,
    window_reach: Annotated[
        list[int], typer.Option(min=1, help="Shots on each side that a window mean takes in; repeatable.")
    ] = [2, 4],  # noqa: B006 - Typer copies it
    folds: Annotated[
        int | None, typer.Option(min=2, help="Of titles. Default: 10 for ranking, else 5; never more than titles.")
    ] = None,
    device: shared.Device = "auto",
    seed: shared.Seed = 0,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Measure what linear probes read from the vectors of labelled clips.

    mediafm probe stores/ --labels clips.csv --task multiclass

    mediafm probe stores/ --labels clips.csv --task multilabel --model model/ -o probes/

    A probe is asked of titles that it has not seen, and all vectors get the same probe. What the model makes of clips
    is compared with the best of what needs no training, or no context.

    multiclass: one label a clip; an empty one is not asked. multilabel: any number, with | between them. ranking: a
    number, by which the clips of a title are put in order: Kendall's tau is the mean over titles, in folds of titles.
    retrieval: labels are queries, as in multilabel; a clip that answers one is to be found among three times as many
    that do not.
    """
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    if output and output.is_file():
        raise UsageError(f"{output} is a file.", hint="Name a folder for the results with -o.")
    from mediafm_cli.device import find_device
    from mediafm_cli.evaluate.probes.probe import run_probe
    from mediafm_cli.evaluate.probes.results import records, table, write_results
    from mediafm_cli.model.pretrained import find_model
    from mediafm_cli.stages.outcome import Progress

    console = Console(quiet=quiet, as_json=json)
    with console.progress("probe") as progress:
        found = run_probe(
            paths,
            labels,
            task,
            find_model(model) if model else None,
            column=column,
            reaches=window_reach,
            folds=folds,
            seed=seed,
            device=find_device(device),
            progress=lambda done: progress(Progress(done, None, "row" if done == 1 else "rows")),
        )
    if found.learned:
        console.warn(f"the model was pretrained on {found.learned} of these {len(found.titles)} titles, without labels")
    written = write_results(found, output) if output else []
    if json:
        for schema, fields in records(found):
            console.record(schema, **fields)
    else:
        console.result(table(found))
    for path in written:
        console.say(f"probe: wrote {path}")
