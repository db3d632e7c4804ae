"""``mediafm pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs

SIZES = "tiny (4 × 256, 4.3 million numbers), small (6 × 512, 21), base (12 × 768, 89), large (24 × 1024, 307)"
"""Numbers that are learned, where a fused vector has 2304."""


def pretrain(
    stores: shared.Stores,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the model.")],
    recipe: Annotated[
        Literal["modality-wise", "mediafm"],
        typer.Option(
            help="modality-wise: modalities whitened, hidden one by one, half of what is shown dropped, all of it "
            "asked for, a loss for each, rotary positions, a vector for what is absent; mediafm, as published: whole "
            "shots hidden, whole vectors compared, learned positions, zeros."
        ),
    ] = "modality-wise",
    max_steps: shared.MaxSteps = 1000,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the titles, in place of --max-steps.")] = None,
    size: Annotated[
        Literal["tiny", "small", "base", "large"], typer.Option(help=f"{SIZES}; for vectors of 2304.")
    ] = "tiny",
    hidden: Annotated[int | None, typer.Option(min=1, help="Width, in place of the size's.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Layers, in place of the size's.")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads a layer, in place of the size's.")] = None,
    dropout: Annotated[float, typer.Option(min=0, help="Share of the numbers dropped while training.")] = 0.1,
    input_dropout: Annotated[
        float | None, typer.Option(min=0, help="Share of what is shown that is dropped. Default: the recipe's.")
    ] = None,
    metadata_dropout: Annotated[
        float, typer.Option(min=0, help="Share of the sequences trained without their metadata.")
    ] = 0.1,
    max_shots: Annotated[
        int, typer.Option(min=1, help="Of one sequence, or the longest title's; of longer titles, windows.")
    ] = 512,
    position: Annotated[
        Literal["learned", "rotary", "time"] | None,
        typer.Option(help="learned: a vector a place; rotary: by number; time: by seconds. Default: the recipe's."),
    ] = None,
    projection: Annotated[
        Literal["linear", "per-modality", "whitened"] | None,
        typer.Option(
            help="linear: of the vectors as they are; per-modality: each made a unit vector; whitened: each seen, and "
            "predicted, where all its directions vary alike. Default: the recipe's."
        ),
    ] = None,
    missing: Annotated[
        Literal["zero", "null-token", "masked"] | None,
        typer.Option(help="What stands for an absent modality. Default: the recipe's."),
    ] = None,
    global_token: Annotated[
        bool, typer.Option("--global/--no-global", help="Whether [GLOBAL] tells of the title as a whole.")
    ] = True,
    layer: Annotated[
        Literal["output", "hidden"] | None, typer.Option(help="What embed returns. Default: output.")
    ] = None,
    mask_ratio: Annotated[
        float | None, typer.Option(min=0, help="Share of the shots hidden whole. Default: the recipe's.")
    ] = None,
    modality_mask_ratio: Annotated[
        float | None, typer.Option(min=0, help="Of the modalities, one by one. Default: the recipe's.")
    ] = None,
    mask_span: Annotated[float, typer.Option(min=1, help="Mean number of shots hidden in a row.")] = 1.0,
    mask_by: Annotated[
        Literal["mask", "bert"], typer.Option(help="bert: a tenth of it is shown, and a tenth is swapped.")
    ] = "mask",
    loss: Annotated[
        Literal["vector", "blocks"] | None,
        typer.Option(help="Compare whole vectors, or each modality. Default: the recipe's."),
    ] = None,
    visible_ratio: Annotated[
        float | None, typer.Option(min=0, help="Of the shots, asked for what they show, too. Default: the recipe's.")
    ] = None,
    optimizer: Annotated[
        Literal["muon", "adamw"], typer.Option(help="Of the hidden matrices; AdamW always has the rest.")
    ] = "muon",
    lr: Annotated[float, typer.Option(help="Peak learning rate of AdamW.")] = 1e-3,
    muon_lr: Annotated[float, typer.Option(help="Peak learning rate of Muon.")] = 0.02,
    weight_decay: Annotated[float, typer.Option(min=0, help="Of matrices.")] = 0.1,
    warmup: Annotated[float, typer.Option(min=0, help="Share of the steps over which the rate rises.")] = 0.05,
    grad_clip: Annotated[float, typer.Option(help="Largest norm of all gradients together.")] = 1.0,
    ema: Annotated[float, typer.Option(min=0, help="Decay of averaged weights, kept in place of the last.")] = 0.0,
    batch_shots: Annotated[int, typer.Option(min=1, help="Shots a step, about, over all processes.")] = 4096,
    accumulate: Annotated[int, typer.Option(min=1, help="Parts in which a process takes its share.")] = 1,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], typer.Option(help="auto: bf16 on a GPU, fp32 elsewhere.")
    ] = "auto",
    val_fraction: Annotated[float, typer.Option(min=0, help="Share of the titles held out.")] = 0.1,
    val_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between validations. Default: a tenth of the run, or 100.")
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    keep_last: Annotated[int, typer.Option(min=1, help="Checkpoints that are kept, beside the best.")] = 2,
    seed: shared.Seed = 0,
    device: shared.Device = "auto",
    shard: Annotated[
        Literal["none", "full"], typer.Option(help="full: each process holds a part of the model (FSDP2).")
    ] = "none",
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that read ahead. Default: as needed.")] = None,
    compile: Annotated[bool, typer.Option("--compile", help="Let torch.compile fuse blocks and the loss.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the curves for TensorBoard, into the folder's tensorboard/.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint; start where there is none.")
    ] = False,
    overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Train the transformer on fused shots.

    mediafm pretrain stores/ -o model/

    mediafm pretrain stores/ -o model/ --size small --max-steps 20000 --tensorboard

    torchrun --nproc-per-node 8 --no-python mediafm pretrain stores/ -o model/ --size base --resume

    Masked shot modelling: parts of a title are hidden, and predicted from the rest.
    """
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    from mediafm_cli.cli.training import EngineChoice, ModelChoice, is_first, options_named, train
    from mediafm_cli.train.config import TrainConfig, find_recipe

    with options_named():
        chosen = find_recipe(recipe).objective_with(
            mask_ratio=mask_ratio,
            modality_mask_ratio=modality_mask_ratio,
            mask_span=mask_span,
            mask_by=mask_by,
            loss=loss,
            visible_ratio=visible_ratio,
        )
        settings = TrainConfig(
            objective=chosen,
            max_steps=max_steps,
            epochs=epochs,
            batch_shots=batch_shots,
            accumulate=accumulate,
            optimizer=optimizer,
            muon_lr=muon_lr,
            adamw_lr=lr,
            weight_decay=weight_decay,
            warmup=warmup,
            grad_clip=grad_clip,
            ema=ema,
            metadata_dropout=metadata_dropout,
            precision=precision,
            val_fraction=val_fraction,
            val_every=val_every,
            checkpoint_every=checkpoint_every,
            keep_last=keep_last,
            seed=seed,
        )
    model = ModelChoice(
        recipe,
        size,
        {
            "hidden": hidden,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "input_dropout": input_dropout,
            "max_shots": max_shots,
            "position": position,
            "projection": projection,
            "missing": missing,
            "global_token": global_token,
            "layer": layer,
        },
    )
    engine = EngineChoice(device, shard, workers, compile)
    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    finished = train(
        paths,
        output,
        settings,
        model,
        engine,
        console,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        tensorboard=tensorboard,
    )
    if finished and is_first() and not json:
        console.result(str(output), "\0" if null else "\n")
