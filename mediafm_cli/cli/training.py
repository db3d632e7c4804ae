"""Train a model with progress on the console: what ``pretrain``, ``run`` and ``demo`` share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mediafm_cli.cli.console import Console
from mediafm_cli.errors import INTERRUPTED, MediafmError, UsageError

if TYPE_CHECKING:
    from mediafm_cli.model.config import ModelConfig
    from mediafm_cli.model.title import Layout
    from mediafm_cli.train.config import TrainConfig
    from mediafm_cli.train.distributed import Shard
    from mediafm_cli.train.metrics import Metrics


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
) -> bool:
    """Pretrain on ``stores`` and leave the model in ``folder``. Of several processes, the first one speaks.

    Args:
        tensorboard: also write the curves into the folder for TensorBoard.

    Returns:
        Whether the run came to its end. SIGTERM leaves checkpoints only.
    """
    from mediafm_cli.cli.watching import loss_curve, require_tensorboard, view, write_events
    from mediafm_cli.device import find_device
    from mediafm_cli.model.config import count_parameters
    from mediafm_cli.train.catalogue import open_catalogue
    from mediafm_cli.train.distributed import PeerError
    from mediafm_cli.train.loop import Engine, pretrain
    from mediafm_cli.train.run_folder import LOSS_CURVE, METRICS, TENSORBOARD

    if tensorboard:
        require_tensorboard()
    if not is_first():
        console = Console(quiet=True, results=False)
    catalogue = open_catalogue(stores)
    config = model.config(catalogue.layout)
    where = find_device(engine.device)
    shots = f"{sum(len(title) for title in catalogue.titles)} shots of {catalogue.layout.width} numbers"
    count = len(catalogue.titles)
    console.say(f"pretrain: {count} {'title' if count == 1 else 'titles'}, {shots}, on {where}")
    about = f"{config.layers} layers of {config.hidden}, {count_parameters(config):,} numbers to learn"
    console.say(f"pretrain: {about}, recipe {model.described(config, settings)}")
    if count == 1:
        console.warn("a single title leaves none to validate on; how well the model generalises stays unknown")
    if dry_run:
        console.say(f"pretrain: would write {folder}")
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
                recipe=model.described(config, settings),
                resume=resume,
                overwrite=overwrite,
                engine=Engine(where, engine.shard, engine.workers, engine.compile),
                progress=watch,
            )
        except KeyboardInterrupt:
            console.say(f"pretrain {folder}: interrupted; the same command with --resume goes on")
            raise typer.Exit(INTERRUPTED) from None
        except MediafmError as error:
            if os.environ.get("LOCAL_RANK", "0") != "0" and not isinstance(error, PeerError | UsageError):
                Console().fail(error)  # only this process has it
            raise
    if result.kept is None:
        console.say(f"pretrain {folder}: stopped after {result.steps} steps; the same command with --resume goes on")
    elif result.resumed_from == result.steps:
        console.say(f"pretrain {folder}: unchanged: {result.steps} steps are done already")
    else:
        resumed = f", {result.resumed_from} of them before" if result.resumed_from else ""
        best = "" if result.kept == result.steps else f"; the best on the held-out titles was step {result.kept}, kept"
        console.say(
            f"pretrain {folder}: written: {result.steps} steps{resumed}, last loss {result.losses[-1]:.4f}{best}"
        )
    if console.as_json:
        import dataclasses

        validation = dataclasses.asdict(result.validation) if result.validation else None
        fields = {"model": str(folder), "steps": result.steps, "kept": result.kept, "resumed_from": result.resumed_from}
        console.record("pretrain", **fields, loss=result.losses[-1] if result.losses else None, validation=validation)
    return result.kept is not None


def is_first() -> bool:
    """Whether this is the process that writes and speaks, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"
