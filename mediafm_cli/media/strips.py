"""Strips: some frames of a title, by their numbers, small enough to be seen side by side."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.video.stream import VideoStream

from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import GLANCE, open_media
from mediafm_cli.media.decoding import VideoPass
from mediafm_cli.media.display import Display, Picture, read_display


@dataclass(frozen=True, eq=False)
class StripFrame:
    """One frame: its number in presentation order, seconds from the start of the title, uint8 [height, width, 3]."""

    frame: int
    time_s: float
    rgb: np.ndarray


def read_strips(
    path: Path,
    stream_index: int,
    strips: Sequence[Sequence[int]],
    box: tuple[int, int],
    progress: Callable[[int], None] = lambda frames: None,
) -> Iterator[tuple[int, list[StripFrame]]]:
    """Read strips in one pass, which ends with the last frame wanted; upright, with square pixels.

    Held in memory are the frames of the strips under way, as small as they are shown.

    Args:
        strips: the frame numbers of each, ascending.
        box: greatest width and height of a picture; all have one size, which touches the box.
        progress: called with the number of frames read.

    Yields:
        (place in ``strips``, its frames), as soon as the last one is read.

    Raises:
        MediaError: the file cannot be read, has no such stream, or ends before a frame that is wanted.
    """
    with open_media(path, GLANCE) as container:
        stream = container.streams[stream_index] if stream_index < len(container.streams) else None
        if not isinstance(stream, VideoStream):
            raise MediaError(f"Stream {stream_index} of {path} is no video.")
        picture = Picture(display := read_display(container, stream), _fit(display, box))
    uses = Counter(frame for strip in strips for frame in strip)
    waiting = deque(sorted(range(len(strips)), key=lambda place: strips[place][-1]))
    held: dict[int, StripFrame] = {}
    read = 0
    with open_media(path) as container:
        stream = container.streams[stream_index]
        assert isinstance(stream, VideoStream)
        video = VideoPass(container, stream)
        for number, (pts, frame) in enumerate(video if waiting else ()):
            read = number + 1
            progress(read)
            if number not in uses:
                continue
            held[number] = StripFrame(number, video.report.seconds(pts), picture.render(frame))
            while waiting and strips[waiting[0]][-1] == number:
                strip = strips[place := waiting.popleft()]
                yield place, [held[wanted] for wanted in strip]
                uses.subtract(strip)
                held = {wanted: still for wanted, still in held.items() if uses[wanted] > 0}
            if not waiting:
                break
    if waiting:
        raise MediaError(f"{path} has {read} frames.", f"Frame {strips[waiting[0]][-1]} was wanted.")


def _fit(display: Display, box: tuple[int, int]) -> int:
    """The longer side of a picture of this shape that touches the box."""
    scale = min(box[0] / display.width, box[1] / display.height)
    return max(1, int(scale * max(display.width, display.height) + 1e-9))
