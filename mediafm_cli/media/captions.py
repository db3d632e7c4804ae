"""The title's timed text: which source of captions is taken, and which shot each cue belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.subtitles.subtitle import AssSubtitle
from pysubs2 import SSAEvent

from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import open_media, origin_s
from mediafm_cli.media.decoding import iterate_packets, time_base_of
from mediafm_cli.media.languages import same_language
from mediafm_cli.media.probe import MediaInfo, StreamInfo
from mediafm_cli.media.subtitles import PARSERS, clean_text, read_subtitles

_MIN_OVERLAP_S = 0.2
_MIN_SHARE = 0.5
_FALLBACK_DURATION_S = 4.0  # for a packet that does not say how long its cue stands


@dataclass(frozen=True)
class Cue:
    """One caption, in seconds from the start of the title; ``end_s`` is exclusive."""

    start_s: float
    end_s: float
    text: str
    sound: bool = False


@dataclass(frozen=True)
class Captions:
    """A title's cues in order of time.

    Attributes:
        source: ``"file:NAME"``, ``"sidecar:NAME"``, ``"stream:INDEX"`` or ``"none"``.
        notes: what a user should know: captions passed over, and why; a guessed encoding.
    """

    cues: tuple[Cue, ...]
    source: str
    notes: tuple[str, ...] = ()


def find_captions(path: Path, info: MediaInfo, subtitles: Path | None = None, language: str | None = None) -> Captions:
    """Find a title's captions: the file given, else one beside the media, else a text stream inside it, else none.

    With ``language`` (ISO 639), sources tagged with another one are passed over. Beside the media count
    ``film.srt``, ``film.en.vtt`` and the like: plain names first, forced ones last, then by name.

    Raises:
        MediaError: the subtitle file that was given cannot be read; one that was found is passed over, with a note.
    """
    frame_rate = float(Fraction(info.video.frame_rate)) if info.video and info.video.frame_rate else None
    if subtitles is not None:
        timed, how = read_subtitles(subtitles, frame_rate)
        return Captions(_tidy(timed), f"file:{subtitles.name}", tuple(how))
    notes: list[str] = []
    for sidecar in _find_sidecars(path, language, notes):
        try:
            timed, how = read_subtitles(sidecar, frame_rate)
        except MediaError as error:
            notes.append(str(error))
            continue
        return Captions(_tidy(timed), f"sidecar:{sidecar.name}", (*notes, *how))
    stream = _choose_stream(info, language, notes)
    if stream is None:
        return Captions((), "none", tuple(notes))
    return Captions(_tidy(_read_stream(path, stream.index)), f"stream:{stream.index}", tuple(notes))


def assign_cues(cues: Sequence[Cue], start_s: Sequence[float], end_s: Sequence[float]) -> list[str]:
    """Give each shot its text.

    A cue belongs to every shot that it overlaps by 0.2 s or by half its own length, else to the one that it overlaps
    most (the earliest of equals); a cue that overlaps none belongs to none.

    Args:
        start_s, end_s: of the shots, ascending and without overlap, end exclusive.

    Returns:
        One text per shot: those of its cues in order of time, joined by newlines; empty where it has none.
    """
    texts: list[list[str]] = [[] for _ in start_s]
    first = 0
    for cue in sorted(cues, key=_by_time):
        while first < len(texts) and end_s[first] <= cue.start_s:
            first += 1
        overlaps: dict[int, float] = {}
        shot = first
        while shot < len(texts) and start_s[shot] < cue.end_s:
            overlaps[shot] = min(cue.end_s, end_s[shot]) - max(cue.start_s, start_s[shot])
            shot += 1
        if not overlaps:
            continue
        least = min(_MIN_OVERLAP_S, _MIN_SHARE * (cue.end_s - cue.start_s))
        owners = [shot for shot, overlap in overlaps.items() if overlap >= least - 1e-9]
        for owner in owners or [max(overlaps, key=lambda shot: overlaps[shot])]:
            texts[owner].append(cue.text)
    return ["\n".join(parts) for parts in texts]


def _tidy(timed: Iterable[tuple[float, float, str]]) -> tuple[Cue, ...]:
    """In order of time, without cues that are empty, end before they begin, or lie before the title."""
    cues = (Cue(max(start, 0.0), end, text) for start, end, text in timed if text)
    return tuple(sorted((cue for cue in cues if cue.start_s < cue.end_s), key=_by_time))


def _by_time(cue: Cue) -> tuple[float, float]:
    return cue.start_s, cue.end_s


def _find_sidecars(path: Path, language: str | None, notes: list[str]) -> list[Path]:
    """Files named after the media: the language asked for first, forced ones last, plain names before tagged ones."""
    prefix = f"{path.stem}.".lower()
    found: list[tuple[bool, bool, str, Path]] = []
    for beside in path.absolute().parent.iterdir():
        name = beside.name.lower()
        if not name.startswith(prefix) or beside.suffix.lower() not in PARSERS or not beside.is_file():
            continue
        tags = name[len(prefix) :].split(".")[:-1]
        is_asked_for = language is not None and any(same_language(tag, language) for tag in tags)
        if language and tags and not is_asked_for:
            notes.append(f"{beside.name} is not in the language {language}")
        else:
            found.append(("forced" in tags, bool(tags) if language is None else not is_asked_for, beside.name, beside))
    return [sidecar for *_, sidecar in sorted(found)]


def _choose_stream(info: MediaInfo, language: str | None, notes: list[str]) -> StreamInfo | None:
    """The first text stream in the language asked for; the default one before the others."""
    chosen: StreamInfo | None = None
    for stream in info.streams:
        if stream.kind != "subtitle":
            continue
        name = f"subtitle stream {stream.index} ({stream.codec}, {stream.language or 'no language'})"
        if stream.bitmap:
            notes.append(f"{name} holds pictures, not text, and was passed over; give a text file with --subtitles")
        elif language and stream.language and not same_language(stream.language, language):
            notes.append(f"{name} is not in the language {language}")
        elif chosen is None or (stream.default and not chosen.default):
            chosen = stream
    return chosen


def _read_stream(path: Path, index: int) -> Iterator[tuple[float, float, str]]:
    with open_media(path) as container:
        stream = container.streams[index]
        origin, time_base = origin_s(container), time_base_of(stream)
        for packet in iterate_packets(container, [stream], _skip):
            if packet.pts is None:
                continue
            start = float(packet.pts * time_base - origin)
            end = start + (float(packet.duration * time_base) if packet.duration else _FALLBACK_DURATION_S)
            for line in _decode_texts(packet):
                yield start, end, line


def _decode_texts(packet: Packet) -> list[str]:
    try:
        subtitles = packet.decode()
    except av.error.FFmpegError:
        return []  # a damaged cue is one cue less
    dialogues = [subtitle.dialogue for subtitle in subtitles if isinstance(subtitle, AssSubtitle)]
    return [clean_text(SSAEvent(text=words.decode("utf-8", "replace")).plaintext) for words in dialogues]


def _skip() -> None:
    """A damaged stretch holds no cues."""
