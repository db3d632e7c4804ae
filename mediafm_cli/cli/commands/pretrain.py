"""``mediafm pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.cli.training import train


def pretrain(
    stores: shared.Stores,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the model.")],
    max_steps: shared.MaxSteps = 1000,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the titles, in place of --max-steps.")] = None,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the transformer.")] = 256,
    layers: Annotated[int, typer.Option(min=1, help="Layers of the transformer.")] = 4,
    heads: Annotated[int, typer.Option(min=1, help="Attention heads a layer.")] = 4,
    dropout: Annotated[float, typer.Option(min=0, help="Share of the numbers dropped while training.")] = 0.1,
    mask_ratio: Annotated[float, typer.Option(min=0, help="Share of the shots that are masked.")] = 0.2,
    optimizer: Annotated[
        Literal["muon", "adamw"], typer.Option(help="Of the hidden matrices; AdamW always has the rest.")
    ] = "muon",
    lr: Annotated[float, typer.Option(help="Peak learning rate, of both optimisers.")] = 1e-3,
    val_fraction: Annotated[float, typer.Option(min=0, help="Share of the titles held out.")] = 0.1,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    batch_size: shared.BatchSize = 16,
    seed: shared.Seed = 0,
    device: shared.Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Train the transformer on fused shots.

    mediafm pretrain stores/ -o model/

    mediafm pretrain stores/ -o model/ --max-steps 5000 --resume

    Masked shot modelling: a fifth of a title's shots is hidden, and predicted from the rest.
    """
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    from mediafm_cli.train.config import TrainConfig

    settings = TrainConfig(
        max_steps=max_steps,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        muon_lr=lr,
        adamw_lr=lr,
        mask_ratio=mask_ratio,
        val_fraction=val_fraction,
        checkpoint_every=checkpoint_every,
        seed=seed,
    )
    shape = {"hidden": hidden, "layers": layers, "heads": heads, "dropout": dropout}
    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    train(paths, output, settings, shape, console, device=device, resume=resume, overwrite=overwrite, dry_run=dry_run)
    if not json:
        console.result(str(output), "\0" if null else "\n")
