"""The sound in a ``kept`` archive: the packets of one stream as they were demuxed, so that the film need not be again.

``sound_0``, ``sound_1`` and so on hold about 1 MB each: for each packet a head, what decoders of sound read of its side
data, and its bytes. The last packet is the empty one that flushes the decoder.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from av.audio.stream import AudioStream
from av.packet import Packet, PacketSideData, PktSideDataT, packet_sidedata_type_from_literal

from mediafm_cli.media.container import exact
from mediafm_cli.media.kept import KeptArchive, KeptWriter, open_kept

_MEMBER = 1 << 20  # bytes after which one is closed
_MAX_MEMBER = (1 << 31) + _MEMBER  # FFmpeg's packets have less than 2 GiB

# pts, dts, duration, numerator and denominator of the time base, flags, pieces of side data, bytes
_HEAD = struct.Struct("<qqqiiBBI")
_SIDE = struct.Struct("<BI")  # place in _SIDE_DATA, bytes
_UNKNOWN = -(1 << 63)  # FFmpeg's own value for a time that is not set
_KEY, _CORRUPT, _DISCARD = 1, 2, 4
_SIDE_DATA: tuple[PktSideDataT, ...] = ("skip_samples", "new_extradata", "param_change", "jp_dual_mono")


class SoundWriter:
    """Writes the packets of one stream into an archive, as a pass over the file meets them; holds about 1 MB."""

    def __init__(self, archive: KeptWriter) -> None:
        self._archive = archive
        self._members = count()
        self._held = bytearray()

    def take(self, packet: Packet) -> None:
        """Add a packet."""
        self._held += _pack(packet)
        if len(self._held) >= _MEMBER:
            self.finish()

    def finish(self) -> None:
        """Write what is held."""
        self._archive.write(_name(next(self._members)), self._held)
        self._held = bytearray()


class KeptSound:
    """Kept sound, open for reading. Get it from ``open_kept_sound``; a context manager."""

    def __init__(self, archive: KeptArchive) -> None:
        self._archive = archive

    def packets(self, stream: AudioStream) -> Iterator[tuple[Packet, bool]]:
        """The packets of ``stream``, the flush packet last.

        Yields:
            (packet, whether its sound lies outside the title): PyAV cannot set that flag in the packet itself.

        Raises:
            MediaError: the archive is damaged.
        """
        packet: Packet | None = None
        for number in count():
            if _name(number) not in self._archive.names:
                break
            data = memoryview(self._archive.read(_name(number), _MAX_MEMBER))
            while data:
                try:
                    packet, is_discarded, data = _unpack(data)
                except (struct.error, ValueError, LookupError, ArithmeticError) as error:
                    raise self._archive.damaged(f"{_name(number)}: {error}.") from error
                packet.stream = stream
                yield packet, is_discarded
        if packet is None or packet.size:
            raise self._archive.damaged("Its sound has no end.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()


def open_kept_sound(store: Path, media: str, audio_stream: int) -> KeptSound | None:
    """Open the sound kept beside a store; ``None`` where that of this stream is not.

    Args:
        media: fingerprint of the media file. ``audio_stream``: number of the stream in it.

    Raises:
        MediaError: there is a file of that name that is no archive of ours, or is damaged.
    """
    archive = open_kept(store, media)
    if archive is None:
        return None
    if archive.holds(audio_stream=audio_stream):
        return KeptSound(archive)
    archive.close()
    return None


def _name(number: int) -> str:
    return f"sound_{number}"


def _pack(packet: Packet) -> bytes:
    times = [_UNKNOWN if time is None else time for time in (packet.pts, packet.dts, packet.duration)]
    time_base = exact(packet.time_base) or Fraction(0)
    flags = _KEY * packet.is_keyframe | _CORRUPT * packet.is_corrupt | _DISCARD * packet.is_discard
    side = [
        (place, bytes(packet.get_sidedata(kind))) for place, kind in enumerate(_SIDE_DATA) if packet.has_sidedata(kind)
    ]
    head = _HEAD.pack(*times, time_base.numerator, time_base.denominator, flags, len(side), packet.size)
    return b"".join([head, *(part for place, data in side for part in (_SIDE.pack(place, len(data)), data)), packet])


def _unpack(data: memoryview) -> tuple[Packet, bool, memoryview]:
    """The first packet in ``data``, whether it is to be discarded, and the data after it."""
    *times, numerator, denominator, flags, pieces, size = _HEAD.unpack_from(data)
    data = data[_HEAD.size :]
    side = []
    for _ in range(pieces):
        place, length = _SIDE.unpack_from(data)
        side.append(_side_data(_SIDE_DATA[place], _first(data[_SIDE.size :], length)))
        data = data[_SIDE.size + length :]
    content = _first(data, size)
    packet: Packet = Packet(size)  # with the padding that decoders read over; made of bytes it would have none
    if size:
        packet.update(content)
    packet.pts, packet.dts, packet.duration = (None if time == _UNKNOWN else time for time in times)
    if numerator:
        packet.time_base = Fraction(numerator, denominator)
    packet.is_keyframe, packet.is_corrupt = bool(flags & _KEY), bool(flags & _CORRUPT)
    for piece in side:
        packet.set_sidedata(piece)
    return packet, bool(flags & _DISCARD), data[size:]


def _first(data: memoryview, size: int) -> bytes:
    if len(data) < size:
        raise ValueError(f"{size} bytes are announced, and {len(data)} follow")
    return bytes(data[:size])


def _side_data(kind: PktSideDataT, content: bytes) -> PacketSideData:
    make: Any = PacketSideData  # PyAV's stubs leave out what it takes
    made: PacketSideData = make(packet_sidedata_type_from_literal(kind), len(content))
    made.update(content)
    return made
