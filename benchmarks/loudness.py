"""What a loud modality does to the published recipe, and what normalisation mends: two ablations of one catalogue.

    python benchmarks/loudness.py -o loudness/

Synthetic titles in which audio is ten times as loud as the rest, fused as they come and with ``--normalize
per-modality``; a model of each, and ``mediafm ablate`` of it, whose probes are asked for the kind of camera, which the
video alone tells. Printed are the tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from context import LENGTH, SHAPE, Fusion
from stores import write_clips, write_store
from worlds import MODALITIES, WORLDS, SyntheticEncodings, draw_titles

from mediafm_cli.evaluate.ablation.ablate import run_ablation
from mediafm_cli.evaluate.ablation.probes import Question
from mediafm_cli.evaluate.ablation.results import table, write_results
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.fusion import NORMALIZE
from mediafm_cli.model.title import Title
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.train.catalogue import open_catalogue
from mediafm_cli.train.config import PUBLISHED, TrainConfig
from mediafm_cli.train.loop import pretrain

FACTOR = 10.0
PROBED = 60
"""Titles whose shots are labelled, at most."""


def as_encoded(drawn: SyntheticEncodings) -> Title:
    """The title's encodings side by side, audio made loud."""
    parts = [getattr(drawn, name) * (FACTOR if name == "audio" else 1.0) for name in MODALITIES]
    vectors = np.concatenate(parts, axis=1).astype(np.float32)
    return Title(drawn.title_id, vectors, drawn.present, drawn.start_s, None, drawn.title_id)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("loudness"), metavar="FOLDER")
    parser.add_argument("--titles", type=int, default=150)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder, world = arguments.output, WORLDS["dialogue"]
    (folder / "stores").mkdir(parents=True, exist_ok=True)
    drawn = draw_titles(world, arguments.titles, arguments.seed)
    blocks = Fusion().layout(world).blocks
    stores = [write_store(folder / "stores", as_encoded(title), blocks, float(title.end_s[-1])) for title in drawn]
    labels = write_clips(folder / "clips.csv", drawn[:PROBED], "camera", "camera")
    settings = TrainConfig(PUBLISHED.objective, **{**LENGTH, "max_steps": arguments.steps}, val_fraction=0.25)
    for normalize in NORMALIZE:
        for store in stores:
            fuse_title(store, normalize=normalize, overwrite=True)
        catalogue = open_catalogue(stores)
        config = ModelConfig(catalogue.layout, **{**SHAPE, **PUBLISHED.model})
        pretrain(catalogue.titles, config, settings, folder / normalize / "model", recipe="mediafm", overwrite=True)
        found = run_ablation(stores, folder / normalize / "model", question=Question(labels, "multiclass", "camera"))
        write_results(found, folder / normalize / "ablation")
        print(f"\nnormalize: {normalize}\n\n{table(found)}", flush=True)


if __name__ == "__main__":
    main()
