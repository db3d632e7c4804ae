"""The settings of a training run, and the recipes: named choices of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mediafm_cli.device import Precision
from mediafm_cli.errors import UsageError
from mediafm_cli.model.msm import MEDIAFM, Objective

MAY_CHANGE = frozenset({"max_steps", "epochs", "checkpoint_every", "keep_last", "accumulate"})
"""What ``--resume`` may change: how long the run is, how often it saves, and what is held at once."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a model is trained. MediaFM states the mask ratio and the two optimisers, no more."""

    objective: Objective = field(default_factory=Objective)
    max_steps: int = 1000  # optimiser steps; the schedule ends here
    epochs: int | None = None  # passes over the catalogue; takes the place of max_steps where given
    batch_shots: int = 4096  # shots a step, about, over all processes
    accumulate: int = 1  # parts in which each process takes its share of a step, one after the other
    optimizer: Literal["muon", "adamw"] = "muon"  # of the hidden matrices; AdamW always has the rest
    muon_lr: float = 0.02  # peak; the spectral norm of an update, whatever the width (see train/optimizers.py)
    adamw_lr: float = 1e-3  # peak
    weight_decay: float = 0.1  # of matrices; norms, biases, positions and tokens are left alone
    warmup: float = 0.05  # share of the steps over which the rate rises, before it falls along a cosine
    grad_clip: float = 1.0  # largest norm of all gradients together
    ema: float = 0.0  # decay, after its warm-up, of the averaged weights that are validated and kept; 0 for none
    metadata_dropout: float = 0.1  # share of sequences without their metadata, so that the stand-in is learned too
    precision: Precision = "auto"  # of the matrix products: bf16 on a GPU, fp32 elsewhere
    val_fraction: float = 0.1  # of the titles, at least one where there are two
    val_every: int | None = None  # steps; ten times a run, and every 100 steps at least, where it is None
    checkpoint_every: int = 100  # steps: what a kill can cost
    keep_last: int = 2  # checkpoints; one is enough to go on, the second is there if the first is damaged
    seed: int = 0

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise UsageError(f"These settings cannot be used: {fault}.")

    def validates_at(self, step: int, total: int) -> bool:
        """Whether it is time to validate after ``step`` of ``total`` steps."""
        every = self.val_every or min(100, max(1, total // 10))
        return step == total or step % every == 0

    def _faults(self) -> Iterator[str]:
        counts = ("max_steps", "batch_shots", "accumulate", "val_every", "checkpoint_every", "keep_last", "epochs")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                yield f"{name} is {value}, and must be 1 or more"
        for name in ("muon_lr", "adamw_lr", "grad_clip"):
            if not 0 < getattr(self, name) < float("inf"):
                yield f"{name} is {getattr(self, name)}, and must be more than 0"
        for name in ("warmup", "metadata_dropout", "val_fraction", "weight_decay", "ema"):
            if not 0 <= getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}; it is a share, 0 or more and less than 1"
        if self.precision == "fp16":
            yield "fp16 would need its gradients scaled; bf16 does not"
        if self.seed < 0:
            yield f"seed is {self.seed}, and must be 0 or more"


@dataclass(frozen=True)
class Recipe:
    """A named choice of what the model is told and what it is asked.

    Attributes:
        model: fields of ``ModelConfig``. ``objective``: what is masked and compared.
    """

    name: str
    about: str
    model: Mapping[str, Any]
    objective: Objective

    def objective_with(self, **given: Any) -> Objective:
        """The objective, with what is not None in the place of the recipe's own."""
        return replace(self.objective, **{name: value for name, value in given.items() if value is not None})


MODALITY_WISE = Recipe(
    "modality-wise",
    "modalities whitened and masked one by one, half of what is visible dropped, a loss for each, rotary positions",
    {"projection": "whitened", "position": "rotary", "missing": "null-token", "input_dropout": 0.5},
    Objective(),
)
PUBLISHED = Recipe(
    "mediafm",
    "as MediaFM publishes it: whole shots masked, whole vectors compared, learned positions",
    {"projection": "linear", "position": "learned", "missing": "zero", "input_dropout": 0.0},
    MEDIAFM,
)
RECIPES = {recipe.name: recipe for recipe in (MODALITY_WISE, PUBLISHED)}


def find_recipe(name: str) -> Recipe:
    """Raises a UsageError that lists the recipes where there is none called ``name``."""
    if name not in RECIPES:
        raise UsageError(f"There is no recipe {name!r}.", f"Known: {', '.join(RECIPES)}.")
    return RECIPES[name]


def lasting_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, by the names of ``TrainConfig``, that ``--resume`` must not change."""
    return {name: value for name, value in settings.items() if name not in MAY_CHANGE}


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Yield one phrase for each value that differs between two records; records in them are compared value by value."""
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from changed_settings(old, new, f"{place}{name}.")
        elif old != new:
            yield f"{place}{name} was {old}, is {new}"
