"""``mediafm export`` and ``mediafm import`` as they are typed: tables, and the stores again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_titles import make_store
from typed_commands import Mediafm

from mediafm_cli.store.read import open_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stores").mkdir()
    for title_id, shots in (("a", 9), ("b", 4)):
        make_store(tmp_path / "stores", title_id, shots)
    return tmp_path / "stores"


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_stores_become_tables_and_stores_again(form: str, mediafm: Mediafm, folder: Path, tmp_path: Path) -> None:
    out = mediafm("export", folder, "-o", tmp_path / "tables", "--form", form)
    back = mediafm("import", tmp_path / "tables", "-o", tmp_path / "back")

    assert (out.code, back.code) == (0, 0)
    assert out.out.splitlines()
    assert sorted(out.out.splitlines()) == sorted(map(str, (tmp_path / "tables").iterdir()))
    assert f"export: 2 titles in {tmp_path / 'tables'}" in out.err
    assert back.out.splitlines() == [str(tmp_path / "back" / name) for name in ("a.h5", "b.h5")]
    for name in ("a.h5", "b.h5"):
        with open_store(folder / name) as before, open_store(tmp_path / "back" / name) as after:
            assert [before.digest(place) for place in before.places] == [after.digest(place) for place in after.places]


def test_what_comes_back_is_valid(mediafm: Mediafm, folder: Path, tmp_path: Path) -> None:
    mediafm("export", folder, "-o", tmp_path / "tables")
    mediafm("import", tmp_path / "tables", "-o", tmp_path / "back")

    assert mediafm("check", tmp_path / "back", "--quiet").code == 0


def test_json_names_the_files(mediafm: Mediafm, folder: Path, tmp_path: Path) -> None:
    done = mediafm("export", folder, "-o", tmp_path / "tables", "--what", "fused", "--json")

    names = ["titles.jsonl", "shots.jsonl", "shots.fused.npy", "cues.jsonl"]
    assert json.loads(done.out) == {
        "schema": "mediafm.export",
        "version": 1,
        "titles": 2,
        "files": [str(tmp_path / "tables" / name) for name in names],
    }


def test_a_store_that_cannot_come_back_costs_its_own_title_only(mediafm: Mediafm, folder: Path, tmp_path: Path) -> None:
    mediafm("export", folder, "-o", tmp_path / "tables")
    shots = tmp_path / "tables" / "shots.jsonl"
    shots.write_text(shots.read_text(encoding="utf-8").replace('"start_pts": 288', '"start_pts": 287'), "utf-8")

    done = mediafm("import", tmp_path / "tables", "-o", tmp_path / "back")

    assert done.code == 3
    assert "shots is not what was exported." in done.err
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["b.h5"]


def test_again_is_unchanged_and_a_dry_run_writes_nothing(mediafm: Mediafm, folder: Path, tmp_path: Path) -> None:
    mediafm("export", folder, "-o", tmp_path / "tables")

    again = mediafm("import", tmp_path / "tables", "-o", folder)
    planned = mediafm("import", tmp_path / "tables", "-o", tmp_path / "back", "--dry-run")

    assert "import: 2 titles: 2 unchanged" in again.err
    assert "import: 2 titles: 2 planned" in planned.err
    assert not (tmp_path / "back").exists()


def test_a_folder_that_holds_no_export_is_told(mediafm: Mediafm, folder: Path, tmp_path: Path) -> None:
    done = mediafm("import", folder, "-o", tmp_path / "back")

    assert done.code == 2
    assert f"{folder} holds no export that is whole." in done.err
