"""Scores of boundaries as tables for people and as records for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mediafm_cli.evaluate.boundaries.agreement import CUT, TOLERANCES, Found, Mistake
from mediafm_cli.evaluate.boundaries.totals import FEWEST_TITLES, Row, TitleScore, Totals
from mediafm_cli.evaluate.boundaries.truth import Span
from mediafm_cli.evaluate.writing import align, format_time

_HEADINGS = ("", "true", "found", "hits", "missed", "false", "precision", "recall", "F1", "95 % interval")
_LEGEND = (
    "hard ±n: cuts at most n frames off. any kind: cuts and gradual ones alike.\n"
    "gradual ±n: those that share a frame, once the true one is widened by n frames at either end.\n"
    f"95 % interval: of F1; there is none for fewer than {FEWEST_TITLES} titles with any."
)
_MISTAKES = ("title", "frame", "time", "mistake", "true", "found", "during", "sheet")


def score_table(totals: Totals, *, legend: bool = True) -> str:
    """Counts and percentages, aligned, with confusions below, and with ``legend`` what is counted by."""
    lines = align([_HEADINGS, *map(_cells, totals.rows)], left=1)
    mistakes = totals.mistakes
    confusions = ", ".join(f"{mistakes[kind]} {kind}" for kind in ("cut for gradual", "gradual for cut"))
    notes = [f"Confusions, which count as false among their kind: {confusions}."]
    if legend:
        notes.insert(0, _LEGEND)
    if totals.mean_iou is not None:
        notes.append(f"Mean IoU of the gradual transitions found: {totals.mean_iou:.2f}.")
    if totals.left_out:
        notes.append(f"Found in ambiguous places, and counted neither way: {totals.left_out}.")
    return "\n".join([*lines, "", *notes])


def mistake_table(titles: Sequence[TitleScore], sheets: Sequence[dict[int, str]]) -> str:
    """A line for each mistake.

    Args:
        sheets: for each title, the place among its mistakes → the name of the contact sheet.
    """
    rows = [
        (
            title.media,
            str(mistake.frame),
            format_time(time_s),
            mistake.kind,
            describe_true(mistake.true),
            describe_found(mistake.found),
            mistake.during,
            names.get(place, ""),
        )
        for title, names in zip(titles, sheets, strict=True)
        for place, (mistake, time_s) in enumerate(zip(title.score.mistakes, title.times_s, strict=True))
    ]
    kept = [column for column in range(len(_MISTAKES)) if any(row[column] for row in rows)]
    shown = [[row[column] for column in kept] for row in (_MISTAKES, *rows)]
    heading = f"Mistakes at hard ±{TOLERANCES[-1]} and gradual ±{TOLERANCES[0]}; shifted cuts are hits:"
    return "\n".join([heading, "", *align(shown, left=len(kept), right=(1, 2))])


def describe_true(span: Span | None) -> str:
    """Such as ``cut at 738`` or ``dissolve 149–179``."""
    if span is None:
        return "nothing"
    return f"{span.kind} at {span.first}" if span.kind == CUT else f"{span.kind} {span.first}–{span.last}"


def describe_found(found: Found | None) -> str:
    """The same, with the segmenter's score where it gave one."""
    if found is None:
        return "nothing"
    return describe_true(found.span) + (f", score {found.score:.2f}" if found.score else "")


def score_record(totals: Totals) -> dict[str, Any]:
    """``Totals`` as JSON holds it; shares lie between 0 and 1, and are null where there is nothing to share."""
    return {
        "frames": totals.frames,
        "scores": [_row_record(row) for row in totals.rows],
        "gradual_mean_iou": totals.mean_iou,
        "mistakes": dict(sorted(totals.mistakes.items())),
        "left_out": totals.left_out,
    }


def mistake_record(mistake: Mistake, time_s: float) -> dict[str, Any]:
    """One mistake as JSON holds it."""
    found = mistake.found
    return {
        "mistake": mistake.kind,
        "frame": mistake.frame,
        "time_s": round(time_s, 6),
        "true": _span_record(mistake.true) if mistake.true else None,
        "found": {**_span_record(found.span), "score": found.score} if found else None,
        "during": mistake.during or None,
    }


def _span_record(span: Span) -> dict[str, Any]:
    return {"kind": span.kind, "first_frame": span.first, "last_frame": span.last}


def _row_record(row: Row) -> dict[str, Any]:
    counts = row.counts
    names = ("true", "found", "hits", "missed", "false", "precision", "recall", "f1")
    return {
        "boundaries": row.boundaries,
        "tolerance_frames": row.tolerance,
        **{name: getattr(counts, name) for name in names},
        "f1_95": row.f1_95,
    }


def _cells(row: Row) -> Sequence[str]:
    counts = row.counts
    name = row.boundaries if row.tolerance is None else f"{row.boundaries} ±{row.tolerance}"
    numbers = (counts.true, counts.found, counts.hits, counts.missed, counts.false)
    shares = (counts.precision, counts.recall, counts.f1)
    interval = "–" if row.f1_95 is None else f"{100 * row.f1_95[0]:.1f}–{100 * row.f1_95[1]:.1f} %"
    return (name, *map(str, numbers), *map(_percent, shares), interval)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
