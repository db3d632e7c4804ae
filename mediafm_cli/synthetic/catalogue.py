"""Writes synthetic titles as real files: MP4 (H.264, AAC), SRT beside it, title metadata, the truth about the cuts."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pysubs2

from mediafm_cli.errors import UsageError
from mediafm_cli.synthetic.picture import draw_frames
from mediafm_cli.synthetic.script import PLAIN, Difficulty, TitlePlan, Transition, plan_title
from mediafm_cli.synthetic.sound import SAMPLE_RATE, draw_sound
from mediafm_cli.synthetic.world import World, draw_world

_KEY_FRAME_EVERY_S = 2
_CUE_INSET = 0.1  # of the shot, at each end: a cue lies well inside its shot


@dataclass(frozen=True)
class SyntheticTitle:
    """One title as written, and the truth about it; the tuples over shots are parallel.

    Attributes:
        path: the MP4 file.
        subtitles: the SRT file, or ``None`` where none was asked for.
        metadata: JSON with the keys title, synopsis and tags.
        truth: JSON with all of the below.
        frames, fps: length in frames, and frames per second.
        cuts: first frame of each shot that follows a hard cut.
        transitions: the gradual changes.
        start_frame, end_frame: of each shot, end exclusive; in a transition the boundary is the frame in its middle.
        scene, camera: scene type and camera set-up of each shot, as numbers that mean the same in the whole catalogue.
        spoken, silent: whether the shot has a cue; whether nothing but room tone is heard.
    """

    path: Path
    subtitles: Path | None
    metadata: Path
    truth: Path
    frames: int
    fps: int
    cuts: tuple[int, ...]
    transitions: tuple[Transition, ...]
    start_frame: tuple[int, ...]
    end_frame: tuple[int, ...]
    scene: tuple[int, ...]
    camera: tuple[int, ...]
    spoken: tuple[bool, ...]
    silent: tuple[bool, ...]


@dataclass(frozen=True)
class _Request:
    """What every title of one call has in common."""

    folder: Path
    shots: tuple[int, int]
    seed: int
    size: tuple[int, int]
    fps: int
    shot_s: tuple[float, float]
    difficulty: Difficulty
    sound: bool
    subtitles: bool


def write_catalogue(
    folder: Path,
    *,
    titles: int,
    shots: int | tuple[int, int] = 24,
    seed: int = 0,
    size: tuple[int, int] = (320, 180),
    fps: int = 24,
    shot_s: tuple[float, float] = (1.0, 2.0),
    difficulty: Difficulty = PLAIN,
    sound: bool = True,
    subtitles: bool = True,
    first: int = 0,
    jobs: int = 1,
) -> list[SyntheticTitle]:
    """Write titles ``title_000`` and on into a folder; the same arguments write the same titles.

    Args:
        folder: made where it does not exist. Files of the same names are replaced, each at once and whole.
        titles: how many.
        shots: shots per title; a pair is the smallest and largest number.
        seed: of the world that all titles share, and of the titles.
        size: width and height in pixels, both even.
        fps: frames per second.
        shot_s: shortest and longest shot in seconds; at least half a second.
        difficulty: what makes the shots hard to find.
        sound: ``False`` leaves the audio track out.
        subtitles: ``False`` leaves the SRT file out.
        first: number of the first title, to add titles of another kind to the same catalogue.
        jobs: processes. With more than one, a script needs its ``if __name__ == "__main__"``.

    Raises:
        UsageError: an argument is out of its range.
    """
    fewest, most = (shots, shots) if isinstance(shots, int) else shots
    _require(titles >= 0 and first >= 0 and jobs >= 1, "titles and first must be at least 0, and jobs at least 1")
    _require(1 <= fewest <= most, "shots must be at least 1, the smallest number first")
    _require(min(size) >= 32 and size[0] % 2 == size[1] % 2 == 0, "size must be even, and at least 32 × 32")
    _require(8 <= fps <= 120, "fps must be between 8 and 120")
    _require(0.5 <= shot_s[0] <= shot_s[1], "shot_s must be at least 0.5 s, the shortest first")
    folder.mkdir(parents=True, exist_ok=True)
    request = _Request(folder, (fewest, most), seed, size, fps, shot_s, difficulty, sound, subtitles)
    write = partial(_write_title, request)
    numbers = range(first, first + titles)
    if jobs == 1 or titles < 2:
        return [write(number) for number in numbers]
    with ProcessPoolExecutor(min(jobs, titles), multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(write, numbers))


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise UsageError("The synthetic catalogue cannot be made.", f"{rule}.")


def _write_title(request: _Request, number: int) -> SyntheticTitle:
    world = draw_world(request.seed)
    shots = int(np.random.default_rng([request.seed, 3, number]).integers(request.shots[0], request.shots[1] + 1))
    plan = plan_title(world, number, shots=shots, fps=request.fps, shot_s=request.shot_s, difficulty=request.difficulty)
    stem = request.folder / f"title_{number:03d}"
    written = _describe_title(plan, stem, request)
    _replace(written.metadata, _writer(_metadata_json(plan)))
    _replace(written.truth, _writer(_truth_json(world, plan, request.fps)))
    if written.subtitles is not None:
        _replace(written.subtitles, _writer(_srt(plan, request.fps)))
    # The film comes last: where it lies, all that belongs to it lies there too.
    _replace(written.path, lambda path: _write_mp4(path, world, plan, request))
    return written


def _describe_title(plan: TitlePlan, stem: Path, request: _Request) -> SyntheticTitle:
    return SyntheticTitle(
        path=stem.with_suffix(".mp4"),
        subtitles=stem.with_suffix(".srt") if request.subtitles else None,
        metadata=stem.with_suffix(".json"),
        truth=stem.with_suffix(".truth.json"),
        frames=plan.frames,
        fps=request.fps,
        cuts=plan.cuts,
        transitions=plan.transitions,
        start_frame=tuple(shot.start_frame for shot in plan.shots),
        end_frame=tuple(shot.end_frame for shot in plan.shots),
        scene=tuple(shot.scene for shot in plan.shots),
        camera=tuple(shot.camera for shot in plan.shots),
        spoken=tuple(bool(shot.text) for shot in plan.shots),
        silent=tuple(shot.silent for shot in plan.shots),
    )


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file, then put it in place: nobody sees half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _writer(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return write


# --- what goes into the files -----------------------------------------------------------------------------------------


def _metadata_json(plan: TitlePlan) -> str:
    return json.dumps({"title": plan.title, "synopsis": plan.synopsis, "tags": plan.tags}, indent=1) + "\n"


def _truth_json(world: World, plan: TitlePlan, fps: int) -> str:
    """Frames count from 0; a hard cut is the first frame of the new shot; first and last are inclusive."""
    truth = {
        "frames": plan.frames,
        "nominal_fps": str(fps),
        "hard_cuts": plan.cuts,
        "gradual": [asdict(transition) for transition in plan.transitions],
        "hard_negatives": [asdict(disturbance) for disturbance in plan.disturbances],
        "scene_types": [scene_type.name for scene_type in world.scene_types],
        "shots": [asdict(shot) for shot in plan.shots],
    }
    return json.dumps(truth, indent=1) + "\n"


def _srt(plan: TitlePlan, fps: int) -> str:
    cues = pysubs2.SSAFile()
    for shot in plan.shots:
        if shot.text:
            inset = _CUE_INSET * (shot.end_frame - shot.start_frame)
            start_s, end_s = (shot.start_frame + inset) / fps, (shot.end_frame - inset) / fps
            cues.append(pysubs2.SSAEvent(start=round(1000 * start_s), end=round(1000 * end_s), text=shot.text))
    return cues.to_string("srt")


def _write_mp4(path: Path, world: World, plan: TitlePlan, request: _Request) -> None:
    with av.open(path, "w", format="mp4") as container:
        video = container.add_stream(_video_codec(), rate=request.fps)
        assert isinstance(video, av.VideoStream)
        video.width, video.height = request.size
        video.pix_fmt = "yuv420p"
        video.gop_size = _KEY_FRAME_EVERY_S * request.fps
        video.thread_count = 1  # titles are made side by side; and one thread always writes the same bytes
        if video.name == "libx264":
            video.options = {"preset": "ultrafast", "crf": "26"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if request.sound else None
        frames = draw_frames(world, plan, request.size)
        for shot in plan.shots:
            if audio is not None:
                block = av.AudioFrame.from_ndarray(draw_sound(world, shot, request.fps)[None], "fltp", "mono")
                block.sample_rate = SAMPLE_RATE
                block.time_base = Fraction(1, SAMPLE_RATE)
                block.pts = round(shot.start_frame * SAMPLE_RATE / request.fps)
                container.mux(audio.encode(block))
            for _ in range(shot.start_frame, shot.end_frame):
                container.mux(video.encode(av.VideoFrame.from_ndarray(next(frames), "rgb24")))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))


def _video_codec() -> str:
    return "libx264" if "libx264" in av.codecs_available else "mpeg4"
