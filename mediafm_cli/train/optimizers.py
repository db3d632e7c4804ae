"""Muon for the hidden matrices, AdamW for the rest, and the learning rate over the run.

Source: MediaFM states the two optimisers; Jordan et al., "Muon: An optimizer for hidden layers in neural networks"
(2024): 2-D parameters of hidden layers only, not the first and last layer, embeddings, norms or biases.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.muon import Muon

BETAS = (0.9, 0.95)
"""The second moment forgets in 20 steps, as usual for transformers; 0.999 would hardly settle in a short run."""


def build_optimizers(model: MediaFM, config: TrainConfig) -> list[Optimizer]:
    """The optimisers of a run; every parameter is in exactly one group of one of them.

    Muon's rate is the spectral norm of its update, times the root of rows over columns where there are more rows
    (``original``, Jordan et al. 2024): so the rate that is best for a narrow model is about right for a wide one, where
    ``match_rms_adamw`` would ask for another at each width.
    """
    hidden: list[Tensor] = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
    weights: list[Tensor] = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    matrices = _without(weights, hidden)
    vectors = _without(model.parameters(), weights)
    if config.optimizer == "adamw":
        matrices, hidden = matrices + hidden, []
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    adamw = AdamW(groups, lr=config.adamw_lr, betas=BETAS, weight_decay=config.weight_decay, fused=True)
    if not hidden:
        return [adamw]
    decay = config.weight_decay
    return [Muon(hidden, lr=config.muon_lr, weight_decay=decay, adjust_lr_fn="original"), adamw]


def _without(parameters: Iterable[Tensor], others: Sequence[Tensor]) -> list[Tensor]:
    taken = {id(parameter) for parameter in others}
    return [parameter for parameter in parameters if id(parameter) not in taken]


def rate_factor(step: int, total: int, warmup: float) -> float:
    """The learning rate at ``step``, counted from 0, as a share of its peak: a straight rise, then half a cosine."""
    rise = round(warmup * total)
    if step < rise:
        return (step + 1) / rise
    return (1 + math.cos(math.pi * (step - rise) / max(1, total - rise))) / 2


def build_schedules(optimizers: Sequence[Optimizer], config: TrainConfig, total: int, step: int) -> list[LambdaLR]:
    """Schedules that stand at ``step``. They follow from the step alone, so none of their state is ever saved."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]  # what LambdaLR asks for where a run goes on
    return [
        LambdaLR(optimizer, lambda at: rate_factor(at, total, config.warmup), last_epoch=step - 1)
        for optimizer in optimizers
    ]
