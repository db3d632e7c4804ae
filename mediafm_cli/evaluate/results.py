"""An ablation as a table for people, as JSON and CSV for programs, and as a plot."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mediafm_cli.evaluate.ablate import Ablation, Row
from mediafm_cli.model.atomic import write_atomically

SCHEMA = "mediafm.ablation"
SCHEMA_VERSION = 1

Column = tuple[str, Callable[[Row], float | None]]


def columns(ablation: Ablation) -> list[Column]:
    """Heading, and what it shows of a row."""
    cosines: list[Column] = [(f"cos {name}", partial(_cosine, name)) for name in ablation.modalities]
    return [
        ("cosine", lambda row: row.scores.cosine),
        *cosines,
        ("top-1", lambda row: row.scores.top1),
        ("MRR", lambda row: row.scores.mrr),
        ("over mean", lambda row: row.skill_over_mean),
        ("over copy", lambda row: row.skill_over_copy),
    ]


def _cosine(modality: str, row: Row) -> float | None:
    return row.scores.by_modality[modality]


def table(ablation: Ablation) -> str:
    """Aligned plain text, with a line below that says on what it was measured."""
    shown = columns(ablation)
    width = max(len(row.name) for row in ablation.rows)
    widths = [max(len(heading), 6) for heading, _ in shown]
    lines = ["  ".join([" " * width, *(heading.rjust(w) for (heading, _), w in zip(shown, widths, strict=True))])]
    for row in ablation.rows:
        cells = [_number(value(row)).rjust(w) for (_, value), w in zip(shown, widths, strict=True)]
        lines.append("  ".join([row.name.ljust(width), *cells]))
    return "\n".join([*lines, "", *_legend(ablation)])


def write_results(ablation: Ablation, folder: Path) -> list[Path]:
    """Write ``results.json``, ``results.csv`` and ``results.png`` into ``folder``; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"schema": SCHEMA, "version": SCHEMA_VERSION, **dataclasses.asdict(ablation)}
    contents = {
        "results.json": (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        "results.csv": _csv(ablation).encode(),
        "results.png": _plot(ablation),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _legend(ablation: Ablation) -> list[str]:
    scores = ablation.rows[0].scores
    unseen = "that the model never learned from" if ablation.held_out else "THAT THE MODEL LEARNED FROM"
    guess = ""
    if ablation.chance_top1 is not None and ablation.chance_mrr is not None:
        guess = f" A guess: top-1 {ablation.chance_top1:.3f}, MRR {ablation.chance_mrr:.3f}."
    titles = "title" if scores.titles == 1 else "titles"
    return [
        f"{scores.shots} shots of {scores.titles} {titles} {unseen}; each hidden once, a fifth of a title at a time.",
        "cosine: of prediction and hidden shot, on the whole vector and on each modality where it is present.",
        f"top-1, MRR: finding the hidden shot among those of its title hidden at the same time.{guess}",
        "over mean, over copy: share of the cosine distance of the mean vector, and of all flat, that is gone.",
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _csv(ablation: Ablation) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    shown = columns(ablation)
    writer.writerow(["row", *(heading for heading, _ in shown), "shots", "titles", "held_out"])
    for row in ablation.rows:
        values = [value(row) for _, value in shown]
        cells = ["" if value is None else repr(value) for value in values]
        writer.writerow([row.name, *cells, row.scores.shots, row.scores.titles, ablation.held_out])
    return out.getvalue()


def _plot(ablation: Ablation) -> bytes:
    """Cosine and MRR of each row as bars, with the best row that needs no training, and chance, as lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = ablation.rows[::-1]
    names = [row.name for row in rows]
    colours = ["#c2571a" if row.name.startswith("trained") else "#8a9aa8" for row in rows]
    figure = Figure(figsize=(10, 0.42 * len(rows) + 1.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    left.barh(names, [row.scores.cosine for row in rows], color=colours)
    left.set_xlabel("cosine of prediction and hidden shot")
    right.barh(names, [row.scores.mrr or 0 for row in rows], color=colours)
    right.set_xlabel("mean reciprocal rank of the hidden shot")
    if ablation.chance_mrr is not None:
        right.axvline(ablation.chance_mrr, color="black", linestyle=":", linewidth=1)
        right.text(ablation.chance_mrr, len(rows) - 0.4, " chance", fontsize=8, va="bottom")
    untrained = [row.scores.cosine for row in rows if not row.name.startswith(("trained", "untrained"))]
    left.axvline(max(untrained), color="black", linestyle=":", linewidth=1)
    left.text(max(untrained), len(rows) - 0.4, "best without training ", fontsize=8, va="bottom", ha="right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    scores = ablation.rows[0].scores
    where = "held-out titles" if ablation.held_out else "titles that the model learned from"
    figure.suptitle(f"Predicting hidden shots: {scores.shots} shots of {scores.titles} {where}", fontsize=11)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, metadata={"Software": "mediafm"})
    return out.getvalue()
