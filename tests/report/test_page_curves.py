"""The curves of a run in a page: what is drawn, and where."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mediafm_cli.report.curves import SIDE, CurveChart, draw_curves


def step(number: int, loss: float, held_out: float | None = None) -> dict[str, Any]:
    line: dict[str, Any] = {"step": number, "loss": loss, "cosine": {"video": 1 - loss}}
    if held_out is not None:
        skills = {"skill_over_mean": 1 - held_out / 0.5, "skill_over_neighbour": 1 - held_out / 0.8}
        line["validation"] = {"loss": held_out, "cosine": {"video": 1 - held_out, "text": 0.1}, **skills}
    return line


RUN = [step(1, 1.0), step(2, 0.8, 0.7), step(3, 0.6), step(4, 0.5, 0.4), step(5, 0.2)]


def points(chart: CurveChart, name: str) -> list[tuple[float, float]]:
    """Step and value of each point, read back from the path."""
    path = next(line.path for line in chart.lines if line.name == name)
    low, high = float(chart.values[0].label), float(chart.values[-1].label)
    pairs = re.findall(r"([\d.]+) ([\d.]+)", path)
    return [(1 + 4 * float(x) / SIDE, high - (high - low) * float(y) / SIDE) for x, y in pairs]


def test_each_point_lies_where_its_axes_say() -> None:
    losses, cosines = draw_curves(RUN)

    assert points(losses, "training, mean") == pytest.approx(
        [pytest.approx(pair, abs=1e-3) for pair in [(1, 1.0), (2, 0.8), (3, 0.6), (4, 0.5), (5, 0.2)]]
    )
    assert points(losses, "held-out titles") == [pytest.approx(pair, abs=1e-3) for pair in [(2, 0.7), (4, 0.4)]]
    assert points(cosines, "video") == [pytest.approx(pair, abs=1e-3) for pair in [(2, 0.3), (4, 0.6)]]


def test_baselines_are_what_the_skill_was_measured_against() -> None:
    losses, _ = draw_curves(RUN)

    last = {line.name: line.last for line in losses.lines}
    assert last["mean training vector"] == pytest.approx(0.5)
    assert last["copy of the nearest shot"] == pytest.approx(0.8)


def test_the_kept_step_is_marked() -> None:
    losses, _ = draw_curves(RUN)

    assert (losses.kept.label, losses.kept.place) == ("4", 75.0)


def test_no_two_lines_of_a_chart_look_alike() -> None:
    for chart in draw_curves(RUN):
        looks = [line.look for line in chart.lines]
        assert len(set(looks)) == len(looks)


def test_a_run_of_one_step_is_drawn() -> None:
    losses, cosines = draw_curves([step(1, 0.5)])

    assert [line.last for line in losses.lines] == [0.5]
    assert "training titles" in cosines.about
