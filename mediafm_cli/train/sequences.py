"""What is trained on at which step. A run is a pure function of its seed and the step.

Every draw has a generator of its own, keyed by the seed, what is drawn, and where in the run. So a resumed run needs no
state of any generator, and any process can make any part of any step without the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from typing import Protocol

import numpy as np
from torch.utils.data import Dataset

from mediafm_cli.model.batch import Batch, Masks, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import draw_masks
from mediafm_cli.model.title import Title
from mediafm_cli.train.config import TrainConfig


class Draw(IntEnum):
    """What a generator is for. The numbers are part of the key: never reuse one."""

    ORDER = 1
    SEQUENCES = 2
    DROPOUT = 3
    VALIDATION = 4
    MEAN = 5
    WHITENING = 6


def generator(seed: int, draw: Draw, *place: int) -> np.random.Generator:
    return np.random.default_rng([seed, draw, *place])


def torch_seed(seed: int, step: int, part: int) -> int:
    """The seed of torch's generator, which dropout draws from, for one part of one step."""
    return int(generator(seed, Draw.DROPOUT, step, part).integers(2**63))


class TitleSource(Protocol):
    """A title that need not be in memory: a ``Title``, or one in a store."""

    @property
    def title_id(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def window(self, start: int, stop: int) -> Title:
        """The shots from ``start`` to ``stop``."""
        ...


@dataclass(frozen=True, eq=False)
class Split:
    """The titles to learn from, and those never learned from; both in the order of their ids."""

    train: tuple[TitleSource, ...]
    validation: tuple[TitleSource, ...]


def split_titles(titles: Sequence[TitleSource], fraction: float, seed: int) -> Split:
    """Split by title, so that shots of one title never stand on both sides, whatever order the titles come in.

    ``fraction`` of them, at least one where there are two, validate; a single title is learned from, and so is one of a
    single shot, which shows nothing of context, as long as there are others.
    """

    def drawn(title: TitleSource) -> tuple[bool, bytes]:
        return len(title) < 2, hashlib.sha256(f"{seed}:{title.title_id}".encode()).digest()

    count = min(max(1, round(fraction * len(titles))), len(titles) - 1) if fraction else 0
    held_out = {title.title_id for title in sorted(titles, key=drawn)[:count]}
    ordered = sorted(titles, key=lambda title: title.title_id)
    return Split(
        tuple(title for title in ordered if title.title_id not in held_out),
        tuple(title for title in ordered if title.title_id in held_out),
    )


MOST_TITLES = 256
"""Titles that are validated on, or that something is measured over, at most: enough to tell runs apart."""


def some_titles(titles: Sequence[TitleSource], draw: Draw, seed: int) -> list[TitleSource]:
    """All titles, or a fixed sample of many."""
    if len(titles) <= MOST_TITLES:
        return list(titles)
    return [titles[index] for index in sorted(generator(seed, draw).permutation(len(titles))[:MOST_TITLES])]


@dataclass(frozen=True, eq=False)
class Sequences(Dataset[list[Batch]]):
    """The batches of each step: about ``batch_shots`` shots of whole titles, or of windows of long ones.

    A title longer than the model's sequence is seen through a window at a random place. In each epoch it gets as many
    windows as it takes to cover it once, so that long titles count for what they are.

    Attributes:
        rank, ranks: which of how many processes this is. Each takes a part of every step, as even as can be.
    """

    titles: Sequence[TitleSource]
    model: ModelConfig
    settings: TrainConfig
    rank: int = 0
    ranks: int = 1
    _drawn: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def steps_per_epoch(self) -> int:
        steps = round(self._lengths.sum() / self.settings.batch_shots)
        return min(max(1, steps), len(self._owners))

    @property
    def total_steps(self) -> int:
        epochs = self.settings.epochs
        return self.settings.max_steps if epochs is None else epochs * self.steps_per_epoch

    def __len__(self) -> int:
        """Steps of the run: together with ``[step]`` this is what torch's DataLoader takes."""
        return self.total_steps

    def __getitem__(self, step: int) -> list[Batch]:
        """The parts of step ``step`` (from 0) that this process takes, one after the other: ``accumulate`` of them."""
        chosen = self._chosen(step)  # [windows]
        shares = _deal(self._lengths[chosen].tolist(), self.ranks * self.settings.accumulate)
        own = shares[self.rank :: self.ranks]
        return [self._batch(step, chosen, places) for places in own]

    def _batch(self, step: int, chosen: np.ndarray, places: Sequence[int]) -> Batch:
        """A process with nothing to do takes part with a window of which nothing is asked."""
        windows, masks = zip(*(self._draw(step, place, chosen[place]) for place in places or [0]), strict=True)
        if not places:
            masks = tuple(mask.asking_nothing() for mask in masks)
        return collate(windows, self.model, masks)

    def _draw(self, step: int, place: int, entry: int) -> tuple[Title, Masks]:
        draws = generator(self.settings.seed, Draw.SEQUENCES, step, place)
        title = self.titles[self._owners[entry]]
        length = min(len(title), self.model.max_shots)
        start = int(draws.integers(len(title) - length + 1))
        window = title.window(start, start + length)
        if draws.random() < self.settings.metadata_dropout:
            window = replace(window, metadata=None)
        return window, draw_masks(window, self.model.layout.blocks, self.settings.objective, draws)

    def _chosen(self, step: int) -> np.ndarray:
        """The windows of one step, as entries."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch not in self._drawn:
            self._drawn.clear()  # steps come in order: no epoch comes twice
            self._drawn[epoch] = self._draw_order(epoch)
        order, edges = self._drawn[epoch]
        return order[edges[place] : edges[place + 1]]

    def _draw_order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The order of an epoch, as entries, and the edges that cut it into steps of about as many shots."""
        order = generator(self.settings.seed, Draw.ORDER, epoch).permutation(len(self._owners))
        lengths = self._lengths[order]
        ends = np.cumsum(lengths)
        steps = np.arange(self.steps_per_epoch + 1)
        edges = np.searchsorted(ends - lengths / 2, steps * (ends[-1] / len(steps[1:])))  # by the middles of windows
        edges = np.maximum.accumulate(edges - steps) + steps  # no step is empty
        return order, np.minimum(edges, len(order) - steps[::-1])

    @cached_property
    def _owners(self) -> np.ndarray:
        """Indices of titles, each as often as it is seen in an epoch: int [windows]."""
        times = [math.ceil(len(title) / self.model.max_shots) for title in self.titles]
        return np.repeat(np.arange(len(self.titles)), times)

    @cached_property
    def _lengths(self) -> np.ndarray:
        """Shots of each window: int [windows]."""
        return np.minimum([len(title) for title in self.titles], self.model.max_shots)[self._owners]


def _deal(lengths: Sequence[int], hands: int) -> list[list[int]]:
    """Deal windows out, the longest first, each to whom has the fewest shots: ``hands`` lists of their places."""
    dealt: list[list[int]] = [[] for _ in range(hands)]
    totals = [0] * hands
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        hand = totals.index(min(totals))
        dealt[hand].append(place)
        totals[hand] += lengths[place]
    return [sorted(places) for places in dealt]
