"""Searched by an index: the same shots as without it, and never those of stores that have changed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_contents import small_contents
from small_titles import make_store

from mediafm_cli.errors import MediafmError, UsageError
from mediafm_cli.stages import shot_index
from mediafm_cli.stages.search import Hit, Titles, scan_titles, search
from mediafm_cli.stages.shot_index import preselect
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import Contents

pytest.importorskip("faiss", reason="the extra faiss is not installed")
VIDEO = "encodings/video"
WIDTH = 12


def make_wide_store(folder: Path, title_id: str, shots: int, seed: int) -> Path:
    """Shots around a few directions, the last of which lacks the modality."""
    random = np.random.default_rng(seed)
    contents = small_contents(shots, title_id)
    vectors = np.random.default_rng(0).normal(size=(8, WIDTH))[random.integers(8, size=shots)]
    vectors = (vectors + 0.3 * random.normal(size=vectors.shape)).astype(np.float32)
    vectors[-1] = 0
    video = replace(contents.encoding("video"), vectors=vectors, present=vectors.any(axis=1))
    bare = Contents(title_id, {place: contents.groups[place] for place in ("source", "shots")})
    update_store(folder / f"{title_id}.h5", lambda _: bare.with_group(VIDEO, video))
    return folder / f"{title_id}.h5"


@pytest.fixture
def titles(tmp_path: Path) -> Titles:
    return scan_titles([make_wide_store(tmp_path, f"t{seed}", 150 + seed, seed) for seed in range(5)])


def search_by(file: Path, titles: Titles, query: np.ndarray, count: int, left_out: dict[Path, int | None]) -> list[Hit]:
    among = preselect(file, titles, VIDEO, query, count=count, left_out=left_out)
    return search(titles, VIDEO, query, count=count, left_out=left_out, among=among)


@pytest.mark.parametrize("count", [1, 20, 2000])
def test_a_flat_index_finds_what_is_found_without_it(count: int, titles: Titles, tmp_path: Path) -> None:
    first, second, *_ = titles.ids
    for seed, left_out in enumerate(({}, {first: 7}, {first: 3, second: None})):
        query = np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32)

        found = search_by(tmp_path / "shots.faiss", titles, query, count, left_out)

        assert found == search(titles, VIDEO, query, count=count, left_out=left_out)


def test_of_equal_shots_the_first_are_found(titles: Titles, tmp_path: Path) -> None:
    def repeat(contents: Contents | None) -> Contents:
        video = contents.encoding("video")
        vectors = video.vectors.copy()
        vectors[20:50] = vectors[3]
        return contents.with_group(VIDEO, replace(video, vectors=vectors))

    for path in titles.ids:
        update_store(path, repeat)
    titles = scan_titles(list(titles.ids))
    query = np.ones(WIDTH, np.float32)

    assert search_by(tmp_path / "shots.faiss", titles, query, 40, {}) == search(titles, VIDEO, query, count=40)


def test_lists_find_nearly_all_that_is_found_without_them(
    titles: Titles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shot_index, "EXACT_ROWS", 100)
    monkeypatch.setattr(shot_index, "LISTS_LOOKED_THROUGH", 40)  # of 108
    monkeypatch.setattr(shot_index, "SPARE_ROWS", 0)
    shares = []
    for seed in range(10):
        query = np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32)
        found = search_by(tmp_path / "shots.faiss", titles, query, 10, {})
        exact = search(titles, VIDEO, query, count=10)
        shares.append(len({(hit.store, hit.shot) for hit in found} & {(hit.store, hit.shot) for hit in exact}) / 10)

    assert np.mean(shares) > 0.9


def test_an_index_is_used_again_while_no_store_changes(
    titles: Titles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = np.ones(WIDTH, np.float32)
    before = search_by(tmp_path / "shots.faiss", titles, query, 5, {})
    written = (tmp_path / "shots.faiss").stat().st_mtime_ns
    monkeypatch.setattr(shot_index, "read_vectors", lambda *_: pytest.fail("the vectors were read again"))

    assert search_by(tmp_path / "shots.faiss", titles, query, 5, {}) == before
    assert (tmp_path / "shots.faiss").stat().st_mtime_ns == written


@pytest.mark.parametrize("spoil", ["change a store", "leave out a store", "cut off", "remove what is beside it"])
def test_an_index_that_is_not_of_these_stores_is_made_again(spoil: str, titles: Titles, tmp_path: Path) -> None:
    file, query = tmp_path / "shots.faiss", np.ones(WIDTH, np.float32)
    search_by(file, titles, query, 5, {})
    paths = list(titles.ids)
    {
        "change a store": lambda: make_wide_store(tmp_path, "t2", 90, seed=9),
        "leave out a store": lambda: paths.pop(0),
        "cut off": lambda: file.write_bytes(file.read_bytes()[:100]),
        "remove what is beside it": lambda: file.with_name("shots.faiss.json").unlink(),
    }[spoil]()
    titles = scan_titles(paths)

    assert search_by(file, titles, query, 5, {}) == search(titles, VIDEO, query, count=5)


def test_an_index_of_other_vectors_is_made_again(tmp_path: Path) -> None:
    titles = scan_titles([make_store(tmp_path, title_id, 9) for title_id in ("a", "b")])
    for place, width in (("fused", 10), (VIDEO, 6)):
        query = np.ones(width, np.float32)
        among = preselect(tmp_path / "shots.faiss", titles, place, query)

        assert search(titles, place, query, among=among) == search(titles, place, query)


def test_a_query_of_another_width_is_refused(titles: Titles, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"encodings/video has {WIDTH} numbers a shot. What it is searched for has 3"):
        preselect(tmp_path / "shots.faiss", titles, VIDEO, np.ones(3))


def test_a_file_that_is_called_otherwise_is_not_overwritten(titles: Titles, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")

    with pytest.raises(UsageError, match=r"film.mp4 cannot be an index\. Let its name end in \.faiss"):
        preselect(tmp_path / "film.mp4", titles, VIDEO, np.ones(WIDTH))

    assert (tmp_path / "film.mp4").read_bytes() == b"film"


def test_a_folder_that_is_not_there_is_told(titles: Titles, tmp_path: Path) -> None:
    with pytest.raises(MediafmError, match=r"shots.faiss could not be written"):
        preselect(tmp_path / "none" / "shots.faiss", titles, VIDEO, np.ones(WIDTH))


def test_without_faiss_the_extra_is_named(titles: Titles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)

    with pytest.raises(UsageError, match=r"pip install 'mediafm-cli\[faiss\]'"):
        preselect(tmp_path / "shots.faiss", titles, VIDEO, np.ones(WIDTH))
