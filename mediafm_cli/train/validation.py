"""Validate on held-out titles: the same windows and the same masked shots each time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from mediafm_cli.model.baselines import copied_neighbours, mean_vector
from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import block_cosines, choose_masked, mean_cosines, msm_loss
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.metrics import Validation
from mediafm_cli.train.sequences import Draw, Split, generator

TINY = 1e-7
"""The resolution of a cosine in float32."""


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """Windows with their masked shots, and the losses of the baselines there.

    Attributes:
        masks: one bool array [shots] a window.
        mean_loss, neighbour_loss: mean cosine distance of the mean training vector, and of the copied neighbour.
    """

    windows: tuple[Title, ...]
    masks: tuple[np.ndarray, ...]
    mean_loss: float
    neighbour_loss: float


def validation_set(split: Split, model: ModelConfig, settings: TrainConfig) -> ValidationSet | None:
    """The validation set of a run; None where no validation title shows anything. Reads every title once."""
    windows = [window for title in split.validation for window in _windows(title, model.max_shots)]
    masks, mean_distances, neighbour_distances = [], [], []
    mean = mean_vector(split.train)
    for number, window in enumerate(windows):
        draws = generator(settings.seed, Draw.VALIDATION, number)
        mask = choose_masked(window.vectors, settings.mask_ratio, draws)
        targets = window.vectors[mask]
        masks.append(mask)
        mean_distances.append(_distances(np.broadcast_to(mean, targets.shape), targets))
        neighbour_distances.append(_distances(copied_neighbours(window.vectors, mask), targets))
    if not any(mask.any() for mask in masks):
        return None
    mean_loss, neighbour_loss = (
        float(np.concatenate(distances).mean()) for distances in (mean_distances, neighbour_distances)
    )
    return ValidationSet(tuple(windows), tuple(masks), mean_loss, neighbour_loss)


def _windows(title: Title, max_shots: int) -> list[Title]:
    """The title in as few windows as it takes, all of about one length."""
    count = math.ceil(len(title) / max_shots)
    edges = [number * len(title) // count for number in range(count + 1)]
    return [title.window(start, stop) for start, stop in pairwise(edges)]


def _distances(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """1 − cos, row by row; a row of zeros has cosine 0 with anything."""
    products = np.einsum("kd,kd->k", predicted, targets, dtype=np.float64)
    norms = np.linalg.norm(predicted, axis=1) * np.linalg.norm(targets, axis=1)
    return 1 - np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)


@torch.inference_mode()
def validate(model: MediaFM, held_out: ValidationSet, batch_size: int) -> Validation:
    """Predict the masked shots. Leaves the model in evaluation mode."""
    model.eval()
    blocks = model.config.layout.blocks
    loss = torch.zeros((), dtype=torch.float64)
    masked = 0
    sums, counts = torch.zeros(len(blocks)), torch.zeros(len(blocks))
    for first in range(0, len(held_out.windows), batch_size):
        some = slice(first, first + batch_size)
        batch = collate(held_out.windows[some], model.config, held_out.masks[some]).to(model.device)
        predicted = model(batch).predicted
        here = int(batch.masked.sum())
        loss += msm_loss(predicted, batch).cpu().double() * here
        masked += here
        batch_sums, batch_counts = block_cosines(predicted, batch, blocks)
        sums, counts = sums + batch_sums.cpu(), counts + batch_counts.cpu()
    mean = float(loss) / masked
    return Validation(
        loss=mean,
        cosine=mean_cosines(sums, counts, blocks),
        skill_over_mean=_skill(mean, held_out.mean_loss),
        skill_over_neighbour=_skill(mean, held_out.neighbour_loss),
    )


def _skill(loss: float, baseline: float) -> float:
    """1 − loss / baseline; a baseline without fault cannot be beaten, and equalling it is 0."""
    return 1 - loss / max(baseline, TINY)
