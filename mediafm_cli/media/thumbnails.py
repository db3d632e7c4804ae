"""The small pictures that shot detection looks at: every frame of a title, once, in order."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from mediafm_cli.api import Thumbnail
from mediafm_cli.media.colour import convert_to_rgb, unscalable
from mediafm_cli.media.decoding import VideoPass
from mediafm_cli.media.fields import take_one_field
from mediafm_cli.media.light import is_beyond_standard

_LARGE = 6  # times as wide and as high as its thumbnail


def read_thumbnails(frames: VideoPass, size: tuple[int, int] | None) -> Iterator[tuple[int, VideoFrame, Thumbnail]]:
    """Scale each frame of a pass to ``size`` (width, height): neither turned nor stretched.

    A pixel is the mean of four that are read of a large picture, and of all that it covers of a small one: to read all
    of a large one takes longer, and tells no more. HDR is shown as SDR, and an interlaced picture by one of its fields,
    for detectors are made for such pictures; the rest is left as coded. Constant memory, and two reformatters a title:
    new ones for each frame would cost a tenth of the decoding.

    Yields:
        (pts, frame, thumbnail); a thumbnail without pixels where ``size`` is ``None``.

    Raises:
        MediaError: FFmpeg cannot scale a picture, or its colours are coded in a way that cannot be shown.
    """
    sampler, reformatter = VideoReformatter(), VideoReformatter()
    nothing: np.ndarray = np.zeros((0, 0, 3), np.uint8)
    for number, (pts, frame) in enumerate(frames):
        try:
            rgb = nothing if size is None else _scale(frame, *size, sampler, reformatter)
        except (av.error.FFmpegError, OSError) as error:
            raise unscalable(frame, error) from error
        yield pts, frame, Thumbnail(number, frames.report.seconds(pts), rgb)


def _scale(
    frame: VideoFrame, width: int, height: int, sampler: VideoReformatter, reformatter: VideoReformatter
) -> np.ndarray:
    if frame.interlaced_frame or is_beyond_standard(frame.color_trc, frame.color_primaries):
        return convert_to_rgb(take_one_field(frame), width, height, reformatter, Interpolation.AREA)
    few = frame
    if min(frame.width // width, frame.height // height) >= _LARGE:
        few = sampler.reformat(frame, width=2 * width, height=2 * height, interpolation=Interpolation.POINT, threads=1)
    return _pixels(
        reformatter.reformat(
            few, width=width, height=height, format="rgb24", interpolation=Interpolation.AREA, threads=1
        )
    )


def _pixels(frame: VideoFrame) -> np.ndarray:
    """uint8 [height, width, 3] of a picture in ``rgb24``; PyAV's own way takes longer than the scaling."""
    plane = frame.planes[0]
    rows: np.ndarray = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload] # a plane is a buffer
    rows = rows.reshape(frame.height, plane.line_size)
    return rows[:, : 3 * frame.width].reshape(frame.height, frame.width, 3)
