"""What probes have found, as a table for people, as JSON and CSV for programs, and as a plot."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mediafm_cli.evaluate.bootstrap import ENOUGH_TITLES
from mediafm_cli.evaluate.probes.metrics import RATIO
from mediafm_cli.evaluate.probes.probe import MEASURES, Probed
from mediafm_cli.evaluate.probes.probing import Task
from mediafm_cli.evaluate.writing import between, plain, write_files

SCHEMA = "mediafm.probe"
SCHEMA_VERSION = 1

HEADINGS = {
    "ap_macro": "AP macro",
    "ap_micro": "AP micro",
    "kendall_tau": "Kendall τ",
    "ap_at_ratio": f"AP at 1:{RATIO:g}",
}

_MACRO_AND_MICRO = "AP: average precision; macro: the mean over classes; micro: of all classes ranked together."
_MEANINGS: dict[Task, str] = {
    "multilabel": _MACRO_AND_MICRO,
    "multiclass": _MACRO_AND_MICRO,
    "ranking": "Kendall τ: how far the order of the clips of a title is right, from -1 to 1; the mean over titles.",
    "retrieval": f"AP at 1:{RATIO:g}: average precision where {RATIO:g} clips that are not meant come to one that is.",
}

SHARED_TRAINING = (
    "Probes share what they learned from, which no interval tells: of rows of noise one pair in eight seems to differ."
)
"""12.5 % of 200 catalogues of noise: ``benchmarks/intervals.py``."""


def table(probed: Probed) -> str:
    """Aligned plain text: each row's figures, then what context adds to the best baseline, then on what it stands."""
    measures = MEASURES[probed.task]
    names = [f"{row.name}{' *' * (row.name in probed.best.values())}" for row in probed.rows]
    width = max(map(len, names))
    lines = ["  ".join([" " * width, *(HEADINGS[measure].ljust(22) for measure in measures)]).rstrip()]
    for name, row in zip(names, probed.rows, strict=True):
        cells = [between(row.cells[measure]).ljust(22) for measure in measures]
        lines.append("  ".join([name.ljust(width), *cells]).rstrip())
    return "\n".join([*lines, "", *_differences(probed, width), *_legend(probed)])


def _differences(probed: Probed, width: int) -> Iterator[str]:
    for measure in MEASURES[probed.task]:
        if any(row.over_best for row in probed.rows):
            yield f"{HEADINGS[measure]}, over the best baseline, {probed.best[measure]}:"
            for row in probed.rows:
                if row.over_best:
                    found = row.over_best[measure]
                    said = ", includes zero" if found.includes_zero else ""
                    yield f"{row.name.ljust(width)}  {between(found, '+')}{said}"
            yield ""


def _legend(probed: Probed) -> Iterator[str]:
    classes = (
        f" in {len(probed.classes)} {'class' if len(probed.classes) == 1 else 'classes'}" if probed.classes else ""
    )
    titles, folds = len(probed.titles), len(set(probed.folds))
    yield f"{probed.clips} clips of {titles} titles{classes}; linear probes in {folds} folds, split by title."
    guess = ", ".join(f"{HEADINGS[measure]} {value:.3f}" for measure, value in probed.chance.items())
    yield _MEANINGS[probed.task]
    yield f"A guess: {guess}. *: the best baseline."
    if probed.left_out:
        yield f"Left out, since they are too rare or too common to be learned: {'; '.join(probed.left_out)}."
    percent = f"{probed.level:.0%}".replace("%", " %")
    yield f"[…]: {percent} intervals of a paired bootstrap over titles."
    yield SHARED_TRAINING
    if titles < ENOUGH_TITLES:
        yield f"{titles} titles are few: intervals are widened, and below {ENOUGH_TITLES} not to be trusted."


def records(probed: Probed) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema and fields of each record of ``--json``: the rows, then what they have in common."""
    record = plain(dataclasses.asdict(probed))
    rows = record.pop("rows")
    for row in rows:
        yield "probe.row", row
    yield "probe.total", record


def write_results(probed: Probed, folder: Path) -> list[Path]:
    """Write ``results.json``, ``results.csv`` and ``results.png`` into ``folder``; their paths."""
    record = {"schema": SCHEMA, "version": SCHEMA_VERSION, **plain(dataclasses.asdict(probed))}
    return write_files(folder, record, _csv(probed), plot(probed))


def plot(probed: Probed) -> bytes:
    """Each measure of each row as a bar with its interval, and the best baseline and a guess as lines; PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, measures = probed.rows[::-1], MEASURES[probed.task]
    figure = Figure(figsize=(4.5 + 3 * len(measures), 0.36 * len(rows) + 1.8), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, measure in zip(figure.subplots(1, len(measures), sharey=True, squeeze=False)[0], measures, strict=True):
        for place, row in enumerate(rows):
            cell = row.cells[measure]
            axes.barh(place, cell.value, color="#8a9aa8" if row.baseline else "#c2571a", height=0.72)
            if math.isfinite(cell.low):
                ends = [[max(0.0, cell.value - cell.low)], [max(0.0, cell.high - cell.value)]]
                axes.errorbar(cell.value, place, xerr=ends, color="#222222", linewidth=1.1, capsize=2.5)
        best = next(row.cells[measure].value for row in rows if row.name == probed.best[measure])
        for value, label, style in ((best, "best baseline", "--"), (probed.chance[measure], "a guess", ":")):
            axes.axvline(value, color="#222222", linestyle=style, linewidth=1, label=label)
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set_xlabel(HEADINGS[measure])
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.suptitle(f"{probed.task}: {probed.clips} clips of {len(probed.titles)} titles", fontsize=11)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, metadata={"Software": "mediafm"})
    return out.getvalue()


def _csv(probed: Probed) -> str:
    """One line a row; each measure and its interval, then how much it is over the best baseline."""
    measures = MEASURES[probed.task]
    columns = [f"{prefix}{measure}" for prefix in ("", "over_best_") for measure in measures]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["row", "baseline", "width", *(f"{name}{end}" for name in columns for end in ("", "_low", "_high"))]
    )
    for row in probed.rows:
        found = [*(row.cells[measure] for measure in measures), *(row.over_best.get(measure) for measure in measures)]
        ends = [number for one in found for number in ((one.value, one.low, one.high) if one else (None,) * 3)]
        writer.writerow([row.name, row.baseline, row.width, *("" if one is None else one for one in plain(ends))])
    return out.getvalue()
