"""Frames kept from the pass that found the shots, in a file beside the store: a ZIP archive of pictures.

``film.frames.zip`` lies beside ``film.h5``. It holds ``frames.json``, which says what it was made from, and one picture
a frame, ``START_END_NUMBER.jpg`` or ``.png``, named by the shot's start and end in pts; upright, with square pixels.
It may be deleted at any time: frames that are not there are sought in the media file.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import zipfile
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from mediafm_cli.api import Frames
from mediafm_cli.errors import MediaError, command
from mediafm_cli.media.container import MAX_PIXELS
from mediafm_cli.media.display import Display, Picture

QUALITY = 95
"""Of JPEG, without subsampling of colour, for frames in full size; scaled ones are small enough to be kept exactly."""

_FORMAT, _VERSION, _HEADER = "mediafm-frames", 1, "frames.json"
_MAX_HEADER = 10_000
_MAX_PICTURE = 64 << 20  # bytes


@dataclass(frozen=True)
class KeptFrom:
    """What kept frames are of.

    Attributes:
        media: fingerprint of the media file. ``video_stream``: number of the stream in it.
        count: frames a shot. ``max_side``: pixels of the longer side; ``None`` for the full size.
    """

    media: str
    video_stream: int
    count: int
    max_side: int | None = None

    @property
    def suffix(self) -> str:
        """Of the pictures."""
        return "jpg" if self.max_side is None else "png"


def frames_path(store: Path) -> Path:
    """Where the kept frames of a store lie."""
    return store.with_suffix(".frames.zip")


class KeptFramesWriter:
    """Writes kept frames under a temporary name; ``commit`` puts the file in its place, whole. A context manager.

    Raises:
        MediaError: another process is writing the same file.
    """

    def __init__(self, path: Path, kept_from: KeptFrom) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._file = os.fdopen(os.open(self._temporary, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            what = f"Another process is keeping frames in {path}."
            raise MediaError(what, hint="Wait for it to end, and run the command again.") from error
        self._file.truncate(0)  # what a process that was killed has left
        self._archive = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._archive.writestr(_member(_HEADER), json.dumps(_header(kept_from)))
        self._kept_from = kept_from
        self.spans: set[tuple[int, int]] = set()

    def add(self, start: int, end: int, pictures: Iterable[np.ndarray]) -> None:
        """Add the frames of the shot from ``start`` to ``end`` (pts): uint8 [h, w, 3] each."""
        for number, picture in enumerate(pictures):
            data = io.BytesIO()
            if self._kept_from.max_side is None:
                Image.fromarray(picture).save(data, "jpeg", quality=QUALITY, subsampling=0)
            else:
                Image.fromarray(picture).save(data, "png", compress_level=1)
            self._archive.writestr(_member(_name(start, end, number, self._kept_from)), data.getbuffer())
        self.spans.add((start, end))

    def commit(self) -> None:
        """Finish the file and put it in its place."""
        self._archive.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self._temporary, self._path)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self._temporary.unlink(missing_ok=True)
            with suppress(OSError):  # of a file that is thrown away
                self._archive.close()
                self._file.close()


class KeptFrames:
    """Kept frames, open for reading. Get them from ``open_kept_frames``; a context manager.

    Attributes:
        is_exact: the pictures are as they were decoded, to the bit.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, kept_from: KeptFrom, max_side: int | None) -> None:
        self._path = path
        self._archive = archive
        self._kept_from = kept_from
        self._max_side = max_side if kept_from.max_side is None else None  # to which they are still to be scaled
        self._names = frozenset(archive.namelist())
        self.is_exact = kept_from.max_side is not None

    def holds(self, start: int, end: int) -> bool:
        """Whether the frames of the shot from ``start`` to ``end`` (pts) were kept."""
        return self._names.issuperset(self._names_of(start, end))

    def read(self, start: int, end: int) -> np.ndarray:
        """The frames of a shot: uint8 [count, h, w, 3].

        Raises:
            MediaError: the file is damaged.
        """
        pictures = [self._read_picture(name) for name in self._names_of(start, end)]
        if self._max_side is not None:
            height, width = pictures[0].shape[:2]
            smaller = Picture(Display(width, height, 0), self._max_side)
            pictures = [smaller.render(VideoFrame.from_ndarray(picture, "rgb24")) for picture in pictures]
        if len({picture.shape for picture in pictures}) > 1:
            raise _damaged(self._path, "Its pictures differ in size.")
        return np.stack(pictures)

    def _names_of(self, start: int, end: int) -> list[str]:
        return [_name(start, end, number, self._kept_from) for number in range(self._kept_from.count)]

    def _read_picture(self, name: str) -> np.ndarray:
        data = _read_member(self._path, self._archive, name, _MAX_PICTURE)
        try:
            with Image.open(io.BytesIO(data), formats=("jpeg", "png")) as picture:
                if picture.width * picture.height > MAX_PIXELS or picture.mode != "RGB":
                    raise _damaged(self._path, f"{name} is not as it was written.")
                return np.asarray(picture)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _damaged(self._path, f"{name}: {error}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()


def open_kept_frames(store: Path, media: str, video_stream: int, needs: Frames) -> KeptFrames | None:
    """Open what was kept beside a store; ``None`` where nothing was, or not what is needed.

    Args:
        media: fingerprint of the media file. ``video_stream``: number of the stream in it.

    Raises:
        MediaError: there is a file of that name that holds no kept frames, or is damaged.
    """
    path = frames_path(store)
    if not path.exists():
        return None
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            header = json.loads(_read_member(path, archive, _HEADER, _MAX_HEADER))
        except PermissionError as error:
            raise MediaError(f"{path} cannot be read.", f"{error.strerror}.", command("chmod", "u+r", path)) from error
        except (zipfile.BadZipFile, ValueError, RecursionError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}.") from error
        for max_side in dict.fromkeys((needs.max_side, None)):
            kept_from = KeptFrom(media, video_stream, needs.count, max_side)
            if header == _header(kept_from):
                stack.pop_all()  # it stays open
                return KeptFrames(path, archive, kept_from, needs.max_side)
    return None


def _read_member(path: Path, archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        member = archive.getinfo(name)
        if member.file_size > most or member.compress_type != zipfile.ZIP_STORED:
            raise _damaged(path, f"{name} is not as it was written.")
        return archive.read(member)
    except (zipfile.BadZipFile, KeyError, EOFError, RuntimeError) as error:  # the last where it is encrypted
        raise _damaged(path, f"{type(error).__name__}: {error}.") from error


def _header(kept_from: KeptFrom) -> dict[str, object]:
    return {"format": _FORMAT, "version": _VERSION, **asdict(kept_from)}


def _name(start: int, end: int, number: int, kept_from: KeptFrom) -> str:
    return f"{start}_{end}_{number}.{kept_from.suffix}"


def _member(name: str) -> zipfile.ZipInfo:
    """A member with a fixed date: the same frames give the same bytes."""
    return zipfile.ZipInfo(name)


def _damaged(path: Path, why: str) -> MediaError:
    return MediaError(f"{path} holds no kept frames that can be read.", why, f"Delete it: {command('rm', path)}")
