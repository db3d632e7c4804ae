"""Films for tests whose pictures carry closed captions, coded by ANSI/CTA-608-E and ATSC A/53 part 4."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

RATE = 25
SIZE = (96, 64)
NOTHING = (0, 0)


@dataclass(frozen=True)
class Track:
    """A stream of captions: what is coded at which picture, and how many pictures long each is shown."""

    codec: str
    packets: Mapping[int, bytes]
    duration: int = 1
    language: str = "und"
    disposition: Disposition = Disposition.default


ERASE = [(0x14, 0x2C)] * 2
"""Erase displayed memory; commands are sent twice."""


def pop_on(text: str) -> list[tuple[int, int]]:
    """Load a caption of one line out of sight, 6 pairs and one for every two letters, then show it."""
    return [*_twice(0x20, 0x2E), *[(0x14, 0x70)] * 2, *_letters(text), *_twice(0x2F)]


def roll_up(text: str) -> list[tuple[int, int]]:
    """Roll what is shown up by a line and write a new one below, two lines in all."""
    return [*_twice(0x25, 0x2D), *[(0x14, 0x70)] * 2, *_letters(text)]


def page(text: str) -> list[tuple[int, int]]:
    """A page of text, as links are sent, and no captions: restart it, then write."""
    return [*_twice(0x2A), *_letters(text)]


def to_second_channel(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same in the other channel of the field: CC2, or CC4."""
    return [(first | 0x08 if 0x10 <= first < 0x20 else first, second) for first, second in pairs]


def name_programme(name: str) -> list[tuple[int, int]]:
    """Programme data (XDS), which the second field carries among captions: what is shown is called so."""
    content = [(0x01, 0x03), *_letters(name)]
    return [*content, (0x0F, -(sum(map(sum, content)) + 0x0F) % 128)]


def send_708(text: str, count: int) -> list[bytes]:
    """Triplets of pictures: in the first a packet of CEA-708, whose one block shows text, or holds nothing; padding."""
    block = [0x20 | len(text), *text.encode("ascii")] if text else [0]
    packet = [(len(block) + 2) // 2, *block, *[0] * ((len(block) + 1) % 2)]
    pairs = zip(packet[::2], packet[1::2], strict=True)
    sent = b"".join(bytes([0xFE if number else 0xFF, *pair]) for number, pair in enumerate(pairs))
    return [sent, *[b"\xfa\0\0"] * (count - 1)]


def triplet(pair: tuple[int, int], kind: int = 0) -> bytes:
    """A pair with odd parity; ``kind`` is 0 for CEA-608's first field, 1 for its second, 2 and 3 for CEA-708."""
    return bytes([0xFC | kind, *(byte | 0x80 * (byte.bit_count() % 2 == 0) for byte in pair)])


def send(pairs: Mapping[int, Sequence[tuple[int, int]]], count: int, kind: int = 0) -> list[bytes]:
    """Triplets of ``count`` pictures: one pair each, from the pictures on that are given; padding between."""
    sent = [NOTHING] * count
    for first, several in pairs.items():
        sent[first : first + len(several)] = several
    return [triplet(pair, kind) + b"\xfa\0\0" for pair in sent]


def write_captioned(path: Path, triplets: Sequence[bytes], codec: str = "libx264") -> Path:
    """A film at 25 a second, coded with B-frames, of whose pictures each carries its triplets."""
    wrap = {"libx264": _in_h264, "libx265": _in_hevc, "mpeg2video": _in_mpeg2}[codec]
    options = {"bf": "2", "x265-params": "log-level=none:bframes=2", "forced-idr": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options if codec != "mpeg2video" else {"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        packets = []
        for frame in _frames(len(triplets)):
            packets += stream.encode(frame)
        for coded in [*packets, *stream.encode(None)]:
            packet = av.Packet(wrap(bytes(coded), triplets[round(coded.pts * coded.time_base * RATE)]))
            packet.stream, packet.is_keyframe = stream, coded.is_keyframe
            packet.pts, packet.dts, packet.time_base = coded.pts, coded.dts, coded.time_base
            container.mux(packet)
    return path


def write_with_tracks(path: Path, pictures: int, tracks: Sequence[Track]) -> Path:
    """A film at 25 a second, and beside its pictures streams of captions, coded already."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        streams = [container.add_mux_stream(track.codec) for track in tracks]
        for stream, track in zip(streams, tracks, strict=True):
            stream.time_base = Fraction(1, RATE)
            stream.metadata["language"] = track.language
            stream.disposition = track.disposition
        for number, frame in enumerate(_frames(pictures)):
            container.mux(video.encode(frame))
            for stream, track in zip(streams, tracks, strict=True):
                if number in track.packets:
                    packet = av.Packet(track.packets[number])
                    packet.stream, packet.time_base = stream, Fraction(1, RATE)
                    packet.pts = packet.dts = number
                    packet.duration = track.duration
                    container.mux(packet)
        container.mux(video.encode(None))
    return path


def _frames(count: int) -> Iterator[av.VideoFrame]:
    """One picture of noise, over and over."""
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        yield frame


def _twice(*commands: int) -> list[tuple[int, int]]:
    return [(0x14, command) for command in commands for _ in range(2)]


def _letters(text: str) -> list[tuple[int, int]]:
    codes = [*text.encode("ascii"), *[0] * (len(text) % 2)]
    return list(zip(codes[::2], codes[1::2], strict=True))


def _user_data(triplets: bytes) -> bytes:
    return b"GA94\x03" + bytes([0xC0 | len(triplets) // 3, 0xFF]) + triplets + b"\xff"


def _message(triplets: bytes) -> bytes:
    """Supplemental enhancement information: user data registered by ITU-T T.35, for the USA and ATSC."""
    content = b"\xb5\x00\x31" + _user_data(triplets)
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", b"\x04" + bytes([len(content)]) + content + b"\x80")


def _before(coded: bytes, unit: bytes) -> bytes:
    is_byte_stream = coded.startswith((b"\0\0\0\1", b"\0\0\1"))
    return (b"\0\0\0\1" if is_byte_stream else len(unit).to_bytes(4, "big")) + unit + coded


def _in_h264(coded: bytes, triplets: bytes) -> bytes:
    return _before(coded, b"\x06" + _message(triplets))


def _in_hevc(coded: bytes, triplets: bytes) -> bytes:
    return _before(coded, b"\x4e\x01" + _message(triplets))


def _in_mpeg2(coded: bytes, triplets: bytes) -> bytes:
    slices = coded.index(b"\0\0\1\1")
    return coded[:slices] + b"\0\0\1\xb2" + _user_data(triplets) + coded[slices:]
