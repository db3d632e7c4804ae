"""Write stores: one function commits a change, whole or not at all. Nothing else writes to a store.

Under a lock, the store is read, changed in memory, written to a temporary file beside it, verified there, and renamed
over the old one. A reader keeps the whole old file, a crash leaves it, and a full disk is found while nothing is lost.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t

from mediafm_cli import __version__
from mediafm_cli.errors import ELSEWHERE, FORBIDDEN, MediafmError, StoreError, UnavailableError
from mediafm_cli.store.raw import Attribute, Raw, canonical_json, to_raw
from mediafm_cli.store.read import Contents, read_contents
from mediafm_cli.store.safe_open import ATTRIBUTE_DTYPES, ROOT, SHA256, number_type
from mediafm_cli.store.schema import FORMAT, FORMAT_VERSION, KINDS, TITLE_ID, kind_at

WRITE_BYTES = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def update_store(path: Path, change: Callable[[Contents | None], Contents]) -> Contents:
    """Replace the store at ``path`` by ``change(what it holds now)``; ``None`` where there is none yet.

    ``change`` runs under the store's lock: what it is given is what it replaces. It may raise to leave all as it was.

    Raises:
        StoreError: the store that is there is not valid, or the new contents are not.
        UnavailableError: the disk is full.
        MediafmError: the folder cannot be written.
    """
    path = path.resolve()
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(path))
        except OSError as error:
            raise _unwritable(path, error) from error
        after = change(read_contents(path) if path.exists() else None)
        image = _to_bytes(after)
        try:
            _replace(path, image)
        except OSError as error:
            raise _unwritable(path, error) from error
        return after


def require_writable(path: Path) -> None:
    """Make the folder of a store, and try whether it can be written, before the work whose result the store is to keep.

    Raises:
        UnavailableError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.resolve()):
            pass
    except OSError as error:
        raise UnavailableError(f"{path.parent} cannot be written.", f"{error.strerror}.", ELSEWHERE) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold ``<store>.lock``. It is removed afterwards, so whoever waited must look whether it is still the one."""
    lock = path.with_name(f"{path.name}.lock")
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_same_file(handle, lock):
                try:
                    yield
                finally:
                    lock.unlink(missing_ok=True)
                return
        finally:
            os.close(handle)


def _is_same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _replace(path: Path, image: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with open(temporary, "xb", buffering=0) as file:
            view = memoryview(image)
            while view:
                view = view[file.write(view[:WRITE_BYTES]) :]
            os.fsync(file.fileno())
        _verify(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _verify(path: Path, temporary: Path) -> None:
    try:
        read_contents(temporary)
    except StoreError as error:
        raise StoreError(f"{path} is left as it was.", f"What would be written is not valid: {error.why}") from error


def _unwritable(path: Path, error: OSError) -> MediafmError:
    if error.errno in _FULL:  # so no other title can be written either
        hint = "Make room, and run the command again; the store is as it was before."
        return UnavailableError(f"{path} could not be written.", f"{error.strerror}.", hint)
    hint = f"Make {path.parent} writable" if error.errno in FORBIDDEN else "The store is as it was before"
    return MediafmError(f"{path} could not be written.", f"{error.strerror}.", f"{hint}; run the command again.")


def _to_bytes(contents: Contents) -> bytes:
    """The store as a file image. The same contents give the same bytes."""
    if not TITLE_ID.fullmatch(contents.title_id):
        raise StoreError(
            f"{contents.title_id!r} cannot be a title id.", "It is empty, too long, or has control characters."
        )
    order = {kind.place: number for number, kind in enumerate(KINDS)}
    places = sorted(contents.groups, key=lambda place: (order.get(place.split("/")[0], -1), place))
    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        root: dict[str, Attribute] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "title_id": contents.title_id,
            "created_by": f"mediafm-cli {__version__}",
            "groups": canonical_json(places),
        }
        _write_raw(file.id, Raw(ROOT, root, {}))
        for place in places:
            group = contents.groups[place]
            kind = kind_at(place)
            if kind is None or type(group) is not kind.group:
                raise StoreError(f"The format knows no {place} that holds {type(group).__name__}.")
            for fault in group.faults():
                raise StoreError(f"{place} would not be valid.", f"{fault}.")
            _write_raw(file.create_group(place).id, to_raw(place, group))
        file.flush()
        return file.id.get_file_image()


def _write_raw(group: h5g.GroupID, raw: Raw) -> None:
    """Write attributes, and arrays as ``to_raw`` makes them: contiguous, little-endian."""
    for name, value in {**raw.attributes, SHA256: raw.sha256()}.items():
        values = np.array(value.encode()) if isinstance(value, str) else np.array(value, ATTRIBUTE_DTYPES[type(value)])
        stored = _type_of(values)
        h5a.create(group, name.encode(), stored, h5s.create(h5s.SCALAR)).write(values, mtype=stored)
    timeless = h5p.create(h5p.DATASET_CREATE)
    timeless.set_obj_track_times(False)  # the same contents, the same bytes
    for name, values in raw.arrays.items():
        stored = _type_of(values)
        dataset = h5d.create(group, name.encode(), stored, h5s.create_simple(values.shape), dcpl=timeless)
        dataset.write(h5s.ALL, h5s.ALL, values, mtype=stored)


def _type_of(values: np.ndarray) -> h5t.TypeID:
    if values.dtype.kind == "S":
        return h5t.py_create(h5py.string_dtype("utf-8", values.dtype.itemsize), logical=True)
    return number_type(values.dtype.str)
