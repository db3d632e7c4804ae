"""Validate on held-out titles: the same windows, and the same of them hidden, each time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from mediafm_cli.device import autocast
from mediafm_cli.model.baselines import copied_blocks, mean_vector
from mediafm_cli.model.batch import Batch, Masks, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import draw_masks, mean_cosines, mean_distance, measure, term_weights
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.distributed import World
from mediafm_cli.train.metrics import Validation
from mediafm_cli.train.sequences import Draw, Split, TitleSource, generator, some_titles

TINY = 1e-7
"""The resolution of a cosine in float32."""


@dataclass(frozen=True)
class Window:
    """A part of a held-out title. Its vectors are read when they are needed."""

    title: TitleSource
    start: int
    stop: int
    number: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """Windows, and the losses of the baselines on what is hidden of them.

    Attributes:
        mean_loss, neighbour_loss: of the mean training vector, and of copied neighbours.
    """

    windows: tuple[Window, ...]
    config: ModelConfig
    settings: TrainConfig
    mean_loss: float
    neighbour_loss: float

    def batches(self, world: World) -> Iterator[Batch]:
        """This process's part of the windows: as many batches as every other one has."""
        for group in _grouped(self.windows, self.settings.batch_shots):
            own = group[world.rank :: world.ranks]
            drawn = [_draw(window, self.config, self.settings) for window in own or group[:1]]
            masks = [mask if own else mask.asking_nothing() for _, mask in drawn]
            yield collate([title for title, _ in drawn], self.config, masks)


@torch.no_grad()
def validation_set(split: Split, model: MediaFM, settings: TrainConfig) -> ValidationSet | None:
    """Cut the validation titles into windows. None where there is nothing to validate on.

    Args:
        model: whose coordinates things are compared in. Its weights do not matter.
    """
    config = model.config
    titles = some_titles(split.validation, Draw.VALIDATION, settings.seed)
    if not titles:
        return None
    parts = [(title, start, stop) for title in titles for start, stop in _edges(len(title), config.max_shots)]
    windows = tuple(Window(*part, number) for number, part in enumerate(parts))
    some = some_titles(split.train, Draw.MEAN, settings.seed)
    mean = mean_vector(_seen(title.window(0, len(title)), model) for title in some)
    blocks, loss = config.layout.blocks, settings.objective.loss
    totals = torch.zeros(3, 1 if loss == "vector" else len(blocks), dtype=torch.float64)
    for window in windows:
        title, mask = _draw(window, config, settings)
        batch = collate([title], config, [mask])
        rows = batch.target_rows.numpy() if batch.target_rows is not None else slice(None)
        truth = _seen(title, model).vectors
        copies = copied_blocks(truth, mask.masked, blocks)
        hidden = np.repeat(mask.masked, [block.stop - block.start for block in blocks], axis=1)  # [n, D]
        for row, guess in enumerate((np.broadcast_to(mean, copies.shape), copies)):
            filled = np.where(hidden, guess, truth)  # what is visible of a shot, any prediction may repeat
            predicted, there = (torch.from_numpy(of_all[rows]) for of_all in (filled, truth))
            totals[row] += measure(predicted, there, batch, blocks, loss).sums
        totals[2] += term_weights(batch, loss)
    if not totals[2].any():
        return None
    mean_loss, neighbour_loss = (mean_distance(totals[row], totals[2]).item() for row in range(2))
    return ValidationSet(windows, config, settings, mean_loss, neighbour_loss)


def _seen(title: Title, model: MediaFM) -> Title:
    """The title in the model's coordinates."""
    vectors = torch.from_numpy(np.array(title.vectors, np.float32)).to(model.device)
    return replace(title, vectors=model.coordinates(vectors).cpu().numpy())


def _draw(window: Window, config: ModelConfig, settings: TrainConfig) -> tuple[Title, Masks]:
    """What is hidden of a window is the same each time; nothing is swapped, and nothing visible is asked for."""
    title = window.title.window(window.start, window.stop)
    draws = generator(settings.seed, Draw.VALIDATION, window.number)
    masks = draw_masks(title, config.layout.blocks, replace(settings.objective, mask_by="mask"), draws)
    return title, Masks(masks.masked, masks.weights * masks.masked)


def _edges(shots: int, max_shots: int) -> Iterator[tuple[int, int]]:
    """As few windows as it takes, all of about one length."""
    count = math.ceil(shots / max_shots)
    return pairwise(number * shots // count for number in range(count + 1))


def _grouped(windows: tuple[Window, ...], shots: int) -> Iterator[tuple[Window, ...]]:
    """Windows in groups of at most so many shots, but of one at least."""
    group: list[Window] = []
    for window in windows:
        if group and sum(map(len, group)) + len(window) > shots:
            yield tuple(group)
            group = []
        group.append(window)
    if group:
        yield tuple(group)


@torch.no_grad()
def validate(model: nn.Module, held_out: ValidationSet, world: World) -> Validation:
    """Predict what is hidden. Leaves the model in evaluation mode."""
    model.eval()
    blocks, loss = held_out.config.layout.blocks, held_out.settings.objective.loss
    terms = 1 if loss == "vector" else len(blocks)
    sizes = (terms, terms, len(blocks), len(blocks))
    totals = [torch.zeros(size, dtype=torch.float64, device=world.device) for size in sizes]
    for drawn in held_out.batches(world):
        batch = drawn.to(world.device)
        with autocast(world.device, held_out.settings.precision):
            output = model(batch)
        found = measure(output.predicted, output.truth, batch, blocks, loss)
        for total, part in zip(
            totals, (found.sums, term_weights(batch, loss), found.cosines, found.counts), strict=True
        ):
            total += part
    sums, weights, cosines, counts = (world.add_up(total).cpu() for total in totals)
    mean = mean_distance(sums, weights).item()
    return Validation(
        loss=mean,
        cosine=mean_cosines(cosines, counts, blocks),
        skill_over_mean=_skill(mean, held_out.mean_loss),
        skill_over_neighbour=_skill(mean, held_out.neighbour_loss),
    )


def _skill(loss: float, baseline: float) -> float:
    """1 − loss / baseline; a baseline without fault cannot be beaten, and equalling it is 0."""
    return 1 - loss / max(baseline, TINY)
