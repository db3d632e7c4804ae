"""The plot of an ablation: a bar a row, its interval across the end, and the best baseline and chance as lines."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mediafm_cli.evaluate.ablation.ablate import Ablation
from mediafm_cli.evaluate.ablation.comparison import Kind, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[Kind, str] = {
    "baseline": "#8a9aa8",
    "trained": "#c2571a",
    "intervention": "#e6b391",
    "retrained": "#5c7a3a",
}
LEGEND: dict[Kind, str] = {
    "baseline": "needs no training, or no context",
    "trained": "the model",
    "intervention": "the model, shown something else",
    "retrained": "a model trained for comparison",
}
BEST, CHANCE = ("best baseline", "--"), ("a guess", ":")


@dataclass(frozen=True)
class _Panel:
    """Rows, and the bars beside one another of each; ``lines``: by measure, what is marked, its value and its style."""

    title: str
    rows: Sequence[Row]
    measures: Mapping[str, str]
    lines: Mapping[str, list[tuple[str, float, str]]] = field(default_factory=dict)


def plot(ablation: Ablation) -> bytes:
    """Every table of the ablation as bars, one below the other, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    panels = list(_panels(ablation))
    heights = [0.32 * len(panel.rows) + 1.2 for panel in panels]
    figure = Figure(figsize=(11, sum(heights) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, panel in zip(parts, panels, strict=True):
        part.suptitle(panel.title, fontsize=11)
        grid = part.subplots(1, len(panel.measures), sharey=True, squeeze=False)[0]
        for axes, (measure, label) in zip(grid, panel.measures.items(), strict=True):
            _draw_bars(axes, panel.rows[::-1], measure)
            axes.set_xlabel(label)
            for name, value, style in panel.lines.get(measure, []):
                axes.axvline(value, color="#222222", linestyle=style, linewidth=1)
                side = "right" if style == CHANCE[1] else "left"  # chance is below the best baseline: apart
                axes.annotate(name, (value, 1), xycoords=("data", "axes fraction"), fontsize=8, ha=side, va="bottom")
    used = {row.kind for panel in panels for row in panel.rows}
    patches = [Patch(color=COLOURS[kind], label=label) for kind, label in LEGEND.items() if kind in used]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=9)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, metadata={"Software": "mediafm"})
    return out.getvalue()


def _panels(ablation: Ablation) -> Iterator[_Panel]:
    scores = ablation.rows[0].scores
    assert scores is not None, "every row of hidden shots has its scores"
    where = "held out" if ablation.held_out else "that the model learned from"
    intervals = f"; bars end in {ablation.level:.0%} intervals" if scores.titles > 1 else "; no intervals"
    lines = _best_lines(
        ablation.rows, {name: best for name, best in ablation.best.items() if name in ("cosine", "MRR")}
    )
    if ablation.chance_mrr is not None:
        name, style = CHANCE
        lines.setdefault("MRR", []).append((name, ablation.chance_mrr, style))
    yield _Panel(
        f"Predicting hidden shots: {scores.measured} {where}{intervals}",
        ablation.rows,
        {"cosine": "cosine of prediction and hidden shot", "MRR": "mean reciprocal rank of the hidden shot"},
        lines,
    )
    if ablation.retrained:
        measures = {"mean cosine": "mean cosine over modalities", "MRR": "mean reciprocal rank of the hidden shot"}
        measures = {name: label for name, label in measures.items() if any(name in r.cells for r in ablation.retrained)}
        yield _Panel("Trained with one thing changed: predicting hidden shots", ablation.retrained, measures)
    if ablation.probed:
        probed = ablation.probed
        lines = _best_lines(ablation.probes, {measure: ablation.best[measure] for measure in probed.chance})
        for measure, value in probed.chance.items():
            lines[measure].append((CHANCE[0], value, CHANCE[1]))
        title = f"Probing {probed.column}: {probed.clips} clips of {len(probed.titles)} titles"
        measures = {measure: measure for measure in probed.chance}
        yield _Panel(title, ablation.probes, measures, lines)
        if ablation.probes_retrained:
            title = f"Trained with one thing changed: probing {probed.column}"
            yield _Panel(title, ablation.probes_retrained, measures)


def _best_lines(rows: Sequence[Row], best: Mapping[str, str]) -> dict[str, list[tuple[str, float, str]]]:
    name, style = BEST
    values = {row.name: row.cells for row in rows}
    return {measure: [(name, values[owner][measure].value, style)] for measure, owner in best.items()}


def _draw_bars(axes: Axes, rows: Sequence[Row], measure: str) -> None:
    """One horizontal bar a row, from below; a row without the measure keeps its place empty."""
    for place, row in enumerate(rows):
        cell = row.cells.get(measure)
        axes.barh(place, cell.value if cell else 0, color=COLOURS[row.kind], height=0.72)
        if cell and math.isfinite(cell.low):
            ends = [[max(0.0, cell.value - cell.low)], [max(0.0, cell.high - cell.value)]]
            axes.errorbar(cell.value, place, xerr=ends, color="#222222", linewidth=1.1, capsize=2.5)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.spines[["top", "right"]].set_visible(False)
