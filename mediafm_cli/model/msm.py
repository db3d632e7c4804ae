"""Masked Shot Modelling: hide part of a title, and be judged by the cosine distance to what was there.

Sources: MediaFM (Netflix Technology Blog, 23 February 2026) hides 20 % of the shots and compares whole fused vectors.
Spans are SpanBERT's (Joshi et al. 2020); to show some of what is asked for, or something else in its place, is BERT's
(Devlin et al. 2019, section 3.1). Ours: modalities are hidden one by one and have a loss each, and what is visible is
asked for as well. Without that nothing trains the states of visible shots, and these are what users take; with
``ModelConfig.input_dropout`` they are shown in part, so that context has something to add to them too. A block that is
absent or zero has no direction: it is never a target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mediafm_cli.errors import UsageError
from mediafm_cli.model.batch import Batch, Masks
from mediafm_cli.model.title import Block, Title

Loss = Literal["vector", "blocks"]

_TINY = 1e-8
"""What lengths are held above, so that nothing is divided by zero; that of torch's cosine similarity."""

BERT_MASKED, BERT_SWAPPED = 0.8, 0.1
"""Of what is asked for: hidden, and replaced by something else; the rest is shown as it is."""


@dataclass(frozen=True)
class Objective:
    """What is hidden, and what it is compared with.

    Attributes:
        mask_ratio: share of the shots hidden whole. ``modality_mask_ratio``: of the modalities of the other shots, each
            drawn for itself. ``mask_span``: mean number of shots in a row that are hidden whole.
        mask_by: ``"mask"`` hides all that is asked for; ``"bert"`` eight tenths of it, and swaps one tenth.
        loss: ``"vector"`` compares fused vectors; ``"blocks"`` each modality for itself, and takes the mean over them.
        visible_ratio: share of the shots of which what is visible is asked for as well; 0 for hidden blocks only.
    """

    mask_ratio: float = 0.15
    modality_mask_ratio: float = 0.2
    mask_span: float = 1.0
    mask_by: Literal["mask", "bert"] = "mask"
    loss: Loss = "blocks"
    visible_ratio: float = 1.0

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise UsageError(f"These settings cannot be used: {fault}.")

    def _faults(self) -> Iterator[str]:
        for name in ("mask_ratio", "modality_mask_ratio"):
            if not 0 <= getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}; it is a share, 0 or more and less than 1"
        if not 0 <= self.visible_ratio <= 1:
            yield f"visible_ratio is {self.visible_ratio}; it is a share, from 0 to 1"
        if self.mask_ratio == self.modality_mask_ratio == self.visible_ratio == 0:
            yield "nothing is masked, so there is nothing to learn"
        if not 1 <= self.mask_span < float("inf"):
            yield f"mask_span is {self.mask_span}, and must be 1 or more"


MEDIAFM = Objective(mask_ratio=0.2, modality_mask_ratio=0.0, loss="vector", visible_ratio=0.0)
"""The objective as it is published."""


def draw_masks(window: Title, blocks: Sequence[Block], objective: Objective, generator: np.random.Generator) -> Masks:
    """Draw what is hidden of one sequence: at least one block of it, if any has a direction and any is to be hidden."""
    targets = _with_direction(window, blocks)  # [n, m]
    shots = np.flatnonzero(targets.any(axis=1))
    masked = np.zeros(targets.shape, bool)
    whole = _draw_shots(len(shots), objective, generator)
    masked[shots[whole]] = True
    if objective.modality_mask_ratio:
        masked |= targets & (generator.random(targets.shape) < objective.modality_mask_ratio)
    hides = objective.mask_ratio or objective.modality_mask_ratio
    if hides and len(shots) and not (masked & targets).any():
        masked[generator.choice(shots)] = True
    asked = masked | (generator.random((len(targets), 1)) < objective.visible_ratio)
    weights = (asked & targets).astype(np.float64)
    if objective.mask_by == "mask":
        return Masks(masked, weights)
    return _as_bert(masked, weights, targets, generator)


def hide_shots(hidden: np.ndarray, blocks: int) -> Masks:
    """Hide the shots of ``hidden``, bool [n], as a whole, and ask for all of them, whatever they showed."""
    masked = np.repeat(hidden[:, None], blocks, axis=1)
    return Masks(masked, masked.astype(np.float64))


def _draw_shots(count: int, objective: Objective, generator: np.random.Generator) -> np.ndarray:
    """Which of ``count`` shots are hidden whole: ``mask_ratio`` of them, in spans; at least one, if any at all."""
    if not objective.mask_ratio or not count:
        return np.zeros(0, int)
    wanted = min(count, max(1, round(objective.mask_ratio * count)))
    if objective.mask_span == 1:
        return generator.choice(count, wanted, replace=False)
    chosen = np.zeros(count, bool)
    while (missing := wanted - int(chosen.sum())) > 0:
        length = min(missing, int(generator.geometric(1 / objective.mask_span)))
        first = int(generator.integers(count - length + 1))
        chosen[first : first + length] = True
    return np.flatnonzero(chosen)


def _as_bert(masked: np.ndarray, weights: np.ndarray, targets: np.ndarray, generator: np.random.Generator) -> Masks:
    """Show a tenth of the hidden shots, or of their hidden modalities, as they are, and swap a tenth.

    What is to be swapped for a block that is absent stays hidden.
    """
    shots = np.flatnonzero(targets.any(axis=1))
    fate = np.repeat(generator.random((len(masked), 1)), masked.shape[1], axis=1)
    partly = masked & ~masked.all(axis=1, keepdims=True)
    fate[partly] = generator.random(int(partly.sum()))
    rows = np.arange(len(masked))[:, None]
    others = generator.choice(shots, (len(masked), 1)) if len(shots) else rows
    to_swap = masked & (fate >= BERT_MASKED) & (fate < BERT_MASKED + BERT_SWAPPED)
    swapped = to_swap & targets[others[:, 0]]
    hidden = masked & (fate < BERT_MASKED) | to_swap & ~swapped
    return Masks(hidden, weights, np.where(swapped, others, rows))


def _with_direction(window: Title, blocks: Sequence[Block]) -> np.ndarray:
    """bool [n, m]: the blocks that are present and not zero."""
    parts = (np.asarray(window.vectors[:, block.start : block.stop]) for block in blocks)
    energy = np.stack([np.einsum("nd,nd->n", part, part) for part in parts], axis=1)  # [n, m]
    return (energy > 0) & window.present


@dataclass(frozen=True, eq=False)
class Distances:
    """Cosine distances of a batch, summed; sums of several batches add up.

    Attributes:
        sums: [terms], weighted; one term for each modality, or a single one for whole vectors.
        length_errors: [terms], weighted: the squared difference between the length of a prediction, as a share of the
            true one, and its cosine. A cosine has nothing to say of the length: where it matters (see
            ``Whitening.undo``) this teaches it apart, and the surer a prediction is, the longer it becomes.
        cosines, counts: [m]: sum of the cosines by modality over hidden blocks that are asked for, and their number.
    """

    sums: Tensor
    length_errors: Tensor
    cosines: Tensor
    counts: Tensor


def term_weights(batch: Batch, loss: Loss) -> Tensor:
    """How much is asked of a batch, term by term: [terms]; of several batches, the sum."""
    weights = _weights(batch)
    return weights.amax(dim=-1).sum()[None] if loss == "vector" else weights.sum(dim=0)


def measure(predicted: Tensor, truth: Tensor, batch: Batch, blocks: Sequence[Block], loss: Loss) -> Distances:
    """Compare what was predicted with what was there.

    Args:
        predicted, truth: [K, D], the target rows of the batch.
    """
    weights = _weights(batch)  # [K, m]
    predicted, truth = predicted.float(), truth.float()
    widths = [block.stop - block.start for block in blocks]
    lengths, true_lengths = (_by_block(rows, widths, torch.linalg.vector_norm) for rows in (predicted, truth))  # [K, m]
    products = _by_block(predicted * truth, widths, torch.sum)
    lengths, true_lengths = lengths.clamp(min=_TINY), true_lengths.clamp(min=_TINY)
    cosines = products / (lengths * true_lengths)
    if loss == "vector":
        length, true_length = (torch.linalg.vector_norm(parts, dim=-1) for parts in (lengths, true_lengths))
        whole = products.sum(dim=-1) / (length * true_length)  # [K]
        asked = weights.amax(dim=-1)
        sums = ((1 - whole) * asked).sum()[None]
        length_errors = ((length / true_length - whole.detach()).square() * asked).sum()[None]
    else:
        sums = ((1 - cosines) * weights).sum(dim=0)
        length_errors = ((lengths / true_lengths - cosines.detach()).square() * weights).sum(dim=0)
    hidden = _hidden(batch) & (weights > 0)  # [K, m]
    return Distances(sums, length_errors, (cosines.detach() * hidden).sum(dim=0), hidden.sum(dim=0))


def _by_block(rows: Tensor, widths: Sequence[int], reduce: Callable[..., Tensor]) -> Tensor:
    """Each block of each row reduced to one number: [K, D] to [K, m]."""
    return torch.stack([reduce(part, dim=-1) for part in rows.split(list(widths), dim=-1)], dim=-1)


def mean_distance(sums: Tensor, weights: Tensor) -> Tensor:
    """The loss: each term's mean distance, averaged over the terms of which anything is asked; a scalar."""
    asked = weights > 0
    return (sums / weights.clamp(min=1e-9) * asked).sum() / asked.sum().clamp(min=1)


def mean_cosines(cosines: Tensor, counts: Tensor, blocks: Sequence[Block]) -> dict[str, float]:
    """Mean cosine by modality; a modality of which nothing was hidden is left out."""
    pairs = zip(blocks, cosines.tolist(), counts.tolist(), strict=True)
    return {block.name: total / count for block, total, count in pairs if count}


def _hidden(batch: Batch) -> Tensor:
    """bool [K, m], of the shots of which anything is asked."""
    if batch.masked is None:
        raise ValueError("nothing is hidden in this batch")
    return batch.masked if batch.target_rows is None else batch.masked.index_select(0, batch.target_rows)


def _weights(batch: Batch) -> Tensor:
    if batch.weights is None:
        raise ValueError("nothing is asked of this batch")
    return batch.weights
