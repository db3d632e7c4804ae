"""Frames of spans: few and full-size, the same ones whether they are sought or met in passing.

``sample_frames`` looks up in the file's packets which pictures are wanted, then visits them in order and seeks only
where a later key frame comes before the next one. Where the packets do not tell (no time stamps, damage, a seek that
misses), the title is decoded from its start instead: slower, and always right.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mediafm_cli.api import Frames
from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import GLANCE, PROCESSOR, Decoding, open_media
from mediafm_cli.media.decoding import VideoPass, decode_packet, has_presentation_times, iterate_packets, time_base_of
from mediafm_cli.media.display import Picture, read_display
from mediafm_cli.media.sampling import grid_step, sample_times

# Containers whose seek table is in presentation time; the others search by decoding time.
_SEEKS_BY_PTS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")


@dataclass(frozen=True)
class _Target:
    """The picture shown at ``pts``, taken from within ``start`` to ``end`` (exclusive)."""

    span: int
    start: int
    end: int
    pts: int


@dataclass(frozen=True, eq=False)
class _Index:
    """Presentation times in a stream, ascending: of all that is shown, and of key frames with where to seek."""

    shown: np.ndarray
    keys: np.ndarray
    seek_to: np.ndarray

    def picture_of(self, target: _Target) -> int | None:
        """pts of the wanted picture: the last that is not after the target, else the first one in the span."""
        after = int(np.searchsorted(self.shown, target.pts, side="right"))
        for place in (after - 1, after):
            if 0 <= place < len(self.shown) and target.start <= self.shown[place] < target.end:
                return int(self.shown[place])
        return None


class _IndexMisled(Exception):  # noqa: N818 - a turn of the way, never shown to anyone
    """Seeking did not bring out a picture that the packets promised."""


def sample_frames(
    path: Path, spans: Sequence[tuple[int, int]], needs: Frames, stream_index: int, decoding: Decoding = PROCESSOR
) -> Iterator[tuple[int, np.ndarray | None]]:
    """Sample frames uniformly from spans of a title.

    Each span gives the pictures shown near the centres of ``needs.count`` equal parts of it, as ``sample_times`` says;
    upright, with square pixels, and all of one size for the whole title. A picture that began before the span is
    replaced by the first one inside.

    Args:
        spans: (start, end) in pts of the stream, end exclusive, ascending and without overlap.
        stream_index: of the video stream in the container.
        decoding: threads and hardware.

    Yields:
        (number of the span, uint8 [count, height, width, 3]), in the order of the spans; ``None`` in place of the array
        where no picture of the span decodes.

    Raises:
        MediaError: the file cannot be read.
        ValueError: the spans are not ascending, or overlap.
    """
    _check_spans(spans)
    with open_media(path, GLANCE) as container:
        stream = _video_stream(container, stream_index)
        targets = _place_targets(spans, needs.count, grid_step(time_base_of(stream)))
        picture = Picture(read_display(container, stream), needs.max_side)
    shot: list[np.ndarray] = []
    for number, (target, frame) in enumerate(_pick(path, stream_index, targets, decoding), start=1):
        if frame is not None:
            shot.append(picture.render(frame))
        if number % needs.count == 0:
            yield target.span, np.stack(shot) if len(shot) == needs.count else None
            shot = []


def _check_spans(spans: Sequence[tuple[int, int]]) -> None:
    last_end: int | None = None
    for start, end in spans:
        if end <= start or (last_end is not None and start < last_end):
            raise ValueError(f"spans must be ascending, not empty and without overlap; got {start} to {end}")
        last_end = end


def _place_targets(spans: Sequence[tuple[int, int]], count: int, step: int) -> list[_Target]:
    return [
        _Target(number, start, end, time)
        for number, (start, end) in enumerate(spans)
        for time in sample_times(start, end, count, step)
    ]


def _pick(
    path: Path, stream_index: int, targets: Sequence[_Target], decoding: Decoding
) -> Iterator[tuple[_Target, VideoFrame | None]]:
    index = _read_index(path, stream_index)
    done = 0
    if index is not None:
        try:
            for target, frame in _pick_by_seeking(path, stream_index, targets, index, decoding):
                yield target, frame
                done += 1
        except _IndexMisled:
            index = None
    if index is None:
        yield from _pick_in_passing(path, stream_index, targets[done:], decoding)


def _pick_in_passing(
    path: Path, stream_index: int, targets: Sequence[_Target], decoding: Decoding
) -> Iterator[tuple[_Target, VideoFrame | None]]:
    """Decode from the start up to the last target."""
    with open_media(path, decoding) as container:
        stream = _video_stream(container, stream_index)
        frames = iter(VideoPass(container, stream))
        before: tuple[int, VideoFrame] | None = None
        after = next(frames, None)
        for target in targets:
            while after is not None and after[0] <= target.pts:
                before, after = after, next(frames, None)
            inside = (shown[1] for shown in (before, after) if shown and target.start <= shown[0] < target.end)
            yield target, next(inside, None)


def _pick_by_seeking(
    path: Path, stream_index: int, targets: Sequence[_Target], index: _Index, decoding: Decoding
) -> Iterator[tuple[_Target, VideoFrame | None]]:
    """Visit the wanted pictures in order; seek where a later key frame comes before the next one."""
    with open_media(path, decoding) as container:
        stream = _video_stream(container, stream_index)
        frames: Iterator[tuple[int, VideoFrame]] = iter(())
        at: tuple[int, VideoFrame] | None = None
        for target in targets:
            wanted = index.picture_of(target)
            if wanted is None:
                yield target, None
                continue
            key = int(np.searchsorted(index.keys, wanted, side="right")) - 1
            if key < 0:
                raise _IndexMisled
            if at is None or at[0] < index.keys[key]:
                frames = _decode_from(container, stream, int(index.seek_to[key]))
                at = None
            while at is None or at[0] < wanted:
                at = next(frames, None)
                if at is None:
                    raise _IndexMisled
            if at[0] != wanted:
                raise _IndexMisled
            yield target, at[1]


def _decode_from(container: InputContainer, stream: VideoStream, seek_to: int) -> Iterator[tuple[int, VideoFrame]]:
    """Frames from a key frame on; those that lack what they refer to are dropped by the decoder."""
    container.seek(seek_to, stream=stream)
    for packet in iterate_packets(container, [stream], _give_up):
        for frame in decode_packet(packet, _give_up):
            if not isinstance(frame, VideoFrame) or frame.pts is None:
                raise _IndexMisled
            yield frame.pts, frame


def _give_up() -> None:
    raise _IndexMisled


def _read_index(path: Path, stream_index: int) -> _Index | None:
    """Read the packets without decoding; ``None`` where they are damaged or do not tell the times of the pictures."""
    shown, keys, seek_to = array("q"), array("q"), array("q")
    with open_media(path, GLANCE) as container:
        if not has_presentation_times(container):
            return None
        stream = _video_stream(container, stream_index)
        by_pts = container.format.name in _SEEKS_BY_PTS
        try:
            for packet in iterate_packets(container, [stream], _give_up):
                if packet.size == 0:
                    continue
                where = packet.pts if by_pts else packet.dts
                if packet.pts is None:
                    return None
                if not packet.is_discard:
                    shown.append(packet.pts)
                if packet.is_keyframe and where is not None:
                    keys.append(packet.pts)
                    seek_to.append(where)
        except _IndexMisled:
            return None
    index = _Index(np.unique(np.array(shown)), np.array(keys), np.array(seek_to))
    is_clear = len(keys) and len(index.shown) == len(shown) and bool(np.all(np.diff(index.keys) > 0))
    return index if is_clear else None


def _video_stream(container: InputContainer, stream_index: int) -> VideoStream:
    if not 0 <= stream_index < len(container.streams) or container.streams[stream_index].type != "video":
        raise MediaError(
            f"{container.name.removeprefix('file:')} has no video stream number {stream_index}.",
            "The file has changed since it was segmented.",
            "Run `mediafm segment --overwrite` on it again.",
        )
    return container.streams[stream_index]  # type: ignore[return-value]
