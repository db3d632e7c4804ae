"""One title's speech as an SRT file: what ``mediafm transcribe`` calls, for use from Python too.

from mediafm_whisper.recognizer import Whisper
from mediafm_whisper.transcribe import transcribe_title

transcribe_title(Path("film.mp4"), Path("film.srt"), Whisper(language="en"))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mediafm_cli.errors import MediaError
from mediafm_cli.media.audio import read_spans
from mediafm_cli.media.captions import Cue, choose_captions, read_captions
from mediafm_cli.media.probe import MediaInfo, probe
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress, ignore_progress
from mediafm_whisper.recognizer import PIECE_S, Whisper
from mediafm_whisper.srt import require_writable, write_srt
from mediafm_whisper.windows import RATE, Window, is_silent, read_windows

PIECES = 8
"""Pieces of 30 s, spread evenly over the title, that vote on its language: the first 30 s of a film are often music."""

LOOK_S = 300.0
"""How far closed captions are looked for: they begin with the first words, and all pictures would take minutes."""


def transcribe_title(
    media: Path,
    output: Path,
    whisper: Whisper,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: OnProgress = ignore_progress,
) -> Outcome:
    """Write down what is said in one title.

    The file is written whole when all has been heard, or not at all. One that is there already is left alone, unless
    ``overwrite``. A title in which nothing is said gets a file without cues.

    Raises:
        MediaError: the file is no media, or has no sound.
        MediafmError: the SRT file cannot be written.
        UnavailableError, UsageError: see ``Whisper.load``.
    """
    there = output.exists()
    if there and not overwrite:
        return Outcome(output, "unchanged", "there already; replace it with --overwrite")
    info = probe(media)
    if info.audio_index is None:
        kinds = ", ".join(dict.fromkeys(stream.kind for stream in info.streams)) or "no stream at all"
        raise MediaError(f"{media} has no sound.", f"It holds {kinds}.", "Give a title with an audio stream.")
    if dry_run:
        return Outcome(output, "planned", f"{media} would be {whisper.task}d by {whisper.model}")
    require_writable(output)
    whisper.load()
    cues, language = _hear(media, info, info.audio_index, whisper, progress)
    write_srt(output, cues, overwrite=overwrite)
    notes = [] if cues else ["no speech was found, so the file has no cue"]
    if there:
        notes.append("the file that was there was replaced")
    summary = f"cues: {len(cues)}, language {language or 'unknown'}{_describe_use(media, output, info)}"
    return Outcome(output, "written", summary, tuple(notes))


def find_subtitles(media: Path) -> str:
    """The subtitles that ``mediafm segment`` finds for a title, in a few words; empty where it finds none.

    Closed captions in the pictures are looked for in the first ``LOOK_S`` of them.

    Raises:
        MediaError: the file is no media.
    """
    info = probe(media)
    source = choose_captions(media, info)
    kind, _, name = source.name.partition(":")
    if kind == "sidecar":
        return f"subtitles beside it, {name}"
    if kind == "stream":
        return f"subtitles inside, stream {name}"
    return "closed captions in its pictures" if read_captions(media, info, source, LOOK_S).cues else ""


def _hear(
    media: Path, info: MediaInfo, stream_index: int, whisper: Whisper, progress: OnProgress
) -> tuple[list[Cue], str | None]:
    """The cues of a title, in order of time and without overlap, and the language that is spoken."""
    language = whisper.language or _vote_on_language(media, info, stream_index, whisper)
    cues: list[Cue] = []
    for window in read_windows(media, stream_index, info.duration_s):
        progress(Progress(window.start_s, info.duration_s, "s"))
        language = language or whisper.detect_language([window.samples])
        heard = whisper.transcribe(window.samples, language, _watch(window, info.duration_s, progress))
        cues += [replace(cue, start_s=window.start_s + cue.start_s, end_s=window.start_s + cue.end_s) for cue in heard]
    return cues, language


def _watch(window: Window, duration_s: float | None, progress: OnProgress) -> Callable[[float], None]:
    return lambda done_s: progress(Progress(window.start_s + done_s, duration_s, "s"))


def _vote_on_language(media: Path, info: MediaInfo, stream_index: int, whisper: Whisper) -> str | None:
    """``None`` where the pieces are silent, or the title does not declare how long it is."""
    if info.duration_s is None:
        return None
    count = min(max(int(info.duration_s // PIECE_S), 1), PIECES)
    part_s = info.duration_s / count
    length_s = min(PIECE_S, part_s)
    starts = [part_s * number + (part_s - length_s) / 2 for number in range(count)]
    pieces = read_spans(media, [(start, start + length_s) for start in starts], RATE, stream_index)
    return whisper.detect_language(piece for _, piece in pieces if piece is not None and not is_silent(piece))


def _describe_use(media: Path, output: Path, info: MediaInfo) -> str:
    beside = output.absolute().parent == media.absolute().parent
    if beside and choose_captions(media, info).name == f"sidecar:{output.name}":
        return ""
    return f"; mediafm segment does not find it by itself: give it --subtitles {output}"
