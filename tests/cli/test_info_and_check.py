"""What is said of stores: good, damaged, cut short, stale, or none at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from typed_commands import Mediafm

from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import Contents, open_store
from mediafm_cli.store.schema import Shots
from mediafm_cli.synthetic import SyntheticTitle


def test_info_says_what_is_there_and_what_made_it(mediafm: Mediafm, stores: list[Path]) -> None:
    lines = mediafm("info", stores[0]).out.splitlines()

    places = [line.split()[0] for line in lines[1:]]
    assert lines[0].startswith(f"{stores[0]}: title 'title_000'")
    assert places[:4] == ["source", "shots", "boundaries", "cues"]
    assert set(places[4:]) == {f"encodings/{name}" for name in ("audio", "metadata", "text", "video")} | {"fused"}
    assert "6 of 6 shots done" in next(line for line in lines if "encodings/video" in line)
    assert any("by audio.logmel" in line for line in lines)


def test_info_and_check_have_records_for_programs(mediafm: Mediafm, stores: list[Path]) -> None:
    info = json.loads(mediafm("info", stores[0], "--json").out)
    check = json.loads(mediafm("check", stores[0], "--json").out)

    assert (info["schema"], info["version"], info["title_id"]) == ("mediafm.info", 1, "title_000")
    assert all(group["complete"] and not group["stale"] for group in info["groups"])
    assert (check["schema"], check["valid"], check["faults"]) == ("mediafm.check", True, [])


def flip_a_bit(store: Path) -> None:
    with h5py.File(store) as file:
        offset = file["encodings/video/vectors"].id.get_offset()
    content = bytearray(store.read_bytes())
    content[offset + 100] ^= 1
    store.write_bytes(content)


def cut_short(store: Path) -> None:
    store.write_bytes(store.read_bytes()[:-500])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (flip_a_bit, "encodings/video is not valid. Its content does not match its checksum."),
    "cut short": (cut_short, "is damaged"),
    "text": (lambda store: store.write_text("no store"), "It is not an HDF5 file."),
    "empty": (lambda store: store.write_bytes(b""), "It is empty."),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_check_names_the_fault_of_a_damaged_store_and_goes_on(
    damage: str, mediafm: Mediafm, stores: list[Path]
) -> None:
    harm, said = DAMAGE[damage]
    harm(stores[0])

    typed, records = mediafm("check", *stores), mediafm("check", *stores, "--json")

    assert typed.code == records.code == 5
    assert said in " ".join(typed.err.split())
    assert typed.out == f"{stores[1]}: valid\n{stores[2]}: valid\n"
    assert [json.loads(line)["valid"] for line in records.out.splitlines()] == [False, True, True]
    assert mediafm("info", stores[0]).code == 5


def test_what_is_stale_is_called_stale(mediafm: Mediafm, stores: list[Path], films: list) -> None:
    with open_store(stores[0]) as store:
        assert "fused" in store
    mediafm("encode", stores[0], "--modality", "text", "--opt", "dim=64", "--overwrite")

    info, check = mediafm("info", stores[0]), mediafm("check", stores[0])

    assert "STALE (encodings/text changed)" in info.out
    assert check.code == 5
    assert "fused is stale" in check.err


def test_notes_stand_below_what_they_are_about(mediafm: Mediafm, stores: list[Path]) -> None:
    def note(contents: Contents) -> Contents:
        shots = contents.groups["shots"]
        assert isinstance(shots, Shots)
        return contents.with_group("shots", replace(shots, notes=["film.idx was passed over"]))

    update_store(stores[0], note)

    lines, record = mediafm("info", stores[0]).out.splitlines(), json.loads(mediafm("info", stores[0], "--json").out)

    place = next(number for number, line in enumerate(lines) if line.startswith("  shots "))
    assert lines[place].endswith(", by content")
    assert lines[place + 1].strip() == "note: film.idx was passed over"
    assert [group["notes"] for group in record["groups"] if group["notes"]] == [["film.idx was passed over"]]


# --- the media file ---------------------------------------------------------------------------------------------------


def test_a_store_whose_film_was_replaced_is_stale(
    mediafm: Mediafm, stores: list[Path], films: list[SyntheticTitle], tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copy(films[0].path, moved)
    shutil.copy(films[0].path, moved / films[1].path.name)

    typed = mediafm("check", stores[0], stores[1], "--media", moved)

    assert (typed.code, typed.out) == (5, f"{stores[0]}: valid\n")
    assert (
        f"{stores[1]}: source is stale. {moved / films[1].path.name} has changed since it was segmented."
        in " ".join(typed.err.split())
    )


def test_a_store_that_was_not_compared_with_its_film_is_named(
    mediafm: Mediafm, stores: list[Path], films: list[SyntheticTitle]
) -> None:
    shutil.copy(films[0].path, stores[0].parent)

    typed, records = mediafm("check", *stores), mediafm("check", *stores, "--json", "-q")

    compared = [json.loads(line)["compared_with"] for line in records.out.splitlines()]
    assert typed.code == records.code == 0
    assert f"not found, so not compared: 2 of 3 stores, such as {stores[1]}" in " ".join(typed.err.split())
    assert compared == [str(stores[0].parent / films[0].path.name), None, None]
    assert records.err == ""


def test_a_folder_of_films_that_is_not_there_is_refused(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    for words in (("check", stores[0]), ("score", stores[0], "--truth", tmp_path)):
        typed = mediafm(*words, "--media", tmp_path / "clips.awa")

        assert (typed.code, typed.out) == (2, "")
        assert f"There is no folder {tmp_path / 'clips.awa'}." in " ".join(typed.err.split())


def test_check_counts_one_store_as_one(mediafm: Mediafm, stores: list[Path]) -> None:
    cut_short(stores[0])

    typed = mediafm("check", stores[0])

    assert "error: 1 of 1 store is not valid." in typed.err
