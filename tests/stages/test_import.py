"""Stores to tables and back: nothing is lost, and what is damaged, foreign or left out is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from small_contents import small_contents
from small_titles import make_store

from mediafm_cli.errors import StoreError, UsageError
from mediafm_cli.stages.export import export_stores
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.stages.imported import open_export, restore_store
from mediafm_cli.stages.tables import Form
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import Contents, open_store, read_contents
from mediafm_cli.store.schema import Encoding

FORMS = ("npy", "parquet")
V1 = Path(__file__).parents[1] / "stores" / "v1"
WIDE = (0.1, -1e-38, 3.4e38, 1e-45, -0.0, 1 / 3)
"""What a detour through fewer digits would spoil: the smallest float32, one near the largest, a sign, a period."""


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """A store with everything, one of another shape, and one that was only just segmented."""
    (tmp_path / "stores").mkdir()
    paths = [tmp_path / "stores" / f"{name}.h5" for name in ("all", "Ärger, Teil 1", "bare")]
    update_store(paths[0], lambda _: full_contents())
    update_store(paths[1], lambda _: small_contents(3, "Ärger: Teil 1").without({"cues", "boundaries"}))
    bare = small_contents(4, "bare")
    later = {place for place in bare.groups if place.split("/")[0] in ("encodings", "fused", "embeddings")}
    update_store(paths[2], lambda _: bare.without(later))
    return paths


def full_contents() -> Contents:
    """Every kind of group, one of a modality of its own, half done; two embeddings; numbers and texts that are hard."""
    contents = small_contents(6, "all")
    shots = replace(
        contents.groups["shots"],
        text=np.array(["", 'a "b"\n\\c', "\u2028Zeile\r\n", "日本", "\x1b[0m", " "], dtype=object),
        notes=["2 packets are damaged", 'said "no"'],
    )
    contents = contents.with_group("shots", shots)
    text = contents.encoding("text")
    text = replace(text, made_from=parts_sha256(contents, ["shots/text"]))
    video = contents.encoding("video")
    video.vectors[2] = WIDE
    half = np.arange(6) < 2
    faces = replace(
        video,
        vectors=video.vectors * half[:, None],
        present=half & (np.arange(6) > 0),
        done=half,
        modality="faces",
        complete=False,
        options={"ratio": 0.1, "deep": {"b": [1, 2.0, None], "a": True}},
    )
    faces.vectors[0] = 0
    about = Encoding(
        np.array([[0.5, -0.25]], np.float32),
        np.ones(1, bool),
        np.ones(1, bool),
        modality="metadata",
        encoder="text.test",
        options={},
        fingerprint={"weights": "rain"},
        complete=True,
        versions={},
        made_from=parts_sha256(contents, ["source/metadata"]),
    )
    for encoding in (text, video, faces, about):
        contents = contents.with_group(f"encodings/{encoding.modality}", encoding)
    contents = contents.with_group("embeddings/v1.2-b", contents.groups["embeddings/model"])
    return contents.without({"fused"})


def back(folder: Path, output: Path) -> list[Path]:
    """What an export holds, as stores."""
    with open_export(folder) as export:
        for title in export.titles:
            restore_store(output / title.store, export.read(title))
        return [output / title.store for title in export.titles]


def digests(path: Path) -> tuple[str, dict[str, str]]:
    with open_store(path) as store:
        return store.title_id, {place: store.digest(place) for place in store.places}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["partial", "whole", "segmented"])
def test_a_store_of_version_1_comes_back_with_the_same_checksums(form: Form, name: str, tmp_path: Path) -> None:
    export_stores([V1 / f"{name}.h5"], tmp_path / "out", form)

    (restored,) = back(tmp_path / "out", tmp_path / "back")

    assert digests(restored) == digests(V1 / f"{name}.h5")
    assert check_store(restored) == []


@pytest.mark.parametrize("form", FORMS)
def test_stores_that_hold_different_groups_come_back_from_one_export(
    form: Form, stores: list[Path], tmp_path: Path
) -> None:
    export_stores(stores, tmp_path / "out", form)

    restored = back(tmp_path / "out", tmp_path / "back")

    assert [path.name for path in restored] == [path.name for path in stores]
    assert [digests(path) for path in restored] == [digests(path) for path in stores]


@pytest.mark.parametrize("form", FORMS)
def test_what_comes_back_is_equal_value_by_value(form: Form, stores: list[Path], tmp_path: Path) -> None:
    export_stores(stores[:1], tmp_path / "out", form)

    before, after = (read_contents(path) for path in (stores[0], *back(tmp_path / "out", tmp_path / "back")))

    assert before.groups.keys() == after.groups.keys()
    for place, group in before.groups.items():
        for name, value in vars(group).items():
            found = getattr(after.groups[place], name)
            if isinstance(value, np.ndarray):
                assert value.tobytes() == found.tobytes() or value.tolist() == found.tolist(), (place, name)
                assert value.dtype == found.dtype
            else:
                assert value == found, (place, name)
    assert after.encoding("video").vectors[2].tobytes() == np.array(WIDE, np.float32).tobytes()


@pytest.mark.parametrize("form", FORMS)
def test_a_later_stage_takes_what_came_back_for_fresh(form: Form, tmp_path: Path) -> None:
    store = make_store(tmp_path, "film", 5, metadata=True)
    export_stores([store], tmp_path / "out", form)

    (restored,) = back(tmp_path / "out", tmp_path / "back")

    assert fuse_title(restored, modalities=["video", "text"]).status == "unchanged"


@pytest.mark.parametrize("form", FORMS)
def test_a_group_that_was_stale_is_stale_when_it_comes_back(form: Form, tmp_path: Path) -> None:
    store = make_store(tmp_path, "film", 5)

    def retell(contents: Contents | None) -> Contents:
        shots = contents.groups["shots"]
        return contents.with_group("shots", replace(shots, text=shots.text[::-1]))

    update_store(store, retell)
    export_stores([store], tmp_path / "out", form)

    (restored,) = back(tmp_path / "out", tmp_path / "back")

    faults = [str(fault) for fault in check_store(restored)]
    assert len(faults) == 1
    assert "encodings/text is stale" in faults[0]


@pytest.mark.parametrize("form", FORMS)
def test_again_is_unchanged_and_something_else_is_not_replaced_unasked(
    form: Form, stores: list[Path], tmp_path: Path
) -> None:
    export_stores(stores, tmp_path / "out", form)
    back(tmp_path / "out", tmp_path / "back")
    other = tmp_path / "back" / stores[2].name
    shutil.copy(stores[1], other)

    with open_export(tmp_path / "out") as export:
        contents = {title.store: export.read(title) for title in export.titles}
    first = tmp_path / "back" / stores[0].name
    assert restore_store(first, contents[first.name]).status == "unchanged"
    with pytest.raises(UsageError, match="is there already, and holds something else"):
        restore_store(other, contents[other.name])
    assert digests(other) == digests(stores[1])
    assert restore_store(other, contents[other.name], overwrite=True, dry_run=True).status == "planned"
    assert restore_store(other, contents[other.name], overwrite=True).status == "written"
    assert digests(other) == digests(stores[2])


def test_what_was_changed_on_the_way_is_refused(stores: list[Path], tmp_path: Path) -> None:
    export_stores(stores[:1], tmp_path, "npy")
    vectors = np.load(tmp_path / "shots.encodings.video.npy")
    vectors[0, 0] += 1
    np.save(tmp_path / "shots.encodings.video.npy", vectors)

    with pytest.raises(StoreError, match="encodings/video is not what was exported"):
        back(tmp_path, tmp_path / "back")

    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("titles.jsonl", '"shots": 6', '"shots": 7'),
        ("titles.jsonl", '"store": "all.h5"', '"store": "../all.h5"'),
        ("titles.jsonl", '"store": "all.h5"', '"store": "/tmp/all.h5"'),
        ("titles.jsonl", '"size": 1234', '"size": "many"'),
        ("titles.jsonl", '"title": "all"', '"title": 7'),
        ("titles.jsonl", '"encodings/faces": {', '"encodings/Faces": {'),
        ("titles.jsonl", '"groups": {', '"groups": ['),
        ("shots.jsonl", '"start_pts": 36', '"start_pts": 36.5'),
        ("shots.jsonl", '"start_pts": 36', '"start_pts": "36"'),
        ("shots.jsonl", '"encodings.faces.done": true', '"encodings.faces.done": 1'),
        ("shots.jsonl", '"title": "all"', '"title": "none"'),
        ("shots.jsonl", '"shot": 5', '"shot": 5}'),
        pytest.param("shots.jsonl", '"shot": 5', f'"shot": {100_000 * "["}', id="nested without end"),
    ],
)
def test_an_index_that_was_damaged_is_refused(
    name: str, old: str, new: str, stores: list[Path], tmp_path: Path
) -> None:
    export_stores(stores[:1], tmp_path / "out", "npy")
    damaged = (tmp_path / "out" / name).read_text(encoding="utf-8").replace(old, new)
    (tmp_path / "out" / name).write_text(damaged, encoding="utf-8")

    with pytest.raises(StoreError):
        back(tmp_path / "out", tmp_path / "back")

    assert not list(tmp_path.rglob("back/*"))


@pytest.mark.parametrize("name", ["shots.parquet", "cues.parquet", "titles.parquet"])
def test_a_parquet_file_that_was_cut_off_is_refused(name: str, stores: list[Path], tmp_path: Path) -> None:
    export_stores(stores, tmp_path, "parquet")
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])

    with pytest.raises(StoreError, match="holds no export that can be read"):
        back(tmp_path, tmp_path / "back")


@pytest.mark.parametrize("form", FORMS)
def test_a_newer_format_is_refused(
    form: Form, stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("mediafm_cli.stages.export.FORMAT_VERSION", 2)
        export_stores(stores, tmp_path, form)

    with (
        pytest.raises(StoreError, match=r"is of mediafm-store 2\. This mediafm reads mediafm-store 1"),
        open_export(tmp_path),
    ):
        pass


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no export that is whole"), open_export(tmp_path):
        pass


@pytest.mark.parametrize(
    ("what", "columns"),
    [
        ("shots", set()),
        ("fused", {"fused"}),
        ("encodings", {"encodings.video", "encodings.text"}),
        ("embeddings", {"embeddings.model"}),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_part_alone_is_written_and_does_not_become_a_store(
    form: Form, what: str, columns: set[str], stores: list[Path], tmp_path: Path
) -> None:
    export_stores(stores[1:2], tmp_path, form, what)

    if form == "npy":
        found = {path.name.removeprefix("shots.").removesuffix(".npy") for path in tmp_path.glob("shots.*.npy")}
    else:
        schema = parquet.read_schema(tmp_path / "shots.parquet")
        found = {field.name for field in schema if str(field.type).startswith("fixed_size_list")}
    assert found == columns
    with pytest.raises(StoreError, match=r"cannot be made again. It was exported without .* with --what all"):
        back(tmp_path, tmp_path / "back")


def test_a_matrix_has_the_rows_of_the_index_and_zeros_for_a_title_without_the_group(
    stores: list[Path], tmp_path: Path
) -> None:
    export_stores(stores, tmp_path, "npy")

    rows = [json.loads(line) for line in (tmp_path / "shots.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    video = np.load(tmp_path / "shots.encodings.video.npy")
    assert list(rows[0])[:5] == ["title", "shot", "start_s", "end_s", "text"]
    assert [row["title"] for row in rows] == ["all"] * 6 + ["Ärger: Teil 1"] * 3 + ["bare"] * 4
    assert [row["encodings.video.present"] for row in rows] == [True] * 9 + [False] * 4
    with open_store(stores[1]) as store:
        np.testing.assert_array_equal(video[6:9], store.encoding("video").vectors)
    assert not video[9:].any()
