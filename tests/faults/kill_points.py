"""Kill a writing stage at every write, clean and torn, and see what is left. Run by test_kill_points.py as a process.

One child is forked for each point: it counts its writes, syncs, renames and removals, and kills itself at the chosen
one, so nothing is cleaned up. ``torn`` lets half of the bytes of a write through first. The target of a stage is the
store that it writes, or the model folder.

    python kill_points.py STAGE FILM STORE MODEL FOLDER WRITE_BYTES STEPS
"""

from __future__ import annotations

import builtins
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mediafm_cli.model import atomic
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import CONFIG, load_model, model_fingerprint
from mediafm_cli.stages.embed import EmbedSettings, embed_store
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.segment import segment_title
from mediafm_cli.store import commit
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import open_store
from mediafm_cli.train import metrics
from mediafm_cli.train.catalogue import open_catalogue
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.loop import pretrain


def make_stage(stage: str, film: Path, store: Path, model: Path, steps: int) -> Callable[[Path], object]:
    """The stage, ready to be run on a target; what does not write is done here, once."""
    match stage:
        case "segment":
            return lambda target: segment_title(film, target)
        case "encode":
            host = make_host("text", preset="offline")
            return lambda target: encode_title(target, host, EncodeSettings("text", batch_size=1, commit_every_s=0))
        case "fuse":
            return fuse_title
        case "pretrain":
            catalogue = open_catalogue([store])
            config = ModelConfig(catalogue.layout, hidden=16, layers=1, heads=2)
            settings = TrainConfig(max_steps=steps, checkpoint_every=1, keep_last=1)
            return lambda target: pretrain(catalogue.titles, config, settings, target, resume=True)
        case "embed":
            loaded, fingerprint = load_model(model), model_fingerprint(model)
            return lambda target: embed_store(target, loaded, fingerprint, EmbedSettings("model"))
    raise ValueError(stage)


class Injector:
    """Notes what touches the disk from here on, ``w`` for a write, and kills the process at one of them."""

    def __init__(self, at: int, torn: bool) -> None:
        self.at = at
        self.torn = torn
        self.seen = ""

    def install(self) -> None:
        for name in ("fsync", "rename", "replace", "unlink", "rmdir", "open"):
            setattr(os, name, self.wrap(getattr(os, name)))
        for module in (commit, atomic, metrics):
            module.open = self.open  # type: ignore[attr-defined]

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.reach("-")
            return function(*args, **kwargs)

        return wrapped

    def reach(self, kind: str) -> bool:
        self.seen += kind
        here = len(self.seen) - 1 == self.at
        if here and not self.torn:
            os.kill(os.getpid(), signal.SIGKILL)
        return here

    def open(self, *args: Any, **kwargs: Any) -> Any:
        file = builtins.open(*args, **kwargs)  # noqa: SIM115 - closed by Torn
        injector = self

        class Torn:
            def write(self, data: memoryview) -> int:
                if injector.reach("w"):
                    file.write(data[: len(data) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
                return file.write(data)

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def __enter__(self) -> Torn:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

        return Torn()


def in_child(work: Callable[[], str]) -> tuple[int, str]:
    """Run ``work`` in a fork: the signal that ended it, or 0, and what it returned."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.write(write, work().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return (os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)), said


def done_so_far(target: Path, stage: str) -> int:
    """How much of the stage's work the target holds; it must be valid."""
    if stage == "pretrain":
        checkpoints = sorted(target.glob("checkpoints/step-*"))
        for checkpoint in checkpoints:
            load_model(checkpoint)
        if (target / CONFIG).exists():
            load_model(target)
        return int(checkpoints[-1].name.removeprefix("step-")) if checkpoints else 0
    if not target.exists():
        return 0
    faults = check_store(target)
    assert not faults, faults
    with open_store(target) as found:
        place = {"segment": "shots", "encode": "encodings/text", "fuse": "fused", "embed": "embeddings/model"}[stage]
        if place not in found:
            return 0
        if stage != "encode":
            return 1
        encoding = found.encoding("text")
        assert encoding.complete == encoding.done.all()
        return int(encoding.done.sum())


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file but locks, since a killed run leaves an empty one, which locks nobody out; without speeds."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: re.sub(rb', "speed": {[^}]*}', b"", content) for name, content in contents.items()}


def main() -> None:
    stage, film, before, model, folder = sys.argv[1], *map(Path, sys.argv[2:6])
    commit.WRITE_BYTES, steps = map(int, sys.argv[6:])
    torch.set_num_threads(1)
    run_stage = make_stage(stage, film, before, model, steps)

    def fresh(name: str) -> Path:
        target = folder / name / "target.h5"
        target.parent.mkdir()
        if stage in ("encode", "fuse", "embed"):
            shutil.copy(before, target)
        return target

    def run(target: Path, at: int, torn: bool) -> Callable[[], str]:
        def work() -> str:
            injector = Injector(at, torn)
            injector.install()
            run_stage(target)
            return injector.seen

        return work

    whole = fresh("whole")
    run_stage(whole)
    reference = read_tree(whole.parent)
    ended, points = in_child(run(fresh("counted"), -1, False))
    assert ended == 0
    killed = 0
    for torn in (False, True):
        last = 0
        for at in [at for at, kind in enumerate(points) if kind == "w" or not torn]:
            target = fresh(f"{at}-{torn}")
            ended, _ = in_child(run(target, at, torn))
            assert ended == signal.SIGKILL, at
            killed += 1
            done = done_so_far(target, stage)
            assert done >= last, f"point {at}: {done} done, {last} at the point before"
            last = done
            ended, _ = in_child(run(target, -1, False))
            assert ended == 0, at
            found = read_tree(target.parent)
            assert found == reference, (at, found.keys() ^ reference.keys())
            shutil.rmtree(target.parent)
    print(json.dumps({"points": len(points), "killed": killed}))


if __name__ == "__main__":
    main()
