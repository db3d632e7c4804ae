"""One loop that decodes a stream and survives damage, and one clock that gives every picture its time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mediafm_cli.media.container import MICROSECONDS, exact, origin_s

_DEFAULT_RATE = Fraction(25)
_MAX_PTS = 1 << 62  # beyond it a time stamp is damage, and adding to it would leave 64 bits
_DECODING_TIME_ONLY = (
    "avi",
)  # these containers store no presentation time; what FFmpeg reports as pts is out of order
_TOLERANCE_S = 0.5  # containers round the durations that they declare


@dataclass
class DecodeReport:
    """What one pass over a video stream has read and lost so far.

    Attributes:
        time_base: seconds per unit of the stream's pts.
        origin_s: start of the title on the container's clock.
        declared_end_s: end that the file declares, in seconds from the start of the title, if it does.
        frames: pictures decoded.
        damaged: packets that did not decode, and pictures decoded with errors.
        first_pts, end_pts: start of the first picture, and end of the last one.
        others_end_s: end of what the other streams hold, where the declared end is theirs too.
    """

    time_base: Fraction
    origin_s: Fraction
    declared_end_s: float | None
    frames: int = 0
    damaged: int = 0
    first_pts: int | None = None
    end_pts: int | None = None
    others_end_s: float = 0.0

    def seconds(self, pts: int) -> float:
        """Time of a pts in seconds from the start of the title."""
        base, origin = self.time_base, self.origin_s
        ticks = pts * base.numerator * origin.denominator - origin.numerator * base.denominator
        return ticks / (base.denominator * origin.denominator)  # exact up to here, and Fraction takes ten times longer

    @property
    def end_s(self) -> float:
        """End of the last picture in seconds from the start of the title."""
        return 0.0 if self.end_pts is None else self.seconds(self.end_pts)

    @property
    def lost_s(self) -> float:
        """Seconds at the end that the file declares and does not hold; 0 where it holds what it declares."""
        if self.declared_end_s is None:
            return 0.0
        missing = self.declared_end_s - max(self.end_s, self.others_end_s)
        return missing if missing > _TOLERANCE_S else 0.0

    @property
    def is_whole(self) -> bool:
        """Whether everything decoded and nothing is missing at the end."""
        return self.damaged == 0 and self.lost_s == 0.0

    def describe(self) -> str:
        """What was read and what was lost, in one line."""
        read = f"read {self.frames} frames up to {self.end_s:.2f} s"
        lost = [f"{self.damaged} damaged packets or frames"] if self.damaged else []
        if self.lost_s:
            lost.append(f"the last {self.lost_s:.2f} s of the {self.declared_end_s:.2f} s declared")
        return f"{read}; lost {' and '.join(lost)}" if lost else f"{read}; nothing lost"


class VideoPass:
    """One sequential decode of a video stream: iterate for (pts, frame) in presentation order; ``report`` fills up.

    The pts increase strictly: one that is missing or does not increase is put after the last by the step before it, or
    by the nominal duration of a frame, if that is less: after a gap or a leap the step says nothing.

    Args:
        listen: other streams, by index, that are read on the way, and what is called with each packet of theirs.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        listen: Mapping[int, Callable[[Packet], None]] | None = None,
    ) -> None:
        self._container = container
        self._stream = stream
        self._nominal = self._duration = frame_duration(stream)
        self._timed = True
        self._by_pts = has_presentation_times(container)
        self._last: int | None = None
        self._listen = listen or {}
        self._declared_by_stream = declared_end_s(stream)
        self.report = DecodeReport(time_base_of(stream), origin_s(container), self._declared_end_s())

    def __iter__(self) -> Iterator[tuple[int, VideoFrame]]:
        report = self.report
        for packet in iterate_packets(self._container, self._wanted_streams(), self._count_damage):
            if packet.stream.index != self._stream.index:
                if self._declared_by_stream is None:
                    report.others_end_s = max(report.others_end_s, self._end_of_other(packet))
                if packet.stream.index in self._listen:
                    self._listen[packet.stream.index](packet)
                continue
            if packet.size:
                self._timed = packet.pts is not None
            for frame in decode_packet(packet, self._count_damage):
                if not isinstance(frame, VideoFrame):
                    continue
                pts = self._place(frame)
                report.frames += 1
                report.first_pts = pts if report.first_pts is None else report.first_pts
                report.end_pts = pts + self._length(frame)
                yield pts, frame

    def _wanted_streams(self) -> list[Stream]:
        others = [stream for stream in self._container.streams if stream.index != self._stream.index]
        if self._declared_by_stream is not None:  # else the duration may be that of a longer sound or caption track
            others = [stream for stream in others if stream.index in self._listen]
        return [self._stream, *others]

    def _declared_end_s(self) -> float | None:
        if self._declared_by_stream is not None:
            return float(self._declared_by_stream - origin_s(self._container))
        duration = self._container.duration
        return None if duration is None else duration / MICROSECONDS

    def _place(self, frame: VideoFrame) -> int:
        pts = None if not self._timed else frame.pts if self._by_pts else frame.dts
        if pts is None or abs(pts) > _MAX_PTS or (self._last is not None and pts <= self._last):
            pts = 0 if self._last is None else self._last + min(self._duration, self._nominal)
        elif self._last is not None:
            self._duration = pts - self._last
        self._last = pts
        return pts

    def _length(self, frame: VideoFrame) -> int:
        return frame.duration if 0 < frame.duration < _MAX_PTS else self._duration

    def _end_of_other(self, packet: Packet) -> float:
        time_base = exact(packet.time_base)
        if packet.pts is None or time_base is None:
            return 0.0
        return float((packet.pts + (packet.duration or 0)) * time_base - self.report.origin_s)

    def _count_damage(self) -> None:
        self.report.damaged += 1


def iterate_packets(
    container: InputContainer, streams: Sequence[Stream], on_damage: Callable[[], None]
) -> Iterator[Packet]:
    """Packets of the streams up to the end, or up to where the container cannot be read further; then flush packets.

    What comes of one stream does not depend on which others are read. Its last packet is left out if it was cut off,
    for it would take with it the pictures that the decoder's threads still hold. Empty packets are left out, since
    decoders may take them for the end.

    Args:
        on_damage: called where the container breaks off, and where the first of the streams ends in a packet cut off.
    """
    held: dict[int, Packet] = {}
    try:
        for packet in container.demux(list(streams)):
            if packet.size:
                before = held.get(packet.stream.index)
                held[packet.stream.index] = packet
                if before is not None:
                    yield before
    except av.error.FFmpegError:
        on_damage()
    for stream in streams:
        last = held.get(stream.index)
        if last is not None and not last.is_corrupt:
            yield last
        elif last is not None and stream is streams[0]:
            on_damage()
        yield _flush_packet(stream)


def decode_packet(packet: Packet, on_damage: Callable[[], None]) -> Sequence[VideoFrame | AudioFrame]:
    """Frames that a packet brings out; ``on_damage`` is called for a packet that fails and for each faulty frame."""
    try:
        frames = packet.decode()
    except av.error.FFmpegError:
        on_damage()
        return []
    for frame in frames:
        if frame.is_corrupt:
            on_damage()
    return frames


def has_presentation_times(container: InputContainer) -> bool:
    """Whether the packets of the container carry the time at which a picture is shown."""
    return container.format.name not in _DECODING_TIME_ONLY


def time_base_of(stream: Stream) -> Fraction:
    """Seconds per unit of pts."""
    return exact(stream.time_base) or Fraction(1, MICROSECONDS)


def frame_duration(stream: VideoStream) -> int:
    """Nominal duration of a frame in units of pts, at least 1."""
    rate = exact(stream.average_rate) or exact(stream.guessed_rate) or _DEFAULT_RATE
    return max(1, round(1 / (rate * time_base_of(stream))))


def declared_end_s(stream: Stream) -> Fraction | None:
    """End of a stream on the container's clock as its header declares it; ``None`` where the header is silent."""
    start = (stream.start_time or 0) * time_base_of(stream)
    if stream.duration is not None and stream.duration > 0:
        return start + stream.duration * time_base_of(stream)
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
    if tag is None:
        return None
    hours, minutes, seconds = tag.groups()
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)


def _flush_packet(stream: Stream) -> Packet:
    packet: Packet = Packet()
    packet.stream = stream
    packet.time_base = time_base_of(stream)
    return packet
