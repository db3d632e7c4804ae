"""``mediafm demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mediafm_cli.synthetic import SyntheticTitle

NEAREST = 5
SHOWN = 6


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for everything that the demo makes.")] = Path(
        "demo"
    ),
    titles: Annotated[int, typer.Option(min=2, help="Films to make.")] = 24,
    shots: Annotated[int, typer.Option(min=4, help="Shots a film.")] = 24,
    max_steps: shared.MaxSteps = 300,
    seed: shared.Seed = 0,
    quiet: shared.Quiet = False,
) -> None:
    """Make a few films and run the whole chain on them.

    mediafm demo -o demo/

    mediafm demo -o demo/ --titles 48 --max-steps 1000

    It needs no download, no key and no GPU.
    """
    import os

    from mediafm_cli.cli.chain import ChainSettings, run_chain
    from mediafm_cli.evaluate.ablation.ablate import run_ablation
    from mediafm_cli.evaluate.ablation.results import table, write_results
    from mediafm_cli.stages.segment import SegmentSettings
    from mediafm_cli.synthetic import write_catalogue

    console = Console(quiet=quiet)
    console.say(f"demo: making {titles} films of {shots} shots in {output / 'media'}")
    films = write_catalogue(output / "media", titles=titles, shots=shots, seed=seed, jobs=os.cpu_count() or 1)
    stores = {film.path: output / "stores" / f"{film.path.stem}.h5" for film in films}
    model = output / "model"
    found = run_chain(
        stores,
        {film.path: SegmentSettings(metadata=film.metadata) for film in films},
        ChainSettings("offline", model, "per-modality", max_steps, seed, "cpu"),
        Console(quiet=quiet, results=False),
    )
    console.say("demo: measuring on the films that the model never saw")
    ablation = run_ablation(found, model, seed=seed)
    results = write_results(ablation, output / "ablation")
    console.result(f"{table(ablation)}\n")
    for line in compare_neighbours(films, found, model.name):
        console.result(line)
    console.result("\nWhat was made:")
    for what, path in {
        "films, subtitles, truth": output / "media",
        "one store a film": output / "stores",
        "the model": model,
        "the table above": results[0],
        "as a plot": results[2],
    }.items():
        console.result(f"  {what:<24} {path}")


def compare_neighbours(films: Sequence[SyntheticTitle], stores: Sequence[Path], model: str) -> list[str]:
    """A table of a few shots and their nearest ones in other films, before context and after."""
    import json

    import numpy as np

    from mediafm_cli.evaluate.neighbours import nearest_elsewhere, share_alike, window_means
    from mediafm_cli.evaluate.probes.features import REACHES
    from mediafm_cli.store.read import open_store

    flat, means, contextual, owners, scenes, names = [], [], [], [], [], []
    for film, path in zip(films, stores, strict=True):
        truth = json.loads(film.truth.read_text("utf-8"))
        with open_store(path) as store:
            shots, fused, embedding = store.shots, store.fused, store.embedding(model)
        middles = (shots.start_frame + shots.end_frame) // 2
        rows = np.searchsorted(film.end_frame, middles, side="right")
        kinds = [truth["scene_types"][film.scene[row]] for row in rows]
        flat.append(fused.vectors)
        means.append(window_means(fused.vectors, REACHES[0]))
        contextual.append(embedding.shots)
        owners += [film.path.stem] * len(rows)
        scenes += kinds
        names += [f"{film.path.stem} {start:4.1f}s {kind}" for start, kind in zip(shots.start_s, kinds, strict=True)]
    labels = np.asarray(scenes)
    before, averaged, after = (
        nearest_elsewhere(np.concatenate(vectors), owners, NEAREST) for vectors in (flat, means, contextual)
    )
    shown = [int(row) for row in np.linspace(0, len(names) - 1, SHOWN + 2)[1:-1]]
    width = max(map(len, names))
    lines = [f"{'a shot':<{width}}   {'nearest elsewhere, before':<{width}}   nearest elsewhere, in context"]
    lines += [f"{names[row]:<{width}}   {names[before[row, 0]]:<{width}}   {names[after[row, 0]]}" for row in shown]
    shares = {
        "before": share_alike(before, labels),
        f"the mean of a shot and {REACHES[0]} on each side": share_alike(averaged, labels),
        "in context": share_alike(after, labels),
        "by chance": float(np.mean([(labels == label).mean() for label in labels])),
    }
    too_few = "From so few films the model learns these films, not what a kind of scene shares; train on more."
    return [
        *lines,
        "",
        f"Of the {before.shape[1]} nearest shots in other films, the share from the same kind of scene:",
        *(f"  {share:4.0%}  {name}" for name, share in shares.items()),
        *[too_few] * (shares["in context"] < shares["before"]),
    ]
