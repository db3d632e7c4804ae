"""How decoded pictures are meant to be seen: upright, with square pixels, at one size for the whole title."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from mediafm_cli.media.colour import convert_to_rgb
from mediafm_cli.media.container import MAX_PIXELS, exact
from mediafm_cli.media.fields import take_one_field
from mediafm_cli.media.side_data import read_orientation

_MAX_STRETCH = 8  # a sample aspect ratio beyond this is damage or malice, not a lens
_FIRST_PACKETS = 500  # packets looked through for a first picture


@dataclass(frozen=True)
class Display:
    """Geometry of a video stream.

    Attributes:
        width, height: in pixels, as displayed, after the sample aspect ratio and the rotation.
        quarter_turns: anticlockwise turns of 90 degrees that make a decoded picture upright.
        mirrored: and that it is then flipped left to right, as by a front camera.
    """

    width: int
    height: int
    quarter_turns: int
    mirrored: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which a decoded picture is turned: 0, 90, 180 or 270."""
        return -90 * self.quarter_turns % 360


def read_display(container: InputContainer, stream: VideoStream) -> Display:
    """Read the geometry off the stream and its first picture; the container stands somewhere after that."""
    context = stream.codec_context
    width, height = stretch(context.width, context.height, exact(stream.sample_aspect_ratio))
    frame = _first_frame(container, stream)
    turns, mirrored = (0, False) if frame is None else read_orientation(frame)
    return Display(*((height, width) if turns % 2 else (width, height)), turns, mirrored)


def stretch(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size in square pixels of a picture whose pixels are ``aspect`` times as wide as high."""
    if not aspect or not Fraction(1, _MAX_STRETCH) <= aspect <= _MAX_STRETCH:
        return width, height
    stretched = max(1, round(width * aspect))
    return (stretched, height) if stretched * height <= MAX_PIXELS else (width, height)


class Picture:
    """Turns decoded frames into upright RGB arrays of one size.

    What a frame itself says of its size, pixel format, colour and interlacing counts, and may change within a title.
    The size and the orientation are those of the title, so a frame of another shape is stretched to it. A crop that the
    codec asks for is done by the decoder; one that only the container asks for (``clap``, Matroska's ``PixelCrop``) is
    not, as PyAV does not tell it.

    Args:
        display: the geometry of the stream.
        max_side: make the longer side this many pixels; ``None`` keeps the displayed size.
    """

    def __init__(self, display: Display, max_side: int | None = None) -> None:
        scale = 1.0 if max_side is None else max_side / max(display.width, display.height, 1)
        self.width = max(1, round(display.width * scale))
        self.height = max(1, round(display.height * scale))
        self._turns = display.quarter_turns
        self._mirrored = display.mirrored
        self._reformatter = VideoReformatter()

    def render(self, frame: VideoFrame) -> np.ndarray:
        """uint8 [height, width, 3], contiguous: R'G'B' of BT.709 in full range, see ``convert_to_rgb``.

        Raises:
            MediaError: the colours are coded in a way that cannot be shown.
        """
        sideways = self._turns % 2
        width, height = (self.height, self.width) if sideways else (self.width, self.height)
        progressive = take_one_field(frame)
        shrinks = width <= progressive.width and height <= progressive.height
        interpolation = Interpolation.AREA if shrinks else Interpolation.BICUBIC
        upright = np.rot90(convert_to_rgb(progressive, width, height, self._reformatter, interpolation), self._turns)
        return np.ascontiguousarray(upright[:, ::-1] if self._mirrored else upright)


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    packets = container.demux(stream)
    for _ in range(_FIRST_PACKETS):
        try:
            frames = next(packets).decode()
        except StopIteration:
            return None
        except av.error.FFmpegError:
            continue  # damaged packets are counted where the title is read, not here
        if frames:
            return frames[0]
    return None
