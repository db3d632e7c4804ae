"""Checkpoints: whole or not there, and nothing in them is run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toy_world
from safetensors.torch import load_file, save
from short_runs import products
from toy_world import SHORT, TINY, make_titles

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.folder import TrainingRecord, load_model, read_config
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.checkpoints import Trained, best_checkpoint, is_checkpoint, remove_leftovers, save_best
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.distributed import World
from mediafm_cli.train.loop import pretrain

TITLES = make_titles(10)
LONGER = replace(SHORT, max_steps=20)
STATE = "training_state.safetensors"


@pytest.fixture
def newest(tmp_path: Path) -> Path:
    """The newest of two checkpoints of a run of 12 steps."""
    pretrain(TITLES, TINY, SHORT, tmp_path / "run")
    return tmp_path / "run" / "checkpoints" / "step-00000012"


def resume(newest: Path) -> None:
    pretrain(TITLES, TINY, LONGER, newest.parents[1], resume=True)


def names(folder: Path, kind: str = "step") -> list[str]:
    return sorted(path.name for path in folder.glob(f"{kind}-*"))


def test_the_last_checkpoints_are_kept_beside_the_best_and_each_is_a_model_folder(newest: Path) -> None:
    kept = read_config(newest.parents[1]).training.steps

    assert sorted(path.name for path in newest.parent.iterdir()) == [
        f"best-{kept:08d}",
        "step-00000008",
        "step-00000012",
    ]
    assert sorted(path.name for path in newest.iterdir()) == ["config.json", "model.safetensors", STATE]
    assert sorted(path.name for path in best_of(newest).iterdir()) == ["config.json", "model.safetensors"]
    assert load_model(newest).config == load_model(newest.parents[1]).config
    assert load_model(best_of(newest)).config == load_model(newest).config


def best_of(newest: Path) -> Path:
    (best,) = newest.parent.glob("best-*")
    return best


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", STATE])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_goes_on(newest: Path, name: str) -> None:
    content = bytearray((newest / name).read_bytes())
    content[len(content) // 2] ^= 0x80
    (newest / name).write_bytes(content)

    with pytest.raises(
        TrainingError, match=f"{name}.*Remove {newest}, and --resume goes on from the checkpoint before"
    ):
        resume(newest)
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    resume(newest)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", STATE])
def test_a_checkpoint_without_one_of_its_files_is_refused(newest: Path, name: str) -> None:
    (newest / name).unlink()

    with pytest.raises(TrainingError, match=f"has no {name}.*Remove"):
        resume(newest)


def forge(newest: Path, state: bytes) -> None:
    """Put another state in, with the hash that goes with it, as an attacker would."""
    (newest / STATE).write_bytes(state)
    config = json.loads((newest / "config.json").read_text())
    config["sha256"][STATE] = hashlib.sha256(state).hexdigest()
    (newest / "config.json").write_text(json.dumps(config))


class Bomb:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("bomb-went-off"),))


def test_a_pickled_state_runs_no_code(newest: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    forge(newest, pickle.dumps(Bomb()))

    with pytest.raises(TrainingError, match=f"{STATE} is damaged"):
        resume(newest)
    assert not Path("bomb-went-off").exists()


def test_a_state_of_other_shapes_is_refused(newest: Path) -> None:
    tensors = load_file(newest / STATE)
    name, tensor = next((name, tensor) for name, tensor in tensors.items() if tensor.ndim == 2)
    forge(newest, save({**tensors, name: tensor[:1].contiguous()}))

    with pytest.raises(TrainingError, match="not those of the optimisers"):
        resume(newest)


def test_what_a_kill_left_half_written_is_removed(newest: Path) -> None:
    for name in (".step-00000016.tmp", ".best-00000015.tmp"):
        (newest.parent / name).mkdir()
        (newest.parent / name / "model.safetensors").write_bytes(b"half")

    resume(newest)

    assert names(newest.parent) == ["step-00000016", "step-00000020"]
    assert not list(newest.parent.glob(".*"))


def test_of_two_best_models_that_a_kill_left_the_later_counts(newest: Path) -> None:
    best = best_of(newest)
    older = best.with_name("best-00000001")
    shutil.copytree(newest.parent / "step-00000008", older)

    pretrain(TITLES, TINY, SHORT, newest.parents[1], resume=True)

    assert (newest.parents[1] / "model.safetensors").read_bytes() == (best / "model.safetensors").read_bytes()


def test_a_damaged_best_model_is_refused(newest: Path) -> None:
    weights = best_of(newest) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0x80
    weights.write_bytes(content)

    with pytest.raises(TrainingError, match=f"{weights} is damaged"):
        pretrain(TITLES, TINY, SHORT, newest.parents[1], resume=True)


def test_a_full_disk_costs_no_checkpoint_that_was_saved(newest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", full)
    with pytest.raises(TrainingError, match=r"(step|best)-000000\d\d could not be written\. No space left"):
        resume(newest)
    monkeypatch.undo()

    assert names(newest.parent) == ["step-00000008", "step-00000012"]
    assert len(names(newest.parent, "best")) == 1
    resume(newest)


@pytest.mark.parametrize(("kills", "steps"), [(3, 40), pytest.param(50, 600, marks=pytest.mark.long)])
def test_killed_at_random_moments_and_resumed_equals_uninterrupted(tmp_path: Path, kills: int, steps: int) -> None:
    settings = TrainConfig(max_steps=steps, batch_shots=56, val_every=3, checkpoint_every=2)
    draws = random.Random(0)
    landed = 0

    for _ in range(kills):
        landed += train_and_kill(tmp_path / "killed", steps, draws) == -signal.SIGKILL
        for checkpoint in (tmp_path / "killed" / "checkpoints").glob("[sb]*-*"):
            load_model(checkpoint)
    pretrain(TITLES, TINY, settings, tmp_path / "killed", resume=True)
    pretrain(TITLES, TINY, settings, tmp_path / "straight")

    assert landed == kills
    assert products(tmp_path / "killed") == products(tmp_path / "straight")


def train_and_kill(folder: Path, steps: int, draws: random.Random) -> int:
    """Train in a process of its own, and kill it some steps and some milliseconds after it began."""
    command = [sys.executable, toy_world.__file__, str(folder), str(steps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(draws.randint(1, 10)):
            process.stdout.readline()
        time.sleep(draws.uniform(0, 0.03))
        process.kill()
    return process.returncode


def test_the_best_model_takes_the_place_of_one_from_after_the_checkpoint_that_a_run_goes_on_from(
    tmp_path: Path,
) -> None:
    keep_seeded(tmp_path, 0, steps=150)

    keep_seeded(tmp_path, 0, steps=125)

    assert names(tmp_path, "best") == ["best-00000125"]


def keep_seeded(folder: Path, seed: int, steps: int = 75) -> None:
    """Save a model that a seed gives as the best one of a run."""
    record = TrainingRecord("", steps, seed, {}, (), {})
    save_best(folder, Trained(MediaFM.seeded(TINY, seed), []), record, World(torch.device("cpu")))


def kept_seed(folder: Path) -> int:
    """The seed of the best model so far, which must be whole."""
    best = best_checkpoint(folder)
    assert best is not None
    load_model(best)
    return read_config(best).training.seed


def test_the_best_model_takes_the_place_of_one_of_its_own_step(tmp_path: Path) -> None:
    keep_seeded(tmp_path, 0)

    keep_seeded(tmp_path, 1)

    assert [path.name for path in tmp_path.iterdir()] == ["best-00000075"]
    assert kept_seed(tmp_path) == 1


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_full_disk_costs_no_best_model_whose_place_another_of_its_step_takes(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_seeded(tmp_path, 0)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"os.{call}", full)
    with pytest.raises(TrainingError, match=r"could not be written\. No space left.*saved before is whole"):
        keep_seeded(tmp_path, 1)
    monkeypatch.undo()

    assert [path.name for path in tmp_path.iterdir()] == ["best-00000075"]
    assert kept_seed(tmp_path) == 0


class Killed(BaseException):
    """Ends a process where nothing is tidied up."""


@pytest.mark.parametrize(("renames", "seed"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_kill_while_a_best_model_takes_the_place_of_one_of_its_step_leaves_one_of_them_whole(
    tmp_path: Path, renames: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_seeded(tmp_path, 0)
    rename, left = os.rename, iter(range(renames))

    def rename_or_die(source: Path, target: Path) -> None:
        if next(left, None) is None:
            raise Killed
        rename(source, target)

    monkeypatch.setattr("os.rename", rename_or_die)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    with suppress(Killed):
        keep_seeded(tmp_path, 1)
    monkeypatch.undo()

    assert len(list(tmp_path.iterdir())) == 2
    assert all(is_checkpoint(path) for path in tmp_path.iterdir())
    assert kept_seed(tmp_path) == seed
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["best-00000075"]
    assert kept_seed(tmp_path) == seed
