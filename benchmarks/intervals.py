"""How often intervals of 95 % hold: simulated catalogues of which the truth is known.

    python benchmarks/intervals.py --runs 1500

Average precision of two scores that are about as good, macro, micro and at three misses to one hit, and the paired
difference of the two, over titles that differ in how well they are scored; classes occur in every title, or each in
three of ten. And probes of vectors in which there is nothing: how often two rows seem to differ, and how often one
seems better or worse than a guess.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.metrics import average_precision_score

from mediafm_cli.evaluate.bootstrap import Statistic, difference_of, draw_counts, interval
from mediafm_cli.evaluate.probes.features import FeatureRow
from mediafm_cli.evaluate.probes.labels import Labels
from mediafm_cli.evaluate.probes.metrics import RATIO, Ranking, macro_statistic, micro_statistic, rank_titles
from mediafm_cli.evaluate.probes.probe import chance, probe_rows

MANY = 40_000
"""Titles from which the truth is taken."""

MEASURES: dict[str, Callable[[Ranking], Statistic]] = {
    "macro": macro_statistic,
    "micro": micro_statistic,
    "at 1:3": partial(macro_statistic, ratio=RATIO),
}

Drawn = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]


def draw_scored(titles: int, seed: int, occurs: float) -> Drawn:
    """Labels of two classes, bool [shots, 2] a title, and two scores of them; a class is in a share of the titles."""
    draws = np.random.default_rng([1, seed])
    hits: list[np.ndarray] = []
    scores: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for _ in range(titles):
        shots = int(draws.integers(10, 40))
        hit = (draws.random((shots, 2)) < 0.25) & (draws.random(2) < occurs)
        hits.append(hit)
        for score, skill in zip(scores, (1.0, 1.15), strict=True):
            score.append(hit * draws.normal(skill, 0.5) + draws.normal(0, 0.3) + draws.normal(size=hit.shape))
    return hits, *scores


def find_truths(occurs: float) -> dict[str, list[float]]:
    """By measure, the average precision of both scores over many titles, by scikit-learn."""
    hits, *scored = (np.concatenate(of) for of in draw_scored(MANY, 0, occurs))
    weights = np.where(hits, 1.0, RATIO * hits.sum(axis=0) / (~hits).sum(axis=0))

    def at_ratio(score: np.ndarray) -> float:
        columns = zip(hits.T, score.T, weights.T, strict=True)
        return float(np.mean([average_precision_score(hit, of, sample_weight=weight) for hit, of, weight in columns]))

    return {
        "macro": [average_precision_score(hits, score) for score in scored],
        "micro": [average_precision_score(hits, score, average="micro") for score in scored],
        "at 1:3": [at_ratio(score) for score in scored],
    }


def coverage(titles: int, runs: int, occurs: float) -> dict[str, np.ndarray]:
    """By measure, the share of intervals that hold the truth: of average precision, and of the difference of two."""
    truths = find_truths(occurs)
    held = {name: np.zeros(2) for name in MEASURES}
    for seed in range(1, runs + 1):
        hits, *scored = draw_scored(titles, seed, occurs)
        rankings = [rank_titles(score, hits) for score in scored]
        draws = draw_counts(titles, 1000, seed)
        for name, measure in MEASURES.items():
            (one, other), (truth, better) = map(measure, rankings), truths[name]
            found = interval(one, draws, bounds=(0, 1)), interval(difference_of(one, other), draws)
            held[name] += [at.low <= true <= at.high for at, true in zip(found, (truth, better - truth), strict=True)]
    return {name: share / runs for name, share in held.items()}


def noise(titles: int, runs: int) -> tuple[float, float]:
    """Of probes of noise: the share of differences of two rows that exclude zero, and of rows that exclude a guess."""
    apart = np.zeros(2)
    for seed in range(runs):
        draws = np.random.default_rng([2, seed])
        labels = Labels("multiclass", ("a", "b"), [draws.integers(2, size=12) for _ in range(titles)])
        vectors = [[draws.normal(size=(12, 10)).astype(np.float32) for _ in range(titles)] for _ in range(2)]
        rows = [FeatureRow("one", vectors[0]), FeatureRow("other", vectors[1], baseline=False)]
        one, other = probe_rows(rows, labels, [str(number) for number in range(titles)], seed=seed).rows
        cell, guess = one.cells["ap_macro"], chance(labels)["ap_macro"]
        apart += [not other.over_best["ap_macro"].includes_zero, not cell.low <= guess <= cell.high]
    return float(apart[0]) / runs, float(apart[1]) / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1500, help="of the first part; a fifth of it of the probes")
    runs = parser.parse_args().runs
    for occurs in (1.0, 0.3):
        for titles in (30, 100):
            print(f"{titles} titles, a class in {occurs:.0%} of them: average precision, difference")
            for name, held in coverage(titles, runs, occurs).items():
                print(f"  {name:<8}{held[0]:>8.1%}{held[1]:>8.1%}", flush=True)
    apart, no_guess = noise(30, runs // 5)
    print(f"30 titles of noise, in 5 folds: two rows seem to differ {apart:.1%}, one is no guess {no_guess:.1%}")


if __name__ == "__main__":
    main()
