"""Train a model with progress on the console: what ``pretrain``, ``run`` and ``demo`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediafm_cli.cli.console import Console

if TYPE_CHECKING:
    from mediafm_cli.train.config import TrainConfig
    from mediafm_cli.train.metrics import Metrics


def train(
    stores: Sequence[Path],
    folder: Path,
    settings: TrainConfig,
    shape: Mapping[str, Any],
    console: Console,
    *,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> None:
    """Pretrain on ``stores`` and leave the model in ``folder``. ``shape`` holds fields of ``ModelConfig``."""
    from mediafm_cli.device import find_device
    from mediafm_cli.model.config import ModelConfig
    from mediafm_cli.stages.outcome import Progress
    from mediafm_cli.train.catalogue import open_catalogue
    from mediafm_cli.train.loop import pretrain

    catalogue = open_catalogue(stores)
    config = ModelConfig(catalogue.layout, **shape)
    where = find_device(device)
    shots = f"{sum(len(title) for title in catalogue.titles)} shots of {catalogue.layout.width} numbers"
    count = len(catalogue.titles)
    console.say(f"pretrain: {count} {'title' if count == 1 else 'titles'}, {shots}, on {where}")
    if count == 1:
        console.warn("a single title leaves none to validate on; how well the model generalises stays unknown")
    if dry_run:
        console.say(f"pretrain: would write {folder}")
        return
    with console.progress("pretrain") as progress:

        def watch(metrics: Metrics) -> None:
            progress(Progress(metrics.step, metrics.steps, "steps"))
            if metrics.validation:
                found = metrics.validation
                cosines = ", ".join(f"{name} {cosine:.3f}" for name, cosine in found.cosine.items())
                console.say(
                    f"pretrain: step {metrics.step}: loss {metrics.loss:.4f}; held out: loss {found.loss:.4f}, "
                    f"cosine {cosines}; skill over the mean {found.skill_over_mean:+.3f}, "
                    f"over the neighbour {found.skill_over_neighbour:+.3f}"
                )

        result = pretrain(
            catalogue.titles, config, settings, folder, resume=resume, overwrite=overwrite, device=where, progress=watch
        )
    if result.resumed_from == result.steps:
        console.say(f"pretrain {folder}: unchanged: {result.steps} steps are done already")
    else:
        resumed = f", {result.resumed_from} of them before" if result.resumed_from else ""
        console.say(f"pretrain {folder}: written: {result.steps} steps{resumed}, last loss {result.losses[-1]:.4f}")
    if console.as_json:
        import dataclasses

        validation = dataclasses.asdict(result.validation) if result.validation else None
        fields = {"model": str(folder), "steps": result.steps, "resumed_from": result.resumed_from}
        console.record("pretrain", **fields, loss=result.losses[-1] if result.losses else None, validation=validation)
