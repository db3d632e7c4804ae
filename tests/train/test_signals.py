"""Runs of the command line that signals end, alone and under torchrun, and that go on as if nothing had happened."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from several_processes import default_signals, launch

from mediafm_cli.model.folder import load_model
from mediafm_cli.train.stopping import stop_on_signals

SHAPE = ["--hidden", 16, "--layers", 1, "--heads", 1, "--batch-shots", 8, "--val-every", 50, "--device", "cpu"]


def words(stores: list[Path], model: Path, steps: int, *more: object) -> list[object]:
    return ["pretrain", *stores, "-o", model, *SHAPE, "--workers", 1, "--max-steps", steps, *more]


def start(*typed: object, python: Sequence[str] = ("-m", "mediafm_cli")) -> subprocess.Popen[str]:
    """Start a command as the leader of a process group."""
    return subprocess.Popen(
        [sys.executable, *python, *map(str, typed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=default_signals,
    )


def launch_command(*typed: object, restarts: int = 0) -> subprocess.Popen[str]:
    """Start a command in two processes, as its help says."""
    mediafm = Path(sys.executable).with_name("mediafm")
    return launch("--no-python", mediafm, *typed, options=["--max-restarts", restarts])


def ended(process: subprocess.Popen[str], timeout_s: float = 180) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def wait_for_steps(process: subprocess.Popen[str], model: Path, steps: int) -> None:
    """Until so many are logged."""
    log = model / "metrics.jsonl"
    while not log.exists() or log.read_bytes().count(b"\n") < steps:
        assert process.poll() is None, ended(process)
        time.sleep(0.01)


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun started last, by rank."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in table.splitlines()]
    return sorted(pid for pid, parent in pairs if parent == process.pid)


def assert_same_weights(one: Path, two: Path) -> None:
    weights = [load_model(folder).state_dict() for folder in (one, two)]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])


@pytest.fixture(scope="module")
def straight(fused_stores: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process that nothing disturbed."""
    folder = tmp_path_factory.mktemp("straight") / "model"
    code, out, err = ended(start(*words(fused_stores, folder, 300)))
    assert (code, out) == (0, f"{folder}\n"), err
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_end_saves_its_step_and_goes_on_from_it(
    fused_stores: list[Path], straight: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    model = tmp_path / "model"
    command = words(fused_stores, model, 300, "--checkpoint-every", 300)
    process = start(*command)
    wait_for_steps(process, model, 5)

    os.killpg(process.pid, number)  # as a terminal and torchrun do: also to the processes that read ahead
    stopped = ended(process)
    checkpoints = [path.name for path in (model / "checkpoints").glob("step-*")]
    resumed = ended(start(*command, "--resume"))

    assert stopped[:2] == (code, "")
    assert "the same command with --resume goes on" in stopped[2]
    assert "Traceback" not in stopped[2]
    assert len(checkpoints) == 1
    assert resumed[:2] == (0, f"{model}\n")
    assert f"300 steps, {int(checkpoints[0].removeprefix('step-'))} of them before" in resumed[2]
    assert_same_weights(model, straight)


BEFORE_ITS_FIRST_STEP = """
import os, sys
from mediafm_cli.__main__ import main
from mediafm_cli.train import loop

number = int(sys.argv.pop(1))
loop.find_start = lambda folder, plan: os.kill(os.getpid(), number)
main()
"""
"""A command that a signal reaches while it gets ready."""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_end_before_its_first_step_ends_as_any_command_does(
    fused_stores: list[Path], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = words(fused_stores, tmp_path / "model", 300)

    stopped = ended(start(number.value, *command, python=["-c", BEFORE_ITS_FIRST_STEP]))

    assert stopped[:2] == (code, "")
    assert stopped[2].endswith(f"pretrain {tmp_path / 'model'}: interrupted; the same command with --resume goes on\n")


@contextmanager
def handlers(number: signal.Signals, handler: signal.Handlers | object) -> Iterator[None]:
    before = signal.signal(number, handler)  # type: ignore[arg-type]
    try:
        yield
    finally:
        signal.signal(number, before)


def test_the_second_ctrl_c_ends_at_once_and_a_second_sigterm_does_not() -> None:
    with handlers(signal.SIGINT, signal.default_int_handler), stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_was_ignored_before_stays_ignored() -> None:
    with handlers(signal.SIGINT, signal.SIG_IGN):
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def kill_and_restart(process: subprocess.Popen[str], model: Path, draws: random.Random) -> None:
    """Kill one of the processes while they train, and wait until torchrun has started others, and these train."""
    before = children(process)
    os.kill(draws.choice(before), signal.SIGKILL)
    while len(children(process)) < 2 or set(children(process)) & set(before):
        assert process.poll() is None, ended(process)
        time.sleep(0.05)
    log = model / "metrics.jsonl"
    found = log.stat().st_mtime_ns
    while log.stat().st_mtime_ns == found:
        assert process.poll() is None, ended(process)
        time.sleep(0.01)


def test_two_processes_are_killed_restarted_terminated_and_resumed_as_if_nothing_had_been(
    fused_stores: list[Path], tmp_path: Path
) -> None:
    steps, (straight, model) = 120, (tmp_path / "straight", tmp_path / "model")
    undisturbed = launch_command(*words(fused_stores, straight, steps))
    command = words(fused_stores, model, steps, "--checkpoint-every", 5, "--resume")
    process = launch_command(*command, restarts=1)
    wait_for_steps(process, model, 12)

    kill_and_restart(process, model, random.Random(0))
    process.terminate()
    stopped = ended(process)
    resumed = ended(launch_command(*command))

    assert stopped[1] == ""
    assert stopped[2].count("the same command with --resume goes on") == 1
    assert resumed[:2] == (0, f"{model}\n")
    assert re.search(rf"{steps} steps, \d+ of them before", resumed[2])
    assert ended(undisturbed)[:2] == (0, f"{straight}\n")
    assert_same_weights(model, straight)


CODE_TOLD = """
import os, signal, subprocess, sys

run = subprocess.Popen([sys.executable, "-m", "mediafm_cli", *sys.argv[2:]])
signal.signal(signal.SIGTERM, lambda number, frame: run.send_signal(number))
with open(os.path.join(sys.argv[1], os.environ["RANK"]), "w") as file:
    file.write(str(run.wait()))
"""
"""A command whose exit code is left in a folder: torchrun, terminated, tells of none."""


def test_of_two_processes_that_are_terminated_each_ends_well_and_torchrun_does_not(
    fused_stores: list[Path], tmp_path: Path
) -> None:
    codes, model = tmp_path / "codes", tmp_path / "model"
    codes.mkdir()
    process = launch("--no-python", sys.executable, "-c", CODE_TOLD, codes, *words(fused_stores, model, 100_000))
    wait_for_steps(process, model, 5)

    process.terminate()
    code, out, err = ended(process)

    assert {path.name: path.read_text() for path in codes.iterdir()} == {"0": "0", "1": "0"}
    assert len(list((model / "checkpoints").glob("step-*"))) >= 1
    assert (code, out) == (1, "")
    assert "SignalException" in err


@pytest.mark.long
def test_two_processes_killed_twenty_times_equal_an_undisturbed_run(fused_stores: list[Path], tmp_path: Path) -> None:
    steps, draws = 3000, random.Random(0)
    process = launch_command(
        *words(fused_stores, tmp_path / "killed", steps, "--checkpoint-every", 5, "--resume"), restarts=20
    )
    wait_for_steps(process, tmp_path / "killed", 1)
    for _ in range(20):
        time.sleep(draws.uniform(0, 0.3))
        kill_and_restart(process, tmp_path / "killed", draws)
    undisturbed = launch_command(*words(fused_stores, tmp_path / "straight", steps))

    assert ended(process, 900)[0] == 0
    assert ended(undisturbed, 900)[0] == 0
    assert_same_weights(tmp_path / "killed", tmp_path / "straight")
