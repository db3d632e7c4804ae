"""The plot of a run: what it is drawn from, and what is drawn."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mediafm_cli.report.loss_curve import draw_loss_curve, kept_step, read_lines


def step(number: int, loss: float, held_out: float | None = None) -> dict:
    line = {"step": number, "loss": loss, "cosine": {"video": 1 - loss, "text": 0.5 - loss}}
    if held_out is not None:
        skills = {"skill_over_mean": 1 - held_out / 0.5, "skill_over_neighbour": 1 - held_out / 0.8}
        line["validation"] = {"loss": held_out, "cosine": {"video": 1 - held_out, "text": 0.1}, **skills}
    return line


RUN = [step(1, 1.0), step(2, 0.8, 0.7), step(3, 0.6), step(4, 0.5, 0.4), step(5, 0.4), step(6, 0.3, 0.4)]


def write(path: Path, lines: Iterable[dict]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def note(figure: Figure, *arguments: object, **options: object) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", note)
    return figures


def test_the_kept_step_is_the_first_of_the_best_or_the_last_where_nothing_is_held_out() -> None:
    assert kept_step(RUN) == 4
    assert kept_step([step(1, 1.0), step(2, 0.9)]) == 2


def test_losses_baselines_cosines_and_the_kept_step_are_drawn(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_loss_curve(write(tmp_path / "metrics.jsonl", RUN))

    above, below = drawn[0].axes
    losses = {line.get_label().partition(":")[0].replace(",\non held-out titles", ""): line for line in above.lines}
    assert losses["training, mean"].get_ydata().tolist() == [1.0, 0.8, 0.6, 0.5, 0.4, 0.3]
    assert losses["held-out titles"].get_xydata().tolist() == [[2, 0.7], [4, 0.4], [6, 0.4]]
    assert losses["mean training vector"].get_ydata() == pytest.approx([0.5, 0.5])
    assert losses["copy of the nearest shot"].get_ydata() == pytest.approx([0.8, 0.8])
    assert losses["kept"].get_xdata() == [4, 4]
    assert [line.get_label() for line in below.lines[:2]] == ["video", "text"]
    assert below.lines[0].get_ydata() == pytest.approx([0.3, 0.6, 0.6])


def test_lines_are_told_apart_without_their_colours(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_loss_curve(write(tmp_path / "metrics.jsonl", RUN))

    for axes in drawn[0].axes:
        looks = [(line.get_marker(), line.get_linestyle(), line.get_linewidth()) for line in axes.lines]
        assert len(set(looks)) == len(looks)
        assert {text.get_text() for text in axes.get_legend().get_texts()} == {line.get_label() for line in axes.lines}


def test_without_held_out_titles_the_training_is_drawn(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_loss_curve(write(tmp_path / "metrics.jsonl", [step(1, 1.0), step(2, 0.5)]))

    _, below = drawn[0].axes
    assert "training titles" in below.get_ylabel()
    assert below.lines[0].get_ydata().tolist() == [0.0, 0.5]


def test_a_long_run_is_drawn_with_few_points_of_the_same_mean(tmp_path: Path, drawn: list[Figure]) -> None:
    losses = np.random.default_rng(0).uniform(size=9000)
    draw_loss_curve(write(tmp_path / "metrics.jsonl", [step(n + 1, loss) for n, loss in enumerate(losses)]))

    thin, thick = drawn[0].axes[0].lines[:2]
    assert (len(thin.get_ydata()), len(thick.get_ydata())) == (2000, 50)
    assert thick.get_ydata().mean() == pytest.approx(losses.mean())


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.jsonl", RUN)
    path.write_text(path.read_text() + '{"step": 7, "lo')

    assert read_lines(path) == RUN


def test_the_same_run_gives_the_same_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.jsonl", RUN)

    first = draw_loss_curve(path)

    assert draw_loss_curve(path) == first
    assert Image.open(io.BytesIO(first)).size == (1800, 1050)
