"""The small pictures that shot detection looks at: every frame of a title, once, in order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from mediafm_cli.api import Thumbnail
from mediafm_cli.media.colour import convert_to_rgb
from mediafm_cli.media.decoding import VideoPass
from mediafm_cli.media.fields import take_one_field
from mediafm_cli.media.light import is_beyond_standard


def read_thumbnails(frames: VideoPass, size: tuple[int, int] | None) -> Iterator[tuple[int, VideoFrame, Thumbnail]]:
    """Scale each frame of a pass to ``size`` (width, height) by area averaging: neither turned nor stretched.

    HDR is shown as SDR, and an interlaced picture by one of its fields, for detectors are made for such pictures; the
    rest is left as coded. Constant memory, and one reformatter a title: one a frame costs a tenth of the decoding.

    Yields:
        (pts, frame, thumbnail); a thumbnail without pixels where ``size`` is ``None``.
    """
    reformatter = VideoReformatter()
    nothing: np.ndarray = np.zeros((0, 0, 3), np.uint8)
    for number, (pts, frame) in enumerate(frames):
        rgb = nothing
        if size is not None:
            width, height = size
            if frame.interlaced_frame or is_beyond_standard(frame.color_trc, frame.color_primaries):
                rgb = convert_to_rgb(take_one_field(frame), width, height, reformatter, Interpolation.AREA)
            else:
                rgb = reformatter.reformat(
                    frame, width=width, height=height, format="rgb24", interpolation=Interpolation.AREA, threads=1
                ).to_ndarray()
        yield pts, frame, Thumbnail(number, frames.report.seconds(pts), rgb)
