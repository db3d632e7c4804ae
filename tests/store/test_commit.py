"""What a commit promises: the whole change or none of it, the same bytes for the same contents, nothing left behind."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mediafm_cli.errors import MediafmError, StoreError, UnavailableError
from mediafm_cli.store import commit
from mediafm_cli.store.commit import require_writable, update_store
from mediafm_cli.store.read import Contents, read_contents


def write(path: Path, contents: Contents) -> bytes:
    update_store(path, lambda _: contents)
    return path.read_bytes()


def test_what_is_written_is_read_back(tmp_path: Path, contents: Contents) -> None:
    write(tmp_path / "film.h5", contents)

    found = read_contents(tmp_path / "film.h5")

    assert found.title_id == contents.title_id
    assert set(found.groups) == set(contents.groups)
    assert all(found.digest(place) == contents.digest(place) for place in contents.groups)


def test_same_contents_give_the_same_bytes_at_another_time(tmp_path: Path, contents: Contents) -> None:
    first = write(tmp_path / "a.h5", contents)
    time.sleep(1.1)  # HDF5 keeps modification times in whole seconds, if it keeps them

    assert write(tmp_path / "b.h5", contents) == first


def test_the_order_of_changes_leaves_no_trace(tmp_path: Path, contents: Contents) -> None:
    whole = write(tmp_path / "a.h5", contents)
    write(tmp_path / "b.h5", contents.without({"fused", "encodings/video"}))
    update_store(tmp_path / "b.h5", lambda c: c.with_group("fused", contents.groups["fused"]))
    update_store(tmp_path / "b.h5", lambda c: c.with_group("encodings/video", contents.groups["encodings/video"]))

    assert (tmp_path / "b.h5").read_bytes() == whole


def test_dropping_a_group_gives_its_space_back(tmp_path: Path, contents: Contents) -> None:
    path = tmp_path / "film.h5"
    small = write(path, contents.without({"encodings/video"}))
    write(path, contents)

    update_store(path, lambda c: c.without({"encodings/video"}))

    assert path.read_bytes() == small


def test_a_change_that_raises_leaves_the_store_and_nothing_beside_it(tmp_path: Path, contents: Contents) -> None:
    before = write(tmp_path / "film.h5", contents)

    def refuse(_: Contents | None) -> Contents:
        raise StoreError("no")

    with pytest.raises(StoreError):
        update_store(tmp_path / "film.h5", refuse)

    assert (tmp_path / "film.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["film.h5"]


def test_contents_that_the_format_forbids_are_not_written(tmp_path: Path, contents: Contents) -> None:
    video = contents.encoding("video")
    broken = contents.with_group("encodings/video", replace(video, vectors=video.vectors * np.float32("nan")))

    with pytest.raises(StoreError, match="not finite"):
        write(tmp_path / "film.h5", broken)

    assert os.listdir(tmp_path) == []


def test_rows_that_disagree_with_the_shots_are_not_written(tmp_path: Path, contents: Contents) -> None:
    fused = contents.groups["fused"]
    broken = contents.with_group("fused", replace(fused, vectors=fused.vectors[1:], present=fused.present[1:]))

    with pytest.raises(StoreError, match="4 rows for 5 shots"):
        write(tmp_path / "film.h5", broken)

    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_store_as_it_was(
    tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write(tmp_path / "film.h5", contents)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(commit.os, "fsync", full)
    with pytest.raises(MediafmError, match="No space left on device") as caught:
        update_store(tmp_path / "film.h5", lambda c: c.without({"fused"}))

    assert "as it was before" in caught.value.hint
    assert (tmp_path / "film.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["film.h5"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, contents: Contents) -> None:
    with pytest.raises(MediafmError, match="could not be written"):
        update_store(tmp_path / "missing" / "film.h5", lambda _: contents)


def test_a_folder_that_may_not_be_written_has_a_hint_that_helps(
    tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(commit.os, "open", refuse)
    with pytest.raises(MediafmError, match="Permission denied") as caught:
        update_store(tmp_path / "film.h5", lambda _: contents)

    assert caught.value.hint == f"Make {tmp_path} writable; run the command again."


def test_whether_a_folder_can_be_written_is_tried_without_a_trace(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "film.h5")

    assert os.listdir(tmp_path / "new") == []
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"file cannot be written\. .* Choose another folder with -o"):
        require_writable(tmp_path / "file" / "film.h5")


def test_a_symlink_stays_a_symlink(tmp_path: Path, contents: Contents) -> None:
    write(tmp_path / "real.h5", contents)
    (tmp_path / "link.h5").symlink_to("real.h5")

    update_store(tmp_path / "link.h5", lambda c: c.without({"fused"}))

    assert (tmp_path / "link.h5").is_symlink()
    assert "fused" not in read_contents(tmp_path / "real.h5").groups


def add_tag(path: str, tag: int, times: int) -> None:
    """Count up in one key of the metadata; run in another process."""
    for _ in range(times):

        def change(contents: Contents) -> Contents:
            source = contents.groups["source"]
            count = source.metadata.get(str(tag), 0) + 1
            return contents.with_group("source", replace(source, metadata={**source.metadata, str(tag): count}))

        update_store(Path(path), change)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path, contents: Contents) -> None:
    path = tmp_path / "film.h5"
    write(path, contents)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_tag, args=(str(path), tag, 25)) for tag in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    metadata = read_contents(path).groups["source"].metadata

    assert [metadata[str(tag)] for tag in range(3)] == [25, 25, 25]
    assert os.listdir(tmp_path) == ["film.h5"]


def test_a_reader_keeps_the_whole_old_store(tmp_path: Path, contents: Contents) -> None:
    path = tmp_path / "film.h5"
    write(path, contents)
    with h5py.File(path, "r") as reader:
        update_store(path, lambda c: c.without({"fused"}))

        assert reader["fused/vectors"].shape == (5, 10)
    assert "fused" not in read_contents(path).groups


def test_plain_h5py_reads_a_store(tmp_path: Path, contents: Contents) -> None:
    write(tmp_path / "film.h5", contents)

    with h5py.File(tmp_path / "film.h5", "r") as file:
        assert file.attrs["format"].decode() == "mediafm-store"
        assert file.attrs["format_version"] == 1
        assert file["shots/text"].asstr()[1] == "Guten Tag, Ärger!"
        np.testing.assert_array_equal(file["encodings/video/vectors"][:], contents.encoding("video").vectors)
        assert file["encodings/video/vectors"].chunks is None
