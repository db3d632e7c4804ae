"""The whole table of ``mediafm ablate``, of synthetic titles of which it is known what they were built to depend on.

    python benchmarks/ablation.py --world dialogue -o ablation/   # a quarter of an hour on two cores
    python benchmarks/ablation.py --world dialogue --depends-on audio
    python benchmarks/ablation.py --world interleaved --genres    # [GLOBAL] knows the genre of each title
    python benchmarks/ablation.py --retrain mask=0 --retrain mask=0.5
    python benchmarks/ablation.py --recipe mediafm --task camera --loud audio=10 --normalize none

Titles are written as stores, a model is pretrained on three quarters of them, and ablated on the others; probes are
asked for the type of the scene, or the kind of camera, which the video alone tells. Printed is the table; stores, model
and labels stay in the folder, for ``mediafm ablate``, ``report`` and ``search``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from context import LENGTH, SHAPE, Fusion
from stores import as_encoded, write_clips, write_store
from worlds import MODALITIES, WORLDS, draw_titles

from mediafm_cli.evaluate.ablation.ablate import Retraining, run_ablation
from mediafm_cli.evaluate.ablation.probes import Question
from mediafm_cli.evaluate.ablation.results import table, write_results
from mediafm_cli.evaluate.ablation.retrain import RunSettings
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.fusion import NORMALIZE
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.train.catalogue import open_catalogue
from mediafm_cli.train.config import RECIPES, TrainConfig, find_recipe
from mediafm_cli.train.loop import pretrain

PROBED = 60
"""Titles whose shots are labelled, at most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("ablation"), metavar="FOLDER")
    parser.add_argument("--world", choices=WORLDS, default="dialogue")
    parser.add_argument("--depends-on", choices=MODALITIES, help="show the scene in this modality alone")
    parser.add_argument("--genres", action="store_true", help="titles have genres, and metadata that tells them")
    parser.add_argument("--task", choices=("scene", "camera"), default="scene")
    parser.add_argument("--recipe", choices=RECIPES, default="modality-wise")
    parser.add_argument("--loud", default="", metavar="MODALITY=FACTOR", help="make the encodings of one longer")
    parser.add_argument("--normalize", choices=NORMALIZE, default="per-modality")
    parser.add_argument("--titles", type=int, default=240)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--retrain", action="append", default=[], metavar="VARIANT", help="of ablate --retrain")
    arguments = parser.parse_args()
    loud, _, factor = arguments.loud.partition("=")
    if loud and (loud not in MODALITIES or not factor.replace(".", "", 1).isdigit()):
        parser.error(f"--loud {arguments.loud}: write MODALITY=FACTOR, of {', '.join(MODALITIES)}")
    if arguments.genres and WORLDS[arguments.world].drift:
        parser.error(f"--genres: the world {arguments.world} has none")
    world = WORLDS[arguments.world]
    world = world.depending_on(arguments.depends_on) if arguments.depends_on else world
    world = world.with_genres() if arguments.genres else world
    folder, model = arguments.output, arguments.output / "model"
    if folder.exists():
        parser.error(f"{folder} is there already: name another folder with -o")
    (folder / "stores").mkdir(parents=True)
    drawn = draw_titles(world, arguments.titles, arguments.seed)
    blocks = Fusion().layout(world).blocks
    stores = []
    for title in drawn:
        encoded = as_encoded(title, loud, float(factor or 1))
        stores.append(write_store(folder / "stores", encoded, blocks, float(title.end_s[-1])))
        fuse_title(stores[-1], normalize=arguments.normalize, overwrite=True)
    labels = write_clips(folder / "clips.csv", drawn[:PROBED], arguments.task, arguments.task)
    catalogue, recipe = open_catalogue(stores), find_recipe(arguments.recipe)
    settings = TrainConfig(recipe.objective, **{**LENGTH, "max_steps": arguments.steps}, val_fraction=0.25)
    config = ModelConfig(catalogue.layout, **{**SHAPE, **recipe.model})
    pretrain(catalogue.titles, config, settings, model, recipe=recipe.name)
    retraining = Retraining(RunSettings(folder / "runs"), tuple(arguments.retrain)) if arguments.retrain else None
    question = Question(labels, "multiclass", arguments.task)
    found = run_ablation(stores, model, question=question, retraining=retraining)
    write_results(found, folder / "results")
    print(table(found), flush=True)


if __name__ == "__main__":
    main()
