"""Muon with AdamW against AdamW alone: in how many steps does it come as far?

    python benchmarks/optimizers.py

Learning rates are chosen first, by the held-out loss of one seed, each optimiser from a grid of as many. Then, for each
of five other seeds, AdamW trains for ``--steps``, and Muon for shares of that, each run with a whole schedule. A share
suffices where Muon's held-out loss is as low as AdamW's.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from context import Fusion
from worlds import WORLDS, draw_titles

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.title import Title
from mediafm_cli.train.config import MODALITY_WISE, TrainConfig
from mediafm_cli.train.loop import pretrain

ADAMW = (2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3)
MUON = (0.01, 0.02, 0.04, 0.08, 0.16)
"""Grids of as many rates. Muon's is of its own matrices; AdamW's, of the others, stays at 1e-3."""

SHARES = (1.0, 0.75, 0.5)


def held_out_loss(titles: Sequence[Title], config: ModelConfig, settings: TrainConfig) -> float:
    with tempfile.TemporaryDirectory() as folder:
        result = pretrain(titles, config, settings, Path(folder) / "model")
    assert result.validation is not None
    return result.validation.loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, default="dialogue")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--titles", type=int, default=300)
    arguments = parser.parse_args()
    world = WORLDS[arguments.world]
    config = ModelConfig(Fusion().layout(world), hidden=192, layers=3, heads=3, **MODALITY_WISE.model)
    basis = TrainConfig(MODALITY_WISE.objective, arguments.steps, batch_shots=800, val_every=10**6)

    def loss(seed: int, **settings: object) -> float:
        titles = [Fusion().title(drawn) for drawn in draw_titles(world, arguments.titles, seed)]
        found = held_out_loss(titles, config, replace(basis, seed=seed, **settings))  # type: ignore[arg-type]
        print(f"  seed {seed}, {settings}: held-out loss {found:.4f}", flush=True)
        return found

    print(f"Rates, by seed 0 of {arguments.world}:", flush=True)
    adamw_lr = min(ADAMW, key=lambda rate: loss(0, optimizer="adamw", adamw_lr=rate))
    muon_lr = min(MUON, key=lambda rate: loss(0, optimizer="muon", muon_lr=rate))
    print(f"AdamW at {adamw_lr}, Muon at {muon_lr}:", flush=True)
    wins = dict.fromkeys(SHARES, 0)
    for seed in range(1, 6):
        target = loss(seed, optimizer="adamw", adamw_lr=adamw_lr)
        for share in SHARES:
            steps = round(share * arguments.steps)
            wins[share] += loss(seed, optimizer="muon", muon_lr=muon_lr, max_steps=steps) <= target
    for share, count in wins.items():
        print(f"Muon in {share:.0%} of the steps is as far as AdamW: in {count} of 5 seeds")


if __name__ == "__main__":
    main()
