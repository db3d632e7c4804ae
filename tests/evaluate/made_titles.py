"""Titles of random unit vectors in three modalities, some of them absent."""

from __future__ import annotations

import numpy as np

from mediafm_cli.model.fusion import Normalize, fuse_shots
from mediafm_cli.model.title import Block, Layout, Title

BLOCKS = (
    Block("video", 0, 6, "video.a", "1"),
    Block("audio", 6, 10, "audio.a", "2"),
    Block("text", 10, 13, "text.a", "3"),
)
LAYOUT = Layout(BLOCKS)


def make_parts(shots: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Vectors and presence of each modality; every shot has the first, about half have each of the others."""
    draws = np.random.default_rng(seed)
    vectors = [draws.normal(size=(shots, block.stop - block.start)).astype(np.float32) for block in BLOCKS]
    present = [np.ones(shots, bool), draws.random(shots) < 0.5, draws.random(shots) < 0.5]
    return vectors, present


def make_title(
    shots: int, seed: int = 0, *, title_id: str = "", blank: tuple[int, ...] = (), normalize: Normalize = "none"
) -> Title:
    """A fused title; the shots in ``blank`` have nothing in any modality."""
    vectors, present = make_parts(shots, seed)
    for mask in present:
        mask[list(blank)] = False
    fused = fuse_shots(vectors, present, normalize)
    start_s = 4.0 * np.arange(shots)
    return Title(title_id or f"title-{seed}", fused.vectors, fused.present, start_s, fingerprint=f"content-{seed}")
