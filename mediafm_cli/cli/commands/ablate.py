"""``mediafm ablate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.errors import UsageError, counted, interrupted_code

if TYPE_CHECKING:
    from mediafm_cli.evaluate.ablation.ablate import Plan
    from mediafm_cli.evaluate.ablation.retrain import Run


def ablate(
    stores: shared.Stores,
    model: shared.Model,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for results.json, results.csv, results.png; and runs.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(metavar="CLIPS.csv", help="Also probe: clips, title,start_s,end_s and a column of labels."),
    ] = None,
    task: Annotated[
        Literal["multilabel", "multiclass", "ranking", "retrieval"] | None,
        typer.Option(help="With --labels: what the labels are; see mediafm probe --help."),
    ] = None,
    column: Annotated[str, typer.Option(help="With --labels: column of the labels.")] = "label",
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train variants of the model for comparison; goes on where it stopped.")
    ] = False,
    only: Annotated[
        list[str],
        typer.Option(metavar="NAME,…", help="With --retrain: these alone, of those that --retrain --dry-run lists."),
    ] = [],  # noqa: B006 - Typer copies it
    set: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="With --retrain: a variant of your own; repeatable."),
    ] = [],  # noqa: B006 - Typer copies it
    swap_stores: Annotated[
        list[Path],
        typer.Option(
            metavar="FOLDER", help="With --retrain: the same titles by other encoders or options; repeatable."
        ),
    ] = [],  # noqa: B006 - Typer copies it
    seeds: Annotated[int | None, typer.Option(min=1, help="With --retrain: runs of each variant. Default: 1.")] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="With --retrain: steps of each run. Default: as of the model.")
    ] = None,
    dry_run: shared.DryRun = False,
    device: shared.Device = "auto",
    seed: shared.Seed = 0,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Measure what context and each modality add.

    mediafm ablate stores/ --model model/ -o ablation/

    mediafm ablate stores/ --model model/ -o ablation/ --retrain --only without-audio,optimizer=adamw --seeds 3

    Hidden shots of held-out titles are predicted with and without context, and from titles in which something was
    changed: a modality taken away, swapped with another title's or made loud, [GLOBAL], the order of the shots. With
    --labels, probes are asked what is left of them; with --retrain, models are trained with one thing changed each.
    """
    asked = {"--only": only, "--set": set, "--swap-stores": swap_stores, "--seeds": seeds, "--max-steps": max_steps}
    for option, given in asked.items():
        if given and not retrain:
            raise UsageError(f"{option} is for --retrain, which was not given.", hint="Add --retrain.")
    if (labels is None) != (task is None):
        given, other = ("--labels", "--task") if labels else ("--task", "--labels")
        raise UsageError(f"{given} was given without {other}.", hint="A probe needs both; see mediafm probe --help.")
    if output.is_file():
        raise UsageError(f"{output} is a file.", hint="Name a folder for the results with -o.")
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    swaps = _find_swaps(swap_stores)
    from mediafm_cli.device import find_device
    from mediafm_cli.evaluate.ablation.ablate import Retraining, plan_ablation, run_ablation
    from mediafm_cli.evaluate.ablation.probes import Question
    from mediafm_cli.evaluate.ablation.results import records, table, write_results
    from mediafm_cli.evaluate.ablation.retrain import RUNS, RunSettings
    from mediafm_cli.model.pretrained import find_model
    from mediafm_cli.stages.outcome import Progress

    console = Console(quiet=quiet, as_json=json)
    names = tuple(name.strip() for names in only for name in names.split(","))
    settings = Retraining(RunSettings(output / RUNS, seeds or 1, max_steps), names, tuple(set), swaps)
    retraining = settings if retrain else None
    question = Question(labels, task, column) if labels and task else None
    where = find_device(device)
    if dry_run:
        _tell(plan_ablation(paths, find_model(model), device=where, question=question, retraining=retraining), console)
        return

    def say(run: Run) -> None:
        console.say(
            f"ablate: {run.variant.name}, seed {run.seed}: {'used again' if run.reused else 'trained'}: {run.folder}"
        )

    with console.progress("ablate") as progress:
        try:
            found = run_ablation(
                paths,
                find_model(model),
                seed=seed,
                device=where,
                question=question,
                retraining=retraining,
                progress=lambda unit, done, total: progress(Progress(done, total, unit)),
                say=say,
            )
        except KeyboardInterrupt as interrupt:
            if not retrain:
                raise
            console.say("ablate: interrupted; the same command goes on")
            raise typer.Exit(interrupted_code(interrupt)) from None
    if not found.held_out:
        console.warn("the model learned from every one of these titles: this says how well it remembers, no more")
    written = write_results(found, output)
    if json:
        for schema, fields in records(found):
            console.record(schema, **fields)
    else:
        console.result(table(found))
    for path in written:
        console.say(f"ablate: wrote {path}")


def _tell(plan: Plan, console: Console) -> None:
    """The plan of ``--dry-run``: what would be measured, and a line for each variant to train."""
    known = "that the model never learned from" if plan.held_out else "THAT THE MODEL LEARNED FROM"
    console.say(f"ablate: would measure {counted(len(plan.titles), 'title')} {known}")
    for run in plan.runs:
        done = "is there already" if run.is_trained else "would be trained"
        console.say(f"ablate: {run.variant.name}, seed {run.training.seed}: {done}: {run.folder}")


def _find_swaps(folders: list[Path]) -> dict[str, list[Path]]:
    """The stores of each folder, by its name, which names the variant."""
    swaps: dict[str, list[Path]] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in swaps:
            raise UsageError(f"Two folders to swap to are called {name!r}.", hint="Rename one of them.")
        swaps[name] = find_inputs([str(folder)], STORE_SUFFIXES)
    return swaps
