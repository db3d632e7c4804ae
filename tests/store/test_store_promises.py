"""What docs/store-format.md promises, held to by an implementation of the hash that knows nothing of mediafm."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mediafm_cli.errors import StoreError
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.inspect import check_store, describe_store
from mediafm_cli.store.read import Contents, read_contents
from mediafm_cli.store.schema import Encoding, Group

DOCUMENT = Path(__file__).parents[2] / "docs" / "store-format.md"
ENCODINGS = ("encodings/metadata", "encodings/text", "encodings/video")
PLACES = ("source", "shots", "boundaries", "cues", *ENCODINGS, "fused", "embeddings/model")


@pytest.fixture
def whole(contents: Contents) -> Contents:
    """A store with every kind of group."""
    row = np.ones((1, 4), np.float32)
    metadata = Encoding(
        row,
        np.ones(1, bool),
        np.ones(1, bool),
        modality="metadata",
        encoder="text.test",
        options={"größe": 4},
        fingerprint={"version": "1"},
        complete=True,
        versions={"numpy": "2"},
        made_from=parts_sha256(contents, ["source/metadata"]),
    )
    return contents.with_group("encodings/metadata", metadata)


@pytest.fixture
def store(whole: Contents, tmp_path: Path) -> Path:
    update_store(tmp_path / "film.h5", lambda _: whole)
    return tmp_path / "film.h5"


# --- the hash, as the document has it ---------------------------------------------------------------------------------


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def attributes_of(group: h5py.Group) -> dict[str, Any]:
    """Every attribute but ``content_sha256``, as Python has it."""
    found = {name: group.attrs[name] for name in group.attrs if name != "content_sha256"}
    return {name: value.decode() if isinstance(value, bytes) else value.item() for name, value in found.items()}


def documented_sha256(place: str, attributes: Mapping[str, Any], datasets: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(as_json([place, attributes]).encode())
    for name in sorted(datasets):
        values = datasets[name]
        digest.update(as_json([name, values.dtype.str, list(values.shape)]).encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def group_sha256(group: h5py.Group, place: str) -> str:
    datasets = {} if place == "/" else {name: group[name][()] for name in group}
    return documented_sha256(place, attributes_of(group), datasets)


@pytest.mark.parametrize("place", ["/", *PLACES])
def test_the_hash_of_every_group_is_the_documented_one(place: str, store: Path) -> None:
    with h5py.File(store) as file:
        assert file[place].attrs["content_sha256"].decode() == group_sha256(file[place], place)


def test_the_hashes_of_parts_are_the_documented_ones(store: Path) -> None:
    with h5py.File(store) as file:
        source, shots = attributes_of(file["source"]), attributes_of(file["shots"])
        pts = {name: file["shots"][name][()] for name in ("start_pts", "end_pts")}
        text = {"text": file["shots/text"][()]}
        made_from = {
            place: json.loads(file[place].attrs["made_from"]) for place in PLACES if "made_from" in file[place].attrs
        }
        digests = {place: file[place].attrs["content_sha256"].decode() for place in PLACES}
    streams = {
        "video": shots["video_stream"],
        "audio": shots["audio_stream"],
        "time_base": shots["time_base"],
        "media": source["fingerprint"],
    }

    timing = documented_sha256("shots/timing", streams, pts)
    assert made_from == {
        "shots": {"source/media": source["fingerprint"]},
        "boundaries": {"shots/timing": timing},
        "cues": {"source/media": source["fingerprint"]},
        "encodings/metadata": {"source/metadata": hashlib.sha256(source["metadata"].encode()).hexdigest()},
        "encodings/text": {"shots/text": documented_sha256("shots/text", {}, text)},
        "encodings/video": {"shots/timing": timing},
        "fused": {place: digests[place] for place in ("encodings/text", "encodings/video")},
        "embeddings/model": {"fused": digests["fused"]},
    }


def test_the_fingerprint_of_a_block_is_the_documented_one(store: Path) -> None:
    with h5py.File(store) as file:
        made_by = [
            {name: json.loads(attributes[name]) for name in ("fingerprint", "options")}
            | {"encoder": attributes["encoder"]}
            for attributes in (attributes_of(file[f"encodings/{name}"]) for name in ("video", "text"))
        ]
        blocks = json.loads(file["fused"].attrs["blocks"])

    expected = [hashlib.sha256(as_json(made).encode()).hexdigest() for made in made_by]
    assert [block["fingerprint"] for block in blocks] == expected


# --- the document and the file ----------------------------------------------------------------------------------------


def documented_table(place: str, kind: str) -> dict[str, str]:
    """Name and type of the datasets or attributes in the section of the document about ``place``."""
    heading = {"encodings": "encodings/<modality>", "embeddings": "embeddings/<name>"}
    parent = place.split("/")[0]
    title = re.escape(f"## `/{heading.get(parent, parent)}`")
    section = re.search(rf"^{title}$(.*?)(?=^## |\Z)", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)[1]
    table = re.search(rf"^\| {kind} \|.*\n\|[-|]+\n((?:\|.*\n)*)", section, re.MULTILINE)
    found = {}
    for row in table[1].splitlines() if table else ():
        names, types = (cell.strip() for cell in row.split("|")[1:3])
        names = re.findall(r"`(\w+)`", names)
        types = types.split(", ") if "[" not in types else [types]
        found |= dict(zip(names, types * len(names) if len(types) == 1 else types, strict=True))
    return found


def stored_type(value: np.ndarray) -> str:
    """The type in the words of the document, and one letter a dimension."""
    kinds = {"<f4": "f4", "<f8": "f8", "<i8": "i8", "|b1": "bool"}
    name = "text" if value.dtype.kind == "S" else kinds[value.dtype.str]
    return f"{name} {value.ndim}"


@pytest.mark.parametrize("place", PLACES)
def test_a_group_has_the_datasets_that_the_document_lists(place: str, store: Path) -> None:
    with h5py.File(store) as file:
        found = {name: stored_type(file[place][name][()]) for name in file[place]}

    documented = documented_table(place, "dataset")
    assert found == {name: f"{type_.split()[0]} {type_.count(',') + 1}" for name, type_ in documented.items()}


@pytest.mark.parametrize("place", ["", *PLACES])
def test_a_group_has_the_attributes_that_the_document_lists(place: str, store: Path) -> None:
    documented = documented_table(place, "attribute")
    with h5py.File(store) as file:
        found = {name: np.array(file[f"/{place}"].attrs[name]) for name in file[f"/{place}"].attrs}
        texts = {name: value for name, value in attributes_of(file[f"/{place}"]).items() if documented[name] == "JSON"}

    assert found.keys() == {*documented, "content_sha256"}
    stored = {name: stored_type(found[name]) for name in documented}
    assert stored == {name: f"{type_.replace('JSON', 'text')} 0" for name, type_ in documented.items()}
    assert texts == {name: as_json(json.loads(text)) for name, text in texts.items()}


def test_the_root_lists_the_groups_in_the_order_of_the_tree(store: Path) -> None:
    with h5py.File(store) as file:
        assert json.loads(file.attrs["groups"]) == list(PLACES)
        assert re.fullmatch(r"mediafm-cli \S+", file.attrs["created_by"].decode())


def test_the_python_in_the_document_runs(whole: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = replace(whole.encoding("video"), modality="audio", encoder="audio.test")
    update_store(tmp_path / "film.h5", lambda _: whole.with_group("encodings/audio", audio))
    source = re.search(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}

    exec(compile(source, DOCUMENT.name, "exec"), found)

    np.testing.assert_array_equal(found["vectors"], whole.groups["embeddings/model"].shots)
    assert found["starts"].tolist() == [0, 1.5, 3, 4.5, 6]
    assert found["texts"][1] == "Guten Tag, Ärger!"
    assert found["encoder"] == "audio.test"


@pytest.mark.parametrize(
    "missing", [{place} for place in PLACES] + [set(PLACES)], ids=lambda places: ",".join(sorted(places))
)
def test_any_group_may_be_missing(missing: set[str], whole: Contents, tmp_path: Path) -> None:
    update_store(tmp_path / "film.h5", lambda _: whole.without(missing))

    found = read_contents(tmp_path / "film.h5")

    assert list(found.groups) == [place for place in PLACES if place not in missing]


# --- what mediafm refuses to write ------------------------------------------------------------------------------------


def encoding_of(rows: int, width: int, **changes: Any) -> Encoding:
    made_by = {"encoder": "x", "options": {}, "fingerprint": {}, "versions": {}, "made_from": {"shots/timing": "0"}}
    arrays = (np.zeros((rows, width), np.float32), np.zeros(rows, bool), np.ones(rows, bool))
    return replace(Encoding(*arrays, modality="video", complete=True, **made_by), **changes)


@pytest.mark.parametrize(
    ("place", "group", "why"),
    [
        ("encodings/video", encoding_of(1_000_001, 1), "the format allows 1 to 1,000,000"),
        ("encodings/video", encoding_of(1, 65_537), "the format allows 1 to 65,536"),
        ("encodings/video", encoding_of(1, 1, encoder="x" * 60_001), "would take 60,001 bytes"),
        ("encodings/video", encoding_of(1, 1, encoder="x\0"), "NUL"),
        ("encodings/video", encoding_of(1, 1, options={"gain": float("inf")}), "cannot be kept in a store as JSON"),
        ("encodings/Video", encoding_of(1, 1), "knows no encodings/Video"),
        ("encodings/" + "v" * 33, encoding_of(1, 1), "knows no encodings/vvv"),
        ("encodings/a/b", encoding_of(1, 1), "knows no encodings/a/b"),
        ("fused", encoding_of(1, 1), "knows no fused that holds Encoding"),
    ],
)
def test_a_group_beyond_the_bounds_of_the_format_is_not_written(
    place: str, group: Group, why: str, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=why):
        update_store(tmp_path / "film.h5", lambda _: Contents("film", {place: group}))

    assert os.listdir(tmp_path) == []


def test_groups_of_unequal_length_are_not_written_even_without_shots(whole: Contents, tmp_path: Path) -> None:
    shorter = whole.without({"shots"}).with_group("encodings/video", encoding_of(4, 6))

    with pytest.raises(StoreError, match="rows"):
        update_store(tmp_path / "film.h5", lambda _: shorter)


@pytest.mark.parametrize("title_id", ["", "x" * 256, "a/b", "a\nb", "a\x7f"])
def test_a_title_id_that_is_none_is_not_written(title_id: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be a title id"):
        update_store(tmp_path / "film.h5", lambda _: Contents(title_id, {}))


# --- what mediafm refuses to read, though its hash is right -----------------------------------------------------------

Change = Callable[[h5py.Group], None]


def text(name: str, value: str) -> Change:
    def change(group: h5py.Group) -> None:
        dtype = h5py.string_dtype("utf-8", max(1, len(value.encode())))
        group.attrs.create(name, np.array(value.encode(), dtype), dtype=dtype)

    return change


def put(name: str, at: Any, value: Any) -> Change:
    return lambda group: group[name].__setitem__(at, value)


def two_rows(group: h5py.Group) -> None:
    for name in list(group):
        twice = np.concatenate([group[name][()]] * 2)
        del group[name]
        group[name] = twice


def block(**changes: Any) -> Change:
    """Both blocks of the fused vectors as they are, but for ``changes`` to the second."""

    def change(group: h5py.Group) -> None:
        first, second = json.loads(group.attrs["blocks"])
        text("blocks", as_json([first, second | changes]))(group)

    return change


FORGERIES: dict[str, tuple[str, Change]] = {
    "an empty title id": ("/", text("title_id", "")),
    "a title id with a slash": ("/", text("title_id", "../film")),
    "a title id with a control character": ("/", text("title_id", "a\nb")),
    "groups that are not there": ("/", text("groups", '["source"]')),
    "a duration that is not finite": ("source", text("duration_s", "NaN")),
    "a duration in words": ("source", text("duration_s", '"long"')),
    "streams that are no list": ("source", text("streams", "3")),
    "metadata that is no object": ("source", text("metadata", "[]")),
    "metadata that is no JSON": ("source", text("metadata", "{")),
    "metadata nested without end": ("source", text("metadata", "[" * 50_000)),
    "a fingerprint that is no hash": ("source", text("fingerprint", "zz")),
    "a time base that is no ratio": ("shots", text("time_base", "1/0")),
    "captions from nowhere": ("shots", text("captions", "film.srt")),
    "notes that are no list": ("shots", text("notes", "3")),
    "text that is not UTF-8": ("shots", put("text", 1, b"\xff\xfe")),
    "a gap between shots": ("shots", put("start_s", 2, 3.25)),
    "a shot that ends before it starts": ("shots", put("end_frame", 4, 3)),
    "a time that is not finite": ("shots", put("end_s", 4, np.inf)),
    "shots made from a number": ("shots", text("made_from", "3")),
    "another modality than its place": ("encodings/video", text("modality", "audio")),
    "an encoding made from nothing": ("encodings/video", text("made_from", "{}")),
    "an encoding made from a list": ("encodings/video", text("made_from", "[]")),
    "an encoding made from numbers": ("encodings/video", text("made_from", '{"shots/timing":3}')),
    "options that are no object": ("encodings/video", text("options", "[1]")),
    "JSON with white space": ("encodings/video", text("options", '{"size": 6}')),
    "JSON with a number that is not finite": ("encodings/video", text("options", '{"size":NaN}')),
    "a fingerprint that is no object": ("encodings/video", text("fingerprint", "3")),
    "an attribute that is too long": ("encodings/video", text("encoder", "x" * 60_001)),
    "a vector that is not finite": ("encodings/video", put("vectors", (0, 0), np.nan)),
    "a vector where nothing is present": ("encodings/text", put("vectors", (0, 0), 1)),
    "present where nothing is done": ("encodings/video", put("done", 0, False)),
    "complete where something is left": ("encodings/text", put("done", 0, False)),
    "two rows of metadata": ("encodings/metadata", two_rows),
    "a row that is no unit vector": ("fused", put("vectors", (0, 0), 2)),
    "a fused vector that is not finite": ("fused", put("vectors", (0, 0), np.nan)),
    "a block that is not zero where it is absent": ("fused", put("present", (1, 1), False)),
    "a block that overlaps another": ("fused", block(start=5)),
    "a block that stops short": ("fused", block(stop=9)),
    "a block of another name than it was made from": ("fused", block(name="audio")),
    "a block whose name is a number": ("fused", block(name=3)),
    "a block with columns in words": ("fused", block(stop="10")),
    "energy that is a number": ("fused", text("energy_share", "1")),
    "energy that is not finite": ("fused", text("energy_share", "[NaN,1.0]")),
    "energy of one block of two": ("fused", text("energy_share", "[1.0]")),
    "an unknown way to normalize": ("fused", text("normalize", "loud")),
    "an unknown stand-in for what is missing": ("fused", text("missing", "mean")),
    "an embedding that is not finite": ("embeddings/model", put("shots", (0, 0), np.nan)),
    "a title that is not finite": ("embeddings/model", put("title", 0, np.nan)),
    "an unknown layer": ("embeddings/model", text("layer", "both")),
    "an embedding made from a text": ("embeddings/model", text("made_from", '"fused"')),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_group_that_breaks_the_format_is_refused_though_its_hash_is_right(forgery: str, store: Path) -> None:
    place, change = FORGERIES[forgery]
    with h5py.File(store, "r+") as file:
        change(file[place])
        text("content_sha256", group_sha256(file[place], place))(file[place])

    faults = check_store(store)

    assert any(f"{place} is not valid" in str(fault) for fault in faults), faults
    with pytest.raises(StoreError, match=f"{place} is not valid"):
        describe_store(store)


# --- how it is written ------------------------------------------------------------------------------------------------


def test_a_change_runs_under_an_exclusive_lock_which_is_gone_afterwards(store: Path) -> None:
    def change(contents: Contents | None) -> Contents:
        with open(f"{store}.lock") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return contents.without({"fused"})

    update_store(store, change)

    assert os.listdir(store.parent) == ["film.h5"]
    assert "fused" not in read_contents(store).groups


def test_a_change_makes_a_new_file_and_leaves_the_old_one_to_who_has_it_open(store: Path) -> None:
    before, inode = store.read_bytes(), store.stat().st_ino
    with store.open("rb") as reader:
        update_store(store, lambda contents: contents.without({"fused"}))

        assert reader.read() == before
    assert store.stat().st_ino != inode


def test_a_reader_needs_no_lock(store: Path) -> None:
    with open(f"{store}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert list(read_contents(store).groups) == list(PLACES)


def test_a_lock_that_a_kill_left_locks_nobody_out(store: Path) -> None:
    Path(f"{store}.lock").touch()

    update_store(store, lambda contents: contents.without({"fused"}))

    assert os.listdir(store.parent) == ["film.h5"]
