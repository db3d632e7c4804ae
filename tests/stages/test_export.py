"""Vectors for other programs: what is written reads back equal, whole or not at all, and the same every time."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from small_titles import make_model, make_store

from mediafm_cli.errors import MediafmError, StaleError, StoreError, UsageError
from mediafm_cli.model.folder import load_model, model_fingerprint
from mediafm_cli.stages.embed import EmbedSettings, embed_store
from mediafm_cli.stages.export import export_stores, export_titles
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.stages.tables import GROUP_ROWS, Form, Rows, write_table
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import Contents, Store, open_store

FORMS = ("npy", "parquet")


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Three titles, embedded."""
    stores = [make_store(tmp_path, title_id, shots) for title_id, shots in (("Ärger", 12), ("b", 3), ("c", 7))]
    folder = make_model(tmp_path / "made", stores[0])
    for store in stores:
        embed_store(store, load_model(folder), model_fingerprint(folder), EmbedSettings("model"))
    return stores


def read_table(folder: Path, table: str, form: Form) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Index and vectors, with nothing but the libraries that a user has."""
    if form == "npy":
        lines = (folder / f"{table}.jsonl").read_text(encoding="utf-8").splitlines()
        matrices = {path.name.split(".")[1]: np.load(path) for path in folder.glob(f"{table}.*.npy")}
        return [json.loads(line) for line in lines], matrices
    read = parquet.read_table(folder / f"{table}.parquet")
    names = [field.name for field in read.schema if str(field.type).startswith("fixed_size_list<element: float")]
    matrices = {name: np.stack(read[name].to_numpy(zero_copy_only=False)) for name in names}
    return read.drop_columns(names).to_pylist(), matrices


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def expected_rows(store: Store) -> list[dict]:
    shots = store.shots
    rows = zip(shots.start_s, shots.end_s, shots.text, strict=True)
    return [
        {"title": store.title_id, "shot": number, "start_s": start_s, "end_s": end_s, "text": text}
        for number, (start_s, end_s, text) in enumerate(rows)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_all_shots_and_titles_read_back_equal(form: Form, stores: list[Path], tmp_path: Path) -> None:
    export_titles(stores, "model", tmp_path / "out", form)

    shots, vectors = read_table(tmp_path / "out", "shots", form)
    titles, states = read_table(tmp_path / "out", "titles", form)
    rows: list[dict] = []
    for store in stores:
        with open_store(store) as found:
            rows += expected_rows(found)
    embeddings = []
    for store in stores:
        with open_store(store) as found:
            embeddings.append(found.embedding("model"))
    assert shots == rows
    assert shots[1]["text"] == "Guten Tag, Ärger!"
    assert titles == [{"title": "Ärger", "shots": 12}, {"title": "b", "shots": 3}, {"title": "c", "shots": 7}]
    assert vectors.keys() == {"in_context"}
    assert states.keys() == {"cls"}
    assert vectors["in_context"].dtype == states["cls"].dtype == np.float32
    np.testing.assert_array_equal(vectors["in_context"], np.concatenate([one.shots for one in embeddings]))
    np.testing.assert_array_equal(states["cls"], np.stack([one.title for one in embeddings]))


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("npy", ["shots.jsonl", "shots.in_context.npy", "titles.jsonl", "titles.cls.npy"]),
        ("parquet", ["shots.parquet", "titles.parquet"]),
    ],
)
def test_the_files_are_named_and_nothing_else_is_left(
    form: Form, names: list[str], stores: list[Path], tmp_path: Path
) -> None:
    written = export_titles(stores, "model", tmp_path / "out", form)

    assert written == [tmp_path / "out" / name for name in names]
    assert contents_of(tmp_path / "out").keys() == set(names)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_again_gives_the_same_bytes(form: Form, stores: list[Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_titles(stores, "model", tmp_path / name, form)
    export_titles(stores, "model", tmp_path / "two", form)

    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


@pytest.mark.parametrize("form", FORMS)
def test_a_title_that_cannot_be_read_leaves_what_was_there(form: Form, stores: list[Path], tmp_path: Path) -> None:
    export_titles(stores[:1], "model", tmp_path / "out", form)
    before = contents_of(tmp_path / "out")
    update_store(stores[2], lambda contents: contents.without({"embeddings/model"}))

    with pytest.raises(StoreError, match="has no embeddings/model"):
        export_titles(stores, "model", tmp_path / "out", form)

    assert contents_of(tmp_path / "out") == before


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_leaves_what_was_there(
    form: Form, stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_titles(stores[:1], "model", tmp_path / "out", form)
    before = contents_of(tmp_path / "out")

    def run_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", run_full)
    with pytest.raises(MediafmError, match=r"out could not be written\. No space left on device\."):
        export_titles(stores, "model", tmp_path / "out", form)

    assert contents_of(tmp_path / "out") == before


def test_a_crash_between_two_files_leaves_no_index_beside_the_vectors_of_another_run(
    stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_titles(stores[:1], "model", tmp_path / "out", "npy")
    move = os.replace

    def crash_after_the_matrix(source: Path, target: Path) -> None:
        move(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash_after_the_matrix)
    with pytest.raises(KeyboardInterrupt):
        export_titles(stores, "model", tmp_path / "out", "npy")

    assert sorted(contents_of(tmp_path / "out")) == ["shots.in_context.npy", "titles.cls.npy", "titles.jsonl"]


def test_a_folder_that_cannot_be_written_is_told(stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MediafmError, match="file could not be written"):
        export_titles(stores, "model", tmp_path / "file", "npy")


def test_two_titles_of_one_id_are_refused(stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    again = make_store(tmp_path / "again", "b", 4)

    with pytest.raises(UsageError, match=f"{stores[1]} and {again} both hold the title 'b'"):
        export_titles([*stores, again], "model", tmp_path / "out", "npy")


def test_embeddings_of_two_models_are_not_mixed(stores: list[Path], tmp_path: Path) -> None:
    other = make_model(tmp_path / "other", stores[0], hidden=8)
    embed_store(stores[2], load_model(other), model_fingerprint(other), EmbedSettings("model"), overwrite=True)

    with pytest.raises(StaleError, match=f"{stores[0]} and {stores[2]} have embeddings/model of two models"):
        export_titles(stores, "model", tmp_path / "out", "npy")


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_leaves_the_whole_export_that_was_there(
    form: Form, stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_stores(stores[:1], tmp_path / "out", form)
    before = contents_of(tmp_path / "out")

    def run_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", run_full)
    with pytest.raises(MediafmError, match=r"out could not be written\. No space left on device\."):
        export_stores(stores, tmp_path / "out", form)

    assert contents_of(tmp_path / "out") == before


@pytest.mark.parametrize("files", [1, 5, 7])
def test_a_crash_at_any_file_leaves_no_index_of_titles_but_that_of_a_whole_export(
    files: int, stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_stores(stores[:1], tmp_path / "out", "npy")
    move = os.replace
    left = iter(range(files))

    def crash_after_some(source: Path, target: Path) -> None:
        move(source, target)
        if next(left) == files - 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash_after_some)
    with pytest.raises(KeyboardInterrupt):
        export_stores(stores, tmp_path / "out", "npy")

    names = contents_of(tmp_path / "out").keys()
    assert "titles.jsonl" not in names
    assert not any(name.endswith(".tmp") for name in names)
    assert ("shots.jsonl" in names) == (files > 6)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_export_again_gives_the_same_bytes(form: Form, stores: list[Path], tmp_path: Path) -> None:
    for name in ("one", "two", "two"):
        export_stores(stores, tmp_path / name, form)

    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def test_vectors_of_two_encoders_do_not_become_one_matrix(stores: list[Path], tmp_path: Path) -> None:
    def change(contents: Contents | None) -> Contents:
        video = contents.encoding("video")
        return contents.with_group("encodings/video", replace(video, fingerprint={"version": "2"}))

    update_store(stores[1], change)

    with pytest.raises(StaleError, match=f"{stores[0]} and {stores[1]} have encodings/video of two encoders"):
        export_stores(stores, tmp_path / "out", "npy", "encodings")

    assert not (tmp_path / "out").exists()


def test_stale_vectors_are_refused_by_name_unless_all_is_exported(stores: list[Path], tmp_path: Path) -> None:
    fuse_title(stores[1], normalize="per-modality", overwrite=True)

    with pytest.raises(StaleError, match=rf"{stores[1]}: embeddings/model is stale\..* mediafm embed {stores[1]}"):
        export_stores(stores[1:], tmp_path / "out", "npy", "embeddings")
    export_stores(stores[1:2], tmp_path / "all", "npy")

    assert not (tmp_path / "out").exists()
    assert (tmp_path / "all" / "shots.embeddings.model.npy").exists()


def test_a_folder_with_files_of_another_export_is_refused(stores: list[Path], tmp_path: Path) -> None:
    export_stores(stores, tmp_path / "out", "npy")
    before = contents_of(tmp_path / "out")

    for form, what in (("parquet", "all"), ("npy", "fused")):
        with pytest.raises(UsageError, match=r"out holds \S+ already. It is not of this export"):
            export_stores(stores, tmp_path / "out", form, what)

    assert contents_of(tmp_path / "out") == before


def test_two_stores_of_one_name_are_refused(stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    again = stores[1].rename(tmp_path / "again" / stores[0].name)

    with pytest.raises(UsageError, match=f"{stores[0]} and {again} have one name"):
        export_stores([stores[0], again], tmp_path / "out", "npy")


def test_vectors_that_no_store_has_are_told(stores: list[Path], tmp_path: Path) -> None:
    update_store(stores[0], lambda contents: contents.without({"embeddings/model"}))

    with pytest.raises(StoreError, match=rf"There are no embeddings to export\. {stores[0]} has none\."):
        export_stores(stores[:1], tmp_path / "out", "npy", "embeddings")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(UsageError, match=r"pip install 'mediafm-cli\[parquet\]'"):
        write_table(tmp_path, "shots", [], "parquet")


@pytest.mark.parametrize("form", FORMS)
def test_a_table_larger_than_a_row_group_is_written_part_by_part(form: Form, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3 * GROUP_ROWS, 4)).astype(np.float32)
    alive = []

    def parts() -> Iterator[Rows]:
        for at in range(0, len(vectors), 1000):
            rows = vectors[at : at + 1000]
            alive.append(len(rows))
            yield Rows([{"row": at + offset, "half": (at + offset) / 2} for offset in range(len(rows))], {"v": rows})

    write_table(tmp_path, "large", parts(), form)

    index, found = read_table(tmp_path, "large", form)
    assert index == [{"row": row, "half": row / 2} for row in range(len(vectors))]
    np.testing.assert_array_equal(found["v"], vectors)
    if form == "parquet":
        assert parquet.ParquetFile(tmp_path / "large.parquet").num_row_groups == 3
