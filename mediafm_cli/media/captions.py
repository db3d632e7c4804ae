"""The title's timed text: which source of captions is taken, and which shot each cue belongs to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from mediafm_cli.errors import MediaError
from mediafm_cli.media.caption_channels import CaptionChannels
from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import VideoPass, iterate_packets, time_base_of
from mediafm_cli.media.languages import parse_languages
from mediafm_cli.media.probe import MediaInfo, StreamInfo, require_video
from mediafm_cli.media.side_data import read_closed_captions
from mediafm_cli.media.sidecars import find_sidecars, rank_language
from mediafm_cli.media.sounds import is_sound
from mediafm_cli.media.subtitles import read_subtitles
from mediafm_cli.media.text_encoding import find_noted
from mediafm_cli.media.text_packets import UnreadText, read_packet, read_unread, set_aside

_MIN_OVERLAP_S = 0.2
_MIN_SHARE = 0.5
_FALLBACK_DURATION_S = 4.0  # for a packet that does not say how long its cue stands
_CLOSED = "eia_608"
_NO_DECODER = "has no decoder here, as teletext has none"


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
        source: ``"file:NAME"``, ``"sidecar:NAME"`` (with its folder, unless it is the film's), ``"stream:INDEX"`` (of
            text, or of the pictures that carry them) or ``"none"``.
        notes: what a user should know: captions passed over, and why; which encoding a file or a stream was read in.
    """

    cues: tuple[Cue, ...]
    source: str
    notes: tuple[str, ...] = ()


class StreamCues:
    """Collects the captions that lie inside a film, as a pass over it meets them.

    Args:
        start_s: start of the title on the container's clock.

    Attributes:
        timed: (start_s, end_s, text) of the packets of a text stream.
        unread: those that FFmpeg did not decode.
        closed: captions of broadcasts, which packets or pictures carry.
    """

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self.timed: list[tuple[float, float, str]] = []
        self.unread: list[UnreadText] = []
        self.closed = CaptionChannels()

    def take(self, packet: Packet) -> None:
        """Decode a packet of a text stream."""
        if packet.pts is None:
            return
        time_base = float(time_base_of(packet.stream))
        start = packet.pts * time_base - self._start_s
        if packet.stream.codec_context.codec.canonical_name == _CLOSED:
            self.closed.take(start, bytes(packet))
            return
        end = start + (packet.duration * time_base if packet.duration else _FALLBACK_DURATION_S)
        try:
            self.timed += [(start, end, text) for text in read_packet(packet)]
        except av.error.FFmpegError:
            self.unread.append(set_aside(packet, start, end))

    def see(self, time_s: float, frame: VideoFrame) -> None:
        """Decode the captions of a picture that is shown at ``time_s`` from the start of the title."""
        triplets = read_closed_captions(frame)
        if triplets is not None:
            self.closed.take(time_s, triplets)

    def end(self, time_s: float) -> None:
        """End what is still shown at the end of the title."""
        self.closed.end(time_s)


@dataclass(frozen=True)
class CaptionSource:
    """Where a title's captions are: read already from a file, or inside the film, still to be read.

    Attributes:
        timed: (start_s, end_s, text) of a file.
        stream: number of the text stream to read; ``None`` where there is none.
        pictures: number of the video stream whose pictures may carry some; ``None`` where they are not looked for.
        name, notes: see ``Captions``.
        encoding: of the text stream, as the user says; ``None`` finds it out. ``language``: its tag, if it has one.
    """

    timed: tuple[tuple[float, float, str], ...]
    stream: int | None
    name: str
    notes: tuple[str, ...] = ()
    pictures: int | None = None
    encoding: str | None = None
    language: str | None = None

    @property
    def names_inside(self) -> tuple[str, ...]:
        """What ``Captions.source`` may be once the film is read; empty where they are not in the film."""
        if self.pictures is not None:
            return self.name, f"stream:{self.pictures}"
        return (self.name,) if self.stream is not None else ()

    def captions(self, inside: StreamCues | None = None) -> Captions:
        """The captions; ``inside`` holds those of the film, read to its end."""
        if inside is None:
            return Captions(_tidy(self.timed), self.name, self.notes)
        proper = sum(not text.isascii() for *_, text in inside.timed)
        again, how = read_unread(self._text_stream, inside.unread, proper, self.encoding, self.language)
        cues = _tidy([*self.timed, *inside.timed, *again, *inside.closed.timed])
        in_pictures = cues and self.pictures is not None
        name = f"stream:{self.pictures}" if in_pictures else self.name
        return Captions(cues, name, (*self.notes, *how, *self._describe_closed(inside.closed)))

    def encoding_noted(self, notes: Iterable[str]) -> str | None:
        """The encoding in which the text stream was read before, as the notes say; ``None`` where it is UTF-8."""
        return find_noted(self._text_stream, notes)

    @property
    def _text_stream(self) -> str:
        return f"subtitle stream {self.stream}"

    def _describe_closed(self, closed: CaptionChannels) -> list[str]:
        """Which channel was read, where it is not the usual one, and what could not be read."""
        carrier = self._text_stream if self.pictures is None else f"video stream {self.pictures}"
        if closed.channel is not None:
            unusual = f"{carrier} carries no closed captions in CC1; those in CC{closed.channel} were read"
            return [unusual] if closed.channel > 1 else []
        unread = f"{carrier} carries closed captions of CEA-708 alone, which are not read; give a file with --subtitles"
        return [unread] if closed.has_708 else []


def choose_captions(
    path: Path,
    info: MediaInfo,
    subtitles: Path | None = None,
    language: str | None = None,
    encoding: str | None = None,
) -> CaptionSource:
    """Choose a title's captions: the file given, else one beside the media, else a text stream inside it, else none.

    See ``find_sidecars`` for what counts as beside the media. Where nothing else is there, closed captions that the
    pictures carry are taken; whether they carry any, reading them tells.

    Args:
        language: languages to prefer, the best first, with commas between them: ``en`` or ``pt-BR,es`` (BCP 47). Where
            a region is not there, the language without it is taken, or with another. Captions tagged with none of the
            languages are passed over.
        encoding: of the captions, where they are not UTF-8; ``None`` finds it out.

    Raises:
        MediaError: the subtitle file that was given cannot be read; one that was found is passed over, with a note.
        UsageError: there is no such encoding or language, or the file given is neither UTF-8 nor in that encoding.
    """
    frame_rate = float(Fraction(info.video.frame_rate)) if info.video and info.video.frame_rate else None
    if subtitles is not None:
        timed, how = read_subtitles(subtitles, frame_rate, encoding)
        return CaptionSource(tuple(timed), None, f"file:{subtitles.name}", (*how, *_empty(subtitles.name, timed)))
    wanted = parse_languages(language)
    notes: list[str] = []
    for name, sidecar in find_sidecars(path, wanted, notes):
        try:
            timed, how = read_subtitles(sidecar, frame_rate, encoding)
        except MediaError as error:
            notes.append(str(error))
            continue
        return CaptionSource(tuple(timed), None, f"sidecar:{name}", (*notes, *how, *_empty(name, timed)))
    stream = _choose_stream(info, wanted, notes)
    if stream is None:
        return CaptionSource((), None, "none", tuple(notes), info.video_index)
    name = f"stream:{stream.index}"
    return CaptionSource((), stream.index, name, tuple(notes), encoding=encoding, language=stream.language)


def find_captions(
    path: Path,
    info: MediaInfo,
    subtitles: Path | None = None,
    language: str | None = None,
    encoding: str | None = None,
) -> Captions:
    """Choose a title's captions and read them; those inside the film in a pass of its own.

    Arguments and errors are those of ``choose_captions``; further, a MediaError where the film cannot be read.
    """
    return read_captions(path, info, choose_captions(path, info, subtitles, language, encoding))


def read_captions(path: Path, info: MediaInfo, chosen: CaptionSource, until_s: float = math.inf) -> Captions:
    """Read the captions that were chosen; those inside the film in a pass of its own.

    Args:
        until_s: where a pass over pictures ends, in seconds from the start of the title; a text stream is read whole.

    Raises:
        MediaError: the film cannot be read.
    """
    return chosen.captions(_read_inside(path, info, chosen, until_s) if chosen.names_inside else None)


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


def _empty(name: str, timed: Sequence[tuple[float, float, str]]) -> list[str]:
    return [] if any(text for *_, text in timed) else [f"{name} holds no captions"]


def _choose_stream(info: MediaInfo, wanted: Sequence[str], notes: list[str]) -> StreamInfo | None:
    """The first text stream in the first of the languages wanted; the default one first, forced ones last."""
    candidates: list[tuple[bool, int, bool, int, StreamInfo]] = []
    for stream in info.streams:
        if stream.kind != "subtitle":
            continue
        name = f"subtitle stream {stream.index} ({stream.codec}, {stream.language or 'no language'})"
        rank = rank_language([stream.language] if stream.language else [], wanted)
        unread = "holds pictures, not text" if stream.bitmap else _NO_DECODER if stream.codec == "unknown" else ""
        if unread:
            notes.append(f"{name} {unread}, and was passed over; give a text file with --subtitles")
        elif rank is None:
            notes.append(f"{name} is not in the language {' or '.join(wanted)}")
        else:
            candidates.append((stream.forced, rank, not stream.default, stream.index, stream))
    return min(candidates, key=lambda candidate: candidate[:4])[4] if candidates else None


def _read_inside(path: Path, info: MediaInfo, chosen: CaptionSource, until_s: float) -> StreamCues:
    inside = StreamCues(info.start_s)
    with open_media(path) as container:
        if chosen.stream is not None:
            for packet in iterate_packets(container, [container.streams[chosen.stream]], _skip):
                inside.take(packet)
            inside.end(info.duration_s or 0.0)
        else:
            video = VideoPass(container, require_video(path, container))
            for pts, frame in video:
                if video.report.seconds(pts) >= until_s:
                    break
                inside.see(video.report.seconds(pts), frame)
            inside.end(video.report.end_s)
    return inside


def _skip() -> None:
    """A damaged stretch holds no cues."""
