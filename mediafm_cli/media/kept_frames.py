"""Frames of the shots in a ``kept`` archive: a picture each, upright, with square pixels.

``START_END_NUMBER.jpg`` or ``.png`` is named by the shot's start and end in pts; an empty ``START_END.none`` stands for
a shot of which no frame decodes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from mediafm_cli.api import Frames
from mediafm_cli.media.container import MAX_PIXELS
from mediafm_cli.media.display import Display, Picture
from mediafm_cli.media.kept import KeptArchive, KeptWriter, open_kept

QUALITY = 95
"""Of JPEG, without subsampling of colour, for frames in full size; scaled ones are small enough to be kept exactly."""

_MAX_PICTURE = 64 << 20  # bytes


class FramesWriter:
    """Writes frames into an archive.

    Attributes:
        spans: (start, end) in pts of the shots that are done. ``without``: how many of them have no frames.
    """

    def __init__(self, archive: KeptWriter) -> None:
        self._archive = archive
        self._is_full_size = archive.kept_from.max_side is None
        self.spans: set[tuple[int, int]] = set()
        self.without = 0

    def add(self, start: int, end: int, pictures: Iterable[np.ndarray] | None) -> None:
        """Add the frames of the shot from ``start`` to ``end`` (pts): uint8 [h, w, 3] each; ``None`` if it has none."""
        self.spans.add((start, end))
        if pictures is None:
            self._archive.write(_no_frames(start, end), b"")
            self.without += 1
            return
        for number, picture in enumerate(pictures):
            data = io.BytesIO()
            if self._is_full_size:
                Image.fromarray(picture).save(data, "jpeg", quality=QUALITY, subsampling=0)
            else:
                Image.fromarray(picture).save(data, "png", compress_level=1)
            self._archive.write(_name(start, end, number, self._is_full_size), data.getbuffer())


class KeptFrames:
    """Kept frames, open for reading. Get them from ``open_kept_frames``; a context manager.

    Attributes:
        is_exact: the pictures are as they were decoded, to the bit.
    """

    def __init__(self, archive: KeptArchive, needs: Frames, *, is_exact: bool) -> None:
        self.is_exact = is_exact
        self._archive = archive
        self._count = needs.count
        self._max_side = None if is_exact else needs.max_side  # to which they are still to be scaled

    def holds(self, start: int, end: int) -> bool:
        """Whether it is known of the shot from ``start`` to ``end`` (pts) what frames it has."""
        names = self._archive.names
        return _no_frames(start, end) in names or names.issuperset(self._names_of(start, end))

    def read(self, start: int, end: int) -> np.ndarray | None:
        """The frames of a shot: uint8 [count, h, w, 3]; ``None`` if it has none.

        Raises:
            MediaError: the file is damaged.
        """
        if _no_frames(start, end) in self._archive.names:
            return None
        pictures = [self._read_picture(name) for name in self._names_of(start, end)]
        if self._max_side is not None:
            height, width = pictures[0].shape[:2]
            smaller = Picture(Display(width, height, 0), self._max_side)
            pictures = [smaller.render(VideoFrame.from_ndarray(picture, "rgb24")) for picture in pictures]
        if len({picture.shape for picture in pictures}) > 1:
            raise self._archive.damaged("Its pictures differ in size.")
        return np.stack(pictures)

    def _names_of(self, start: int, end: int) -> list[str]:
        return [_name(start, end, number, not self.is_exact) for number in range(self._count)]

    def _read_picture(self, name: str) -> np.ndarray:
        data = self._archive.read(name, _MAX_PICTURE)
        try:
            with Image.open(io.BytesIO(data), formats=("jpeg", "png")) as picture:
                if picture.width * picture.height > MAX_PIXELS or picture.mode != "RGB":
                    raise self._archive.damaged(f"{name} is not as it was written.")
                return np.asarray(picture)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise self._archive.damaged(f"{name}: {error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()


def open_kept_frames(store: Path, media: str, video_stream: int, needs: Frames) -> KeptFrames | None:
    """Open the frames kept beside a store; ``None`` where none are, or not what is needed.

    Args:
        media: fingerprint of the media file. ``video_stream``: number of the stream in it.

    Raises:
        MediaError: there is a file of that name that is no archive of ours, or is damaged.
    """
    archive = open_kept(store, media)
    if archive is None:
        return None
    for max_side in dict.fromkeys((needs.max_side, None)):
        if archive.holds(video_stream=video_stream, count=needs.count, max_side=max_side):
            return KeptFrames(archive, needs, is_exact=max_side is not None)
    archive.close()
    return None


def _name(start: int, end: int, number: int, is_full_size: bool) -> str:
    return f"{start}_{end}_{number}.{'jpg' if is_full_size else 'png'}"


def _no_frames(start: int, end: int) -> str:
    return f"{start}_{end}.none"
