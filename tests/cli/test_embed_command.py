"""``mediafm embed`` as it is typed: many titles, the bad ones named, and vectors of shots and clips in files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from small_titles import make_model, make_store
from typed_commands import Mediafm

from mediafm_cli.store.read import open_store


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    (tmp_path / "stores").mkdir()
    for title_id, shots in (("a", 12), ("b", 3), ("c", 7)):
        make_store(tmp_path / "stores", title_id, shots)
    return tmp_path / "stores"


@pytest.fixture
def model(stores: Path, tmp_path: Path) -> Path:
    return make_model(tmp_path / "model", stores / "a.h5")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    path = tmp_path / "clips.csv"
    path.write_text("title,start_s,end_s,tone\nc,0,4,sad\na,3,4.5,glad\n")
    return path


def test_a_bad_title_is_named_and_the_others_are_embedded(mediafm: Mediafm, stores: Path, model: Path) -> None:
    (stores / "b.h5").write_text("This is no store.")

    done = mediafm("embed", stores, "--model", model)

    assert done.code == 3
    assert done.out.splitlines() == [str(stores / "a.h5"), str(stores / "c.h5")]
    assert "embed: 3 titles: 1 failed, 2 written" in done.err
    assert f"1 of 3 titles failed: {stores / 'b.h5'}." in done.err


def test_what_is_done_is_not_done_twice(mediafm: Mediafm, stores: Path, model: Path) -> None:
    mediafm("embed", stores / "b.h5", "--model", model)

    done = mediafm("embed", stores, "--model", model, "--batch-shots", 1)

    assert done.code == 0
    assert "embed: 3 titles: 1 unchanged, 2 written" in done.err


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_all_shots_are_exported(form: str, mediafm: Mediafm, stores: Path, model: Path, tmp_path: Path) -> None:
    done = mediafm("embed", stores, "--model", model, "-o", tmp_path / "out", "--export", form)

    assert done.code == 0
    assert f"embed: all shots of 3 titles are in {tmp_path / 'out'}" in done.err
    if form == "npy":
        found = np.load(tmp_path / "out" / "shots.in_context.npy")
    else:
        column = parquet.read_table(tmp_path / "out" / "shots.parquet")["in_context"]
        found = np.stack(column.to_numpy(zero_copy_only=False))
    expected = []
    for path in sorted(stores.iterdir()):
        with open_store(path) as store:
            expected.append(store.embedding("model").shots)
    np.testing.assert_array_equal(found, np.concatenate(expected))


def test_clips_are_pooled_beside_an_index_of_the_list(
    mediafm: Mediafm, stores: Path, model: Path, clips: Path, tmp_path: Path
) -> None:
    done = mediafm("embed", stores, "--model", model, "--pool", clips, "-o", tmp_path / "out")

    assert done.code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["clips.flat.npy", "clips.in_context.npy", "clips.isolated.npy", "clips.jsonl"]
    lines = (tmp_path / "out" / "clips.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"title": "c", "start_s": 0.0, "end_s": 4.0, "tone": "sad"},
        {"title": "a", "start_s": 3.0, "end_s": 4.5, "tone": "glad"},
    ]
    with open_store(stores / "a.h5") as store:  # the second clip is the third shot of its title, and nothing else
        in_context, flat = store.embedding("model").shots[2], store.fused.vectors[2]
    in_context /= np.linalg.norm(in_context)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "clips.in_context.npy")[1], in_context, rtol=1e-5)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "clips.flat.npy")[1], flat, rtol=1e-6)


def test_clips_in_parquet_are_the_same_vectors(
    mediafm: Mediafm, stores: Path, model: Path, clips: Path, tmp_path: Path
) -> None:
    for form in ("npy", "parquet"):
        mediafm("embed", stores, "--model", model, "--pool", clips, "-o", tmp_path, "--export", form)

    table = parquet.read_table(tmp_path / "clips.parquet")
    assert table.column_names == ["title", "start_s", "end_s", "tone", "in_context", "isolated", "flat"]
    for column in ("in_context", "isolated", "flat"):
        values = np.stack(table[column].to_numpy(zero_copy_only=False))
        np.testing.assert_array_equal(values, np.load(tmp_path / f"clips.{column}.npy"))


def test_a_list_that_is_wrong_is_refused_before_anything_is_embedded(
    mediafm: Mediafm, stores: Path, model: Path, clips: Path, tmp_path: Path
) -> None:
    clips.write_text("title,start_s,end_s\na,0,1\nd,0,1\n")

    done = mediafm("embed", stores, "--model", model, "--pool", clips, "-o", tmp_path / "out")

    assert done.code == 2
    assert f"error: {clips}, line 3: there is no title 'd'." in done.err
    with open_store(stores / "a.h5") as store:
        assert "embeddings/model" not in store
    assert not (tmp_path / "out").exists()


def test_nothing_is_exported_while_a_title_fails(mediafm: Mediafm, stores: Path, model: Path, tmp_path: Path) -> None:
    (stores / "b.h5").write_text("This is no store.")

    done = mediafm("embed", stores, "--model", model, "-o", tmp_path / "out")

    assert done.code == 3
    assert f"The others are embedded; {tmp_path / 'out'} is not written." in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--export", "npy"), ("--pool", "clips.csv")])
def test_without_a_folder_nothing_can_be_exported(
    option: tuple[str, str], mediafm: Mediafm, stores: Path, model: Path
) -> None:
    done = mediafm("embed", stores, "--model", model, *option)

    assert done.code == 2
    assert "--export and --pool write into a folder, and none was given." in done.err


def test_without_pyarrow_the_extra_is_named_before_anything_is_embedded(
    mediafm: Mediafm, stores: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    done = mediafm("embed", stores, "--model", model, "-o", tmp_path / "out", "--export", "parquet")

    assert done.code == 2
    assert "pip install 'mediafm-cli[parquet]'" in done.err
    with open_store(stores / "a.h5") as store:
        assert "embeddings/model" not in store


def test_a_dry_run_says_what_would_be_written(
    mediafm: Mediafm, stores: Path, model: Path, clips: Path, tmp_path: Path
) -> None:
    done = mediafm("embed", stores, "--model", model, "--pool", clips, "-o", tmp_path / "out", "--dry-run")

    assert done.code == 0
    assert f"embed: would write 2 clips to {tmp_path / 'out'}" in done.err
    assert not (tmp_path / "out").exists()
