"""A small model, and titles of random unit vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.title import Block, Layout, MetadataSource, Title
from mediafm_cli.model.transformer import MediaFM

LAYOUT = Layout(
    (Block("video", 0, 8, "video.a", "1"), Block("audio", 8, 12, "audio.a", "2"), Block("text", 12, 18, "text.a", "3")),
    metadata=MetadataSource(5, "text.a", "3"),
)


@pytest.fixture
def config() -> ModelConfig:
    return ModelConfig(LAYOUT, hidden=16, layers=2, heads=4, max_shots=12)


@pytest.fixture
def model(config: ModelConfig) -> MediaFM:
    return MediaFM.seeded(config, 0).eval()


@pytest.fixture
def make_title() -> Callable[..., Title]:
    def make(shots: int, seed: int = 0, *, metadata: bool = True) -> Title:
        draws = np.random.default_rng(seed)
        vectors = draws.normal(size=(shots, LAYOUT.width)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        present = np.ones((shots, len(LAYOUT.blocks)), bool)
        about = draws.normal(size=LAYOUT.metadata_dim).astype(np.float32) if metadata else None
        start_s = np.cumsum(draws.uniform(1, 9, size=shots))
        return Title(f"title-{seed}", vectors, present, start_s, about)

    return make
