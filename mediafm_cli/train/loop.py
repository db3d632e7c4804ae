"""Pretraining: from titles to a model folder.

A run is a pure function of the titles, the settings and the seed; on the CPU, with the same number of threads, to the
bit. So what is interrupted and resumed ends in the same weights and the same metrics as what was not.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from mediafm_cli import __version__
from mediafm_cli.errors import TrainingError
from mediafm_cli.model.batch import Batch
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import FolderConfig, TitleRecord, TrainingRecord, save_model
from mediafm_cli.model.msm import block_cosines, mean_cosines, msm_loss
from mediafm_cli.model.records import to_json
from mediafm_cli.model.title import Layout, Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.checkpoints import (
    newest_checkpoint,
    read_checkpoint,
    remove_old,
    restore_model,
    restore_optimizers,
    save_checkpoint,
)
from mediafm_cli.train.config import RECIPE, TrainConfig, changed_settings, lasting_settings
from mediafm_cli.train.metrics import Metrics, MetricsLog, Validation
from mediafm_cli.train.optimizers import build_optimizers, build_schedules
from mediafm_cli.train.run_folder import CHECKPOINTS, METRICS, open_run
from mediafm_cli.train.sequences import Sequences, Split, split_titles, torch_seed
from mediafm_cli.train.validation import ValidationSet, validate, validation_set

NAMED = 16
"""Titles that an error lists before it says how many more there are."""


@dataclass(frozen=True)
class Result:
    """What ``pretrain`` did.

    Attributes:
        steps: steps that the model in ``folder`` has done. ``resumed_from``: how many were done before this call;
            equal to ``steps`` where the run had ended already.
        losses: training loss of each step of this call. ``validation``: the last one of this call, if any.
    """

    folder: Path
    steps: int
    resumed_from: int
    losses: tuple[float, ...]
    validation: Validation | None


def pretrain(
    titles: Sequence[Title],
    model_config: ModelConfig,
    settings: TrainConfig,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: torch.device | str = "cpu",
    progress: Callable[[Metrics], None] = lambda metrics: None,
) -> Result:
    """Train on ``titles`` and leave a model folder, ``metrics.jsonl`` and checkpoints in ``folder``.

    A kill at any moment costs the steps since the last checkpoint, and nothing else. The model gets no more positions
    than the longest training title reaches: the others would stay untrained.

    Args:
        resume: go on from the newest checkpoint in ``folder``; from the start where there is none.
        overwrite: remove the run that is in ``folder``.
        progress: called after each step.

    Raises:
        TrainingError: the titles cannot be trained on, the folder or a checkpoint cannot be used, a resumed run is not
            the same run, or a loss is not finite. What was saved before stays.
    """
    device = torch.device(device)
    _require_titles(titles)
    split = split_titles(titles, settings.val_fraction, settings.seed)
    _require_targets(split)
    longest = max(len(title) for title in split.train)
    model_config = replace(model_config, max_shots=min(model_config.max_shots, longest))
    sequences = Sequences(split.train, model_config, settings)
    with (
        open_run(folder, resume=resume, overwrite=overwrite),
        torch.random.fork_rng([device] if device.type == "cuda" else []),
    ):
        record = _record(split, settings)
        checkpoint = newest_checkpoint(folder / CHECKPOINTS)
        if checkpoint is None:
            model, done = MediaFM.seeded(model_config, settings.seed).to(device), 0
            optimizers = build_optimizers(model, settings)
        else:
            saved = read_checkpoint(checkpoint)
            _require_same_run(folder, saved, model_config, record, sequences.total_steps)
            model, done = restore_model(checkpoint, saved).to(device), saved.training.steps
            if done == sequences.total_steps:
                remove_old(folder / CHECKPOINTS, settings.keep_last)
                save_model(folder, model, saved.training)
                return Result(folder, done, done, (), None)
            optimizers = build_optimizers(model, settings)
            restore_optimizers(checkpoint, saved, optimizers)
        run = _Run(model, optimizers, sequences, validation_set(split, model_config, settings), record, folder)
        losses, validation = run.train(done, progress)
        return Result(folder, sequences.total_steps, done, tuple(losses), validation)


@dataclass(frozen=True, eq=False)
class _Run:
    model: MediaFM
    optimizers: list[Optimizer]
    sequences: Sequences
    held_out: ValidationSet | None
    record: TrainingRecord
    folder: Path

    def train(self, done: int, progress: Callable[[Metrics], None]) -> tuple[list[float], Validation | None]:
        """Do the steps after ``done``, and save the model."""
        settings, total = self.sequences.settings, self.sequences.total_steps
        schedules = build_schedules(self.optimizers, settings, total, done)
        losses: list[float] = []
        validation = None
        with MetricsLog(self.folder / METRICS, done) as log:
            for step, batch in enumerate(self.sequences.batches(done, total), start=done + 1):
                rate = float(schedules[-1].get_last_lr()[0])
                metrics = self._step(step, batch.to(self.model.device), rate)
                for schedule in schedules:
                    schedule.step()
                last = step == total
                if self.held_out and (last or step % settings.val_every == 0):
                    validation = validate(self.model, self.held_out, settings.batch_size)
                    metrics = replace(metrics, validation=validation)
                log.append(metrics)
                losses.append(metrics.loss)
                if last or step % settings.checkpoint_every == 0:
                    log.sync()
                    self._checkpoint(step)
                progress(metrics)
        save_model(self.folder, self.model, replace(self.record, steps=total))
        return losses, validation

    def _step(self, step: int, batch: Batch, rate: float) -> Metrics:
        """One update. ``step`` counts from 1."""
        settings, blocks = self.sequences.settings, self.model.config.layout.blocks
        torch.manual_seed(torch_seed(settings.seed, step))
        self.model.train()
        predicted = self.model(batch).predicted  # [B, n, D]
        loss = msm_loss(predicted, batch)
        loss.backward()
        norm = clip_grad_norm_(self.model.parameters(), settings.grad_clip)
        _require_finite(step, batch, loss, norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return Metrics(
            step=step,
            steps=self.sequences.total_steps,
            loss=loss.item(),
            cosine=mean_cosines(*block_cosines(predicted, batch, blocks), blocks),
            lr=rate,
            grad_norm=norm.item(),
            shots=int(batch.real.sum()),
            validation=None,
        )

    def _checkpoint(self, step: int) -> None:
        folder, keep = self.folder / CHECKPOINTS, self.sequences.settings.keep_last
        save_checkpoint(folder, self.model, self.optimizers, replace(self.record, steps=step), keep)


def _require_finite(step: int, batch: Batch, loss: Tensor, norm: Tensor) -> None:
    if not (loss.isfinite() and norm.isfinite()):
        what = f"Step {step}: the loss is {loss.item()}, its gradient {norm.item()}."
        finite = batch.vectors.isfinite().all(dim=(1, 2)) & batch.metadata.isfinite().all(dim=1)  # [B]
        culprits = {title_id for title_id, fine in zip(batch.title_ids, finite.tolist(), strict=True) if not fine}
        if culprits:
            why, hint = f"Not finite: the vectors of {_named(sorted(culprits))}.", "Find the fault with mediafm check."
        else:
            why = f"The batch is fine: {_named(sorted(set(batch.title_ids)))}."
            hint = "Train with a lower learning rate and --overwrite."
        raise TrainingError(what, why, hint)


def _require_titles(titles: Sequence[Title]) -> None:
    if not titles:
        raise TrainingError("There is nothing to train on.", "No title was given.")
    twice = sorted(title_id for title_id, times in Counter(title.title_id for title in titles).items() if times > 1)
    if twice:
        raise TrainingError("A title is given twice.", f"Twice: {_named(twice)}.", "Give each title an id of its own.")


def _require_targets(split: Split) -> None:
    if not any(title.vectors.any() for title in split.train):
        raise TrainingError("There is nothing to train on.", "Every fused vector is zero: no shot has any modality.")


def _record(split: Split, settings: TrainConfig) -> TrainingRecord:
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
    return TrainingRecord(RECIPE, 0, settings.seed, asdict(settings), tuple(titles), versions)


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
    return [f"{_named(title_ids)} {kind}" for kind, title_ids in kinds.items() if title_ids]


def _named(title_ids: Sequence[str]) -> str:
    more = f" and {len(title_ids) - NAMED} more" if len(title_ids) > NAMED else ""
    return ", ".join(title_ids[:NAMED]) + more
