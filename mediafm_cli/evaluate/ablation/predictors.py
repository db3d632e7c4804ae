"""Ways to say what a hidden shot holds: copies and means, which need no training, and the transformer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from mediafm_cli.evaluate.probes.features import shuffled_order
from mediafm_cli.model.baselines import copied_neighbours
from mediafm_cli.model.batch import collate
from mediafm_cli.model.msm import hide_shots
from mediafm_cli.model.title import Block, Title
from mediafm_cli.model.transformer import MediaFM

Change = Callable[[Title], Title]
"""The same shots, with something else in them."""

Predict = Callable[[Title, np.ndarray], np.ndarray]
"""Title and bool [n] of its hidden shots → float32 [hidden shots, D]. It never looks at what the hidden shots hold."""


@dataclass(frozen=True)
class Predictor:
    """One row of the ablation.

    Attributes:
        name: as the table shows it.
        predict: the prediction. Its length does not matter, only its direction.
        block: the one modality that it speaks of, by which alone hidden shots are told apart; None for all.
    """

    name: str
    predict: Predict
    block: Block | None = None


def flat_predictors(blocks: Sequence[Block]) -> Iterator[Predictor]:
    """No context beyond the nearest visible shot: its vector stands for the hidden one, one modality alone or all."""
    for block in blocks:
        yield Predictor(f"{block.name} flat", _copy_block(block), block)
    yield Predictor("all flat", lambda title, hidden: copied_neighbours(title.vectors, hidden))


def mean_predictor(mean: np.ndarray) -> Predictor:
    """The mean fused vector of the training titles, for every shot."""
    return Predictor("mean vector", lambda _, hidden: np.tile(mean, (int(hidden.sum()), 1)))


def window_predictor(reach: int) -> Predictor:
    """The mean of the visible shots at most ``reach`` away; the nearest one where all of these are hidden."""
    return Predictor(f"window mean ±{reach}", partial(_window_mean, reach=reach))


def model_predictor(name: str, model: MediaFM, change: Change = lambda title: title) -> Predictor:
    """The transformer, with [MASK] in the place of the hidden shots; it is shown the title as ``change`` leaves it."""
    return Predictor(name, lambda title, hidden: predict_hidden(model, change(title), hidden))


def shuffled_predictor(name: str, model: MediaFM, seed: int) -> Predictor:
    """The transformer, shown the shots of the title in another order, at the times and places that there are."""

    def predict(title: Title, hidden: np.ndarray) -> np.ndarray:
        order = shuffled_order(title, seed)
        mixed = replace(title, vectors=np.asarray(title.vectors)[order], present=title.present[order])
        found = predict_hidden(model, mixed, hidden[order])  # [k, D], in the other order
        return found[np.argsort(order[hidden[order]])]

    return Predictor(name, predict)


def isolated_predictor(name: str, model: MediaFM) -> Predictor:
    """The transformer, shown nothing but that there is a shot: what it expects of any, given [GLOBAL] alone."""

    @torch.inference_mode()
    def predict(title: Title, hidden: np.ndarray) -> np.ndarray:
        model.eval()
        alone = [title.window(shot, shot + 1) for shot in np.flatnonzero(hidden).tolist()]
        masks = [hide_shots(np.ones(1, bool), len(model.config.layout.blocks))] * len(alone)
        output = model(collate(alone, model.config, masks).to(model.device))
        return model.fused(output.predicted).float().cpu().numpy()

    return Predictor(name, predict)


@torch.inference_mode()
def predict_hidden(model: MediaFM, title: Title, hidden: np.ndarray) -> np.ndarray:
    """What ``model`` predicts for the hidden shots; a long title is run in consecutive windows, as in training."""
    model.eval()
    size = model.config.max_shots
    found = []
    for start in range(0, len(title), size):
        window = title.window(start, start + size)
        mask = hidden[start : start + size]
        masks = hide_shots(mask, len(model.config.layout.blocks))
        output = model(collate([window], model.config, [masks]).to(model.device))
        found.append(model.fused(output.predicted).float().cpu().numpy())
    return np.concatenate(found)


def _copy_block(block: Block) -> Predict:
    def predict(title: Title, hidden: np.ndarray) -> np.ndarray:
        only = np.zeros_like(title.vectors)
        only[:, block.start : block.stop] = title.vectors[:, block.start : block.stop]
        return copied_neighbours(only, hidden)

    return predict


def _window_mean(title: Title, hidden: np.ndarray, reach: int) -> np.ndarray:
    predicted = copied_neighbours(title.vectors, hidden)
    for row, shot in enumerate(np.flatnonzero(hidden)):
        near = slice(max(0, shot - reach), shot + reach + 1)
        visible = ~hidden[near] & title.vectors[near].any(axis=1)
        if visible.any():
            predicted[row] = title.vectors[near][visible].mean(axis=0)
    return predicted
