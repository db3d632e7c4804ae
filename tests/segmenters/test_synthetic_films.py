"""The built-in segmenter on films whose cuts are known to the frame; run with ``-rP`` to read the scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import av
import pytest
from clip_thumbnails import read_clip

from mediafm_cli.api import Boundary, Thumbnail
from mediafm_cli.evaluate.boundaries.agreement import Counts, count_cuts
from mediafm_cli.segmenters.content import ContentSegmenter
from mediafm_cli.synthetic import HARD, PLAIN, SyntheticTitle, write_catalogue

DIFFICULTIES = {"plain": PLAIN, "hard": HARD, "starved": HARD}
"""Hard: dissolves, fades, flashes, things that pass before the lens, and more noise. Starved: the same at so few bits
that the picture pops at every key frame, twice a second."""

Detected = list[tuple[SyntheticTitle, list[Boundary]]]


@pytest.fixture(scope="module", params=DIFFICULTIES)
def detected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Detected]:
    """The boundaries found in eight films of 24 shots."""
    folder = tmp_path_factory.mktemp(request.param)
    difficulty = DIFFICULTIES[request.param]
    films = write_catalogue(folder, titles=8, shots=24, seed=9, difficulty=difficulty, jobs=os.cpu_count() or 1)
    paths = [starve(film.path) if request.param == "starved" else film.path for film in films]
    return request.param, [(film, find_boundaries(path)) for film, path in zip(films, paths, strict=True)]


def starve(film: Path) -> Path:
    """The film once more, at 40 kbit a second."""
    path = film.with_suffix(".starved.mp4")
    with av.open(str(film)) as source, av.open(str(path), "w") as container:
        video = source.streams.video[0]
        options = {"preset": "veryfast", "b": "40k", "maxrate": "40k", "bufsize": "20k", "g": "12", "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        stream.thread_count = 1  # so that it always comes out the same
        for frame in source.decode(video):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def find_boundaries(path: Path) -> list[Boundary]:
    frames = (Thumbnail(number, number / 24, rgb) for number, rgb in enumerate(read_clip(path)))
    return list(ContentSegmenter().detect(frames))


def score_hard_cuts(films: Detected, tolerance: int) -> Counts:
    total = Counts()
    for film, boundaries in films:
        found = [boundary.frame for boundary in boundaries if boundary.kind == "cut"]
        total += count_cuts(found, film.cuts, tolerance)
    return total


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_hard_cuts_of_synthetic_films_are_found(detected: tuple[str, Detected], tolerance: int) -> None:
    difficulty, films = detected

    found = score_hard_cuts(films, tolerance)

    print(
        f"{difficulty} films, tolerance {tolerance}: F1 {found.f1:.3f} "
        f"({found.hits} found, {found.false} false, {found.missed} missed)"
    )
    assert found.f1 >= 0.96, found


def overlapped(boundaries: Sequence[Boundary], first: int, last: int) -> bool:
    return any(b.kind == "gradual" and b.first <= last and first <= b.last for b in boundaries)


def test_dissolves_and_fades_are_overlapped(detected: tuple[str, Detected]) -> None:
    difficulty, films = detected
    if difficulty == "plain":
        pytest.skip("plain films have none")
    true = [(boundaries, t) for film, boundaries in films for t in film.transitions]

    hits = sum(overlapped(boundaries, t.first, t.last) for boundaries, t in true)

    print(f"{difficulty} films: {hits} of {len(true)} gradual transitions overlapped")
    assert hits >= 0.8 * len(true)
