"""Fused stores of the benchmarks' synthetic catalogues: encodings of known structure, no media and no encoder."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from small_contents import small_contents

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.fusion import Normalize
from mediafm_cli.stages.fuse import fuse_encodings
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.schema import Encoding
from mediafm_cli.train.catalogue import open_catalogue
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.loop import pretrain

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from stores import write_clips
from worlds import MODALITIES, WORLDS, Modality, SyntheticEncodings, draw_titles

SMALL = replace(WORLDS["dialogue"], width=12, shots=(12, 20))


@dataclass(frozen=True)
class SmallCatalogue:
    """Titles, 20 by default, of which the model learned from 3 of 5; ``labels``: the type of scene of every shot."""

    stores: list[Path]
    model: Path
    labels: Path


def make_catalogue(
    folder: Path, modality: Modality = "text", *, titles: int = 20, max_steps: int = 20, **changes: object
) -> SmallCatalogue:
    """``changes``: see ``draw_small``."""
    drawn = draw_small(modality, titles, **changes)  # type: ignore[arg-type]
    stores = write_stores(folder / "stores", drawn)
    model = train(folder / "model", stores, max_steps=max_steps)
    return SmallCatalogue(stores, model, write_labels(folder / "clips.csv", drawn))


def draw_small(
    modality: Modality, count: int, seed: int = 1, *, rename: str = "", scene: float = 1.0, **changes: object
) -> list[SyntheticEncodings]:
    """Titles of a small catalogue whose scenes show in one modality alone.

    Args:
        rename: for their ids. ``scene``: how many times as long the scene's part is as in the benchmark.
        changes: fields of ``World``.
    """
    looks = {name: replace(look, scene=scene * look.scene) for name, look in zip(MODALITIES, SMALL.looks, strict=True)}
    world = replace(SMALL, **looks, **changes).depending_on(modality)  # type: ignore[arg-type]
    return draw_titles(replace(world, name=f"small-{rename or modality}"), count, seed)


def write_stores(
    folder: Path, titles: Sequence[SyntheticEncodings], *, normalize: Normalize = "none", revision: str = "1"
) -> list[Path]:
    """One fused store a title; ``revision``: of the encoders that are said to have made it."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_store(folder, title, normalize, revision) for title in titles]


def _write_store(folder: Path, title: SyntheticEncodings, normalize: Normalize, revision: str) -> Path:
    n = len(title.start_s)
    contents = small_contents(n, title.title_id).without({"embeddings/model", "fused", "boundaries", "cues"})
    contents = contents.without({"encodings/video", "encodings/text"})
    media = hashlib.sha256(title.title_id.encode()).hexdigest()
    contents = contents.with_group("source", replace(contents.groups["source"], fingerprint=media))
    shots = replace(
        contents.groups["shots"],
        made_from={"source/media": media},
        start_s=title.start_s,
        end_s=title.end_s,
        text=np.where(title.present[:, 2], "words", "").astype(object),
    )
    contents = contents.with_group("shots", shots)
    for column, modality in enumerate(MODALITIES):
        encoding = Encoding(
            getattr(title, modality),
            title.present[:, column],
            np.ones(n, bool),
            modality=modality,
            encoder=f"{modality}.test",
            options={},
            fingerprint={"version": revision},
            complete=True,
            versions={"numpy": "2"},
            made_from=parts_sha256(contents, ["shots/text" if modality == "text" else "shots/timing"]),
        )
        contents = contents.with_group(f"encodings/{modality}", encoding)
    contents = contents.with_group("fused", fuse_encodings(contents, list(MODALITIES), normalize))
    path = folder / f"{title.title_id}.h5"
    update_store(path, lambda _: contents)
    return path


def write_labels(path: Path, titles: Sequence[SyntheticEncodings]) -> Path:
    """A clip a shot, labelled by the type of its scene."""
    return write_clips(path, titles, "scene", "label")


def train(folder: Path, stores: Sequence[Path], max_steps: int, **shape: object) -> Path:
    """A small model of the stores, in ``folder``."""
    catalogue = open_catalogue(stores)
    config = ModelConfig(catalogue.layout, **{"hidden": 32, "layers": 1, "heads": 2, **shape})  # type: ignore[arg-type]
    pretrain(catalogue.titles, config, TrainConfig(max_steps=max_steps, batch_shots=300, val_fraction=0.4), folder)
    return folder
