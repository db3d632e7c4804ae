"""What is kept of a title from the pass that found its shots, in a file beside the store: a ZIP archive.

``film.frames.zip`` lies beside ``film.h5``. Its first member, ``frames.json``, says what it was made from and what it
holds: frames of the shots (``kept_frames``) and, where ``audio_stream`` is not null, the sound (``kept_sound``). It may
be deleted at any time: what is not there is read from the media file.
"""

from __future__ import annotations

import fcntl
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mediafm_cli.errors import MediaError, command

_FORMAT, _VERSION, _HEADER = "mediafm-frames", 2, "frames.json"
_MAX_HEADER = 10_000


@dataclass(frozen=True)
class KeptFrom:
    """What an archive was made from, and what it holds.

    Attributes:
        media: fingerprint of the media file. ``video_stream``: number of the stream in it.
        count: frames a shot. ``max_side``: pixels of the longer side; ``None`` for the full size.
        audio_stream: number of the stream whose sound was kept; ``None`` where none was.
    """

    media: str
    video_stream: int
    count: int
    max_side: int | None = None
    audio_stream: int | None = None


def kept_path(store: Path) -> Path:
    """Where what was kept for a store lies."""
    return store.with_suffix(".frames.zip")


class KeptWriter:
    """Writes an archive under a temporary name; ``commit`` puts it in its place, whole. A context manager.

    Raises:
        MediaError: another process is writing the same file, or it cannot be written.
    """

    def __init__(self, path: Path, kept_from: KeptFrom) -> None:
        self.kept_from = kept_from
        self._path = path
        self._temporary = path.with_name(f".{path.name}.tmp")
        with self._explain():
            self._file = os.fdopen(os.open(self._temporary, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
            is_ours = self._lock()
        if not is_ours:
            self._file.close()
            what = f"Another process is keeping frames in {path}."
            raise MediaError(what, hint="Wait for it to end, and run the command again.")
        self._file.truncate(0)  # what a process that was killed has left
        self._archive = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED, allowZip64=True)
        try:
            self.write(_HEADER, json.dumps(_header(kept_from)).encode())
        except MediaError:
            self._throw_away()
            raise

    def write(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Add a member, with a fixed date: the same contents give the same bytes."""
        with self._explain():
            self._archive.writestr(zipfile.ZipInfo(name), data)

    def commit(self) -> None:
        """Finish the file and put it in its place."""
        with self._explain():
            self._archive.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            os.replace(self._temporary, self._path)
            self._file.close()

    def _lock(self) -> bool:
        """Lock the file, unless another process has, or has just put it in its place."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(self._file.fileno()), self._temporary.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    @contextmanager
    def _explain(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = "Make room, or leave out --keep-frames."
            raise MediaError(f"{self._path} could not be written.", f"{error.strerror}.", hint) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self._throw_away()

    def _throw_away(self) -> None:
        self._temporary.unlink(missing_ok=True)
        with suppress(OSError):  # of a file that is no more
            self._archive.close()
            self._file.close()


class KeptArchive:
    """An archive that is open for reading. Get it from ``open_kept``; a context manager.

    Attributes:
        names: of its members.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, header: dict[str, Any]) -> None:
        self.names = frozenset(archive.namelist())
        self._path = path
        self._archive = archive
        self._header = header

    def holds(self, **fields: object) -> bool:
        """Whether it was made from this and holds this, in the fields of ``KeptFrom``."""
        return fields.items() <= self._header.items()

    def read(self, name: str, most: int) -> bytes:
        """A member of at most ``most`` bytes.

        Raises:
            MediaError: it is not there, too large or damaged.
        """
        return _read_member(self._path, self._archive, name, most)

    def damaged(self, why: str) -> MediaError:
        """The error for contents that are not as they were written."""
        return _damaged(self._path, why)

    def close(self) -> None:
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_kept(store: Path, media: str) -> KeptArchive | None:
    """Open what was kept beside a store; ``None`` where nothing was, or of another file, or by another version.

    Args:
        media: fingerprint of the media file.

    Raises:
        MediaError: there is a file of that name that is no such archive, or is damaged.
    """
    path = kept_path(store)
    if not path.exists():
        return None
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            header = json.loads(_read_member(path, archive, _HEADER, _MAX_HEADER))
        except PermissionError as error:
            raise MediaError(f"{path} cannot be read.", f"{error.strerror}.", command("chmod", "u+r", path)) from error
        except (zipfile.BadZipFile, ValueError, RuntimeError) as error:  # the last of versions of ZIP and of depth
            raise _damaged(path, f"{type(error).__name__}: {error}.") from error
        if isinstance(header, dict):
            kept = KeptArchive(path, archive, header)
            if kept.holds(format=_FORMAT, version=_VERSION, media=media):
                stack.pop_all()  # it stays open
                return kept
    return None


def _read_member(path: Path, archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        member = archive.getinfo(name)
        if member.file_size > most or member.compress_type != zipfile.ZIP_STORED:
            raise _damaged(path, f"{name} is not as it was written.")
        return archive.read(member)
    except (zipfile.BadZipFile, KeyError, EOFError, OSError, RuntimeError) as error:  # the last where it is encrypted
        raise _damaged(path, f"{type(error).__name__}: {error}.") from error


def _header(kept_from: KeptFrom) -> dict[str, object]:
    return {"format": _FORMAT, "version": _VERSION, **asdict(kept_from)}


def _damaged(path: Path, why: str) -> MediaError:
    return MediaError(f"{path} holds nothing kept that can be read.", why, f"Delete it: {command('rm', path)}")
