"""A world that can be learned: two cameras alternate, and each keeps the state that the title drew for it.

So a masked shot is known from the shots two places away, and its neighbour is the worst thing to copy. Run as a script,
it pretrains until it is done or killed: ``toy_world.py FOLDER STEPS``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.title import Block, Layout, MetadataSource, Title
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.loop import pretrain
from mediafm_cli.train.metrics import Metrics

LAYOUT = Layout((Block("video", 0, 16, "video.a", "1"), Block("audio", 16, 24, "audio.a", "2")))
WITH_METADATA = Layout(LAYOUT.blocks, metadata=MetadataSource(4, "text.a", "3"))
CAMERAS, STATES = 2, 6

TINY = ModelConfig(LAYOUT, hidden=16, layers=1, heads=2, dropout=0.1)
SHORT = TrainConfig(max_steps=12, batch_shots=56, val_every=5, checkpoint_every=4)


def make_titles(count: int, *, shots: tuple[int, int] = (8, 20), seed: int = 0) -> list[Title]:
    draws = np.random.default_rng(seed)
    states = draws.normal(size=(CAMERAS, STATES, LAYOUT.width))
    titles = []
    for number in range(count):
        camera = np.arange(draws.integers(*shots)) % CAMERAS  # [n]
        drawn = draws.integers(STATES, size=CAMERAS)
        vectors = states[camera, drawn[camera]]  # [n, D]
        vectors += 0.1 * draws.normal(size=vectors.shape)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        title_id = f"title-{number:02d}"
        metadata = draws.normal(size=4).astype(np.float32) if number % 2 else None
        present, start_s = np.ones((len(vectors), 2), bool), 4.0 * np.arange(len(vectors))
        titles.append(Title(title_id, vectors.astype(np.float32), present, start_s, metadata, "v1"))
    return titles


def announce(metrics: Metrics) -> None:
    print(metrics.step, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    every_step = TrainConfig(max_steps=int(sys.argv[2]), batch_shots=56, val_every=3, checkpoint_every=2)
    pretrain(make_titles(10), TINY, every_step, Path(sys.argv[1]), resume=True, progress=announce)
