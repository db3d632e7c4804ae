"""What is trained on at which step. A run is a pure function of its seed and the step.

Every draw has a generator of its own, keyed by the seed, what is drawn, and where in the run. So a resumed run needs no
state of any generator, and goes on to the bit as if it had not been interrupted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from mediafm_cli.model.batch import Batch, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import choose_masked
from mediafm_cli.model.title import Title
from mediafm_cli.train.config import TrainConfig


class Draw(IntEnum):
    """What a generator is for. The numbers are part of the key: never reuse one."""

    ORDER = 1
    SEQUENCES = 2
    DROPOUT = 3
    VALIDATION = 4


def generator(seed: int, draw: Draw, *place: int) -> np.random.Generator:
    return np.random.default_rng([seed, draw, *place])


def torch_seed(seed: int, step: int) -> int:
    """The seed of torch's generator, which dropout draws from, at one step."""
    return int(generator(seed, Draw.DROPOUT, step).integers(2**63))


@dataclass(frozen=True, eq=False)
class Split:
    """The titles to learn from, and those never learned from; both in the order of their ids."""

    train: tuple[Title, ...]
    validation: tuple[Title, ...]


def split_titles(titles: Sequence[Title], fraction: float, seed: int) -> Split:
    """Split by title, so that shots of one title never stand on both sides, whatever order the titles come in.

    ``fraction`` of them, at least one where there are two, validate; a single title is learned from.
    """

    def drawn(title: Title) -> bytes:
        return hashlib.sha256(f"{seed}:{title.title_id}".encode()).digest()

    count = min(max(1, round(fraction * len(titles))), len(titles) - 1) if fraction else 0
    held_out = {title.title_id for title in sorted(titles, key=drawn)[:count]}
    ordered = sorted(titles, key=lambda title: title.title_id)
    return Split(
        tuple(title for title in ordered if title.title_id not in held_out),
        tuple(title for title in ordered if title.title_id in held_out),
    )


@dataclass(frozen=True, eq=False)
class Sequences:
    """Batches of the titles of a catalogue, one for each step.

    A title longer than the model's sequence is seen through a window at a random place. In each epoch it gets as many
    windows as it takes to cover it once, so that long titles count for what they are.
    """

    titles: Sequence[Title]
    model: ModelConfig
    settings: TrainConfig

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self._entries()) / self.settings.batch_size)

    @property
    def total_steps(self) -> int:
        epochs = self.settings.epochs
        return self.settings.max_steps if epochs is None else epochs * self.steps_per_epoch

    def batches(self, first: int, stop: int) -> Iterator[Batch]:
        """Yield the batches of the steps from ``first`` to ``stop``; steps count from 0."""
        entries, size, per_epoch = self._entries(), self.settings.batch_size, self.steps_per_epoch
        order, epoch = entries, -1
        for step in range(first, stop):
            if step // per_epoch != epoch:
                epoch = step // per_epoch
                order = generator(self.settings.seed, Draw.ORDER, epoch).permutation(entries)
            start = step % per_epoch * size
            yield self._batch(step, order[start : start + size])

    def _entries(self) -> np.ndarray:
        """Indices of titles, each as often as it is seen in an epoch: int [windows]."""
        times = [math.ceil(len(title) / self.model.max_shots) for title in self.titles]
        return np.repeat(np.arange(len(self.titles)), times)

    def _batch(self, step: int, chosen: np.ndarray) -> Batch:
        draws = generator(self.settings.seed, Draw.SEQUENCES, step)
        windows, masks = [], []
        for index in chosen:
            title = self.titles[index]
            length = min(len(title), self.model.max_shots)
            start = int(draws.integers(len(title) - length + 1))
            window = title.window(start, start + length)
            if draws.random() < self.settings.metadata_dropout:
                window = replace(window, metadata=None)
            windows.append(window)
            masks.append(choose_masked(window.vectors, self.settings.mask_ratio, draws))
        return collate(windows, self.model, masks)
