"""Short runs that one process or two can do, and what they must agree on.

Run as a script by torchrun, it does into a folder all that needs two processes, or one of ``RUNS``: ``FOLDER [NAME]``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, partialmethod
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from toy_world import TINY, WITH_METADATA, make_titles

from mediafm_cli.errors import MediafmError
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import MEDIAFM
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import EncoderBlock
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.distributed import Shard, join_world
from mediafm_cli.train.loop import ON_CPU, Result, pretrain
from mediafm_cli.train.metrics import Metrics

TITLES = make_titles(14, shots=(1, 40))
"""Of 1 to 39 shots; a step has 1 to 4 windows of them, so that at times there are fewer than processes."""

MODEL = replace(TINY, layers=2, max_shots=16, dropout=0.0, layout=WITH_METADATA, projection="whitened")
PUBLISHED = replace(MODEL, position="learned", missing="zero", projection="linear")
ADAMW = TrainConfig(optimizer="adamw", max_steps=12, batch_shots=24, val_every=3, checkpoint_every=4, val_fraction=0.2)
MUON = replace(ADAMW, optimizer="muon")


@dataclass(frozen=True)
class Run:
    """What one of the runs is of."""

    settings: TrainConfig
    shard: Shard = "none"
    model: ModelConfig = MODEL
    compile: bool = False


RUNS = {
    "adamw": Run(replace(ADAMW, accumulate=2)),
    "adamw-published": Run(replace(ADAMW, objective=MEDIAFM), model=replace(PUBLISHED, global_token=False)),
    "adamw-time": Run(
        replace(ADAMW, accumulate=3, ema=0.8),
        model=replace(MODEL, position="time", missing="masked", projection="per-modality"),
    ),
    "adamw-compiled": Run(ADAMW, compile=True),
    "muon": Run(replace(MUON, accumulate=2)),
    "full-adamw": Run(replace(ADAMW, accumulate=2, ema=0.8), "full"),
    "full-adamw-published": Run(replace(ADAMW, objective=MEDIAFM), "full", PUBLISHED),
    "full-muon": Run(MUON, "full"),
}
"""Done from their start to their end."""

HANDED_ON = {
    "1-2-1": Run(MUON),
    "1-2-1-full": Run(replace(MUON, ema=0.8), "full"),
}
"""Begun by one process, continued by two, and ended by one."""


class Interrupted(Exception):  # noqa: N818 - it stands for no error
    """Ends a single process between two steps."""


def train(folder: Path, run: Run, titles: Sequence[Title] = TITLES, **arguments: Any) -> Result:
    engine = replace(ON_CPU, shard=run.shard, compile=run.compile)
    with (
        mock.patch.multiple(torch, compile=partial(torch.compile, backend="eager")),
        mock.patch.multiple(EncoderBlock, compile=partialmethod(EncoderBlock.compile, backend="eager")),
    ):  # what is compiled for is of no concern here, and needs no compiler
        return pretrain(titles, run.model, run.settings, folder, engine=engine, **arguments)


def stop_at(step: int) -> Any:
    """Ask this process to end, as a cluster does; the others will know from it."""

    def watch(metrics: Metrics) -> None:
        if metrics.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return watch


def broken(rank_of_batch: int) -> list[Title]:
    """The titles, of which one has a number that is none."""
    titles = list(TITLES)
    vectors = titles[rank_of_batch].vectors.copy()
    vectors[:] = np.nan
    titles[rank_of_batch] = replace(titles[rank_of_batch], vectors=vectors)
    return titles


def refused(folder: Path, run: Run, titles: Sequence[Title] = TITLES, **arguments: Any) -> str:
    """The error of a run, by its type and text."""
    try:
        train(folder, run, titles, **arguments)
    except MediafmError as error:
        return f"{type(error).__name__}: {error}"
    return "none"


ON_ONE_MACHINE = ("--standalone", "--nproc-per-node", "2")


def on_two_machines(rank: int, port: int) -> tuple[object, ...]:
    """One process on each of two machines, as far as torchrun can tell: it is started once for each of them."""
    return (
        "--nnodes",
        2,
        "--node-rank",
        rank,
        "--nproc-per-node",
        1,
        "--master-addr",
        "127.0.0.1",
        "--master-port",
        port,
    )


def launch(
    *words: object, where: Sequence[object] = ON_ONE_MACHINE, options: Sequence[object] = (), **settings: Any
) -> subprocess.Popen[str]:
    """Start processes by torchrun; signals do in them what they do by default, whatever started the tests."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", *where, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **settings.pop("env", {})}
    return subprocess.Popen(
        [*map(str, torchrun), *map(str, words)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=default_signals,
        **settings,
    )


def default_signals() -> None:
    """Ctrl-C is ignored in what a shell runs in the background, and so in all that is started from there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main(folder: Path) -> None:
    """All that needs two processes, as one run after the other."""
    torch.set_num_threads(1)
    with join_world(torch.device("cpu")) as world:
        rank, before = world.rank, gloo_threads()
        said = train_all(folder)
        said |= {"threads before": before, "threads within": gloo_threads()}
    said["threads after"] = gloo_threads()
    (folder / f"said-{rank}.json").write_text(json.dumps(said))


def train_all(folder: Path) -> dict[str, Any]:
    """What came of each run, by its name."""
    said: dict[str, Any] = {}
    for name, run in RUNS.items():
        said[name] = len(train(folder / name, run).losses)
    for name, run in HANDED_ON.items():
        stopped = train(folder / name, run, resume=True, progress=stop_at(6))
        said[name] = [stopped.resumed_from, stopped.steps, stopped.kept]
    said["not empty"] = refused(folder / "adamw", RUNS["adamw"])
    said["another run"] = refused(folder / "adamw", RUNS["muon"], resume=True)
    said["finished"] = train(folder / "adamw", RUNS["adamw"], resume=True).kept
    once = Run(replace(ADAMW, max_steps=40, val_fraction=0.0))
    for number in range(0, len(TITLES), 3):
        said[f"nan {number}"] = refused(folder / f"nan-{number}", once, broken(number))
    return said


def gloo_threads() -> int:
    """Threads of Gloo's that this process has; Linux knows them by the name that each gives itself when it begins."""
    time.sleep(0.5)
    return sum("gloo" in task.read_text() for task in Path("/proc/self/task").glob("*/comm"))


def main_of_one(folder: Path, name: str) -> None:
    torch.set_num_threads(1)
    with join_world(torch.device("cpu")):
        train(folder / name, RUNS[name])


if __name__ == "__main__":
    if sys.argv[2:]:
        main_of_one(Path(sys.argv[1]), sys.argv[2])
    else:
        main(Path(sys.argv[1]))
