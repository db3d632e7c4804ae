"""Media files made of tones and of silence, whose samples are known."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 16_000
LOW_HZ, HIGH_HZ = 300, 3000
FPS = 5


def tone(hz: float, seconds: float, amplitude: float = 0.3) -> np.ndarray:
    """float32 [samples] at 16 kHz; 0 Hz is silence."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def tones(*parts: tuple[float, float]) -> np.ndarray:
    """One after the other, each (hz, seconds)."""
    return np.concatenate([tone(hz, seconds) for hz, seconds in parts])


def write_wav(path: Path, samples: np.ndarray) -> Path:
    """Sound only, 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(as_16_bits(samples).tobytes())
    return path


def as_16_bits(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767).astype("<i2")


def write_film(path: Path, *shots: tuple[float, float], sound: bool = True) -> Path:
    """A Matroska film: each shot, (hz, seconds), is a still picture of its own with a tone."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=FPS, width=64, height=36, pix_fmt="yuv420p", bit_rate=400_000)
        voice = container.add_stream("pcm_s16le", rate=RATE, layout="mono") if sound else None
        for _, seconds in shots:
            still = random.integers(0, 256, (9, 16, 3), np.uint8).repeat(4, axis=0).repeat(4, axis=1)
            for _ in range(round(seconds * FPS)):
                container.mux(picture.encode(av.VideoFrame.from_ndarray(still, format="rgb24")))
        container.mux(picture.encode())
        if voice is not None:
            frame = av.AudioFrame.from_ndarray(as_16_bits(tones(*shots))[None], format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
            container.mux([*voice.encode(frame), *voice.encode()])
    return path


def add_subtitles(film: Path, subtitles: Path, path: Path) -> Path:
    """The picture of a film, and subtitles in a stream of the same file."""
    with av.open(str(film)) as pictures, av.open(str(subtitles)) as cues, av.open(str(path), "w") as container:
        sources = [(pictures, pictures.streams.video[0]), (cues, cues.streams.subtitles[0])]
        targets = [container.add_stream_from_template(stream) for _, stream in sources]
        for (source, stream), target in zip(sources, targets, strict=True):
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packet.stream = target
                    container.mux(packet)
    return path


def write_closed_captions(path: Path, shown_s: float, seconds: int = 4) -> Path:
    """An MPEG film whose pictures say "Hi" for a second, as broadcasts do (ANSI/CTA-608-E, ATSC A/53 part 4)."""
    show = [(0x14, 0x20), (0x14, 0x2E), (0x14, 0x70), (0x48, 0x69), (0x14, 0x2F)]  # load, clear, place, letters, show
    sent = {round(shown_s * 25): show, round((shown_s + 1) * 25): [(0x14, 0x2C)]}  # erase
    picture = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 100, np.uint8), format="rgb24")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, width=96, height=64, pix_fmt="yuv420p")
        for number in range(25 * seconds):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            for packet in stream.encode(picture):
                container.mux(_with_user_data(packet, sent.get(number, [])))
    return path


def _with_user_data(packet: av.Packet, pairs: list[tuple[int, int]]) -> av.Packet:
    coded = bytes(packet)
    slices = coded.index(b"\0\0\1\1")
    triplets = b"".join(bytes([0xFC, *map(_with_odd_parity, pair)]) for pair in pairs)
    data = b"\0\0\1\xb2GA94\3" + bytes([0xC0 | len(pairs), 0xFF]) + triplets + b"\xff"
    carrier = av.Packet(coded[:slices] + data + coded[slices:])
    carrier.stream, carrier.pts, carrier.dts = packet.stream, packet.pts, packet.dts
    carrier.time_base, carrier.is_keyframe = packet.time_base, packet.is_keyframe
    return carrier


def _with_odd_parity(byte: int) -> int:
    return byte | 0x80 * (byte.bit_count() % 2 == 0)


def write_teletext(path: Path) -> Path:
    """A film with a stream of captions that FFmpeg, as it is in PyAV, has no decoder for."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg2video", rate=25, width=96, height=64, pix_fmt="yuv420p")
        teletext = container.add_mux_stream("dvb_teletext")
        teletext.time_base = Fraction(1, 25)
        for _ in range(5):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="rgb24")))
        packet = av.Packet(b"\x10\x02\x2c" + bytes(43))
        packet.stream, packet.time_base, packet.pts, packet.dts = teletext, Fraction(1, 25), 0, 0
        container.mux([packet, *picture.encode()])
    return path
