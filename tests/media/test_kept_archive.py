"""The archive beside a store: written by one process at a time, and an error that says so wherever it is damaged."""

from __future__ import annotations

import fcntl
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mediafm_cli.api import Frames
from mediafm_cli.errors import MediaError
from mediafm_cli.media.kept import KeptFrom, KeptWriter
from mediafm_cli.media.kept_frames import FramesWriter, open_kept_frames

MEDIA, ANOTHER = "ab" * 32, "cd" * 32


def test_an_archive_that_another_process_has_just_put_in_its_place_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.frames.zip"
    lock, other = fcntl.flock, KeptWriter(path, KeptFrom(MEDIA, 0, 1))

    def commit_meanwhile(file: int, operation: int) -> None:
        other.commit()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", commit_meanwhile)

    with pytest.raises(MediaError, match="Another process is keeping frames"):
        KeptWriter(path, KeptFrom(ANOTHER, 0, 1))

    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("frames.json"))["media"] == MEDIA


def test_a_file_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / ".film.frames.zip.tmp").mkdir()

    with pytest.raises(MediaError, match=r"film\.frames\.zip could not be written\. Is a directory\."):
        KeptWriter(tmp_path / "film.frames.zip", KeptFrom(MEDIA, 0, 1))


def read_first(store: Path) -> np.ndarray | MediaError | None:
    """The frame of the first shot; ``None`` where it is not kept."""
    try:
        kept = open_kept_frames(store, MEDIA, 0, Frames(1, max_side=4))
        if kept is None:
            return None
        with kept:
            return kept.read(0, 10) if kept.holds(0, 10) else None
    except MediaError as error:
        return error


@pytest.mark.parametrize("flipped", [0x01, 0x80, 0xFF])
def test_whatever_byte_is_damaged_there_is_an_error_that_says_so_or_the_frame(tmp_path: Path, flipped: int) -> None:
    path = tmp_path / "film.frames.zip"
    with KeptWriter(path, KeptFrom(MEDIA, 0, 1, 4)) as writer:
        FramesWriter(writer).add(0, 10, [np.full((4, 4, 3), 7, np.uint8)])
        writer.commit()
    whole = path.read_bytes()
    results = []

    for place, byte in enumerate(whole):
        path.write_bytes(whole[:place] + bytes([byte ^ flipped]) + whole[place + 1 :])
        results.append(read_first(tmp_path / "film.h5"))

    assert any(isinstance(result, MediaError) for result in results)
    assert all((result == 7).all() for result in results if isinstance(result, np.ndarray))
