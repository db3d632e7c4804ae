"""``ablate --retrain``: the model trained anew with one thing changed at a time, on the titles that it learned from.

Each run is a model folder of its own, named by what is changed and by the fingerprint of everything that decides it: a
run that is there is used again, and one that was killed goes on. What a run is compared with, the reference, is trained
in the same way with nothing changed: on the model's training titles, of which it holds some out in turn, so that those
that are measured stay unseen.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from mediafm_cli import __version__
from mediafm_cli.errors import TERMINATED, TrainingError, UsageError
from mediafm_cli.evaluate.ablation.variants import Variant, resolve
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import CONFIG, FolderConfig, load_model
from mediafm_cli.model.records import to_json
from mediafm_cli.model.title import Layout, Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.catalogue import Catalogue, open_catalogue
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.loop import Engine, pretrain
from mediafm_cli.train.metrics import Metrics
from mediafm_cli.train.run_folder import CHECKPOINTS
from mediafm_cli.train.sequences import TitleSource

RUNS = "runs"


class StoppedError(TrainingError):
    """SIGTERM ended a run: what is done is kept (exit code 143)."""

    exit_code = TERMINATED


@dataclass(frozen=True, eq=False)
class Run:
    """One model of the grid, trained. ``reused``: it was there before."""

    variant: Variant
    seed: int
    folder: Path
    model: MediaFM
    reused: bool


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One model of the grid, and what decides it. ``titles``: to learn from, as the variant changes them."""

    variant: Variant
    model: ModelConfig
    training: TrainConfig
    titles: Sequence[TitleSource]
    device: torch.device
    folder: Path

    @property
    def is_trained(self) -> bool:
        return (self.folder / CONFIG).is_file()  # written last of all


@dataclass(frozen=True)
class RunSettings:
    """How the grid is run.

    Attributes:
        folder: of all runs. ``seeds``: how many runs of each variant, from the model's own seed on.
        max_steps: in the place of the model's own; None for these.
    """

    folder: Path
    seeds: int = 1
    max_steps: int | None = None


@dataclass(frozen=True, eq=False)
class ChangedTitle:
    """A title of which every window is changed as it is read; see ``TitleSource``."""

    source: TitleSource
    variant: Variant

    @property
    def title_id(self) -> str:
        return self.source.title_id

    @property
    def fingerprint(self) -> str:
        return self.source.fingerprint + self.variant.name

    def __len__(self) -> int:
        return len(self.source)

    def window(self, start: int, stop: int) -> Title:
        return self.variant.change(self.source.window(start, stop))


def learned_titles(catalogue: Catalogue, config: FolderConfig) -> list[TitleSource]:
    """The titles that the model learned from, and never those that it was validated on.

    Raises:
        UsageError: one of them is not in the catalogue, or was changed since.
    """
    stored = {(title.title_id, title.fingerprint): title for title in catalogue.titles}
    wanted = [(title.title_id, title.fingerprint) for title in config.training.titles if title.split == "train"]
    missing = [title_id for title_id, fingerprint in wanted if (title_id, fingerprint) not in stored]
    if missing:
        what = f"{len(missing)} of the {len(wanted)} titles that the model learned from are not among the stores."
        why = f"Not there, or changed since: {_some(missing)}."
        raise UsageError(what, why, "Give all stores that it was trained on, and those to measure.")
    return [stored[key] for key in wanted]


def swapped_titles(stores: Sequence[Path], titles: Sequence[TitleSource]) -> tuple[Layout, list[TitleSource]]:
    """The same titles in other stores, in the same order, and the layout of those.

    Raises:
        UsageError: one of them is not there, or has another number of shots there.
    """
    catalogue = open_catalogue(stores)
    there = {title.title_id: title for title in catalogue.titles}
    missing = [title.title_id for title in titles if title.title_id not in there]
    if missing:
        what = f"{len(missing)} of {len(titles)} titles are not among the stores to swap to."
        raise UsageError(
            what, f"Not there: {_some(missing)}.", "Encode and fuse the same titles with the other encoder."
        )
    other = [title.title_id for title in titles if len(title) != len(there[title.title_id])]
    if other:
        what = f"{len(other)} of {len(titles)} titles have other shots in the stores to swap to."
        raise UsageError(what, f"For example {_some(other)}.", "Copy the segmented stores, and encode these copies.")
    return catalogue.layout, [there[title.title_id] for title in titles]


def plan_runs(
    variant: Variant,
    config: FolderConfig,
    layout: Layout,
    titles: Sequence[TitleSource],
    settings: RunSettings,
    device: torch.device | str,
) -> list[PlannedRun]:
    """The run of each seed.

    Args:
        titles: to learn from, in stores of ``layout``; as they are, without the variant's change.

    Raises:
        UsageError, TrainingError: the settings of the variant cannot be used together.
    """
    changed = [ChangedTitle(title, variant) for title in titles] if variant.intervention else list(titles)
    where = torch.device(device)
    planned = []
    for seed in range(config.training.seed, config.training.seed + settings.seeds):
        model, training = resolve(variant, config, layout, seed, settings.max_steps)
        folder = settings.folder / _name(variant, model, training, changed, where.type)
        planned.append(PlannedRun(variant, model, training, changed, where, folder))
    return planned


def train_runs(planned: Sequence[PlannedRun], progress: Callable[[float], None] = lambda share: None) -> Iterator[Run]:
    """Train each run, or load what was trained before.

    Args:
        progress: called with the share of all runs that is done.

    Raises:
        TrainingError: a run cannot be trained, or its folder not be used; see ``pretrain``.
        StoppedError, KeyboardInterrupt: by SIGTERM and by Ctrl-C, after a checkpoint.
    """
    for number, run in enumerate(planned):
        name, seed, folder, reused = run.variant.name, run.training.seed, run.folder, run.is_trained
        if not reused:
            result = pretrain(
                run.titles,
                run.model,
                run.training,
                folder,
                recipe=name,
                resume=True,
                engine=Engine(run.device),
                progress=partial(_go_on, progress, number, len(planned)),
            )
            if result.kept is None:
                what = f"{name}, seed {seed}: stopped after {result.steps} steps."
                raise StoppedError(what, hint="Run the same command again: it goes on from there.")
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # of twenty runs they would fill a disk
        progress((number + 1) / len(planned))
        yield Run(run.variant, seed, folder, load_model(folder, run.device), reused)


def _go_on(progress: Callable[[float], None], done: int, total: int, metrics: Metrics) -> None:
    progress((done + metrics.step / metrics.steps) / total)


def _name(
    variant: Variant, model_config: ModelConfig, train_config: TrainConfig, titles: Sequence[TitleSource], device: str
) -> str:
    """The variant, the seed, and 12 digits of the fingerprint of all that decides what is learned.

    Args:
        device: its kind, since a GPU computes in another precision.
    """
    said = {
        "device": device,
        "model": to_json(model_config),
        "settings": to_json(train_config),
        "titles": [[title.title_id, title.fingerprint] for title in titles],
        "version": __version__,
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return f"{variant.name}-seed{train_config.seed}-{digest[:12]}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
