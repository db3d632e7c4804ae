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
