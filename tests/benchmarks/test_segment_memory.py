"""What ``segment`` holds in memory: of a film and of one ten times as long, of small pictures and of large ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from processes import run_mediafm
from segment import loop_packets

from mediafm_cli.synthetic import HARD, write_catalogue

pytestmark = pytest.mark.skipif(not shutil.which("taskset"), reason="cores are allotted by taskset of util-linux")


def peak_mib(film: Path, *options: object) -> float:
    """On two cores: FFmpeg decodes with a thread for each, and each holds pictures of its own."""
    return run_mediafm(["segment", film, "-o", film.parent / "stores", "--overwrite", "-q", *options], cores=2).peak_mib


@pytest.mark.long
@pytest.mark.parametrize("options", [(), ("--keep-frames", 4)])
def test_a_film_of_an_hour_takes_little_more_memory_than_one_of_minutes(
    tmp_path: Path, options: tuple[object, ...]
) -> None:
    (short,) = write_catalogue(tmp_path, titles=1, shots=40, size=(320, 180), difficulty=HARD, seed=2, sound=False)
    short.path.with_suffix(".srt").unlink()
    minutes, hour = (loop_packets(short.path, length, tmp_path / f"{length}.mp4") for length in (6, 60))

    assert peak_mib(hour, *options) < 1.2 * peak_mib(minutes, *options)


def test_a_picture_is_no_larger_in_memory_than_it_must_be(tmp_path: Path) -> None:
    """No subtitles beside it, so that its pictures are looked at for captions."""
    small, large = (
        write_catalogue(tmp_path / str(width), titles=1, shots=6, size=(width, width * 9 // 16), seed=3, sound=False)[0]
        for width in (320, 1920)
    )
    for film in (small, large):
        film.path.with_suffix(".srt").unlink()

    pictures = 40  # of 3 MiB: what FFmpeg's threads and the codec's own references may hold
    assert peak_mib(large.path) < peak_mib(small.path) + 3 * pictures
