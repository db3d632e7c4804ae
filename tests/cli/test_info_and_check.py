"""What is said of stores: good, damaged, cut short, stale, or none at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from typed_commands import Mediafm

from mediafm_cli.store.read import open_store


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
