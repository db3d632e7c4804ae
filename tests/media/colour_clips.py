"""Pictures of known colour for tests: signals coded by the equations of ITU-T H.273, in frames and in files."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

LUMA_WEIGHTS = {  # red and blue, by the number of the matrix in H.273
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
BT709_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""ITU-R BT.2087-0, equation for M2."""


@dataclass(frozen=True)
class Tags:
    """What a stream says of its colours, in the numbers of H.273; ``range`` is 1 for limited and 2 for full."""

    range: int = 0
    matrix: int = 2
    transfer: int = 2
    primaries: int = 2


def colour_patches(most: float = 1.0) -> np.ndarray:
    """Signal of 0 to ``most``, float [96, 160, 3]: 60 patches of 16 × 16 pixels, ten of them gray."""
    colours = np.random.default_rng(7).uniform(0.05, most, (6, 10, 3))
    colours[0] = np.linspace(0, most, 10)[:, None]
    colours[1, :6] = most * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
    return colours.repeat(16, axis=0).repeat(16, axis=1)


def middles(picture: np.ndarray) -> np.ndarray:
    """The values in the middle of each patch of ``colour_patches``, whatever the picture's size: int [6, 10, 3]."""
    height, width = picture.shape[:2]
    rows = ((np.arange(6) + 0.5) * height / 6).astype(int)
    columns = ((np.arange(10) + 0.5) * width / 10).astype(int)
    return picture[rows][:, columns].astype(int)


def code_ycbcr(signal: np.ndarray, matrix: int, *, full: bool, depth: int) -> np.ndarray:
    """Y'CbCr code values, float [h, w, 3], of R'G'B' of 0 to 1: H.273 equations 20 to 31 and 38 to 40."""
    red, blue = LUMA_WEIGHTS[matrix]
    luma = signal @ (red, 1 - red - blue, blue)
    cb = (signal[..., 2] - luma) / (2 * (1 - blue))
    cr = (signal[..., 0] - luma) / (2 * (1 - red))
    most, unit, middle = (1 << depth) - 1, 1 << depth - 8, 1 << depth - 1
    if full:
        return np.stack([most * luma, most * cb + middle, most * cr + middle], axis=-1)
    return np.stack([unit * (219 * luma + 16), unit * 224 * cb + middle, unit * 224 * cr + middle], axis=-1)


def make_frame(planes: np.ndarray, pixel_format: str, tags: Tags) -> av.VideoFrame:
    """A frame of code values, [h, w, components], in a planar pixel format; chroma is averaged to its size."""
    frame = av.VideoFrame(planes.shape[1], planes.shape[0], pixel_format)
    for number, plane in enumerate(frame.planes):
        values = planes[..., number]
        blocks = values.reshape(plane.height, values.shape[0] // plane.height, plane.width, -1).mean(axis=(1, 3))
        size = 1 if frame.format.components[number].bits <= 8 else 2
        lines = np.zeros((plane.height, plane.line_size // size), f"<u{size}")
        lines[:, : plane.width] = np.clip(np.round(blocks), 0, 256**size - 1)
        plane.update(lines.tobytes())
    frame.color_range, frame.colorspace = tags.range, tags.matrix
    frame.color_trc, frame.color_primaries = tags.transfer, tags.primaries
    return frame


def write_frames(
    path: Path,
    frames: Sequence[av.VideoFrame],
    tags: Tags,
    *,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode frames at 25 a second in a stream with these tags; without loss, unless the codec has some."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = frames[0].format.name
        context = stream.codec_context
        context.color_range, context.colorspace = tags.range, tags.matrix
        context.color_trc, context.color_primaries = tags.transfer, tags.primaries
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def first_frame(path: Path) -> av.VideoFrame:
    """The first picture of a file, decoded by PyAV alone."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def show_with_ffmpeg(path: Path, filters: str, height: int, width: int) -> np.ndarray:
    """The first picture as the ffmpeg program makes it: uint8 [height, width, 3]."""
    program = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    command = [program, "-v", "error", "-i", str(path), "-vf", filters, "-frames:v", "1"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def pq_signal(light: np.ndarray) -> np.ndarray:
    """BT.2100 table 4: PQ's signal for cd/m²."""
    root = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375


def hlg_signal(light: np.ndarray) -> np.ndarray:
    """BT.2100 table 5: HLG's signal for cd/m² on a display of 1000 cd/m², [h, w, 3] in BT.2020."""
    luminance = (light @ (0.2627, 0.6780, 0.0593))[..., None] / 1000
    scene = light / 1000 * np.maximum(luminance, 1e-12) ** ((1 - 1.2) / 1.2)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-12)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
