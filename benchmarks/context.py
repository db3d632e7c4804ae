"""Does context help? Pretrain on synthetic catalogues, and probe what is learned beside what needs no training.

    python benchmarks/context.py --world dialogue --seeds 1         # minutes on two cores
    python benchmarks/context.py --seeds 1 2 3 4 5 -o results.jsonl # every world; goes on where it was stopped
    python benchmarks/context.py --recipe mediafm --set position=rotary --task scene
    python benchmarks/context.py --loud audio=10                    # fused as it comes, without normalisation
    python benchmarks/context.py --titles 6000 --device cuda --set batch_shots=19200 --set max_steps=1500
    python benchmarks/context.py --table results.jsonl

For each world and seed: titles without labels to pretrain on, others to fit a linear probe on, and others again to
score it. The rows are those of ``mediafm probe`` (``mediafm_cli/evaluate/probes/features.py``), of the layer
``hidden``; all have the same probe. Each contextual row is held against the best of what needs no training or no
context, with a bootstrap over titles in one seed, and Student's t over seeds in the table. ``ablation.py`` prints the
whole table of ``mediafm ablate`` for one catalogue.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from oracles import in_context, one_shot
from scipy.stats import t as student
from worlds import MODALITIES, WORLDS, SyntheticEncodings, World, draw_titles

from mediafm_cli.device import find_device
from mediafm_cli.evaluate.bootstrap import Statistic, difference_of, draw_counts, interval
from mediafm_cli.evaluate.probes.features import feature_rows
from mediafm_cli.evaluate.probes.metrics import macro_average_precision, macro_statistic, rank_titles
from mediafm_cli.evaluate.probes.probing import score_titles
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_titles
from mediafm_cli.model.folder import load_model
from mediafm_cli.model.msm import Objective
from mediafm_cli.model.title import Block, Layout, Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.config import RECIPES, TrainConfig, find_recipe
from mediafm_cli.train.loop import Engine, pretrain

PROBED = {"scene": 100, "camera": 40, "recall": 300}
"""Titles to fit each task's probe on, and as many others to score it: the rarer the label, the more."""

TRAINED = ("trained, in context", "flat + trained, in context")

SHAPE = {"hidden": 192, "layers": 3, "heads": 3, "dropout": 0.1}
LENGTH = {"max_steps": 1200, "batch_shots": 1200, "muon_lr": 0.04, "adamw_lr": 1e-2}
"""A short run of a small model takes higher rates than the defaults, which are for long runs of large ones."""


@dataclass(frozen=True)
class Fusion:
    """As ``fuse --normalize per-modality`` does; or without normalisation, where a modality is made louder.

    Normalised, the factor would change nothing: each block is a unit vector whatever its length was.
    """

    loud: str = ""
    factor: float = 1.0

    def layout(self, world: World) -> Layout:
        edges = [world.width * at for at in range(len(MODALITIES) + 1)]
        blocks = (Block(name, *edge, name, "1") for name, edge in zip(MODALITIES, pairwise(edges), strict=True))
        return Layout(tuple(blocks), "none" if self.loud else "per-modality")

    def title(self, drawn: SyntheticEncodings) -> Title:
        """``flat`` has blocks of length 1 or 0."""
        scales = [self.factor if name == self.loud else 1.0 for name in MODALITIES]
        vectors = drawn.flat * np.repeat(scales, drawn.flat.shape[1] // len(MODALITIES))
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0).astype(np.float32)
        return Title(drawn.title_id, unit, drawn.present, drawn.start_s, None, drawn.title_id)


def run(
    world: World,
    seed: int,
    fusion: Fusion,
    config: ModelConfig,
    settings: TrainConfig,
    tasks: Sequence[str],
    titles: int,
    device: torch.device,
) -> dict[str, Any]:
    """Pretrain and probe.

    Args:
        titles: how many there are without labels.

    Returns:
        ``scores``: macro average precision by task and row, oracles and chance among them. ``over_best``: by task and
        contextual row, the best baseline's name, how much higher the row is, and the interval of that.
    """
    started = time.perf_counter()
    unlabelled = [fusion.title(one) for one in draw_titles(world, titles, seed)]
    with tempfile.TemporaryDirectory() as folder:
        result = pretrain(unlabelled, config, settings, Path(folder) / "model", engine=Engine(device))
        model = load_model(Path(folder) / "model", device)
    trained_s = time.perf_counter() - started
    scores, over_best = {}, {}
    for task in tasks:
        scores[task], over_best[task] = probe_task(world, seed, fusion, model, task, titles)
    return {
        "trained_s": round(trained_s),
        "kept_step": result.kept,
        "skill_over_mean": result.validation and round(result.validation.skill_over_mean, 4),
        "scores": scores,
        "over_best": over_best,
    }


def probe_task(
    world: World, seed: int, fusion: Fusion, model: MediaFM, task: str, seen: int
) -> tuple[dict[str, float], dict[str, tuple[str, float, float, float]]]:
    """One task's part of what ``run`` returns, on other titles than the ``seen`` ones that the model learned from."""
    count = PROBED[task]
    fitted, scored = (draw_titles(world, count, seed, first=seen + at * count) for at in range(2))
    learn, ask = ([getattr(one, task) for one in part] for part in (fitted, scored))
    titles = [fusion.title(one) for one in (*fitted, *scored)]
    rows = feature_rows(
        titles,
        fusion.layout(world).blocks,
        model,
        seed=seed,
        embed=partial(embed_titles, layer="hidden"),
        isolated=False,
    )
    statistics = {
        row.name: macro_statistic(rank_titles(score_titles(row.vectors[:count], learn, row.vectors[count:]), ask))
        for row in rows
    }
    best = max((name for name in statistics if name not in TRAINED), key=lambda name: _value(statistics[name], count))
    draws = draw_counts(count, seed=seed)
    over_best = {}
    for name in TRAINED:
        over = interval(difference_of(statistics[best], statistics[name]), draws)
        over_best[name] = (best, *(round(figure, 4) for figure in (over.value, over.low, over.high)))
    found = {name: round(_value(statistic, count), 4) for name, statistic in statistics.items()}
    guess = [np.zeros((len(labels), 1)) for labels in ask]
    found["chance"] = round(macro_average_precision(guess, ask), 4)
    if task == "scene":
        for name, oracle in (("one-shot oracle", one_shot), ("context oracle", in_context)):
            found[name] = round(macro_average_precision(oracle(world, seed, scored), ask), 4)
    return found, over_best


def _value(statistic: Statistic, titles: int) -> float:
    return float(statistic(np.ones((1, titles)))[0])


def table(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines: for each world, variant and task the rows' means over seeds, and the differences with 95 % intervals."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        groups[record["world"], record["variant"]].append(record)
    for (world, variant), runs in groups.items():
        yield f"{world}, {variant}: {len(runs)} seeds, trained in {np.mean([run['trained_s'] for run in runs]):.0f} s"
        tasks = list(runs[0]["scores"])
        yield f"  {'':<28}" + "".join(f"{task:>9}" for task in tasks)
        for row in runs[0]["scores"][tasks[0]]:
            cells = [[run["scores"][task].get(row) for run in runs] for task in tasks]
            said = "".join(f"{np.mean(of_task):>9.3f}" if None not in of_task else f"{'–':>9}" for of_task in cells)
            yield f"  {row:<28}{said}"
        for row in TRAINED:
            for task in tasks:
                over = [run["over_best"][task][row] for run in runs]
                rivals = ", ".join(sorted({best for best, *_ in over}))
                yield f"  {row}, {task}: {_over_seeds([value for _, value, *_ in over])} over {rivals}"


def _over_seeds(values: Sequence[float]) -> str:
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return f"{mean:+.3f}"
    reach = float(student.ppf(0.975, count - 1) * np.std(values, ddof=1) / count**0.5)
    zero = ", which includes zero" if abs(mean) <= reach else ""
    return f"{mean:+.3f} ({mean - reach:+.3f} to {mean + reach:+.3f}{zero})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, action="append", help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--recipe", choices=RECIPES, default="modality-wise")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a field of any of the configs")
    parser.add_argument("--titles", type=int, default=1500, help="to pretrain on, without labels")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--task", choices=PROBED, action="append", help="that is probed; default: all")
    parser.add_argument("--loud", default="", metavar="MODALITY=FACTOR", help="fuse without normalisation, one louder")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="add a line of JSON for each run")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the table of such lines, and run nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print("\n".join(table(_read(arguments.table))))
        return
    recipe = find_recipe(arguments.recipe)
    given = {key: _parse(text) for key, _, text in (pair.partition("=") for pair in arguments.set)}
    objective = recipe.objective_with(**_of(Objective, given))
    settings = TrainConfig(objective=objective, **{**LENGTH, **_of(TrainConfig, given)})
    shape = {**SHAPE, **recipe.model, **_of(ModelConfig, given)}
    loud, _, factor = arguments.loud.partition("=")
    if loud and loud not in MODALITIES:
        parser.error(f"--loud {arguments.loud}: the modalities are {', '.join(MODALITIES)}")
    fusion = Fusion(loud, float(factor or 1))
    asked = [*arguments.set, *([f"loud {arguments.loud}"] if loud else [])]
    tasks, titles, device = arguments.task or list(PROBED), arguments.titles, find_device(arguments.device)
    elsewhere = [] if device.type == "cpu" else [device.type]  # where it computes in another precision
    variant = " ".join([arguments.recipe, *asked, f"{settings.max_steps} steps", f"{titles} titles", *elsewhere])
    done = _read(arguments.output)
    for seed in arguments.seeds:
        for name in arguments.world or WORLDS:
            record = {"world": name, "seed": seed, "variant": variant, "settings": repr((shape, settings, tasks))}
            if any(record.items() <= one.items() for one in done):
                continue
            config = ModelConfig(fusion.layout(WORLDS[name]), **shape)
            record |= run(WORLDS[name], seed, fusion, config, replace(settings, seed=seed), tasks, titles, device)
            done.append(record)
            if arguments.output:
                with arguments.output.open("a") as file:
                    file.write(f"{json.dumps(record)}\n")
            print(f"seed {seed}\n" + "\n".join(table([record])), flush=True)
    if len(arguments.seeds) > 1:
        print("\n".join(["", *table([one for one in done if one["variant"] == variant])]))


def _read(path: Path | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path and path.exists() else []


def _of(kind: type, given: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if name in {field.name for field in fields(kind)}}


def _parse(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


if __name__ == "__main__":
    main()
