"""Fused stores of the benchmarks' synthetic catalogues: encodings of known structure, no media and no encoder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.fusion import Normalize
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.store.schema import Block
from mediafm_cli.train.catalogue import open_catalogue
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.loop import pretrain

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from stores import as_encoded, write_clips, write_store
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
    width = titles[0].video.shape[1]
    blocks = tuple(
        Block(name, at * width, (at + 1) * width, f"{name}.test", revision) for at, name in enumerate(MODALITIES)
    )
    stores = [write_store(folder, as_encoded(title), blocks, float(title.end_s[-1])) for title in titles]
    if normalize != "none":
        for store in stores:
            fuse_title(store, normalize=normalize, overwrite=True)
    return stores


def write_labels(path: Path, titles: Sequence[SyntheticEncodings]) -> Path:
    """A clip a shot, labelled by the type of its scene."""
    return write_clips(path, titles, "scene", "label")


def train(folder: Path, stores: Sequence[Path], max_steps: int, **shape: object) -> Path:
    """A small model of the stores, in ``folder``."""
    catalogue = open_catalogue(stores)
    config = ModelConfig(catalogue.layout, **{"hidden": 32, "layers": 1, "heads": 2, **shape})  # type: ignore[arg-type]
    pretrain(catalogue.titles, config, TrainConfig(max_steps=max_steps, batch_shots=300, val_fraction=0.4), folder)
    return folder
