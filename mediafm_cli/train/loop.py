"""Pretraining: from titles to a model folder.

A run is a pure function of the titles, the settings and the seed; on the CPU, with the same number of threads and of
processes, to the bit. So what is interrupted and resumed ends in the same weights as what was not.
"""

from __future__ import annotations

import math
import os
import platform
import signal
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from mediafm_cli import __version__
from mediafm_cli.errors import MediafmError, TrainingError
from mediafm_cli.model.batch import Batch
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import FolderConfig, TitleRecord, TrainingRecord
from mediafm_cli.model.records import to_json
from mediafm_cli.model.title import Layout
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.checkpoints import (
    Trained,
    best_validation,
    keep_best,
    newest_checkpoint,
    read_checkpoint,
    remove_old,
    restore_model,
    restore_state,
    save_best,
    save_checkpoint,
)
from mediafm_cli.train.config import TrainConfig, changed_settings, lasting_settings
from mediafm_cli.train.distributed import Shard, World, join_world, spread
from mediafm_cli.train.metrics import Metrics, MetricsLog, Validation
from mediafm_cli.train.run_folder import CHECKPOINTS, METRICS, open_run
from mediafm_cli.train.sequences import Sequences, Split, TitleSource, split_titles
from mediafm_cli.train.speed import measure_peak
from mediafm_cli.train.step import Done, Learner, named, refuse_not_finite
from mediafm_cli.train.stopping import Stop, leave_signals, stop_on_signals
from mediafm_cli.train.validation import ValidationSet, validate, validation_set


@dataclass(frozen=True)
class Engine:
    """What a run computes with. None of it decides what is learned.

    Attributes:
        device: of a single process. ``shard``: what several of them hold of the model.
        workers: processes that read titles ahead; None for some on a GPU and none elsewhere.
        compile: let torch.compile fuse each block.
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
    under way. The model gets no more positions than the longest training title reaches: the others would stay
    untrained. Under torchrun every process calls this; the first one writes, and calls ``progress``.

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
    _require_titles(titles)
    split = split_titles(titles, settings.val_fraction, settings.seed)
    _require_targets(split)
    longest = max(len(title) for title in split.train)
    model_config = replace(model_config, max_shots=min(model_config.max_shots, longest))
    record = _record(split, settings, recipe)
    with ExitStack() as stack:
        world = stack.enter_context(join_world(engine.device))
        stack.enter_context(torch.random.fork_rng([world.device] if world.device.type == "cuda" else []))
        world.by_first(lambda: stack.enter_context(open_run(folder, resume=resume, overwrite=overwrite)))
        sequences = Sequences(split.train, model_config, settings, world.rank, world.ranks)
        start = world.together(lambda: _find_start(folder, model_config, record, sequences.total_steps))
        if start and start.done == sequences.total_steps:
            return _finish(folder, settings, start.done, world)
        model = world.together(lambda: start.model() if start else MediaFM.seeded(model_config, settings.seed))
        model = model.to(world.device)
        peak = measure_peak(world.device, settings.precision)
        learner = Learner(model, spread(model, world, engine.shard), settings, sequences.total_steps, world, peak)
        if start:
            world.together(lambda: start.restore(learner.trained))
        if engine.compile:
            model.compile_around_attention()
        held_out = world.together(lambda: validation_set(split, model_config, settings))
        stop = stack.enter_context(stop_on_signals())
        run = _Run(learner, sequences, held_out, record, folder, engine, stop, progress)
        return run.train(start.done if start else 0)


@dataclass(frozen=True)
class _Start:
    """The checkpoint that a run goes on from."""

    path: Path
    saved: FolderConfig

    @property
    def done(self) -> int:
        return self.saved.training.steps

    def model(self) -> MediaFM:
        return restore_model(self.path, self.saved)

    def restore(self, trained: Trained) -> None:
        restore_state(self.path, self.saved, trained)


def _find_start(folder: Path, model_config: ModelConfig, record: TrainingRecord, total: int) -> _Start | None:
    """The newest checkpoint, of the same run; None where there is none."""
    checkpoint = newest_checkpoint(folder / CHECKPOINTS)
    if checkpoint is None:
        return None
    saved = read_checkpoint(checkpoint)
    _require_same_run(folder, saved, model_config, record, total)
    return _Start(checkpoint, saved)


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
        """The parts of each step that are this process's; the time that they are waited for is noted."""
        device, workers = self.learner.world.device, self.engine.workers
        if workers is None:
            workers = min(8, (os.cpu_count() or 1) // self.learner.world.ranks) if device.type == "cuda" else 0
        loader = iter(
            DataLoader(
                _ReadAhead(self.sequences),
                batch_size=None,
                sampler=range(done, self.sequences.total_steps),
                num_workers=workers,
                worker_init_fn=leave_signals,
                pin_memory=device.type == "cuda",
            )
        )
        try:
            while True:
                with self.learner.watch.waiting():
                    parts = next(loader, None)
                if parts is None:
                    return
                if isinstance(parts, MediafmError):
                    raise parts
                yield parts
        finally:
            # After an error they would live on, and an exit that waits for them would never come.
            if isinstance(loader, _MultiProcessingDataLoaderIter):
                loader._shutdown_workers()

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
            self.learner.watch.lap()
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


@dataclass(frozen=True, eq=False)
class _ReadAhead(Dataset[list[Batch] | MediafmError]):
    """Steps as another process hands them over: an error is one of them, where torch would raise text."""

    sequences: Sequences

    def __getitem__(self, step: int) -> list[Batch] | MediafmError:
        try:
            return self.sequences[step]
        except MediafmError as error:
            return error


def _finish(folder: Path, settings: TrainConfig, done: int, world: World) -> Result:
    """What is left to do of a run whose last step is done."""

    def finish() -> int:
        remove_old(folder / CHECKPOINTS, settings.keep_last)
        return keep_best(folder, folder / CHECKPOINTS)

    return Result(folder, done, done, world.by_first(finish), (), None)


def _require_titles(titles: Sequence[TitleSource]) -> None:
    if not titles:
        raise TrainingError("There is nothing to train on.", "No title was given.")
    twice = sorted(title_id for title_id, times in Counter(title.title_id for title in titles).items() if times > 1)
    if twice:
        raise TrainingError("A title is given twice.", f"Twice: {named(twice)}.", "Give each title an id of its own.")


def _require_targets(split: Split) -> None:
    if not any(title.window(0, len(title)).vectors.any() for title in split.train):
        raise TrainingError("There is nothing to train on.", "Every fused vector is zero: no shot has any modality.")


def _record(split: Split, settings: TrainConfig, recipe: str) -> TrainingRecord:
    """The record of a run that has not begun."""
    titles = [
        *(TitleRecord(title.title_id, len(title), title.fingerprint, "train") for title in split.train),
        *(TitleRecord(title.title_id, len(title), title.fingerprint, "validation") for title in split.validation),
    ]
    versions = {
        "mediafm-cli": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    return TrainingRecord(recipe, 0, settings.seed, asdict(settings), tuple(titles), versions)


def _require_same_run(
    folder: Path, saved: FolderConfig, model_config: ModelConfig, record: TrainingRecord, total: int
) -> None:
    changes = [
        *_changed_titles(saved.training.titles, record.titles),
        *_changed_layout(saved.model.layout, model_config.layout),
        *changed_settings(to_json(replace(saved.model, layout=model_config.layout)), to_json(model_config)),
        *changed_settings(lasting_settings(saved.training.settings), lasting_settings(record.settings)),
    ]
    if changes:
        hint = "Give the same titles and settings, or start anew with --overwrite."
        raise TrainingError(f"{folder} holds another run.", f"Since then: {'; '.join(changes)}.", hint)
    if saved.training.steps > total:
        why = f"{saved.training.steps} steps are done, and {total} were asked for."
        raise TrainingError(f"{folder} is trained further than that.", why, "Ask for more steps, or use --overwrite.")


def _changed_layout(before: Layout, now: Layout) -> list[str]:
    changes = list(before.differences(now))
    only_metadata = before != now and not changes
    return ["the titles had metadata, or have it now"] if only_metadata else changes


def _changed_titles(before: Sequence[TitleRecord], now: Sequence[TitleRecord]) -> list[str]:
    old, new = ({title.title_id: (title.shots, title.fingerprint) for title in side} for side in (before, now))
    kinds = {
        "added": sorted(new.keys() - old.keys()),
        "left out": sorted(old.keys() - new.keys()),
        "changed": sorted(title_id for title_id in old.keys() & new.keys() if old[title_id] != new[title_id]),
    }
    return [f"{named(title_ids)} {kind}" for kind, title_ids in kinds.items() if title_ids]
