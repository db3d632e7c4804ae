"""What segmenting costs: processor and wall time beside decoding alone and PySceneDetect, and memory over the length.

    python benchmarks/segment.py                        # a film made for it, 1280 × 720
    python benchmarks/segment.py clips/*.mp4 --repeats 5
    python benchmarks/segment.py --lengths 10 30 60 180 # minutes, made by looping packets

All contestants run on the same file, one after another, ``--repeats`` times in turn; the medians are printed, and their
sums over several files. Decoding alone is PyAV with threads and nothing done to the frames. PySceneDetect runs with its
defaults and whichever of its backends takes least processor time. Times are of one process after everything is
imported; memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from processes import run_mediafm
from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, open_video

from mediafm_cli.api import Frames
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.synthetic import HARD, write_catalogue

BACKENDS = ("opencv", "pyav")


def decode(film: Path) -> int:
    """Decode every frame of the best stream, and leave it at that; how many there are."""
    with av.open(str(film)) as container:
        stream = container.streams.best("video")
        stream.thread_type = "AUTO"
        return sum(1 for _ in container.decode(stream))


def segment(film: Path, folder: Path, settings: SegmentSettings) -> None:
    """What ``mediafm segment`` does with one film, from probing it to the store on the disk."""
    (folder / "film.h5").unlink(missing_ok=True)
    segment_title(film, folder / "film.h5", settings)


def scenedetect(film: Path, detector: Callable[[], object], backend: str) -> None:
    """PySceneDetect on one film, with the size of frames that it chooses."""
    manager = SceneManager()
    manager.add_detector(detector())
    manager.detect_scenes(open_video(str(film), backend=backend))


def measure(call: Callable[[], object]) -> tuple[float, float]:
    """(processor, wall) seconds of a call; the processor's are those of all threads."""
    gc.collect()  # no contestant pays for what another has left
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - processor, time.perf_counter() - wall


def compare(film: Path, folder: Path, repeats: int) -> dict[str, tuple[float, float]]:
    """Print the table of one film; (processor, wall) seconds of each contestant, PySceneDetect with either backend."""
    contestants: dict[str, Callable[[], object]] = {
        "decoding alone": partial(decode, film),
        "mediafm segment": partial(segment, film, folder, SegmentSettings()),
        "mediafm segment --keep-frames 4": partial(segment, film, folder, SegmentSettings(keep_frames=Frames(4))),
    }
    for name, detector in {"Content": ContentDetector, "Adaptive": AdaptiveDetector}.items():
        for backend in BACKENDS:
            contestants[f"PySceneDetect {name}, {backend}"] = partial(scenedetect, film, detector, backend)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, call in contestants.items():
            times[name].append(measure(call))
    with av.open(str(film)) as container:
        stream = container.streams.best("video")
        heading = f"{film.name}: {stream.width} × {stream.height}, {stream.codec_context.name}, {decode(film)} frames"
    medians = {
        name: (statistics.median(first for first, _ in taken), statistics.median(second for _, second in taken))
        for name, taken in times.items()
    }
    show(heading, medians)
    return medians


def show(heading: str, seconds: Mapping[str, tuple[float, float]]) -> None:
    """Print (processor, wall) seconds, PySceneDetect's with the backend that takes less of the processor."""
    print(f"\n{heading}\n{'':<36}{'processor':>10}{'ratio':>8}{'wall':>10}")
    alone, _ = seconds["decoding alone"]
    for name, (processor, wall) in seconds.items():
        detector = name.rpartition(",")[0]
        rivals = [seconds[f"{detector}, {backend}"][0] for backend in BACKENDS] if detector else []
        if not rivals or processor == min(rivals):
            print(f"{name:<36}{processor:>8.2f} s{processor / alone:>8.2f}{wall:>8.2f} s", flush=True)


def encode_as_films_are(film: Path, path: Path) -> Path:
    """Encode a film again as most are, by x264's default preset: the synthetic ones are made fast, and decode fast."""
    with av.open(str(film)) as source, av.open(str(path), "w") as container:
        video = source.streams.video[0]
        stream = container.add_stream("libx264", rate=24, options={"preset": "medium", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for frame in source.decode(video):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def loop_packets(film: Path, minutes: float, path: Path) -> Path:
    """Write a longer film: the packets of a short one over and over, with later time stamps. Nothing is encoded."""
    with av.open(str(film)) as short, av.open(str(path), "w") as container:
        stream = short.streams.video[0]
        packets = [(p.pts, p.dts, p.duration, p.is_keyframe, bytes(p)) for p in short.demux(stream) if p.size]
        time_base = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        length = max(pts + duration for pts, _, duration, *_ in packets)
        copy = container.add_stream_from_template(stream)
        for turn in range(max(1, round(minutes * 60 / float(length * time_base)))):
            for pts, dts, duration, is_keyframe, data in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base = copy, time_base
                packet.pts, packet.dts, packet.duration = pts + turn * length, dts + turn * length, duration
                packet.is_keyframe = is_keyframe
                container.mux(packet)
    return path


def grow(film: Path, minutes: list[float], folder: Path) -> None:
    """Print what a title costs as it gets longer, and how much memory it takes."""
    print(f"\n{'minutes':>8}{'kept':>6}{'processor':>11}{'a minute':>10}{'wall':>9}{'peak memory':>13}")
    for length in minutes:
        long = loop_packets(film, length, folder / "long.mp4")
        for kept in (0, 4):
            words = ["segment", long, "-o", folder / "grown", "-q", "--overwrite"]
            used = run_mediafm([*words, *(["--keep-frames", kept] if kept else [])])
            figures = f"{used.processor_s:>9.1f} s{used.processor_s / length:>8.2f} s{used.wall_s:>7.1f} s"
            print(f"{length:>8g}{kept:>6}{figures}{used.peak_mib:>9.0f} MiB", flush=True)
        shutil.rmtree(folder / "grown")


def main() -> None:
    """Read the arguments, make the film where none is given, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", type=Path, metavar="FILM")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lengths", nargs="+", type=float, default=[], metavar="MINUTES")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = arguments.films
        if not films and not arguments.lengths:
            made = write_catalogue(folder, titles=1, shots=30, size=(1280, 720), difficulty=HARD, seed=1)
            films = [encode_as_films_are(made[0].path, folder / "synthetic.mp4")]
        found = [compare(film, folder, arguments.repeats) for film in films]
        if len(found) > 1:
            of_all = {name: (sum(of[name][0] for of in found), sum(of[name][1] for of in found)) for name in found[0]}
            show(f"all {len(found)} films", of_all)
        if arguments.lengths:
            (short,) = write_catalogue(
                folder, titles=1, shots=40, size=(320, 180), difficulty=HARD, seed=2, sound=False
            )
            grow(short.path, sorted(arguments.lengths), folder)


if __name__ == "__main__":
    main()
