"""Cut a title into shots: one decoding pass, a segmenter that looks on, and shots that tile the title."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from mediafm_cli.api import Boundary, Segmenter, Thumbnail
from mediafm_cli.errors import MediaError, PluginError
from mediafm_cli.media.container import PROCESSOR, Decoding, open_media
from mediafm_cli.media.decoding import DecodeReport, VideoPass
from mediafm_cli.media.edges import join_short, split_long
from mediafm_cli.media.probe import require_video
from mediafm_cli.media.sampling import FrameKeeper, grid_step
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
        boundaries: how each shot begins, n of them; the first is the start of the title, of kind ``start``.
        found: how many boundaries the segmenter gave, those included that were left out since a shot was too short.
        first_s, last_s: float64 [n], times at which the first and last frame of each boundary's transition are shown.
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
    boundaries: tuple[Boundary, ...]
    found: int
    first_s: np.ndarray
    last_s: np.ndarray
    time_base: str
    origin_s: float
    stream_index: int
    report: DecodeReport

    def __len__(self) -> int:
        return len(self.start_s)


@dataclass(frozen=True)
class ShotRules:
    """What becomes of boundaries.

    Attributes:
        min_shot_s: a shot shorter than this is joined to the one before it, the first one to the next.
        max_shot_s: a shot longer than this is divided into equal parts; ``None`` leaves it whole.
    """

    min_shot_s: float = MIN_SHOT_S
    max_shot_s: float | None = None


DEFAULT_RULES = ShotRules()


@dataclass(frozen=True)
class KeepFrames:
    """Frames to be kept from the pass.

    Attributes:
        count: frames a shot, sampled as ``sampling.sample_times`` says.
        keep: called with the start and end of a shot, in pts, and its frames; not for a shot whose frames are not all
            at hand any more when its end is known.
    """

    count: int
    keep: Callable[[int, int, list[VideoFrame]], None]


def cut_into_shots(
    path: Path,
    segmenter: Segmenter,
    rules: ShotRules = DEFAULT_RULES,
    *,
    decoding: Decoding = PROCESSOR,
    frames: KeepFrames | None = None,
    listen: Mapping[int, Callable[[Packet], None]] | None = None,
    look: Callable[[float, VideoFrame], None] | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> ShotList:
    """Cut a title's video into shots, in one pass over the file.

    Args:
        rules: which boundaries make shots.
        decoding: threads and hardware.
        frames: frames to keep on the way.
        listen: other streams, by index, and what is called with each packet of theirs.
        look: called with the time in seconds of each picture, and the picture.
        progress: called now and then with the number of frames read and the time of the newest in seconds.

    Raises:
        MediaError: the file cannot be read, has no video, or no picture of it decodes.
        PluginError: the segmenter gives boundaries that are out of order or outside the title.
    """
    with open_media(path, decoding) as container:
        stream = require_video(path, container)
        video = VideoPass(container, stream, listen)
        keeper = FrameKeeper(frames.count, grid_step(video.report.time_base)) if frames else None
        pts = array("q")
        thumbnails = _look_on(read_thumbnails(video, segmenter.thumbnail_size), pts, keeper, look, progress)
        report = video.report

        def seconds_of(frame: int) -> float:
            return report.seconds(pts[frame])

        found = 0

        def tell(boundaries: Iterable[Boundary]) -> Iterator[Boundary]:
            nonlocal found
            for boundary in boundaries:
                found += 1
                if keeper is not None:
                    keeper.begin_shot(pts[boundary.frame])
                yield boundary

        edges = [Boundary(0, "start")]
        longest = math.inf if rules.max_shot_s is None else rules.max_shot_s / float(report.time_base)

        def end_shot(end: int) -> None:
            """Split the shot that began last, and keep what is held of its parts."""
            parts = [edges[-1], *split_long(pts, edges[-1].frame, end, longest)]
            edges.extend(parts[1:])
            if frames is not None and keeper is not None:
                _keep(frames, keeper, [*(pts[part.frame] for part in parts), pts[end]])

        checked = _check(segmenter.detect(thumbnails), pts, thumbnails, segmenter)
        for edge in join_short(tell(checked), seconds_of, lambda: report.end_s, rules.min_shot_s):
            end_shot(edge.frame)
            edges.append(edge)
        stream_index = stream.index
    if report.end_pts is None:
        raise MediaError(
            f"No picture of {path} could be decoded.",
            f"{report.damaged} packets are damaged." if report.damaged else "Its video stream is empty.",
            "Play it to see whether it is whole, or copy it again.",
        )
    pts.append(report.end_pts)
    end_shot(len(pts) - 1)
    at = np.array([*(edge.frame for edge in edges), len(pts) - 1], dtype=np.int64)
    pts_at = np.array(pts, dtype=np.int64)[at]
    s_at = np.array([report.seconds(int(stamp)) for stamp in pts_at])
    return ShotList(
        start_s=s_at[:-1],
        end_s=s_at[1:],
        start_pts=pts_at[:-1],
        end_pts=pts_at[1:],
        start_frame=at[:-1],
        end_frame=at[1:],
        boundaries=tuple(edges),
        found=found,
        first_s=np.array([seconds_of(edge.first) for edge in edges]),
        last_s=np.array([seconds_of(edge.last) for edge in edges]),
        time_base=f"{report.time_base.numerator}/{report.time_base.denominator}",
        origin_s=float(report.origin_s),
        stream_index=stream_index,
        report=report,
    )


def _look_on(
    thumbnails: Iterator[tuple[int, VideoFrame, Thumbnail]],
    pts: array[int],
    keeper: FrameKeeper | None,
    look: Callable[[float, VideoFrame], None] | None,
    progress: Callable[[int, float], None] | None,
) -> Iterator[Thumbnail]:
    for stamp, frame, thumbnail in thumbnails:
        pts.append(stamp)
        if keeper is not None:
            keeper.see(stamp, frame)
        if look is not None:
            look(thumbnail.time_s, frame)
        if progress is not None and thumbnail.frame % _PROGRESS_EVERY == 0:
            progress(thumbnail.frame + 1, thumbnail.time_s)
        yield thumbnail


def _keep(frames: KeepFrames, keeper: FrameKeeper, edges: Sequence[int]) -> None:
    for start, end in pairwise(edges):
        held = keeper.take(start, end)
        if held is not None:
            frames.keep(start, end, held)


def _check(
    boundaries: Iterable[Boundary], pts: array[int], thumbnails: Iterator[Thumbnail], segmenter: Segmenter
) -> Iterator[Boundary]:
    """The boundaries, each held against the one before it and, once those are read, against the frames there are."""
    before = 0
    waiting: deque[Boundary] = deque()

    def wrong(boundary: Boundary) -> PluginError:
        return PluginError(
            f"The segmenter {type(segmenter).__module__}:{type(segmenter).__qualname__} is wrong about this title.",
            f"It gave {boundary} after one at frame {before}, in a title of {len(pts)} frames; boundaries must "
            "increase and lie inside the title, first ≤ frame ≤ last, and be of kind cut or gradual.",
            "Use another one with --segmenter, or report it to its author.",
        )

    for boundary in boundaries:
        ordered = before < boundary.frame and 0 <= boundary.first <= boundary.frame <= boundary.last
        if not ordered or boundary.kind not in ("cut", "gradual") or not math.isfinite(boundary.score):
            raise wrong(boundary)
        before = boundary.frame
        waiting.append(boundary)
        while waiting and waiting[0].last < len(pts):
            yield waiting.popleft()
    for _ in thumbnails:
        pass  # a segmenter may stop early; the title goes on to its end
    for boundary in waiting:
        if boundary.last >= len(pts):
            raise wrong(boundary)
        yield boundary
