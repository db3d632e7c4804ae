"""The sound of spans of a title: one decoding pass, placed by time stamps, mono, at the rate asked for.

The packets come from the file, or from where they were kept when it was read before; the samples are the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import exact, open_media, origin_s
from mediafm_cli.media.decoding import decode_packet, iterate_packets
from mediafm_cli.media.kept_sound import KeptSound

MAX_SPAN_S = 4 * 3600.0
"""Longest span that is held in memory: 0.9 GB at 16 kHz."""

# Time stamps are rounded (to 1 ms in Matroska), so sound is counted on, and only a jump of more than this is a gap.
_JITTER_S = 0.05


@dataclass(eq=False)
class _Span:
    """A span that is being filled; ``start`` and ``end`` count samples from the start of the title."""

    number: int
    start: int
    end: int
    is_heard: bool = False
    samples: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.samples = np.zeros(self.end - self.start, dtype=np.float32)

    def take(self, at: int, chunk: np.ndarray) -> None:
        first, last = max(at, self.start), min(at + len(chunk), self.end)
        if first < last:
            self.samples[first - self.start : last - self.start] = chunk[first - at : last - at]
            self.is_heard = True

    def finished(self) -> tuple[int, np.ndarray | None]:
        return self.number, self.samples if self.is_heard else None


def read_spans(
    path: Path,
    spans_s: Sequence[tuple[float, float]],
    rate: int,
    stream_index: int,
    kept: KeptSound | None = None,
) -> Iterator[tuple[int, np.ndarray | None]]:
    """Read the sound of spans.

    All channels are mixed to mono as FFmpeg mixes them (ITU-R BS.775 weights, scaled so that the mix cannot clip; the
    low-frequency channel is left out). A span that the sound covers in part is silent elsewhere.

    Args:
        spans_s: (start, end) in seconds from the start of the title, in ascending order of start and of end.
        rate: samples per second.
        stream_index: of the audio stream in the container.
        kept: its packets, if they were kept; closed at the end. Of the file only the header is read then.

    Yields:
        (number of the span, float32 [round(end * rate) - round(start * rate)]), in order; ``None`` in place of the
        array where the title has no sound in the span.

    Raises:
        MediaError: the file or what was kept cannot be read, or a span is longer than ``MAX_SPAN_S``.
        ValueError: the spans are not ascending.
    """
    waiting = deque(_place_spans(path, spans_s, rate))
    filling: deque[_Span] = deque()
    with open_media(path) as container, kept or nullcontext():
        stream = _audio_stream(container, stream_index)
        packets = kept.packets(stream) if kept else _demux(container, stream)
        for at, chunk in _read_mono(packets, origin_s(container), rate):
            while waiting and waiting[0][1] < at + len(chunk):
                filling.append(_Span(*waiting.popleft()))
            for span in filling:
                span.take(at, chunk)
            while filling and filling[0].end <= at + len(chunk):
                yield filling.popleft().finished()
            if not filling and not waiting:
                return
    for span in filling:
        yield span.finished()
    for number, _, _ in waiting:
        yield number, None


def _place_spans(path: Path, spans_s: Sequence[tuple[float, float]], rate: int) -> list[tuple[int, int, int]]:
    last = (0.0, 0.0)
    for start, end in spans_s:
        if end < start or start < last[0] or end < last[1]:
            raise ValueError(f"spans must be in ascending order; got {start} to {end} s after {last[0]} to {last[1]} s")
        if end - start > MAX_SPAN_S:
            raise MediaError(
                f"{path} has a shot of {end - start:.0f} s.",
                f"At most {MAX_SPAN_S:.0f} s of sound are held in memory at once.",
                "Cut the file into parts, or choose another segmenter.",
            )
        last = (start, end)
    return [(number, round(start * rate), round(end * rate)) for number, (start, end) in enumerate(spans_s)]


def _demux(container: InputContainer, stream: AudioStream) -> Iterator[tuple[Packet, bool]]:
    return ((packet, packet.is_discard) for packet in iterate_packets(container, [stream], _skip))


def _read_mono(packets: Iterable[tuple[Packet, bool]], origin: Fraction, rate: int) -> Iterator[tuple[int, np.ndarray]]:
    """Chunks of the stream and where they begin, in samples from the start of the title.

    Args:
        packets: each with whether its sound lies outside the title.
        origin: start of the title on the container's clock, in seconds.
    """
    expected: int | None = None
    for frame in _resample(packets, rate):
        chunk = frame.to_ndarray().reshape(-1)
        stamp = None
        time_base = exact(frame.time_base)
        if frame.pts is not None and time_base:
            stamp = round((frame.pts * time_base - origin) * rate)
        if expected is None or (stamp is not None and abs(stamp - expected) > _JITTER_S * rate):
            expected = 0 if stamp is None else stamp
        yield expected, chunk
        expected += len(chunk)


def _resample(packets: Iterable[tuple[Packet, bool]], rate: int) -> Iterator[AudioFrame]:
    """Frames through one resampler, flushed at the end; a new one only where the stream changes its layout or rate."""
    resampler = _make_resampler(rate)
    made_for: tuple[str, str, int] | None = None
    for packet, is_discarded in packets:
        for frame in decode_packet(packet, _skip):
            if is_discarded or not isinstance(frame, AudioFrame):
                continue
            form = (frame.format.name, frame.layout.name, frame.sample_rate)
            if made_for is not None and form != made_for:
                yield from _flush(resampler)
                resampler = _make_resampler(rate)
            made_for = form
            yield from resampler.resample(frame)
    yield from _flush(resampler)


def _make_resampler(rate: int) -> AudioResampler:
    # Without the bound a mix to mono in floating point is not scaled, and two equal channels come out 3 dB too loud.
    return AudioResampler(format="fltp", layout="mono", rate=rate, options={"rematrix_maxval": "1.0"})


def _flush(resampler: AudioResampler) -> Iterator[AudioFrame]:
    yield from (frame for frame in resampler.resample(None) if frame is not None)


def _skip() -> None:
    """Damaged sound leaves a gap, which the time stamps of what follows show."""


def _audio_stream(container: InputContainer, stream_index: int) -> AudioStream:
    if not 0 <= stream_index < len(container.streams) or container.streams[stream_index].type != "audio":
        raise MediaError(
            f"{container.name.removeprefix('file:')} has no audio stream number {stream_index}.",
            "The file has changed since it was segmented.",
            "Run `mediafm segment --overwrite` on it again.",
        )
    return container.streams[stream_index]  # type: ignore[return-value]
