"""What a media file holds, without decoding more than a first picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import (
    GLANCE,
    MAX_PIXELS,
    MICROSECONDS,
    exact,
    is_cover_art,
    open_media,
    origin_s,
)
from mediafm_cli.media.display import Display, read_display
from mediafm_cli.media.fingerprint import fingerprint_file


@dataclass(frozen=True)
class StreamInfo:
    """One stream of a media file; what does not apply to its kind is ``None``.

    Attributes:
        index: the stream's number in the container.
        kind: ``"video"``, ``"audio"``, ``"subtitle"``, ``"data"`` or ``"attachment"``.
        codec: FFmpeg's name, ``"unknown"`` where there is no decoder.
        language: ISO 639 code as tagged; ``None`` where untagged or ``und``.
        width, height: as displayed, after the sample aspect ratio and the rotation.
        rotation: degrees clockwise by which the coded picture is turned: 0, 90, 180 or 270.
        frame_rate: average frames per second as a fraction, such as ``"30000/1001"``.
        sample_rate: samples per second.
        channels: of sound.
        bitmap: subtitles that are pictures, with no text in them.
        cover: an attached picture, not film.
        default: marked to be played unless another is chosen.
        forced: marked as subtitles of what is spoken in other languages alone.
    """

    index: int
    kind: str
    codec: str
    language: str | None = None
    width: int | None = None
    height: int | None = None
    rotation: int | None = None
    frame_rate: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    bitmap: bool = False
    cover: bool = False
    default: bool = False
    forced: bool = False


@dataclass(frozen=True)
class MediaInfo:
    """A media file.

    Attributes:
        path: as given.
        size: in bytes.
        fingerprint: see ``fingerprint_file``.
        format: FFmpeg's name of the container.
        duration_s: as declared; ``None`` where the file declares none.
        start_s: start of the title on the container's clock, which is time 0 of everything else.
        streams: in the container's order.
        video_index, audio_index: the streams that are read; ``None`` where there is none.
    """

    path: Path
    size: int
    fingerprint: str
    format: str
    duration_s: float | None
    start_s: float
    streams: tuple[StreamInfo, ...]
    video_index: int | None
    audio_index: int | None

    @property
    def video(self) -> StreamInfo | None:
        """The video stream that is read."""
        return None if self.video_index is None else self.streams[self.video_index]


def probe(path: Path) -> MediaInfo:
    """Read a file's header and its first picture.

    Raises:
        MediaError: the file cannot be read or is not media.
    """
    with open_media(path, GLANCE) as container:
        video, audio = best_video(container), best_audio(container)
        display = None if video is None else read_display(container, video)
        streams = tuple(_describe(stream, display if stream is video else None) for stream in container.streams)
        return MediaInfo(
            path=path,
            size=path.stat().st_size,
            fingerprint=fingerprint_file(path),
            format=container.format.name,
            duration_s=None if container.duration is None else container.duration / MICROSECONDS,
            start_s=float(origin_s(container)),
            streams=streams,
            video_index=None if video is None else video.index,
            audio_index=None if audio is None else audio.index,
        )


def best_video(container: InputContainer) -> VideoStream | None:
    """The stream that FFmpeg takes for the film; never cover art, never one that no decoder is there for."""
    candidates = [stream for stream in container.streams.video if stream.codec_context and not is_cover_art(stream)]
    best = container.streams.best("video")
    return best if best in candidates else next(iter(candidates), None)


def best_audio(container: InputContainer) -> AudioStream | None:
    """The sound that belongs to the film, in FFmpeg's judgement."""
    candidates = [stream for stream in container.streams.audio if stream.codec_context]
    best = container.streams.best("audio")
    return best if best in candidates else next(iter(candidates), None)


def require_video(path: Path, container: InputContainer) -> VideoStream:
    """The film's stream.

    Raises:
        MediaError: there is none, and what there is instead; or its pictures are too large to be decoded.
    """
    stream = best_video(container)
    if stream is None:
        held = ", ".join(_list_kinds(container)) or "no stream at all"
        raise MediaError(f"{path} has no video.", f"It holds {held}.", "Give a film or clip with a video stream.")
    if not 0 < stream.width * stream.height <= MAX_PIXELS:  # FFmpeg gives no size where it refuses the one declared
        raise MediaError(
            f"{path} declares pictures of no size that can be decoded.",
            f"Its header is damaged, or they have more than {MAX_PIXELS} pixels.",
            "Convert it to 8K or less first.",
        )
    return stream


def _list_kinds(container: InputContainer) -> list[str]:
    kinds = ["cover art" if is_cover_art(stream) else stream.type for stream in container.streams]
    return [f"{kinds.count(kind)} × {kind}" for kind in dict.fromkeys(kinds)]


def _describe(stream: Stream, display: Display | None) -> StreamInfo:
    context = stream.codec_context
    tagged = stream.language is not None and stream.language != "und" and stream.language.isascii()
    codec = "unknown" if context is None else context.codec.canonical_name
    common = StreamInfo(
        stream.index,
        stream.type,
        codec,
        stream.language if tagged else None,
        default=bool(stream.disposition & Disposition.default),
        forced=bool(stream.disposition & Disposition.forced),
    )
    if context is None:
        return common
    if isinstance(stream, VideoStream):
        return replace(
            common,
            width=stream.width if display is None else display.width,
            height=stream.height if display is None else display.height,
            rotation=None if display is None else display.rotation,
            frame_rate=_fraction(exact(stream.average_rate)),
            cover=is_cover_art(stream),
        )
    if isinstance(stream, AudioStream):
        return replace(common, sample_rate=stream.sample_rate, channels=stream.channels)
    return replace(common, bitmap=isinstance(stream, SubtitleStream) and context.codec.bitmap_sub)


def _fraction(rate: Fraction | None) -> str | None:
    return None if rate is None else f"{rate.numerator}/{rate.denominator}"
