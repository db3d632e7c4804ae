"""The title's timed text: which source of captions is taken, and which shot each cue belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.subtitles.subtitle import AssSubtitle
from pysubs2 import SSAEvent

from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import iterate_packets, time_base_of
from mediafm_cli.media.languages import same_language
from mediafm_cli.media.probe import MediaInfo, StreamInfo
from mediafm_cli.media.sounds import is_sound
from mediafm_cli.media.subtitles import PARSERS, clean_text, read_subtitles

_MIN_OVERLAP_S = 0.2
_MIN_SHARE = 0.5
_BITMAP_SUFFIXES = (".sup", ".idx")
_NO_LANGUAGES = ("forced", "sdh", "cc", "hi", "default", "full")  # what else stands in the names of subtitle files
_FALLBACK_DURATION_S = 4.0  # for a packet that does not say how long its cue stands


@dataclass(frozen=True)
class Cue:
    """One caption, in seconds from the start of the title; ``end_s`` is exclusive."""

    start_s: float
    end_s: float
    text: str

    @property
    def sound(self) -> bool:
        """Whether it tells of a sound and not of what is said; see ``is_sound``."""
        return is_sound(self.text)


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


@dataclass(frozen=True)
class CaptionSource:
    """Where a title's captions are: read already from a file, or in a stream that is still to be read.

    Attributes:
        timed: (start_s, end_s, text) of a file.
        stream: number of the stream; ``None`` where there is none to read.
        name, notes: see ``Captions``.
    """

    timed: tuple[tuple[float, float, str], ...]
    stream: int | None
    name: str
    notes: tuple[str, ...] = ()

    def captions(self, streamed: Iterable[tuple[float, float, str]] = ()) -> Captions:
        """The captions; ``streamed`` is what the stream held."""
        return Captions(_tidy([*self.timed, *streamed]), self.name, self.notes)


class StreamCues:
    """Collects (start_s, end_s, text) from the packets of a text stream, as a pass over the file meets them.

    Args:
        start_s: start of the title on the container's clock.
    """

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self.timed: list[tuple[float, float, str]] = []

    def take(self, packet: Packet) -> None:
        """Decode one packet; one that is damaged is one cue less."""
        if packet.pts is None:
            return
        time_base = float(time_base_of(packet.stream))
        start = packet.pts * time_base - self._start_s
        end = start + (packet.duration * time_base if packet.duration else _FALLBACK_DURATION_S)
        self.timed += [(start, end, text) for text in _decode_texts(packet)]


def choose_captions(
    path: Path,
    info: MediaInfo,
    subtitles: Path | None = None,
    language: str | None = None,
    encoding: str | None = None,
) -> CaptionSource:
    """Choose a title's captions: the file given, else one beside the media, else a text stream inside it, else none.

    Beside the media count ``film.srt``, ``film.en.vtt``, ``film.English.srt`` and the like: plain names first, forced
    ones last, then by name.

    Args:
        language: languages to prefer, the best first, with commas between them: ``en`` or ``pt,es`` (ISO 639). Captions
            tagged with none of them are passed over.
        encoding: of subtitle files; ``None`` finds it out.

    Raises:
        MediaError: the subtitle file that was given cannot be read; one that was found is passed over, with a note.
        UsageError: there is no such encoding, or the file given is not in it.
    """
    frame_rate = float(Fraction(info.video.frame_rate)) if info.video and info.video.frame_rate else None
    if subtitles is not None:
        timed, how = read_subtitles(subtitles, frame_rate, encoding)
        return CaptionSource(tuple(timed), None, f"file:{subtitles.name}", tuple(how))
    wanted = [tag.strip() for tag in (language or "").split(",") if tag.strip()]
    notes: list[str] = []
    for sidecar in _find_sidecars(path, wanted, notes):
        try:
            timed, how = read_subtitles(sidecar, frame_rate, encoding)
        except MediaError as error:
            notes.append(str(error))
            continue
        return CaptionSource(tuple(timed), None, f"sidecar:{sidecar.name}", (*notes, *how))
    stream = _choose_stream(info, wanted, notes)
    if stream is None:
        return CaptionSource((), None, "none", tuple(notes))
    return CaptionSource((), stream.index, f"stream:{stream.index}", tuple(notes))


def find_captions(
    path: Path,
    info: MediaInfo,
    subtitles: Path | None = None,
    language: str | None = None,
    encoding: str | None = None,
) -> Captions:
    """Choose a title's captions and read them, from a stream too; arguments and errors as for ``choose_captions``."""
    return read_captions(path, info, choose_captions(path, info, subtitles, language, encoding))


def read_captions(path: Path, info: MediaInfo, chosen: CaptionSource) -> Captions:
    """The captions that were chosen; a stream is read from the file, in a pass of its own."""
    return chosen.captions(_read_stream(path, info, chosen.stream) if chosen.stream is not None else ())


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
    """In order of time, without cues that are empty, said twice, end before they begin, or lie before the title."""
    cues = dict.fromkeys(Cue(max(start, 0.0), end, text) for start, end, text in timed if text)
    return tuple(sorted((cue for cue in cues if cue.start_s < cue.end_s), key=_by_time))


def _by_time(cue: Cue) -> tuple[float, float]:
    return cue.start_s, cue.end_s


def _find_sidecars(path: Path, wanted: Sequence[str], notes: list[str]) -> list[Path]:
    """Files named after the media: by the languages wanted, forced ones last, plain names before tagged ones."""
    prefix = f"{path.stem}.".lower()
    found: list[tuple[bool, int, str, Path]] = []
    for beside in sorted(path.absolute().parent.iterdir()):
        name = beside.name.lower()
        if not name.startswith(prefix) or not beside.is_file():
            continue
        if beside.suffix.lower() in _BITMAP_SUFFIXES:
            notes.append(f"{beside.name} holds pictures, not text, and was passed over; give a text file")
        if beside.suffix.lower() not in PARSERS:
            continue
        tags = name[len(prefix) :].split(".")[:-1]
        spoken = [tag for tag in tags if tag not in _NO_LANGUAGES]
        rank = _rank(spoken, wanted)
        if rank is None:
            notes.append(f"{beside.name} is not in the language {' or '.join(wanted)}")
        else:
            found.append(("forced" in tags, rank, beside.name, beside))
    return [sidecar for *_, sidecar in sorted(found)]


def _rank(tags: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Place among the languages wanted; after them what has no tag; ``None`` for another language."""
    if not wanted:
        return int(bool(tags))
    for place, language in enumerate(wanted):
        if any(same_language(tag, language) for tag in tags):
            return place
    return None if tags else len(wanted)


def _choose_stream(info: MediaInfo, wanted: Sequence[str], notes: list[str]) -> StreamInfo | None:
    """The first text stream in the first of the languages wanted; the default one before the others."""
    candidates: list[tuple[int, bool, int, StreamInfo]] = []
    for stream in info.streams:
        if stream.kind != "subtitle":
            continue
        name = f"subtitle stream {stream.index} ({stream.codec}, {stream.language or 'no language'})"
        rank = _rank([stream.language] if stream.language else [], wanted) if wanted else 0
        if stream.bitmap:
            notes.append(f"{name} holds pictures, not text, and was passed over; give a text file with --subtitles")
        elif rank is None:
            notes.append(f"{name} is not in the language {' or '.join(wanted)}")
        else:
            candidates.append((rank, not stream.default, stream.index, stream))
    return min(candidates, key=lambda candidate: candidate[:3])[3] if candidates else None


def _read_stream(path: Path, info: MediaInfo, index: int) -> list[tuple[float, float, str]]:
    collected = StreamCues(info.start_s)
    with open_media(path) as container:
        for packet in iterate_packets(container, [container.streams[index]], _skip):
            collected.take(packet)
    return collected.timed


def _decode_texts(packet: Packet) -> list[str]:
    try:
        subtitles = packet.decode()
    except av.error.FFmpegError:
        return []  # a damaged cue is one cue less
    dialogues = [subtitle.dialogue for subtitle in subtitles if isinstance(subtitle, AssSubtitle)]
    return [clean_text(SSAEvent(text=words.decode("utf-8", "replace")).plaintext) for words in dialogues]


def _skip() -> None:
    """A damaged stretch holds no cues."""
