"""Cut a title into shots: one decoding pass, a segmenter that looks on, and shots that tile the title."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mediafm_cli.api import Segmenter, Thumbnail
from mediafm_cli.errors import MediaError, PluginError
from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import DecodeReport, VideoPass
from mediafm_cli.media.probe import require_video
from mediafm_cli.media.thumbnails import read_thumbnails

MIN_SHOT_S = 0.15
"""Real shots are as short as 5 frames (0.2 s at 25 frames a second)."""

_PROGRESS_EVERY = 32  # frames


@dataclass(frozen=True, eq=False)
class ShotList:
    """The shots of a title, in order, without gap or overlap: the end of one is the start of the next, exclusive.

    Attributes:
        start_s, end_s: float64 [n], seconds from the start of the title.
        start_pts, end_pts: int64 [n], in units of ``time_base``.
        start_frame, end_frame: int64 [n], numbers of the pictures in presentation order.
        time_base: seconds per unit of pts, as a fraction such as ``"1/12800"``.
        origin_s: start of the title on the container's clock.
        stream_index: of the video stream in the container.
        report: what was read and what was lost.
    """

    start_s: np.ndarray
    end_s: np.ndarray
    start_pts: np.ndarray
    end_pts: np.ndarray
    start_frame: np.ndarray
    end_frame: np.ndarray
    time_base: str
    origin_s: float
    stream_index: int
    report: DecodeReport

    def __len__(self) -> int:
        return len(self.start_s)


def cut_into_shots(
    path: Path,
    segmenter: Segmenter,
    *,
    min_shot_s: float = MIN_SHOT_S,
    progress: Callable[[int, float], None] | None = None,
) -> ShotList:
    """Cut a title's video into shots.

    A shot shorter than ``min_shot_s`` is joined to the one before it, the first one to the next.

    Args:
        progress: called now and then with the number of frames read and the time of the newest in seconds.

    Raises:
        MediaError: the file cannot be read, has no video, or no picture of it decodes.
        PluginError: the segmenter gives boundaries that are out of order or outside the title.
    """
    with open_media(path) as container:
        stream = require_video(path, container)
        frames = VideoPass(container, stream)
        pts = array("q")
        thumbnails = _look_on(read_thumbnails(frames, segmenter.thumbnail_size), pts, progress)
        boundaries = [boundary.frame for boundary in segmenter.detect(thumbnails)]
        for _ in thumbnails:
            pass  # a segmenter may stop early; the title goes on to its end
        stream_index = stream.index
    report = frames.report
    if report.end_pts is None:
        raise MediaError(
            f"No picture of {path} could be decoded.",
            f"{report.damaged} packets are damaged." if report.damaged else "Its video stream is empty.",
            "Play it to see whether it is whole, or copy it again.",
        )
    _check_boundaries(boundaries, len(pts), segmenter)
    pts.append(report.end_pts)
    edges = np.array([0, *boundaries, len(pts) - 1], dtype=np.int64)
    edges_s = [report.seconds(pts[edge]) for edge in edges]
    kept = _join_short(edges_s, min_shot_s)
    frames_at = edges[kept]
    pts_at = np.array(pts, dtype=np.int64)[frames_at]
    s_at = np.array(edges_s)[kept]
    return ShotList(
        start_s=s_at[:-1],
        end_s=s_at[1:],
        start_pts=pts_at[:-1],
        end_pts=pts_at[1:],
        start_frame=frames_at[:-1],
        end_frame=frames_at[1:],
        time_base=f"{report.time_base.numerator}/{report.time_base.denominator}",
        origin_s=float(report.origin_s),
        stream_index=stream_index,
        report=report,
    )


def _look_on(
    thumbnails: Iterator[tuple[int, Thumbnail]], pts: array[int], progress: Callable[[int, float], None] | None
) -> Iterator[Thumbnail]:
    for stamp, thumbnail in thumbnails:
        pts.append(stamp)
        if progress is not None and thumbnail.frame % _PROGRESS_EVERY == 0:
            progress(thumbnail.frame + 1, thumbnail.time_s)
        yield thumbnail


def _check_boundaries(frames: Sequence[int], count: int, segmenter: Segmenter) -> None:
    for before, frame in zip((0, *frames), frames, strict=False):
        if not before < frame < count:
            raise PluginError(
                f"The segmenter {type(segmenter).__module__}:{type(segmenter).__qualname__} is wrong about this title.",
                f"It gave a boundary at frame {frame} after one at {before}, in a title of {count} frames; boundaries "
                "must increase and lie inside the title.",
                "Use another one with --segmenter, or report it to its author.",
            )


def _join_short(edges_s: Sequence[float], min_shot_s: float) -> list[int]:
    """Which of the edges to keep; the first and the last always."""
    last = len(edges_s) - 1
    kept = [0]
    for edge in range(1, last + 1):
        is_short = edges_s[edge] - edges_s[kept[-1]] < min_shot_s
        if is_short and len(kept) > 1:
            kept[-1] = edge
        elif not is_short or edge == last:
            kept.append(edge)
    return kept
