"""Fused stores of random vectors, and an untrained model that knows them: no media, no encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from small_contents import small_contents

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import TrainingRecord, save_model
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.schema import Encoding
from mediafm_cli.train.catalogue import open_title

SHOT_S = 1.5
"""Length of every shot."""


def make_store(folder: Path, title_id: str, shots: int, *, metadata: bool = False) -> Path:
    """``<title_id>.h5``, fused and not embedded."""
    contents = small_contents(shots, title_id).without({"embeddings/model"})
    if metadata:
        text = contents.encoding("text")
        about = replace(
            text,
            vectors=text.vectors[1:2],
            present=text.present[1:2],
            done=text.done[1:2],
            modality="metadata",
            made_from=parts_sha256(contents, ["source/metadata"]),
        )
        assert isinstance(about, Encoding)
        contents = contents.with_group("encodings/metadata", about)
    path = folder / f"{title_id}.h5"
    update_store(path, lambda _: contents)
    return path


def make_model(folder: Path, store: Path, **shape: Any) -> Path:
    """A model for titles like ``store``; its weights are random."""
    layout, _ = open_title(store)
    config = ModelConfig(layout, **{"hidden": 16, "layers": 2, "heads": 2, "max_shots": 8, **shape})
    save_model(folder, config, MediaFM.seeded(config, 0).state_dict(), TrainingRecord("test", 1, 0, {}, (), {}))
    return folder
