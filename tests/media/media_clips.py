"""Small media files for tests, made with PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

SIZE = (96, 64)
COVER, DEFAULT, OTHER = Disposition.attached_pic, Disposition.default, Disposition(0)


def panning_pictures(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """A window that slides over one noise texture: every picture differs from every other."""
    width, height = size
    texture = np.random.default_rng(seed).integers(
        0, 256, (height // 8 + 1, (width + count) // 8 + 2, 3), dtype=np.uint8
    )
    wide = texture.repeat(8, axis=0).repeat(8, axis=1)
    return [np.ascontiguousarray(wide[:height, shift : shift + width]) for shift in range(count)]


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    rate: int = 25,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    pixel_format: str = "yuv420p",
) -> Path:
    """Encode pictures, uint8 [h, w, 3]; ``pts`` count in ``time_base`` (one frame by default)."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if time_base is not None:
            stream.time_base = stream.codec_context.time_base = time_base
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if pts is None else pts[number]
            frame.time_base = time_base or Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_streams(path: Path, streams: Sequence[tuple[str, tuple[int, int], Disposition]], pictures: int = 5) -> Path:
    """Several video streams in one file: codec, size and disposition of each; of a cover, one picture."""
    with av.open(str(path), "w") as container:
        for codec, size, disposition in streams:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = disposition
        for stream, (_, size, disposition) in zip(container.streams.video, streams, strict=True):
            for number, picture in enumerate(panning_pictures(1 if disposition == COVER else pictures, size=size)):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def write_film(
    path: Path, pictures: Sequence[np.ndarray], samples: np.ndarray, *, video_start_s: float, audio_start_s: float
) -> Path:
    """Pictures at 25 a second beside mono sound at 16 kHz, each from its own start."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("mp2" if path.suffix == ".ts" else "flac", rate=16_000)
        audio.layout = "mono"
        packets = []
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(video_start_s * 25) + number, Fraction(1, 25)
            packets += video.encode(frame)
        packets += video.encode(None)
        for frame in _sound_frames(samples[None], 16_000, "mono", audio_start_s):
            packets += audio.encode(frame)
        packets += audio.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def write_sound(
    path: Path, channels: np.ndarray, *, rate: int, layout: str, codec: str, lost_s: tuple[float, float] = (0.0, 0.0)
) -> Path:
    """Encode float channels [channels, samples]; packets of the seconds ``lost_s`` are not written."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        packets = [packet for frame in _sound_frames(channels, rate, layout, 0.0) for packet in stream.encode(frame)]
        for packet in [*packets, *stream.encode(None)]:
            if not lost_s[0] <= float(packet.pts * packet.time_base) < lost_s[1]:
                container.mux(packet)
    return path


def cut_bytes(source: Path, target: Path, share: float) -> Path:
    """Keep the first ``share`` of a file's bytes."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def _sound_frames(channels: np.ndarray, rate: int, layout: str, start_s: float) -> list[av.AudioFrame]:
    frames = []
    for first in range(0, channels.shape[1], 1024):
        packed = np.round(channels[:, first : first + 1024].T.reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = rate
        frame.pts, frame.time_base = round(start_s * rate) + first, Fraction(1, rate)
        frames.append(frame)
    return frames
