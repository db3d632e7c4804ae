"""The bars of a page, from what ablate writes: with intervals and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mediafm_cli.errors import UsageError
from mediafm_cli.report.ablation import read_ablation


def scores(cosine: float, mrr: float | None = 0.5) -> dict[str, Any]:
    return {"cosine": cosine, "by_modality": {}, "top1": 0.1, "mrr": mrr, "shots": 9, "titles": 2}


PLAIN = {
    "schema": "mediafm.ablation",
    "version": 1,
    "titles": ["a", "b"],
    "held_out": True,
    "rows": [
        {"name": "all flat", "scores": scores(0.4)},
        {"name": "window mean ±2", "scores": scores(0.55)},
        {"name": "untrained", "scores": scores(-0.02)},
        {"name": "trained", "scores": scores(0.62)},
    ],
}


def cell(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "level": 0.95}


WITH_INTERVALS = {
    **PLAIN,
    "version": 2,
    "best": {"cosine": "all flat"},
    "rows": [
        {"name": "all flat", "kind": "baseline", "scores": scores(0.4), "cells": {"cosine": cell(0.4, 0.35, 0.47)}},
        {"name": "trained", "kind": "trained", "scores": scores(0.6), "cells": {"cosine": cell(0.6, None, None)}},
    ],
}


def write(folder: Path, record: object) -> Path:
    (folder / "results.json").write_text(record if isinstance(record, str) else json.dumps(record))
    return folder


def test_results_without_intervals_are_bars_of_cosine_and_mrr(tmp_path: Path) -> None:
    summary = read_ablation(write(tmp_path, PLAIN))

    cosine, mrr = summary.charts
    assert [(bar.name, bar.value, bar.trained) for bar in cosine.bars] == [
        ("all flat", 0.4, False),
        ("window mean ±2", 0.55, False),
        ("untrained", -0.02, False),
        ("trained", 0.62, True),
    ]
    assert {bar.low for bar in cosine.bars} == {None}
    assert [bar.name for bar in cosine.bars if bar.best] == ["window mean ±2"]
    assert (mrr.measure, len(mrr.bars)) == ("MRR", 4)
    assert summary.measured_on == "2 titles that the model never learned from"


def test_of_probes_it_says_how_many_of_their_titles_the_model_learned_from(tmp_path: Path) -> None:
    summary = read_ablation(write(tmp_path, {**PLAIN, "probed": {"titles": ["a", "b", "c", "d"], "learned": 2}}))

    assert summary.measured_on.endswith("; probes on 4, of which it learned from 2, without labels")


def test_the_axis_holds_zero_and_every_bar(tmp_path: Path) -> None:
    cosine = read_ablation(write(tmp_path, PLAIN)).charts[0]

    assert (cosine.least, cosine.most) == (-0.1, 0.7)
    assert cosine.place(0) == pytest.approx(12.5)


def test_intervals_are_read_and_one_that_is_not_known_is_left_out(tmp_path: Path) -> None:
    (cosine,) = read_ablation(write(tmp_path, WITH_INTERVALS)).charts

    assert [(bar.low, bar.high) for bar in cosine.bars] == [(0.35, 0.47), (None, None)]
    assert [bar.name for bar in cosine.bars if bar.best] == ["all flat"]


def test_rows_of_a_kind_are_charts_of_their_own(tmp_path: Path) -> None:
    probes = [{"name": "flat", "kind": "probe", "scores": None, "cells": {"AP micro": cell(0.7, 0.6, 0.8)}}]

    again = [{**probes[0], "kind": "retrained"}]
    charts = read_ablation(write(tmp_path, {**WITH_INTERVALS, "probes": probes, "probes_retrained": again})).charts

    assert [(chart.part, chart.measure) for chart in charts] == [
        ("Predicting hidden shots", "cosine"),
        ("Probes on labelled clips", "AP micro"),
        ("Probes on labelled clips, retrained for comparison", "AP micro"),
    ]


def test_variants_without_a_modality_are_among_the_retrained(tmp_path: Path) -> None:
    both = {"mean cosine": cell(0.5, None, None), "cosine": cell(0.4, None, None)}
    retrained = [
        {"name": "reference", "kind": "retrained", "scores": None, "cells": both},
        {"name": "without-audio", "kind": "retrained", "scores": None, "cells": {"mean cosine": both["mean cosine"]}},
    ]

    charts = read_ablation(write(tmp_path, {**WITH_INTERVALS, "retrained": retrained})).charts

    (chart,) = [chart for chart in charts if chart.part == "Retrained for comparison"]
    assert (chart.measure, [bar.name for bar in chart.bars]) == ("mean cosine", ["reference", "without-audio"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "is not of mediafm ablate"),
        ({"schema": "mediafm.probe"}, "is not of mediafm ablate"),
        ({**PLAIN, "rows": [{"scores": scores(1.0)}]}, "is not as mediafm ablate writes it"),
    ],
)
def test_what_is_no_ablation_is_refused_by_name(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        read_ablation(write(tmp_path, content))

    assert "mediafm ablate STORES" in raised.value.hint


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"results\.json cannot be read"):
        read_ablation(tmp_path)
