"""What ``segment`` holds in memory, of a film and of one ten times as long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from segment import loop_packets

from mediafm_cli.synthetic import HARD, write_catalogue

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which cores a process may use")


def peak_mib(film: Path, *options: object) -> float:
    words = ["segment", film, "-o", film.parent / "stores", "--overwrite", "-q", *options]
    command = [sys.executable, "-m", "mediafm_cli", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=take_two_cores)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


def take_two_cores() -> None:
    """FFmpeg decodes with a thread for each core, and each holds pictures of its own."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


@pytest.mark.long
@ON_LINUX
@pytest.mark.parametrize("options", [(), ("--keep-frames", 4)])
def test_a_film_of_an_hour_takes_little_more_memory_than_one_of_minutes(
    tmp_path: Path, options: tuple[object, ...]
) -> None:
    (short,) = write_catalogue(tmp_path, titles=1, shots=40, size=(320, 180), difficulty=HARD, seed=2, sound=False)
    short.path.with_suffix(".srt").unlink()
    minutes, hour = (loop_packets(short.path, length, tmp_path / f"{length}.mp4") for length in (6, 60))

    assert peak_mib(hour, *options) < 1.2 * peak_mib(minutes, *options)


@ON_LINUX
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
