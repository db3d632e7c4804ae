"""Where on a title's frames the cuts of a list fall."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mediafm_cli.api import Boundary, Thumbnail, Title
from mediafm_cli.errors import MediaError
from mediafm_cli.segmenters.cut_lists.entries import CutList

_DEFAULT_RATE = 25


def place_cuts(cuts: CutList, frames: Iterator[Thumbnail], title: Title) -> Iterator[Boundary]:
    """Give each cut as a boundary, as soon as the frame after it is there; every frame is consumed.

    A time falls on the frame whose own time is nearest, of two that are equally near on the later one: a frame's time
    rounded to a millisecond is found again up to 500 frames a second. The boundary of a transition is the frame in its
    middle, of two the later one.

    The start of the title and its exact end (as the end of the last frame, or as the file declares it) are no
    boundaries, and neither is a transition that begins with the first frame or ends with the last.

    Raises:
        MediaError: a cut lies beyond the end of the title, two fall on one frame, or the list was made for a title of
            another number of frames.
    """
    walk = _Walk(frames, cuts, title)
    if not walk.count:
        return
    before: tuple[int, str] | None = None
    for entry in cuts.entries:
        first = walk.find_nearest(entry.first)
        last = first if entry.last == entry.first else walk.find_nearest(entry.last)
        if last is None or first is None:
            if entry is cuts.entries[-1] and first is last is None and walk.is_end(entry.last):
                break
            raise _mismatch(cuts, entry.where, f"lies beyond the end of the title, which has {walk.count} frames")
        if before is not None and first <= before[0]:
            raise _mismatch(cuts, entry.where, f"falls on frame {first}, as does {before[1]}")
        before = last, entry.where
        if entry.kind == "cut" and first > 0:
            yield Boundary(first)
        elif entry.kind == "gradual" and first > 0 and not walk.is_last(last):
            yield Boundary((first + last + 1) // 2, "gradual", first=first, last=last)
    walk.finish()
    if cuts.frames not in (None, walk.count):
        raise _mismatch(cuts, "", f"It is of a title of {cuts.frames} frames, and this one has {walk.count}")


def _mismatch(cuts: CutList, where: str, why: str) -> MediaError:
    sentence = f"{where[:1].upper()}{where[1:]} {why}." if where else f"{why}."
    return MediaError(
        f"{cuts.path} does not fit this title.", sentence, "Give the list that was made from this very file."
    )


class _Walk:
    """Goes through a title's frames once, one ahead of the place asked for; places must not decrease."""

    def __init__(self, frames: Iterator[Thumbnail], cuts: CutList, title: Title) -> None:
        self._positions = _positions(frames, cuts)
        self._end_s = title.duration_s if cuts.unit == "seconds" else None
        self._step = float(1 / (title.frame_rate or _DEFAULT_RATE)) if cuts.unit == "seconds" else 1.0
        self._frame, self._at = -1, -math.inf
        self._ahead = next(self._positions, None)

    @property
    def count(self) -> int:
        """Frames read so far."""
        return self._frame + 1 + (self._ahead is not None)

    def find_nearest(self, place: float) -> int | None:
        """The frame nearest to a place; ``None`` where the end of the last one is nearer, or passed."""
        while self._ahead is not None and place >= (self._at + self._ahead) / 2:
            self._go_on(self._ahead)
        is_past = self._ahead is None and place >= self._at + self._step / 2
        return None if is_past else max(0, self._frame)

    def is_last(self, frame: int) -> bool:
        """Whether a frame that was found is the title's last."""
        return self._ahead is None and frame == self._frame

    def is_end(self, place: float) -> bool:
        """Whether a place past the last frame is where the title ends, as nearly as frames tell."""
        is_declared = self._end_s is not None and abs(place - self._end_s) <= self._step
        return is_declared or place <= self._at + 1.5 * self._step

    def finish(self) -> None:
        """Read the frames that are left."""
        while self._ahead is not None:
            self._go_on(self._ahead)

    def _go_on(self, ahead: float) -> None:
        if self._frame >= 0:
            self._step = ahead - self._at
        self._frame, self._at = self._frame + 1, ahead
        self._ahead = next(self._positions, None)


def _positions(frames: Iterator[Thumbnail], cuts: CutList) -> Iterator[float]:
    """Of each frame, in the unit of the list and from its zero."""
    zero_s: float | None = None
    for thumbnail in frames:
        if zero_s is None:
            zero_s = thumbnail.time_s if cuts.zero == "first frame" else 0.0
        yield float(thumbnail.frame) if cuts.unit == "frames" else thumbnail.time_s - zero_s
