"""Watching a run: live on a terminal, in TensorBoard, and as a plot that is there however the run ends."""

from __future__ import annotations

import io
import json
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console as RichConsole
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typed_commands import Mediafm, start

from mediafm_cli.cli.console import Console
from mediafm_cli.cli.watching import LiveView, view
from mediafm_cli.train.metrics import Metrics, Validation
from mediafm_cli.train.speed import Speed

STEP = Metrics(
    step=41,
    steps=1000,
    loss=0.5,
    cosine={"video": 0.625, "audio": 0.75, "text": 0.25},
    lr=0.001,
    grad_norm=1.0,
    shots=4000,
    speed=Speed(shots_per_s=1000.0, data_wait=0.01, mfu=0.4),
)
HELD_OUT = Validation(0.4375, {"video": 0.5625, "audio": 0.6875}, skill_over_mean=0.125, skill_over_neighbour=-0.25)
SMALL = ("--hidden", 16, "--layers", 1, "--heads", 1, "--val-every", 2, "--checkpoint-every", 2)


def drawn(shown: LiveView) -> str:
    console = RichConsole(width=80, record=True, file=io.StringIO())
    console.print(shown.render())
    return console.export_text()


def steps_in(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_the_pace_of_a_run_that_goes_on_is_of_its_own_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr("mediafm_cli.cli.console.time.monotonic", lambda: next(now))
    with view(Console()) as watch:
        watch(replace(STEP, step=901))
        watch(replace(STEP, step=910))

    assert capsys.readouterr().err.splitlines() == [
        "pretrain: 901 of 1000 steps, 0.1/s, 990 s left",
        "pretrain: 910 of 1000 steps, 0.5/s, 180 s left",
    ]


def test_a_terminal_of_80_columns_shows_all_of_a_run() -> None:
    shown = LiveView()
    shown.watch(replace(STEP, validation=HELD_OUT))
    shown.watch(replace(STEP, step=42, loss=0.25))

    lines = [line.rstrip() for line in drawn(shown).splitlines()]

    assert "42/1000" in lines[0]
    assert "left" in lines[0]
    assert lines[2].split() == ["loss", "video", "audio", "text", "mean", "neighbour"]
    assert lines[3].split() == ["last", "2", "steps", "0.3750", "0.625", "0.750", "0.250"]
    assert lines[4].split() == ["held", "out,", "step", "41", "0.4375", "0.562", "0.688", "–", "+0.125", "-0.250"]
    assert lines[5] == "1,000 shots/s, MFU 40.0%, data wait 1.0%"


def test_brackets_in_the_name_of_a_modality_are_no_markup() -> None:
    shown = LiveView()
    shown.watch(replace(STEP, cosine={"[red]ocr": 0.5}))

    assert "[red]ocr" in drawn(shown)


def test_shots_a_second_are_those_of_the_time_and_not_of_the_steps() -> None:
    shown = LiveView()
    shown.watch(STEP)  # 4 s
    shown.watch(replace(STEP, speed=Speed(4000.0, 0.41, 0.1)))  # 1 s

    assert "1,600 shots/s, MFU 34.0%, data wait 9.0%" in drawn(shown)  # 8000 / 5; (4 · 40 + 10) / 5; (4 + 41) / 5


def test_steps_of_before_are_no_speed_of_a_run_that_goes_on() -> None:
    shown = LiveView()
    shown.watch(replace(STEP, step=901))
    time.sleep(0.1)

    shown.watch(replace(STEP, step=902))

    (task,) = shown._bar.tasks
    assert task.speed is not None
    assert 0 < task.speed <= 10  # one step in a tenth of a second or more


def test_a_terminal_is_drawn_on_and_keeps_the_last_state(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console()
    terminal = RichConsole(width=80, force_terminal=True, record=True, file=sys.stderr)
    monkeypatch.setitem(console.__dict__, "stderr", terminal)

    with view(console) as watch:
        watch(STEP)

    assert "41/1000" in terminal.export_text()


def test_a_quiet_run_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with view(Console(quiet=True)) as watch:
        watch(replace(STEP, validation=HELD_OUT))

    assert capfd.readouterr() == ("", "")


def test_a_run_leaves_a_plot_and_a_card_and_overwrite_clears_them(
    mediafm: Mediafm, stores: list[Path], tmp_path: Path
) -> None:
    words = ("pretrain", *stores, "-o", tmp_path / "model", *SMALL, "--max-steps", 4, "--tensorboard")
    assert mediafm(*words).code == 0
    made = {"README.md", "loss.png", "metrics.jsonl", "config.json", "model.safetensors", "checkpoints", "tensorboard"}
    assert {path.name for path in (tmp_path / "model").iterdir()} == made
    before = (tmp_path / "model" / "loss.png").read_bytes()

    again = mediafm(*words, "--overwrite", "--seed", 1)

    assert again.code == 0
    assert (tmp_path / "model" / "loss.png").read_bytes() != before
    assert [step for step, _ in curve(tmp_path / "model", "loss/training")] == [1, 2, 3, 4]


def test_a_run_goes_on_in_the_same_curves(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    words = ("pretrain", *stores, "-o", folder, *SMALL, "--tensorboard", "--resume", "--max-steps")
    mediafm(*words, 4)
    shutil.rmtree(folder / "checkpoints" / "step-00000004")  # steps 3 and 4 are lost, and done again

    mediafm(*words, 6)

    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert curve(folder, "loss/training") == [(line["step"], pytest.approx(line["loss"])) for line in logged]
    held_out = [line for line in logged if "validation" in line]
    expected = [(line["step"], pytest.approx(line["validation"]["cosine"]["video"])) for line in held_out]
    assert curve(folder, "cosine_held_out/video") == expected
    assert [line["step"] for line in logged] == [1, 2, 3, 4, 5, 6]


def test_without_tensorboard_the_extra_is_named_before_anything_is_done(
    mediafm: Mediafm, stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediafm_cli.cli.watching.find_spec", lambda name: None)

    typed = mediafm("pretrain", *stores, "-o", tmp_path / "model", "--tensorboard")

    assert typed.code == 2
    assert "pip install 'mediafm-cli[tensorboard]'" in typed.err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_leaves_its_plot(
    stores: list[Path], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "model"
    process = start("pretrain", *stores, "-o", folder, *SMALL, "--max-steps", 100_000)
    while not (folder / "metrics.jsonl").is_file() or not steps_in(folder):
        assert process.poll() is None
        time.sleep(0.05)

    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == code, err
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "README.md").exists()


def test_a_run_that_is_refused_draws_nothing(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("Mine.")

    typed = mediafm("pretrain", *stores, "-o", tmp_path / "model", *SMALL)

    assert typed.code == 1
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["notes.txt"]


def test_a_finished_run_that_was_killed_before_its_plot_gets_it(
    mediafm: Mediafm, stores: list[Path], tmp_path: Path
) -> None:
    words = ("pretrain", *stores, "-o", tmp_path / "model", *SMALL, "--max-steps", 2, "--resume")
    mediafm(*words)
    plot = (tmp_path / "model" / "loss.png").read_bytes()
    (tmp_path / "model" / "loss.png").unlink()
    (tmp_path / "model" / "README.md").write_text("Edited.")

    typed = mediafm(*words)

    assert "unchanged" in typed.err
    assert (tmp_path / "model" / "loss.png").read_bytes() == plot
    assert (tmp_path / "model" / "README.md").read_text() == "Edited."


def test_a_step_of_titles_that_show_nothing_has_no_speed() -> None:
    shown = LiveView()

    shown.watch(Metrics(1, 10, 0.0, {}, 1e-3, 0.0, 0, Speed(0.0, 0.0, 0.0)))

    assert "1/10" in drawn(shown)
