"""How well hard cuts are found in films whose cuts are known, with options that those films had no part in choosing.

    python benchmarks/cuts.py FOLDER

FOLDER holds films and cuts.json (docs: ``mediafm score --help``). Leave one source out: the options are chosen, from a
grid, for the best F1 on all other sources (of those equally good, the most central), and the cuts of the one left out
are counted with them. Clips of one production are one source, told by the start of their names.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mediafm_cli.evaluate.boundaries.agreement import Counts, count_cuts
from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import VideoPass
from mediafm_cli.media.probe import require_video
from mediafm_cli.media.thumbnails import read_thumbnails
from mediafm_cli.segmenters.content import ContentSegmenter
from mediafm_cli.segmenters.cuts import CutFinder, CutOptions

GRID = {"contrast": (0.3, 0.375, 0.45, 0.525, 0.6), "ratio": (1.8, 2.05, 2.3, 2.6, 3.0), "likeness": (0.55, 0.65, 0.75)}


def read_frames(path: Path, stream: int | None) -> np.ndarray:
    """Every frame of one stream as the detector sees it: uint8 [frames, values]."""
    with open_media(path) as container:
        video = require_video(path, container) if stream is None else container.streams[stream]
        size = ContentSegmenter.thumbnail_size
        return np.stack([seen.rgb.reshape(-1) for _, _, seen in read_thumbnails(VideoPass(container, video), size)])


def find_cuts(frames: np.ndarray, options: CutOptions) -> list[int]:
    """Frames of the hard cuts found."""
    finder = CutFinder(options)
    return [cut.frame for cut in (*finder.push(frames), *finder.finish())]


def source_of(name: str) -> str:
    """What a clip was taken from: ``mov_bbb_4s.mp4`` and ``bbb_480p_30s.mp4`` are one film."""
    found = re.match(r"(?:mov_)?([a-z]+)", name.lower())
    return found[1] if found else name


def choose(f1: list[float]) -> int:
    """The best of the choices of the grid; of equally good ones the one nearest to their middle."""
    places = np.array(list(itertools.product(*(range(len(values)) for values in GRID.values()))))
    ties = np.flatnonzero(np.array(f1) == max(f1))
    return int(min(ties, key=lambda tie: float(np.abs(places[tie] - places[ties].mean(axis=0)).sum())))


def main() -> None:
    """Read the films, and print the counts of each source and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    truth = json.loads((folder / "cuts.json").read_text("utf-8"))["clips"]
    choices = [
        replace(CutOptions(), **dict(zip(GRID, values, strict=True))) for values in itertools.product(*GRID.values())
    ]
    scores: dict[str, list[list[Counts]]] = {}  # of each source: of each choice: at tolerances 0, 1 and 2
    for name, clip in truth.items():
        file, _, stream = name.partition("#stream")
        frames = read_frames(folder / file, int(stream) if stream else None)
        found = [find_cuts(frames, options) for options in choices]
        counted = [[count_cuts(cuts, clip["hard_cuts"], tolerance) for tolerance in range(3)] for cuts in found]
        before = scores.setdefault(source_of(file), [[Counts()] * 3] * len(choices))
        scores[source_of(file)] = [
            [a + b for a, b in zip(*pair, strict=True)] for pair in zip(before, counted, strict=True)
        ]
    default = choices.index(CutOptions())
    print(f"{'source':<14}{'options chosen without it':<42}{'found':>6}{'false':>6}{'missed':>7}")
    total = [Counts()] * 3
    for source, own in scores.items():
        rest = [
            sum((other[n][0] for name, other in scores.items() if name != source), Counts())
            for n in range(len(choices))
        ]
        best = choose([score.f1 or 0.0 for score in rest])
        chosen = ", ".join(f"{name} {getattr(choices[best], name):g}" for name in GRID)
        print(f"{source:<14}{chosen:<42}{own[best][0].hits:>6}{own[best][0].false:>6}{own[best][0].missed:>7}")
        total = [a + b for a, b in zip(total, own[best], strict=True)]
    for title, counted in {
        "left out": total,
        "with the defaults": [sum((own[default][t] for own in scores.values()), Counts()) for t in range(3)],
    }.items():
        for tolerance, score in enumerate(counted):
            counts = f"{score.hits} found, {score.false} false, {score.missed} missed"
            shares = {"precision": score.precision, "recall": score.recall, "F1": score.f1}
            rates = ", ".join(f"{name} {'–' if share is None else f'{share:.3f}'}" for name, share in shares.items())
            print(f"{title}, tolerance {tolerance}: {rates} ({counts})")


if __name__ == "__main__":
    main()
