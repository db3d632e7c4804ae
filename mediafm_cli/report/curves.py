"""The curves of a training run as lines in a square of 1000 × 1000, which a page stretches to its width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mediafm_cli.report.loss_curve import SMOOTHED_OVER, kept_step, mean_parts

SIDE = 1000
MOST_POINTS = 400
"""That are drawn of one line: more than a page has pixels for are no use."""


@dataclass(frozen=True)
class Line:
    """One line: ``look`` names its style, ``path`` is SVG path data, ``last`` its last value."""

    name: str
    look: str
    path: str
    last: float


@dataclass(frozen=True)
class Tick:
    """A label on an axis, ``place`` in percent of its length from its start."""

    label: str
    place: float


@dataclass(frozen=True)
class CurveChart:
    """Lines over steps, and the step whose weights were kept, in percent of the width."""

    heading: str
    about: str
    lines: tuple[Line, ...]
    steps: tuple[Tick, ...]
    values: tuple[Tick, ...]
    kept: Tick


@dataclass(frozen=True, eq=False)
class _Series:
    name: str
    look: str
    steps: np.ndarray
    values: np.ndarray


def draw_curves(lines: Sequence[Mapping[str, Any]]) -> list[CurveChart]:
    """The loss, and the cosine by modality, of a run: the lines of a ``metrics.jsonl``, one at least."""
    validated = [line for line in lines if "validation" in line]
    where = "held-out" if validated else "training"
    return [
        _chart("Loss", "cosine distance, lower is better", _losses(lines, validated), lines),
        _chart("Cosine by modality", f"on {where} titles, higher is better", list(_cosines(lines, validated)), lines),
    ]


def _losses(lines: Sequence[Mapping[str, Any]], validated: Sequence[Mapping[str, Any]]) -> list[_Series]:
    steps = _steps(lines)
    losses = np.array([line["loss"] for line in lines])
    series = [_Series("training, mean", "training", *mean_parts(steps, losses, SMOOTHED_OVER))]
    if len(steps) > SMOOTHED_OVER:
        series.insert(0, _Series("training, each step", "faint", *mean_parts(steps, losses, MOST_POINTS)))
    if not validated:
        return series
    held_out = np.array([line["validation"]["loss"] for line in validated])
    series.append(_Series("held-out titles", "held-out", _steps(validated), held_out))
    ends = np.array([steps[0], steps[-1]])
    last = validated[-1]["validation"]
    for skill, name, look in (
        ("skill_over_mean", "mean training vector", "dotted"),
        ("skill_over_neighbour", "copy of the nearest shot", "dashed"),
    ):
        share = 1 - last[skill]  # the model's loss, as a share of what needs no training
        if share > 0:
            series.append(_Series(name, look, ends, np.full(2, last["loss"] / share)))
    return series


def _cosines(lines: Sequence[Mapping[str, Any]], validated: Sequence[Mapping[str, Any]]) -> Iterable[_Series]:
    shown = [line["validation"]["cosine"] for line in validated] or [line["cosine"] for line in lines]
    steps = _steps(validated or lines)
    for number, name in enumerate(dict.fromkeys(name for cosines in shown for name in cosines)):
        there = np.array([name in cosines for cosines in shown])
        values = np.array([cosines[name] for cosines in shown if name in cosines])
        points = (steps[there], values) if validated else mean_parts(steps[there], values, SMOOTHED_OVER)
        yield _Series(name, f"modality-{number % 6}", *points)


def _chart(heading: str, about: str, series: Sequence[_Series], lines: Sequence[Mapping[str, Any]]) -> CurveChart:
    first, last = float(lines[0]["step"]), float(lines[-1]["step"])
    values = [value for one in series for value in (one.values.min(), one.values.max())]
    low, high, step = _round_axis(min(values), max(values))
    width = max(last - first, 1.0)

    def path(one: _Series) -> str:
        xs = SIDE * (one.steps - first) / width
        ys = SIDE * (high - one.values) / (high - low)
        points = " L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))
        return f"M{points}"

    count = round((high - low) / step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    value_ticks = [Tick(f"{low + step * n:z.{digits}f}".replace("-", "−"), 100 * n / count) for n in range(count + 1)]
    middle = round((first + last) / 2)
    step_ticks = dict.fromkeys([int(first), middle, int(last)])
    kept = kept_step(lines)
    return CurveChart(
        heading,
        about,
        tuple(Line(one.name, one.look, path(one), float(one.values[-1])) for one in series),
        tuple(Tick(f"{at:,}", round(100 * (at - first) / width, 2)) for at in step_ticks),
        tuple(value_ticks),
        Tick(f"{kept:,}", round(100 * (kept - first) / width, 2)),
    )


def _round_axis(low: float, high: float) -> tuple[float, float, float]:
    """Ends and step of an axis with three to six round steps."""
    span = max(high - low, 1e-3)
    step = 10.0 ** math.floor(math.log10(span / 3))
    for factor in (1, 2, 5, 10):
        if span / (step * factor) <= 5:
            step *= factor
            break
    start, stop = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return start, max(stop, start + step), step


def _steps(lines: Sequence[Mapping[str, Any]]) -> np.ndarray:
    return np.array([line["step"] for line in lines])
