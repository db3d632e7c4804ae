"""The loss curve of a training run, from its ``metrics.jsonl`` alone.

Above: the loss of each step, and of the held-out titles beside what two baselines have on them. Below: the cosine of
prediction and truth by modality. No two lines differ by their colour alone.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mediafm_cli.model.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINING, HELD_OUT, BASELINE = "#7d8894", "#c2571a", "#3c434b"
MODALITIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's, which stay apart for colour-blind eyes."""

MOST_POINTS = 2000
"""That are drawn of one line; of a longer run the means of neighbouring steps."""

SMOOTHED_OVER = 50
"""Parts of a run of which each point of a smooth line is the mean of one."""

_WRITTEN = {"step", "loss", "cosine"}


def write_loss_curve(metrics: Path, path: Path) -> None:
    """Draw the run of ``metrics``, a ``metrics.jsonl`` with one line at least, as a PNG at ``path``."""
    write_atomically(path, draw_loss_curve(metrics))


def draw_loss_curve(metrics: Path) -> bytes:
    """The PNG. The same file gives the same picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    lines = read_lines(metrics)
    validated = [line for line in lines if "validation" in line]
    kept, steps = kept_step(lines), lines[-1]["step"]
    why = "best on held-out titles" if validated else "the last"
    figure = Figure(figsize=(12, 7), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_losses(above, lines, validated)
    _draw_cosines(below, lines, validated)
    for axes in (above, below):
        axes.axvline(kept, color="black", linestyle="--", linewidth=1.2, label=f"kept: step {kept:,},\n{why}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e3e6ea", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    above.set_title(f"Training: {steps:,} {'step' if steps == 1 else 'steps'}", loc="left")
    below.set_xlabel("step")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    below.xaxis.set_major_formatter("{x:,.0f}")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, metadata={"Software": "mediafm"})
    return out.getvalue()


def read_lines(metrics: Path) -> list[dict[str, Any]]:
    """The steps of a ``metrics.jsonl``; a last line that a kill has cut off is left out.

    Raises:
        ValueError: a line is not one that a run writes.
    """
    content = metrics.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    lines = [json.loads(line) for line in whole.splitlines()]
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict) or not line.keys() >= _WRITTEN:
            raise ValueError(f"line {number} has not {', '.join(sorted(_WRITTEN))}")
    return lines


def kept_step(lines: Sequence[Mapping[str, Any]]) -> int:
    """The step whose weights a run keeps: the first with the least loss on held-out titles, or the last there is."""
    validated = [line for line in lines if "validation" in line]
    best = min(validated, key=lambda line: line["validation"]["loss"], default=lines[-1])
    return best["step"]


def _draw_losses(axes: Axes, lines: Sequence[Mapping[str, Any]], validated: Sequence[Mapping[str, Any]]) -> None:
    steps = np.array([line["step"] for line in lines])
    losses = np.array([line["loss"] for line in lines])
    axes.plot(
        *mean_parts(steps, losses, MOST_POINTS), color=TRAINING, linewidth=0.6, alpha=0.5, label="training, each step"
    )
    axes.plot(
        *mean_parts(steps, losses, SMOOTHED_OVER), color=TRAINING, linewidth=2, marker=".", label="training, mean"
    )
    if validated:
        held_out = [line["validation"]["loss"] for line in validated]
        axes.plot(_steps(validated), held_out, color=HELD_OUT, marker="o", markersize=4, label="held-out titles")
        _draw_baselines(axes, validated[-1]["validation"])
    axes.set_ylabel("loss: cosine distance, lower is better")


def _draw_baselines(axes: Axes, validation: Mapping[str, Any]) -> None:
    """What needs no training has the same loss at each validation: the model's, divided by its share of it."""
    baselines = {
        "skill_over_mean": ("mean training vector", ":"),
        "skill_over_neighbour": ("copy of the nearest shot", "-."),
    }
    for skill, (name, style) in baselines.items():
        share = 1 - validation[skill]
        if share > 0:
            label = f"{name},\non held-out titles"
            axes.axhline(validation["loss"] / share, color=BASELINE, linestyle=style, linewidth=1.2, label=label)


def _draw_cosines(axes: Axes, lines: Sequence[Mapping[str, Any]], validated: Sequence[Mapping[str, Any]]) -> None:
    """Held-out titles where there are any, and else the training."""
    shown = [line["validation"]["cosine"] for line in validated] or [line["cosine"] for line in lines]
    steps = _steps(validated or lines)
    for number, name in enumerate(dict.fromkeys(name for cosines in shown for name in cosines)):
        there = np.array([name in cosines for cosines in shown])
        values = np.array([cosines[name] for cosines in shown if name in cosines])
        points = (steps[there], values) if validated else mean_parts(steps[there], values, SMOOTHED_OVER)
        colour, marker = MODALITIES[number % len(MODALITIES)], "os^Dvx"[number % 6]
        axes.plot(*points, color=colour, marker=marker, markersize=4, label=name)
    axes.set_ylabel(f"cosine on {'held-out' if validated else 'training'} titles, higher is better")


def _steps(lines: Sequence[Mapping[str, Any]]) -> np.ndarray:
    return np.array([line["step"] for line in lines])


def mean_parts(steps: np.ndarray, values: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values, both [n], as the means of ``parts`` parts of about one length; as they are where n is less."""
    edges = np.unique(np.linspace(0, len(values), min(parts, len(values)) + 1).astype(int))
    counts = np.diff(edges)
    return np.add.reduceat(steps, edges[:-1]) / counts, np.add.reduceat(values, edges[:-1]) / counts
