"""Titles that stay in their stores until they are asked for."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_contents import small_contents

from mediafm_cli.errors import MediafmError, StaleError, StoreError, UsageError
from mediafm_cli.stages.fuse import fuse_encodings
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.read import Contents, open_store
from mediafm_cli.train.catalogue import Catalogue, StoredTitle, open_catalogue, open_title


def write(path: Path, shots: int = 5) -> Path:
    update_store(path, lambda _: small_contents(shots, path.stem))
    return path


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"film-{number}.h5", shots) for number, shots in enumerate((5, 9, 12))]


@pytest.fixture
def store(stores: list[Path]) -> Path:
    return stores[1]


def opened(path: Path) -> StoredTitle:
    return open_title(path)[1]


def damage(path: Path, dataset: str) -> None:
    """Flip a bit in the middle of an array, behind the back of HDF5."""
    with h5py.File(path) as file:
        found = file[dataset]
        place = found.id.get_offset() + found.id.get_storage_size() // 2
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def fuse_otherwise(path: Path) -> None:
    """Leave a modality out."""
    update_store(path, lambda contents: contents.with_group("fused", fuse_encodings(contents, ["video"])))


# --- one title --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (2, 5), (8, 9), (4, 99)])
def test_a_window_is_the_rows_of_the_store(store: Path, start: int, stop: int) -> None:
    with open_store(store) as found:
        fused, shots = found.fused, found.shots
    title = opened(store)

    window = title.window(start, stop)

    assert (window.title_id, window.fingerprint) == (title.title_id, title.fingerprint) == ("film-1", title.fingerprint)
    assert window.vectors.dtype == np.float32
    np.testing.assert_array_equal(window.vectors, fused.vectors[start:stop])
    np.testing.assert_array_equal(window.present, fused.present[start:stop])
    np.testing.assert_array_equal(window.start_s, shots.start_s[start:stop])


def test_a_whole_title_has_all_of_its_shots(store: Path) -> None:
    title = opened(store)

    assert len(title) == len(title.load()) == 9


def test_what_was_read_can_not_be_changed_and_is_not_held(store: Path) -> None:
    title = opened(store)
    window = title.window(0, 9)
    base = window.vectors if isinstance(window.vectors, np.memmap) else window.vectors.base

    assert isinstance(base, np.memmap)
    assert not window.vectors.flags.writeable
    known = [weakref.ref(array) for array in (window.vectors, window.present, window.start_s)]
    del window, base
    gc.collect()
    assert [array() for array in known] == [None] * 3


def test_a_title_is_small_however_long_it_is(tmp_path: Path) -> None:
    short, long = (opened(write(tmp_path / f"{shots}.h5", shots)) for shots in (5, 2000))
    for title in (short, long):
        title.load()

    assert len(pickle.dumps(long)) < len(pickle.dumps(short)) + 100


def test_a_title_goes_to_another_process_and_reads_there(store: Path) -> None:
    title = opened(store)

    there = pickle.loads(pickle.dumps(title))

    np.testing.assert_array_equal(there.window(2, 4).vectors, title.window(2, 4).vectors)


def test_damage_in_the_times_is_found_when_a_store_is_opened(store: Path) -> None:
    damage(store, "shots/start_s")

    with pytest.raises(StoreError, match=f"{store}.*does not match its checksum"):
        open_title(store)


@pytest.mark.parametrize("dataset", ["fused/vectors", "fused/present"])
def test_damage_is_found_when_a_title_is_first_read_and_the_store_is_named(store: Path, dataset: str) -> None:
    damage(store, dataset)
    title = opened(store)

    for _ in range(2):
        with pytest.raises(StoreError, match=str(store)):
            title.window(0, 2)


def test_damage_that_comes_later_is_found_when_the_file_was_written_since(store: Path) -> None:
    title = opened(store)
    title.window(0, 2)
    damage(store, "fused/vectors")

    with pytest.raises(StoreError, match=str(store)):
        title.window(0, 2)


def test_a_store_is_verified_once_while_it_stays_as_it_is(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    title = opened(store)
    title.window(0, 2)
    monkeypatch.setattr("mediafm_cli.train.catalogue.open_store", None)

    assert len(title.window(2, 6)) == 4


def test_a_store_that_is_rewritten_with_the_same_vectors_goes_on(store: Path) -> None:
    title = opened(store)
    before = np.array(title.load().vectors)

    def grow(contents: Contents) -> Contents:
        source = contents.groups["source"]
        return contents.with_group("source", replace(source, metadata={"synopsis": "longer " * 5000}))

    with h5py.File(store) as file:
        was = file["fused/vectors"].id.get_offset()
    update_store(store, grow)

    with h5py.File(store) as file:
        assert file["fused/vectors"].id.get_offset() != was
    np.testing.assert_array_equal(title.window(3, 9).vectors, before[3:9])


def test_a_store_that_is_rewritten_with_other_vectors_is_stale(store: Path) -> None:
    title = opened(store)
    title.window(0, 2)
    fuse_otherwise(store)

    with pytest.raises(StaleError, match=f"{store} was fused or segmented anew.*Run the command again"):
        title.window(0, 2)


def test_a_store_that_is_gone_is_named(store: Path) -> None:
    title = opened(store)
    title.window(0, 2)
    store.unlink()

    with pytest.raises(StoreError, match=rf"{store} cannot be read any more\. No such file"):
        title.window(0, 2)


# --- many -------------------------------------------------------------------------------------------------------------


def told(catalogue: Catalogue) -> list[tuple]:
    titles = catalogue.titles
    return [
        (title.path, title.title_id, title.fingerprint, len(title), title.load().vectors.tobytes()) for title in titles
    ]


def test_a_pool_opens_what_one_process_does_and_its_errors_come_through(
    stores: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, pools = open_catalogue(stores), []
    monkeypatch.setattr("mediafm_cli.train.catalogue.MANY", 3)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1}, raising=False)
    monkeypatch.setattr(
        "mediafm_cli.train.catalogue.ProcessPoolExecutor",
        lambda jobs, context: pools.append(jobs) or ProcessPoolExecutor(jobs, context),
    )

    pooled = open_catalogue(stores)

    assert pools == [2]
    assert pooled.layout == alone.layout
    assert told(pooled) == told(alone)
    assert [title.title_id for title in pooled.titles] == ["film-0", "film-1", "film-2"]
    not_fused(stores[2])
    with pytest.raises(StoreError, match=f"{stores[2]} has no fused") as caught:
        open_catalogue(stores)
    assert caught.value.hint == f"Make it with: mediafm fuse {stores[2]}"


@pytest.mark.parametrize(("cores", "beside", "pools"), [(8, "1", [8]), (8, "4", [2]), (2, "2", []), (2, "4", [])])
def test_processes_of_one_machine_share_the_cores_on_which_stores_are_opened(
    stores: list[Path], cores: int, beside: str, pools: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr("mediafm_cli.train.catalogue.MANY", 3)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", beside)
    monkeypatch.setattr(
        "mediafm_cli.train.catalogue.ProcessPoolExecutor",
        lambda jobs, context: made.append(jobs) or ThreadPoolExecutor(jobs),
    )

    assert len(open_catalogue(stores).titles) == 3
    assert made == pools


def test_stores_are_opened_without_reading_their_vectors(stores: list[Path]) -> None:
    for store in stores:
        damage(store, "fused/vectors")

    assert len(open_catalogue(stores).titles) == 3


def not_fused(path: Path) -> None:
    update_store(path, lambda contents: contents.without({"fused"}))


def stale(path: Path) -> None:
    def change(contents: Contents) -> Contents:
        video = contents.groups["encodings/video"]
        return contents.with_group("encodings/video", replace(video, vectors=2 * video.vectors))

    update_store(path, change)


def metadata_begun(path: Path) -> None:
    def begin(contents: Contents) -> Contents:
        encoding = replace(
            contents.groups["encodings/text"],
            vectors=np.zeros((1, 4), np.float32),
            present=np.zeros(1, bool),
            done=np.zeros(1, bool),
            modality="metadata",
            complete=False,
            made_from=parts_sha256(contents, ["source/metadata"]),
        )
        return contents.with_group("encodings/metadata", encoding)

    update_store(path, begin)


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("change", "kind", "why"),
    [
        (not_fused, StoreError, "has no fused.*mediafm fuse"),
        (stale, StaleError, "fused"),
        (metadata_begun, StoreError, r"encodings/metadata is not complete\. Finish it: mediafm encode.* metadata"),
        (
            fuse_otherwise,
            StaleError,
            r"is not fused like the other titles\. In it the blocks are video, not video, text",
        ),
        (gone, MediafmError, ""),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_by_name(
    stores: list[Path], change: Callable[[Path], None], kind: type[MediafmError], why: str
) -> None:
    change(stores[2])

    with pytest.raises(kind, match=f"{stores[2]}.*{why}"):
        open_catalogue(stores)


def test_two_stores_of_one_title_are_refused(stores: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(stores[0].read_bytes())

    with pytest.raises(UsageError, match=f"{stores[0]} and {copy} both hold the title 'film-0'"):
        open_catalogue([*stores, copy])
