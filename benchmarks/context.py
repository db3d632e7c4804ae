"""Does context help? Pretrain on synthetic catalogues, and probe what is learned beside what needs no training.

    python benchmarks/context.py --world dialogue --seeds 1
    python benchmarks/context.py --recipe mediafm --set position=rotary --set mask_by=bert

For each world and seed: titles without labels to pretrain on, others to fit a linear probe on, and others again to
score it. The rows: one shot alone, the mean of a shot and its neighbours, an untrained transformer of the same shape,
the trained one, and the trained one shown the shots of a title in another order. All have the same probe.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from oracles import in_context, one_shot
from probing import macro_average_precision, probe
from worlds import MODALITIES, WORLDS, SyntheticEncodings, World, draw_titles

from mediafm_cli.evaluate.neighbours import window_means
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_title
from mediafm_cli.model.folder import load_model
from mediafm_cli.model.msm import Objective
from mediafm_cli.model.title import Block, Layout, Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.config import RECIPES, TrainConfig, find_recipe
from mediafm_cli.train.loop import pretrain

PRETRAINED, FITTED, SCORED = 600, 150, 150
"""Titles of each use."""

TASKS = ("scene", "camera", "recall")


def layout_of(world: World) -> Layout:
    blocks = (Block(name, world.width * at, world.width * (at + 1), name, "1") for at, name in enumerate(MODALITIES))
    return Layout(tuple(blocks), "per-modality")


def as_title(drawn: SyntheticEncodings) -> Title:
    """Fused as ``fuse --normalize per-modality`` does: ``flat`` has blocks of length 1 or 0."""
    norms = np.linalg.norm(drawn.flat, axis=1, keepdims=True)
    vectors = np.divide(drawn.flat, norms, out=np.zeros_like(drawn.flat), where=norms > 0).astype(np.float32)
    return Title(drawn.title_id, vectors, drawn.present, drawn.start_s, None, drawn.title_id)


def features(model: MediaFM, titles: Sequence[Title], layer: str, order_seed: int | None = None) -> list[np.ndarray]:
    """Each shot in its context; with a seed, in the context of its title's shots in another order."""
    found = []
    for number, title in enumerate(titles):
        order = np.arange(len(title))
        if order_seed is not None:
            order = np.random.default_rng([order_seed, number]).permutation(len(title))
        mixed = replace(title, vectors=title.vectors[order], present=title.present[order])
        shots = embed_title(model, mixed, layer=layer).shots  # type: ignore[arg-type]
        found.append(shots[np.argsort(order)])
    return found


def run(world: World, seed: int, config: ModelConfig, settings: TrainConfig) -> dict[str, dict[str, float]]:
    """Macro average precision of each row in each task."""
    drawn = [
        draw_titles(world, count, seed, first=first)
        for count, first in ((PRETRAINED, 0), (FITTED, PRETRAINED), (SCORED, PRETRAINED + FITTED))
    ]
    unlabelled, fitted, scored = ([as_title(one) for one in part] for part in drawn)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = pretrain(unlabelled, config, settings, Path(folder) / "model")
        trained = load_model(Path(folder) / "model")
        seconds = time.perf_counter() - started
    print(f"  trained in {seconds:.0f} s, kept step {result.kept}, {result.validation}", flush=True)
    untrained = MediaFM.seeded(trained.config, seed).eval()
    both = (fitted, scored)
    rows = {"flat": tuple([title.vectors for title in part] for part in both)}
    rows["window mean ±2"] = tuple([window_means(title.vectors, 2) for title in part] for part in both)
    for name, model, order in (("untrained", untrained, None), ("trained", trained, None), ("shuffled", trained, 0)):
        for layer in ("hidden", "output") if name == "trained" else ("hidden",):
            found = tuple(features(model, part, layer, order) for part in both)
            if name == "trained":
                rows[f"{name} {layer}"] = found
            rows[f"flat + {name} {layer}"] = tuple(
                [np.concatenate(pair, axis=1) for pair in zip(flat, own, strict=True)]
                for flat, own in zip(rows["flat"], found, strict=True)
            )
    scores: dict[str, dict[str, float]] = {}
    for name, (first, second) in rows.items():
        scores[name] = {
            task: probe(
                first, [getattr(one, task) for one in drawn[1]], second, [getattr(one, task) for one in drawn[2]]
            )
            for task in TASKS
        }
        said = "  ".join(f"{task} {score:.3f}" for task, score in scores[name].items())
        print(f"  {name:<24} {said}", flush=True)
    labels = [one.scene for one in drawn[2]]
    for name, oracle in (("one-shot oracle", one_shot), ("context oracle", in_context)):
        print(f"  {name:<24} scene {macro_average_precision(oracle(world, seed, drawn[2]), labels):.3f}", flush=True)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, action="append")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--recipe", choices=RECIPES, default="modality-wise")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a field of any of the configs")
    arguments = parser.parse_args()
    recipe = find_recipe(arguments.recipe)
    given = {key: _value(text) for key, _, text in (pair.partition("=") for pair in arguments.set)}
    objective = recipe.objective_with(**_of(Objective, given))
    settings = TrainConfig(objective=objective, **{"max_steps": 900, "batch_shots": 1600, **_of(TrainConfig, given)})
    for name in arguments.world or WORLDS:
        world = WORLDS[name]
        shape = {"hidden": 192, "layers": 3, "heads": 3, "dropout": 0.1, **recipe.model, **_of(ModelConfig, given)}
        for seed in arguments.seeds:
            print(
                f"{name}, seed {seed}, {arguments.recipe} {arguments.set}, {torch.get_num_threads()} threads",
                flush=True,
            )
            run(world, seed, ModelConfig(layout_of(world), **shape), replace(settings, seed=seed))


def _of(kind: type, given: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if name in {field.name for field in fields(kind)}}


def _value(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


if __name__ == "__main__":
    main()
