"""The settings of a training run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mediafm_cli.errors import UsageError

RECIPE = "mediafm"
"""The objective as MediaFM publishes it: whole shots masked, cosine distance on the whole fused vector."""

MAY_CHANGE = frozenset({"max_steps", "epochs", "checkpoint_every", "keep_last"})
"""What ``--resume`` may change: how long the run is, and how often it saves. Anything else would be another run."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a model is trained. MediaFM states the mask ratio and the two optimisers, no more."""

    max_steps: int = 1000  # optimiser steps; the schedule ends here
    epochs: int | None = None  # passes over the catalogue; takes the place of max_steps where given
    batch_size: int = 16  # sequences a step
    optimizer: Literal["muon", "adamw"] = "muon"  # of the hidden matrices; AdamW always has the rest
    muon_lr: float = 1e-3  # peak; scaled so that an update is as large as AdamW's at the same rate
    adamw_lr: float = 1e-3  # peak
    weight_decay: float = 0.1  # of matrices; norms, biases, positions and tokens are left alone
    warmup: float = 0.05  # share of the steps over which the rate rises, before it falls along a cosine
    grad_clip: float = 1.0  # largest norm of all gradients together
    mask_ratio: float = 0.2  # MediaFM's 20 %
    metadata_dropout: float = 0.1  # share of sequences without their metadata, so that the stand-in is learned too
    val_fraction: float = 0.1  # of the titles, at least one where there are two
    val_every: int = 100  # steps
    checkpoint_every: int = 100  # steps: what a kill can cost
    keep_last: int = 2  # checkpoints; one is enough to go on, the second is there if the first is damaged
    seed: int = 0

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise UsageError(f"These settings cannot be used: {fault}.")

    def _faults(self) -> Iterator[str]:
        for name in ("max_steps", "batch_size", "val_every", "checkpoint_every", "keep_last", "epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                yield f"{name} is {value}, and must be 1 or more"
        for name in ("muon_lr", "adamw_lr", "grad_clip"):
            if not 0 < getattr(self, name) < float("inf"):
                yield f"{name} is {getattr(self, name)}, and must be more than 0"
        for name in ("warmup", "mask_ratio", "metadata_dropout", "val_fraction", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}; it is a share, 0 or more and less than 1"
        if self.seed < 0:
            yield f"seed is {self.seed}, and must be 0 or more"


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
