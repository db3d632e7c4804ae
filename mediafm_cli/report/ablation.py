"""The bars of an ablation, read from the ``results.json`` that ``mediafm ablate`` writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm_cli.errors import UsageError, command
from mediafm_cli.evaluate.ablation.results import RETRAINED, SCHEMA

RESULTS = "results.json"
_MAX_BYTES = 64 << 20
_PARTS = {
    "rows": "Predicting hidden shots",
    "retrained": "Retrained for comparison",
    "probes": "Probes on labelled clips",
    "probes_retrained": "Probes on labelled clips, retrained for comparison",
}
_PREFERRED = ("cosine", "MRR")
_OF_SCORES = {"cosine": "cosine", "MRR": "mrr"}
"""Measure → its name among the scores of a row that has no cells."""


@dataclass(frozen=True)
class Bar:
    """One figure and, where it is known, its interval.

    Attributes:
        trained: it is no baseline. ``best``: the best baseline, which needs no training, or no context.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    trained: bool
    best: bool = False


@dataclass(frozen=True)
class BarChart:
    """Bars of one measure, on an axis from ``least`` to ``most``."""

    part: str
    measure: str
    least: float
    most: float
    bars: tuple[Bar, ...]

    def place(self, value: float) -> float:
        """Percent of the axis's length."""
        return round(100 * (min(max(value, self.least), self.most) - self.least) / (self.most - self.least), 3)


@dataclass(frozen=True)
class AblationSummary:
    """The charts, what they were measured on in a sentence, and the model's fingerprint, empty where it is not told."""

    charts: tuple[BarChart, ...]
    measured_on: str
    model: str = ""


def read_ablation(folder: Path) -> AblationSummary:
    """Read ``results.json`` of a folder, with intervals where it has them.

    Raises:
        UsageError: it is not there, or not of ``mediafm ablate``.
    """
    path = folder / RESULTS
    hint = "Make it with: mediafm ablate STORES --model MODEL -o FOLDER"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path} is too large to be the results of an ablation.", hint=hint)
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read.", f"{error.strerror}.", hint) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON.", f"{error}.", hint) from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise UsageError(f"{path} is not of mediafm ablate.", hint=hint)
    try:
        return AblationSummary(tuple(_charts(record)), _measured_on(record), str(record.get("model", "")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}."
        raise UsageError(f"{path} is not as mediafm ablate writes it.", why, hint) from error


def require_of_model(summary: AblationSummary, folder: Path, model: Path) -> None:
    """Raise a UsageError where the ablation in ``folder`` is not of the model in the folder ``model``."""
    from mediafm_cli.model.folder import model_fingerprint

    if summary.model not in ("", model_fingerprint(model)):
        why = f"Its model is {summary.model[:12]}, and that of the page {model_fingerprint(model)[:12]}."
        again = command("mediafm", "ablate", "STORES", "--model", model, "-o", "FOLDER")
        raise UsageError(f"{folder} is the ablation of another model.", why, f"Make one of this model with: {again}")


def _charts(record: Mapping[str, Any]) -> Iterator[BarChart]:
    for part, heading in _PARTS.items():
        rows = record.get(part) or ()
        measures = list(dict.fromkeys(measure for row in rows for measure in _measures(row)))
        # A variant that lacks a modality has no cosine of the whole vector.
        preferred = RETRAINED if RETRAINED[0] in measures else _PREFERRED
        chosen = [measure for measure in preferred if measure in measures] or measures[:2]
        for measure in chosen:
            bars = [bar for row in rows if (bar := _bar(row, measure)) is not None]
            yield _chart(heading, measure, _with_best(bars, rows, record.get("best") or {}, measure))


def _measures(row: Mapping[str, Any]) -> list[str]:
    if row.get("cells"):
        return list(row["cells"])
    scores = row.get("scores") or {}
    return [measure for measure, name in _OF_SCORES.items() if scores.get(name) is not None]


def _bar(row: Mapping[str, Any], measure: str) -> Bar | None:
    cell = (row.get("cells") or {}).get(measure)
    if cell is None:
        cell = (row.get("scores") or {}).get(_OF_SCORES.get(measure, measure))
    found = cell if isinstance(cell, dict) else {"value": cell}
    value, low, high = (_finite(found.get(name)) for name in ("value", "low", "high"))
    if value is None:
        return None
    name = str(row["name"])
    is_baseline = row.get("kind") == "baseline" if "kind" in row else not name.startswith("trained")
    return Bar(name, value, low, high, not is_baseline)


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _with_best(
    bars: Sequence[Bar], rows: Sequence[Mapping[str, Any]], best: Mapping[str, str], measure: str
) -> list[Bar]:
    baselines = [bar for bar in bars if not bar.trained]
    named = best.get(measure) if any(row["name"] == best.get(measure) for row in rows) else None
    if named is None and baselines:
        named = max(baselines, key=lambda bar: bar.value).name
    return [Bar(bar.name, bar.value, bar.low, bar.high, bar.trained, bar.name == named) for bar in bars]


def _chart(part: str, measure: str, bars: Sequence[Bar]) -> BarChart:
    """The axis has the zero, for lengths are compared, and ends at a round number."""
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high) if end is not None]
    least, most = min(0.0, *ends), max(0.0, *ends)
    return BarChart(part, measure, math.floor(least * 10) / 10, math.ceil(most * 10) / 10 or 0.1, tuple(bars))


def _measured_on(record: Mapping[str, Any]) -> str:
    titles = len(record.get("titles") or ())
    of = f"{titles} title{'s' * (titles != 1)}"
    if record.get("held_out"):
        said = f"{of} that the model never learned from"
    else:
        said = f"{of} that the model learned from: this says how well it remembers, no more"
    probed = record.get("probed")
    if not probed:
        return said
    return f"{said}; probes on {len(probed['titles'])}, of which it learned from {probed['learned']}, without labels"
