"""Pretraining: from titles to a model folder.

A run is a pure function of the titles, the settings and the seed; on the CPU, with the same number of threads and of
processes, to the bit. So what is interrupted and resumed ends in the same weights as what was not.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mediafm_cli.model.batch import Batch
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import TrainingRecord
from mediafm_cli.model.records import to_json
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.checkpoints import (
    best_validation,
    keep_best,
    remove_old,
    save_best,
    save_checkpoint,
)
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.coordinates import measure_whitening
from mediafm_cli.train.distributed import Shard, World, join_world, spread
from mediafm_cli.train.metrics import Metrics, MetricsLog, Validation
from mediafm_cli.train.plan import find_start, plan_run
from mediafm_cli.train.reading import default_workers, read_steps
from mediafm_cli.train.run_folder import CHECKPOINTS, METRICS, open_run
from mediafm_cli.train.sequences import Sequences, TitleSource
from mediafm_cli.train.speed import measure_peak
from mediafm_cli.train.step import Done, Learner, refuse_not_finite
from mediafm_cli.train.stopping import Stop, stop_on_signals
from mediafm_cli.train.validation import ValidationSet, validate, validation_set


@dataclass(frozen=True)
class Engine:
    """What a run computes with. None of it decides what is learned.

    Attributes:
        device: of a single process. ``shard``: what several of them hold of the model.
        workers: processes that read titles ahead; None for some on a GPU and none elsewhere.
        compile: let torch.compile fuse each block, and the loss.
    """

    device: torch.device
    shard: Shard = "none"
    workers: int | None = None
    compile: bool = False


ON_CPU = Engine(torch.device("cpu"))


@dataclass(frozen=True)
class Result:
    """What ``pretrain`` did.

    Attributes:
        steps: steps that are done. ``resumed_from``: how many were done before this call; equal to ``steps`` where the
            run had ended already.
        kept: the step whose weights are in ``folder``: the best on the validation titles, or the last; None where the
            run was stopped before its end, and has checkpoints only.
        losses: training loss of each step of this call. ``validation``: the last one of this call, if any.
    """

    folder: Path
    steps: int
    resumed_from: int
    kept: int | None
    losses: tuple[float, ...]
    validation: Validation | None


def pretrain(
    titles: Sequence[TitleSource],
    model_config: ModelConfig,
    settings: TrainConfig,
    folder: Path,
    *,
    recipe: str = "",
    resume: bool = False,
    overwrite: bool = False,
    engine: Engine = ON_CPU,
    progress: Callable[[Metrics], None] = lambda metrics: None,
) -> Result:
    """Train on ``titles`` and leave a model folder, ``metrics.jsonl`` and checkpoints in ``folder``.

    A kill at any moment costs the steps since the last checkpoint, and nothing else; SIGTERM and Ctrl-C cost the step
    under way. Under torchrun every process calls this; the first one writes, and calls ``progress``.

    Args:
        recipe: the name of the settings, for the record.
        resume: go on from the newest checkpoint in ``folder``; from the start where there is none.
        overwrite: remove the run that is in ``folder``.
        progress: called after each step.

    Raises:
        TrainingError: the titles cannot be trained on, the folder or a checkpoint cannot be used, a resumed run is not
            the same run, or a loss is not finite. What was saved before stays.
        KeyboardInterrupt: by Ctrl-C, after a checkpoint.
    """
    plan = plan_run(titles, model_config, settings, recipe)
    with ExitStack() as stack:
        world = stack.enter_context(join_world(engine.device))
        stack.enter_context(torch.random.fork_rng([world.device] if world.device.type == "cuda" else []))
        world.by_first(lambda: stack.enter_context(open_run(folder, resume=resume, overwrite=overwrite)))
        sequences = Sequences(plan.split.train, plan.model, settings, world.rank, world.ranks)
        start = world.together(lambda: find_start(folder, plan))
        if start and start.done == sequences.total_steps:
            return _finish(folder, settings, start.done, world)
        model = world.together(lambda: start.model() if start else MediaFM.seeded(plan.model, settings.seed))
        if model.whitening is not None and start is None:
            found = world.by_first(lambda: measure_whitening(plan.split.train, plan.model, settings.seed))
            model.whitening.load_state_dict(found)
        model = model.to(world.device)
        peak = measure_peak(world.device, settings.precision)
        total, everywhere = sequences.total_steps, spread(model, world, engine.shard)
        learner = Learner(model, everywhere, settings, total, world, peak, compile=engine.compile)
        if start:
            world.together(lambda: start.restore(learner.trained))
        held_out = world.together(lambda: validation_set(plan.split, model, settings))
        stop = stack.enter_context(stop_on_signals())
        run = _Run(learner, sequences, held_out, plan.record, folder, engine, stop, progress)
        return run.train(start.done if start else 0)


@dataclass(frozen=True, eq=False)
class _Run:
    learner: Learner
    sequences: Sequences
    held_out: ValidationSet | None
    record: TrainingRecord
    folder: Path
    engine: Engine
    stop: Stop
    progress: Callable[[Metrics], None]

    def train(self, done: int) -> Result:
        """Do the steps after ``done``, and save the model."""
        settings, total, learner = self.sequences.settings, self.sequences.total_steps, self.learner
        losses: list[float] = []
        validation: Validation | None = None
        unread: Done | None = None
        stopping = False
        learner.start(done)
        with (
            MetricsLog(self.folder / METRICS, done, writes=learner.world.is_first) as log,
            closing(self._batches(done)) as batches,
        ):
            for step, parts in enumerate(batches, start=done + 1):
                before, unread = unread, learner.step(step, parts, stopping=bool(self.stop))
                if before is not None:
                    found, stopping = learner.read(before)
                    losses.append(self._report(log, found).loss)
                validates = self.held_out is not None and settings.validates_at(step, total)
                saves = stopping or step == total or step % settings.checkpoint_every == 0
                if validates or saves:
                    found, asked = learner.read(unread)
                    stopping = stopping or asked
                    reported = self._report(log, found, validates=validates, saves=saves or stopping)
                    losses.append(reported.loss)
                    validation = reported.validation or validation
                    unread = None
                if stopping:
                    break
        if step < total and self.stop.signal == signal.SIGINT:
            raise KeyboardInterrupt
        kept = None if step < total else learner.world.by_first(lambda: keep_best(self.folder, self._checkpoints))
        return Result(self.folder, step, done, kept, tuple(losses), validation)

    def _batches(self, done: int) -> Generator[list[Batch], None, None]:
        device, workers = self.learner.world.device, self.engine.workers
        workers = default_workers(device) if workers is None else workers
        return read_steps(self.sequences, done, device, workers, self.learner.watch.waiting)

    def _report(self, log: MetricsLog, metrics: Metrics, *, validates: bool = False, saves: bool = False) -> Metrics:
        """Log a step; validate and save after it where it is due."""
        if validates and self.held_out is not None:
            metrics = replace(metrics, validation=self._validate(self.held_out, metrics.step))
        log.append(metrics)
        if self.held_out is None and metrics.step == metrics.steps:
            self._save_best(metrics.step, None)
        if saves:
            log.sync()
            record = replace(self.record, steps=metrics.step)
            keep = self.sequences.settings.keep_last
            save_checkpoint(self._checkpoints, self.learner.trained, record, keep, self.learner.world)
        if self.learner.world.is_first:
            self.progress(metrics)
        if validates or saves:
            self.learner.start_clock()
        return metrics

    def _validate(self, held_out: ValidationSet, step: int) -> Validation:
        """Validate, and keep the model where none was better."""
        learner = self.learner
        with learner.averaged():
            found = validate(learner.spread, held_out, learner.world)
        if not math.isfinite(found.loss):
            what = f"Step {step}: the loss on the held-out titles is {found.loss}."
            refuse_not_finite(what, held_out.batches(learner.world), learner.world)
        if learner.world.by_first(lambda: self._is_best(found)):
            self._save_best(step, found)
        return found

    def _is_best(self, found: Validation) -> bool:
        known = best_validation(self._checkpoints)
        return known is None or found.loss < known["loss"]

    def _save_best(self, step: int, found: Validation | None) -> None:
        record = replace(self.record, steps=step, validation=to_json(found) if found else None)
        save_best(self._checkpoints, self.learner.trained, record, self.learner.world)

    @property
    def _checkpoints(self) -> Path:
        return self.folder / CHECKPOINTS


def _finish(folder: Path, settings: TrainConfig, done: int, world: World) -> Result:
    """What is left to do of a run whose last step is done."""

    def finish() -> int:
        remove_old(folder / CHECKPOINTS, settings.keep_last)
        return keep_best(folder, folder / CHECKPOINTS)

    return Result(folder, done, done, world.by_first(finish), (), None)
