"""The small pictures that shot detection looks at: every frame of a title, once, in order."""

from __future__ import annotations

from collections.abc import Iterator

from av.video.reformatter import Interpolation, VideoReformatter

from mediafm_cli.api import Thumbnail
from mediafm_cli.media.decoding import VideoPass


def read_thumbnails(frames: VideoPass, size: tuple[int, int]) -> Iterator[tuple[int, Thumbnail]]:
    """Scale each frame of a pass to ``size`` (width, height) by area averaging, as coded: neither turned nor stretched.

    Constant memory, and one reformatter for the whole title: making one per frame costs a tenth of the decoding.

    Yields:
        (pts, thumbnail).
    """
    width, height = size
    reformatter = VideoReformatter()
    for number, (pts, frame) in enumerate(frames):
        small = reformatter.reformat(
            frame, width=width, height=height, format="rgb24", interpolation=Interpolation.AREA, threads=1
        )
        yield pts, Thumbnail(number, frames.report.seconds(pts), small.to_ndarray())
