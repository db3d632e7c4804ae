"""Sums over titles, their interval, and how they are shown."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mediafm_cli.evaluate.boundaries.agreement import Counts, Found, score_boundaries
from mediafm_cli.evaluate.boundaries.results import mistake_record, mistake_table, score_table
from mediafm_cli.evaluate.boundaries.totals import TitleScore, add_up, bootstrap_f1
from mediafm_cli.evaluate.boundaries.truth import Span, parse_truth

COUNTS = [Counts(10, 11, 9), Counts(4, 4, 4), Counts(20, 15, 13), Counts(7, 9, 6), Counts(3, 2, 1), Counts(12, 12, 11)]


def title(name: str, found: list[int], true: list[int], gradual: int = 0) -> TitleScore:
    """``gradual``: dissolves that are true and found, with half their frames in common."""
    spans = [{"kind": "dissolve", "first": 200 + 50 * n, "last": 219 + 50 * n} for n in range(gradual)]
    over = [Found(Span("gradual", 200 + 50 * n, 209 + 50 * n)) for n in range(gradual)]
    truth = parse_truth({"hard_cuts": true, "gradual": spans}, "")
    score = score_boundaries([*(Found(Span("cut", frame, frame), 1.25) for frame in found), *over], truth)
    times_s = tuple(mistake.frame / 24 for mistake in score.mistakes)
    return TitleScore(name, Path(f"{name}.h5"), f"{name}.mp4", 1000, score, times_s)


def test_a_sum_weighs_boundaries_not_titles() -> None:
    totals = add_up([title("long", list(range(10, 100, 10)), list(range(10, 100, 10))), title("short", [5], [9])])

    (exact, *_, any_kind) = totals.rows
    assert (exact.boundaries, exact.tolerance, exact.counts) == ("hard", 0, Counts(10, 10, 9))
    assert exact.counts.f1 == pytest.approx(0.9)
    assert any_kind.counts == Counts(10, 10, 9)
    assert (totals.titles, totals.frames) == (2, 2000)
    assert totals.mistakes == {"false cut": 1, "missed cut": 1}


def test_mean_iou_is_over_transitions_found() -> None:
    assert add_up([title("a", [], [], gradual=3), title("b", [], [])]).mean_iou == pytest.approx(0.5)
    assert add_up([title("b", [], [])]).mean_iou is None


def test_the_interval_is_that_of_scipy() -> None:
    def f1(hits: np.ndarray, both: np.ndarray, axis: int) -> np.ndarray:
        return 2 * hits.sum(axis=axis) / both.sum(axis=axis)

    samples = ([one.hits for one in COUNTS], [one.true + one.found for one in COUNTS])
    expected = stats.bootstrap(
        samples, f1, paired=True, vectorized=True, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval

    found = bootstrap_f1(COUNTS)

    assert found == pytest.approx((expected.low, expected.high), abs=0.006)


def test_the_interval_of_thousands_of_titles_takes_little_memory() -> None:
    tracemalloc.start()

    bootstrap_f1(COUNTS * 200)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20  # 10,000 resamples of 1,200 titles at once take 96 MB


@pytest.mark.parametrize("counts", [COUNTS[:4], [*COUNTS[:4], Counts(), Counts()]])
def test_few_titles_with_boundaries_have_no_interval(counts: list[Counts]) -> None:
    assert bootstrap_f1(counts) is None


def test_the_table_is_aligned_and_has_counts_and_percentages() -> None:
    lines = score_table(add_up([title("film", [10, 21], [10, 20, 90])])).splitlines()

    assert lines[:4] == [
        "            true  found  hits  missed  false  precision  recall      F1  95 % interval",
        "hard ±0        3      2     1       2      1     50.0 %  33.3 %  40.0 %              –",
        "hard ±1        3      2     2       1      0    100.0 %  66.7 %  80.0 %              –",
        "hard ±2        3      2     2       1      0    100.0 %  66.7 %  80.0 %              –",
    ]
    for tolerance, line in enumerate(lines[4:7]):
        assert line.split() == ["gradual", f"±{tolerance}", "0", "0", "0", "0", "0", "–", "–", "–", "–"]


def test_the_list_of_mistakes_names_place_and_sheet() -> None:
    lines = mistake_table([title("film", [21], [20, 90])], [{1: "misses/film.png"}]).splitlines()

    assert lines[2:] == [
        "title     frame      time  mistake      true       found                  sheet",
        "film.mp4     20  0:00.833  shifted cut  cut at 20  cut at 21, score 1.25",
        "film.mp4     90  0:03.750  missed cut   cut at 90  nothing                misses/film.png",
    ]


def test_a_mistake_as_a_record() -> None:
    mistake = title("film", [21], [20]).score.mistakes[0]

    assert mistake_record(mistake, 20 / 24) == {
        "mistake": "shifted cut",
        "frame": 20,
        "time_s": 0.833333,
        "true": {"kind": "cut", "first_frame": 20, "last_frame": 20},
        "found": {"kind": "cut", "first_frame": 21, "last_frame": 21, "score": 1.25},
        "during": None,
    }


def test_the_table_says_that_a_confusion_is_false_among_its_kind_where_it_is_a_hit_of_any() -> None:
    spans = [{"kind": "dissolve", "first": 20, "last": 30}]
    score = score_boundaries([Found(Span("cut", 25, 25))], parse_truth({"hard_cuts": [], "gradual": spans}, ""))

    table = score_table(add_up([TitleScore("a", Path("a.h5"), "a.mp4", 100, score, (1.0,))]))

    assert table.splitlines()[7].split()[:6] == ["any", "kind", "1", "1", "1", "0"]
    assert "Confusions, which count as false among their kind: 1 cut for gradual, 0 gradual for cut." in table
