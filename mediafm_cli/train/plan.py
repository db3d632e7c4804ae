"""What a run would do, and whether it may: found out before anything is trained or written."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from mediafm_cli import __version__
from mediafm_cli.errors import TrainingError, counted
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import FolderConfig, TitleRecord, TrainingRecord
from mediafm_cli.model.records import to_json
from mediafm_cli.model.title import Layout
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.checkpoints import Trained, newest_checkpoint, read_checkpoint, restore_model, restore_state
from mediafm_cli.train.config import TrainConfig, changed_settings, lasting_settings
from mediafm_cli.train.optimizers import rate_factor
from mediafm_cli.train.run_folder import CHECKPOINTS
from mediafm_cli.train.sequences import Sequences, Split, TitleSource, split_titles
from mediafm_cli.train.step import named


@dataclass(frozen=True, eq=False)
class Plan:
    """A run that has not begun.

    Attributes:
        model: with no more positions than the longest training title reaches: the others would stay untrained.
        record: of what it is made.
    """

    split: Split
    model: ModelConfig
    settings: TrainConfig
    record: TrainingRecord

    @cached_property
    def steps_per_epoch(self) -> int:
        return Sequences(self.split.train, self.model, self.settings).steps_per_epoch

    @cached_property
    def total_steps(self) -> int:
        return Sequences(self.split.train, self.model, self.settings).total_steps


@dataclass(frozen=True, eq=False)
class Start:
    """The checkpoint that a run goes on from.

    Attributes:
        planned: the steps that the run was to have when it was saved.
    """

    path: Path
    saved: FolderConfig
    planned: int

    @property
    def done(self) -> int:
        return self.saved.training.steps

    def model(self) -> MediaFM:
        return restore_model(self.path, self.saved)

    def restore(self, trained: Trained) -> None:
        restore_state(self.path, self.saved, trained)

    def rates(self, plan: Plan) -> tuple[float, float]:
        """The learning rate of the next step as a share of its peak: as it was planned, and as it will be."""
        warmup = plan.settings.warmup
        before, now = (rate_factor(self.done, total, warmup) for total in (self.planned, plan.total_steps))
        return before, now


def plan_run(titles: Sequence[TitleSource], model: ModelConfig, settings: TrainConfig, recipe: str = "") -> Plan:
    """Split the titles, and fit the model to them.

    Raises:
        TrainingError: the titles cannot be trained on.
    """
    _require_titles(titles)
    split = split_titles(titles, settings.val_fraction, settings.seed)
    _require_targets(split)
    longest = max(len(title) for title in split.train)
    model = replace(model, max_shots=min(model.max_shots, longest))
    return Plan(split, model, settings, _record(split, settings, recipe))


def find_start(folder: Path, plan: Plan) -> Start | None:
    """The newest checkpoint in ``folder``, if there is any.

    Raises:
        TrainingError: it is of another run, or damaged, or trained further than is planned.
    """
    checkpoint = newest_checkpoint(folder / CHECKPOINTS) if (folder / CHECKPOINTS).is_dir() else None
    if checkpoint is None:
        return None
    saved = read_checkpoint(checkpoint)
    _require_same_run(folder, saved, plan)
    before = saved.training.settings
    length = replace(plan.settings, max_steps=before["max_steps"], epochs=before["epochs"])
    planned = replace(plan, settings=length).total_steps
    return Start(checkpoint, saved, planned)


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


def _require_same_run(folder: Path, saved: FolderConfig, plan: Plan) -> None:
    changes = [
        *_changed_titles(saved.training.titles, plan.record.titles),
        *_changed_layout(saved.model.layout, plan.model.layout),
        *changed_settings(to_json(replace(saved.model, layout=plan.model.layout)), to_json(plan.model)),
        *changed_settings(lasting_settings(saved.training.settings), lasting_settings(plan.record.settings)),
    ]
    if changes:
        hint = "Give the same titles and settings, or start anew with --overwrite."
        raise TrainingError(f"{folder} holds another run.", f"Since then: {'; '.join(changes)}.", hint)
    done = saved.training.steps
    if done > plan.total_steps:
        why = f"{counted(done, 'step')} {'is' if done == 1 else 'are'} done, and {plan.total_steps} were asked for."
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
