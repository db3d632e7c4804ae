"""Train a model with progress on the console: what ``pretrain``, ``run`` and ``demo`` share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mediafm_cli.cli.console import Console
from mediafm_cli.errors import MediafmError, TrainingError, UsageError, counted, interrupted_code

if TYPE_CHECKING:
    import torch

    from mediafm_cli.model.config import ModelConfig
    from mediafm_cli.model.title import Layout
    from mediafm_cli.train.config import TrainConfig
    from mediafm_cli.train.distributed import Shard
    from mediafm_cli.train.metrics import Metrics
    from mediafm_cli.train.plan import Plan, Start


@dataclass(frozen=True)
class ModelChoice:
    """A shape, and what of it was chosen otherwise.

    Attributes:
        given: fields of ``ModelConfig``; None for those that the size or the recipe decides.
    """

    recipe: str = "modality-wise"
    size: str = "tiny"
    given: Mapping[str, Any] = field(default_factory=dict)

    def config(self, layout: Layout) -> ModelConfig:
        """The model for vectors of ``layout``. A width of its own has heads of its own, 64 wide."""
        from mediafm_cli.model.config import SIZES, ModelConfig, Size
        from mediafm_cli.train.config import find_recipe

        given = {name: value for name, value in self.given.items() if value is not None}
        size = SIZES[self.size]
        shape = Size(given.get("hidden", size.hidden), given.get("layers", size.layers))
        fields = {"hidden": shape.hidden, "layers": shape.layers, "heads": max(1, shape.heads)}
        return ModelConfig(layout, **{**fields, **find_recipe(self.recipe).model, **given})

    def described(self, config: ModelConfig, settings: TrainConfig) -> str:
        """The recipe, and whether any of what it decides was chosen otherwise."""
        from mediafm_cli.train.config import find_recipe

        recipe = find_recipe(self.recipe)
        is_whole = all(getattr(config, name) == value for name, value in recipe.model.items())
        return self.recipe if is_whole and settings.objective == recipe.objective else f"{self.recipe}, altered"


@dataclass(frozen=True)
class EngineChoice:
    """What to compute with; see ``train.loop.Engine``."""

    device: str = "auto"
    shard: Shard = "none"
    workers: int | None = None
    compile: bool = False


def train(
    stores: Sequence[Path],
    folder: Path,
    settings: TrainConfig,
    model: ModelChoice,
    engine: EngineChoice,
    console: Console,
    *,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    tensorboard: bool = False,
    again: str = "the same command with --resume goes on",
) -> bool:
    """Pretrain on ``stores`` and leave the model in ``folder``. Of several processes, the first one speaks.

    Args:
        tensorboard: also write the curves into the folder for TensorBoard.
        again: what is said of going on when the run is cut off.

    Returns:
        Whether the run came to its end. SIGTERM leaves checkpoints only.
    """
    from mediafm_cli.cli.watching import loss_curve, require_tensorboard, view, write_events
    from mediafm_cli.device import find_device
    from mediafm_cli.train.catalogue import open_catalogue
    from mediafm_cli.train.distributed import PeerError
    from mediafm_cli.train.loop import Engine, pretrain
    from mediafm_cli.train.plan import find_start, plan_run
    from mediafm_cli.train.run_folder import LOSS_CURVE, METRICS, TENSORBOARD, check_run

    if tensorboard:
        require_tensorboard()
    if is_first():
        check_run(folder, resume=resume, overwrite=overwrite)
    else:
        console = Console(quiet=True, results=False)
    catalogue = open_catalogue(stores)
    with options_named():
        config = model.config(catalogue.layout)
        plan = plan_run(catalogue.titles, config, settings, model.described(config, settings))
        where = find_device(engine.device)
        for line in _planned(plan, where, engine.compile):
            console.say(f"pretrain: {line}")
        if not plan.split.validation:
            console.warn("no title is held out to validate on; how well the model generalises stays unknown")
        start = find_start(folder, plan) if resume and not overwrite else None
    will = "would" if dry_run else "will"
    already = f"pretrain {folder}: unchanged: step {plan.total_steps} is done already"
    if start and start.done == plan.total_steps:
        if dry_run:
            console.say(already)
            return True
    elif start:
        console.say(f"pretrain {folder}: {will} go on {_going_on(start, plan)}")
    elif resume:
        console.say(f"pretrain {folder}: {will} start from step 0: there is no checkpoint to go on from")
    if dry_run:
        over = " over the run that is there" if overwrite and folder.exists() and any(folder.iterdir()) else ""
        console.say(f"pretrain: would write {folder}{over}")
        return True
    with ExitStack() as stack:
        watchers = [stack.enter_context(view(console))]
        if is_first():
            watchers.append(stack.enter_context(loss_curve(folder / METRICS, folder / LOSS_CURVE)))
        if tensorboard and is_first():
            watchers.append(stack.enter_context(write_events(folder / TENSORBOARD)))

        def watch(metrics: Metrics) -> None:
            for watcher in watchers:
                watcher(metrics)

        try:
            result = pretrain(
                catalogue.titles,
                config,
                settings,
                folder,
                recipe=plan.record.recipe,
                resume=resume,
                overwrite=overwrite,
                engine=Engine(where, engine.shard, engine.workers, engine.compile),
                progress=watch,
            )
        except KeyboardInterrupt as interrupt:
            console.say(f"pretrain {folder}: interrupted; {again}")
            raise typer.Exit(interrupted_code(interrupt)) from None
        except MediafmError as error:
            if os.environ.get("LOCAL_RANK", "0") != "0" and not isinstance(error, PeerError | UsageError):
                Console().fail(error)  # only this process has it
            raise
    if result.kept is None:
        console.say(f"pretrain {folder}: stopped after {counted(result.steps, 'step')}; {again}")
    elif result.resumed_from == result.steps:
        console.say(already)
    else:
        resumed = f", {result.resumed_from} of them before" if result.resumed_from else ""
        best = "" if result.kept == result.steps else f"; the best on the held-out titles was step {result.kept}, kept"
        done = f"{counted(result.steps, 'step')}{resumed}"
        console.say(f"pretrain {folder}: written: {done}, last loss {result.losses[-1]:.4f}{best}")
    if console.as_json:
        import dataclasses

        validation = dataclasses.asdict(result.validation) if result.validation else None
        fields = {"model": str(folder), "steps": result.steps, "kept": result.kept, "resumed_from": result.resumed_from}
        console.record("pretrain", **fields, loss=result.losses[-1] if result.losses else None, validation=validation)
    return result.kept is not None


def is_first() -> bool:
    """Whether this is the process that writes and speaks, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _planned(plan: Plan, device: torch.device, compiled: bool) -> Iterator[str]:
    """What a run learns from, how long it is, and what it learns, a line each."""
    from mediafm_cli.model.config import count_parameters

    shots = sum(title.shots for title in plan.record.titles)
    learned, held_out = len(plan.split.train), len(plan.split.validation)
    titles = f"{counted(learned, 'title')} to learn from and {held_out} held out"
    yield f"{titles}, {counted(shots, 'shot')} of {plan.model.layout.width} numbers, on {device}"
    yield f"{counted(plan.total_steps, 'step')}, {plan.steps_per_epoch} an epoch"
    shape = f"{counted(plan.model.layers, 'layer')} of {plan.model.hidden}"
    yield f"{shape}, {count_parameters(plan.model):,} numbers to learn, recipe {plan.record.recipe}"
    if compiled:
        yield "the blocks and the loss are compiled in the first steps, which take longer"


def _going_on(start: Start, plan: Plan) -> str:
    """From which step a run goes on, and what another length does to its learning rate."""
    going_on = f"from step {start.done} of {plan.total_steps}"
    if start.planned == plan.total_steps:
        return going_on
    before, now = (f"{rate:.0%}" for rate in start.rates(plan))
    return f"{going_on}, where {start.planned} were planned: the learning rate is {now} of its peak there, not {before}"


WITHOUT_OPTION = frozenset({"objective", "layout"})
"""Settings that no option sets."""


@contextmanager
def options_named() -> Iterator[None]:
    """Errors about settings name them as they are typed, ``--lr`` for ``adamw_lr``."""
    from mediafm_cli.model.config import ModelConfig
    from mediafm_cli.model.msm import Objective
    from mediafm_cli.train.config import TrainConfig

    names = {name.name for kind in (TrainConfig, Objective, ModelConfig) for name in fields(kind)} - WITHOUT_OPTION
    options = {name: f"--{name.replace('_', '-')}" for name in names}
    options |= {"adamw_lr": "--lr", "global_token": "--global"}
    # A setting is named before its value; elsewhere the same word is one of the language.
    named = re.compile(rf"\b(?:objective\.)?({'|'.join(sorted(names))})(?= (?:is|was|[0-9]))")
    try:
        yield
    except (UsageError, TrainingError) as error:
        what, why = (named.sub(lambda found: options[found[1]], text) for text in (error.what, error.why))
        raise type(error)(what, why, error.hint) from error
