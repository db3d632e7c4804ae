"""``mediafm ablate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs


def ablate(
    stores: shared.Stores,
    model: shared.Model,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for results.json, results.csv, results.png.")],
    device: shared.Device = "auto",
    seed: shared.Seed = 0,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Measure what context and each modality add.

    mediafm ablate stores/ --model model/ -o ablation/

    mediafm ablate stores/ --model model/ -o ablation/ --json

    Hidden shots of held-out titles are predicted with and without context, and without each modality.
    """
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    import dataclasses

    from mediafm_cli.device import find_device
    from mediafm_cli.evaluate.ablate import run_ablation
    from mediafm_cli.evaluate.results import table, write_results
    from mediafm_cli.model.pretrained import find_model
    from mediafm_cli.stages.outcome import Progress

    console = Console(quiet=quiet, as_json=json)
    with console.progress("ablate") as progress:
        found = run_ablation(
            paths,
            find_model(model),
            seed=seed,
            device=find_device(device),
            progress=lambda done, total: progress(Progress(done, total, "rows")),
        )
    if not found.held_out:
        console.warn("the model learned from every one of these titles: this says how well it remembers, no more")
    written = write_results(found, output)
    if json:
        for row in found.rows:
            console.record("ablation.row", held_out=found.held_out, **dataclasses.asdict(row))
    else:
        console.result(table(found))
    for path in written:
        console.say(f"ablate: wrote {path}")
