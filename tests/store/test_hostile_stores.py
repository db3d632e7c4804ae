"""A file that claims to be a store and is not one is refused: no crash, no other file read, little time and memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mediafm_cli.errors import StoreError
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import Contents, open_store, read_contents

SECRET = b"SECRET-THAT-NO-STORE-MAY-SHOW" * 40


@pytest.fixture
def store(tmp_path: Path, contents: Contents) -> Path:
    update_store(tmp_path / "film.h5", lambda _: contents)
    return tmp_path / "film.h5"


def replace_dataset(file: h5py.File, name: str, create: Callable[[h5py.Group, str], object]) -> None:
    del file[name]
    group, _, leaf = name.rpartition("/")
    create(file[group], leaf)


def external_storage(file: h5py.File, folder: Path) -> None:
    def create(group: h5py.Group, leaf: str) -> None:
        group.create_dataset(leaf, (5, 6), "f4", external=[(str(folder / "secret"), 0, 120)])

    replace_dataset(file, "encodings/video/vectors", create)


def external_link(file: h5py.File, folder: Path) -> None:
    del file["encodings/video"]
    file["encodings/video"] = h5py.ExternalLink(str(folder / "other.h5"), "/encodings/video")


def soft_link(file: h5py.File, folder: Path) -> None:
    del file["encodings/video/vectors"]
    file["encodings/video/vectors"] = h5py.SoftLink("/encodings/text/vectors")


def virtual_dataset(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((5, 6), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "encodings/video/vectors", (5, 6))
    replace_dataset(file, "encodings/video/vectors", lambda g, leaf: g.create_virtual_dataset(leaf, layout))


def chunked(file: h5py.File, folder: Path) -> None:
    replace_dataset(
        file, "encodings/video/vectors", lambda g, leaf: g.create_dataset(leaf, (5, 6), "f4", chunks=(5, 6))
    )


def compressed(file: h5py.File, folder: Path) -> None:
    replace_dataset(
        file, "encodings/video/vectors", lambda g, leaf: g.create_dataset(leaf, (5, 6), "f4", compression="gzip")
    )


def enormous_rows(file: h5py.File, folder: Path) -> None:
    replace_dataset(file, "encodings/video/vectors", lambda g, leaf: g.create_dataset(leaf, (50_000_000, 2304), "f4"))


def enormous_chunk(file: h5py.File, folder: Path) -> None:
    replace_dataset(
        file,
        "encodings/video/vectors",
        lambda g, leaf: g.create_dataset(leaf, (5, 60_000), "f4", chunks=(1, 60_000), compression="gzip"),
    )


def references(file: h5py.File, folder: Path) -> None:
    replace_dataset(
        file,
        "encodings/video/vectors",
        lambda g, leaf: g.create_dataset(leaf, data=np.array([[g.ref] * 6] * 5, dtype=h5py.ref_dtype)),
    )


def wrong_dtype(file: h5py.File, folder: Path) -> None:
    replace_dataset(file, "encodings/video/vectors", lambda g, leaf: g.create_dataset(leaf, data=np.zeros((5, 6))))


def big_endian(file: h5py.File, folder: Path) -> None:
    zeros = np.zeros((5, 6), ">f4")
    replace_dataset(file, "encodings/video/vectors", lambda g, leaf: g.create_dataset(leaf, data=zeros))


def odd_float(file: h5py.File, folder: Path) -> None:
    """As large as a float32, but with another share of its bits for the exponent."""
    odd = h5py.h5t.IEEE_F32LE.copy()
    odd.set_fields(31, 21, 10, 0, 21)
    odd.set_ebias(511)
    space = h5py.h5s.create_simple((5, 6))
    replace_dataset(
        file,
        "encodings/video/vectors",
        lambda g, leaf: h5py.h5d.create(g.id, leaf.encode(), odd, space).write(
            h5py.h5s.ALL, h5py.h5s.ALL, np.zeros((5, 6), "f4")
        ),
    )


def wide_truths(file: h5py.File, folder: Path) -> None:
    """An enumeration FALSE, TRUE of 16 bits: h5py takes it for a bool, and a map of it would be read wrongly."""
    wide = h5py.h5t.enum_create(h5py.h5t.STD_I16LE)
    wide.enum_insert(b"FALSE", 0)
    wide.enum_insert(b"TRUE", 1)
    space = h5py.h5s.create_simple((5,))
    replace_dataset(
        file,
        "encodings/video/present",
        lambda g, leaf: h5py.h5d.create(g.id, leaf.encode(), wide, space).write(
            h5py.h5s.ALL, h5py.h5s.ALL, np.ones(5, "i2"), mtype=wide
        ),
    )


def wrong_width(file: h5py.File, folder: Path) -> None:
    zeros = np.zeros((4, 6), "f4")
    replace_dataset(file, "encodings/video/vectors", lambda g, leaf: g.create_dataset(leaf, data=zeros))


def texts_of_any_length(file: h5py.File, folder: Path) -> None:
    replace_dataset(
        file, "shots/text", lambda g, leaf: g.create_dataset(leaf, data=["x"] * 5, dtype=h5py.string_dtype())
    )


def unknown_group(file: h5py.File, folder: Path) -> None:
    file.create_group("notes")


def unknown_dataset(file: h5py.File, folder: Path) -> None:
    file["shots/colour"] = np.zeros(5)


def unknown_attribute(file: h5py.File, folder: Path) -> None:
    file["shots"].attrs["colour"] = "red"


def attribute_on_a_dataset(file: h5py.File, folder: Path) -> None:
    file["shots/start_s"].attrs["unit"] = "s"


def nested_modality(file: h5py.File, folder: Path) -> None:
    file.move("encodings/video", "encodings/a/b")


def modality_that_is_no_name(file: h5py.File, folder: Path) -> None:
    file.move("encodings/video", "encodings/..")


def group_instead_of_dataset(file: h5py.File, folder: Path) -> None:
    replace_dataset(file, "encodings/video/vectors", lambda g, leaf: g.create_group(leaf))


def dataset_instead_of_group(file: h5py.File, folder: Path) -> None:
    del file["fused"]
    file["fused"] = np.zeros(3)


def named_type(file: h5py.File, folder: Path) -> None:
    del file["fused"]
    file["fused"] = np.dtype("f8")


def cycle(file: h5py.File, folder: Path) -> None:
    file["encodings/loop"] = file["/"]


def ten_thousand_groups(file: h5py.File, folder: Path) -> None:
    for number in range(10_000):
        file.create_group(f"encodings/m{number}")


def attribute_of_another_type(file: h5py.File, folder: Path) -> None:
    del file["shots"].attrs["video_stream"]
    file["shots"].attrs["video_stream"] = "0"


def attribute_array(file: h5py.File, folder: Path) -> None:
    del file["shots"].attrs["video_stream"]
    file["shots"].attrs["video_stream"] = np.zeros(4, "i8")


def attribute_of_one(file: h5py.File, folder: Path) -> None:
    del file["shots"].attrs["video_stream"]
    file["shots"].attrs["video_stream"] = np.zeros(1, "i8")


def changed_value(file: h5py.File, folder: Path) -> None:
    file["encodings/video/vectors"][2, 3] += 1


def changed_attribute(file: h5py.File, folder: Path) -> None:
    file["encodings/video"].attrs["complete"] = np.bool_(False)


def changed_title(file: h5py.File, folder: Path) -> None:
    dtype = file.attrs.get_id("title_id").dtype
    file.attrs.create("title_id", np.array(b"good", dtype), dtype=dtype)


def no_format(file: h5py.File, folder: Path) -> None:
    del file.attrs["format"]


def other_format(file: h5py.File, folder: Path) -> None:
    file.attrs["format"] = "anndata"


def newer_version(file: h5py.File, folder: Path) -> None:
    file.attrs["format_version"] = np.int64(2)


ATTACKS = {
    external_storage: "not stored contiguously",
    external_link: "link to elsewhere",
    soft_link: "link to elsewhere",
    virtual_dataset: "not stored contiguously",
    chunked: "not stored contiguously",
    compressed: "not stored contiguously",
    enormous_rows: "do not lie inside the file",
    enormous_chunk: "not stored contiguously",
    references: "is of type",
    wrong_dtype: "float64, not f4",
    big_endian: "is of type",
    odd_float: "not f4",
    wide_truths: "is of type",
    wrong_width: "the group's other datasets have 4",
    texts_of_any_length: "is of type",
    unknown_group: "knows no /notes",
    unknown_dataset: "unknown: colour",
    unknown_attribute: "unknown: colour",
    attribute_on_a_dataset: "knows none there",
    nested_modality: "missing: ",
    modality_that_is_no_name: "is no name",
    group_instead_of_dataset: "is not a dataset",
    dataset_instead_of_group: "is not a group",
    named_type: "is not a group",
    cycle: "not those of the format",
    ten_thousand_groups: "the format allows 64",
    attribute_of_another_type: "not of type int",
    attribute_array: "not of type int",
    attribute_of_one: "not of type int",
    changed_value: "does not match its checksum",
    changed_attribute: "does not match its checksum",
    changed_title: "does not match its checksum",
    no_format: "no attribute format",
    other_format: "format",
    newer_version: "Upgrade mediafm",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_hostile_store_is_refused(attack: Callable[[h5py.File, Path], None], store: Path) -> None:
    (store.parent / "secret").write_bytes(SECRET)
    (store.parent / "other.h5").write_bytes(store.read_bytes())
    with h5py.File(store, "r+") as file:
        attack(file, store.parent)
    started = time.process_time()

    faults = check_store(store)

    assert faults
    assert ATTACKS[attack] in " ".join(str(fault) for fault in faults)
    assert time.process_time() - started < 2
    with pytest.raises(StoreError):
        read_whole(store)


def read_whole(path: Path) -> None:
    with open_store(path) as found:
        assert found.title_id
        found.contents()


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "It is empty"), (b"not HDF5", "not an HDF5 file"), (b"\x89HDF\r\n\x1a\n", "damaged")]
)
def test_a_file_that_is_no_hdf5_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "film.h5").write_bytes(content)

    with pytest.raises(StoreError, match=reason):
        read_contents(tmp_path / "film.h5")


def test_a_missing_store_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file"):
        read_contents(tmp_path / "film.h5")
    with pytest.raises(StoreError, match="it is a folder"):
        read_contents(tmp_path)


def test_every_store_cut_short_is_refused(store: Path) -> None:
    whole = store.read_bytes()
    cut = store.parent / "cut.h5"
    for length in range(0, len(whole), 211):
        cut.write_bytes(whole[:length])

        assert check_store(cut), length


PEAK = """
import re, sys, time
from pathlib import Path

def peak_kib():  # of this program alone: getrusage counts what the process was before it
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")

MUTATE = f"""{PEAK}
import numpy as np
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import read_contents

whole, scratch, count, flips = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
truth = read_contents(Path(sys.argv[1]))
truth = {{place: truth.digest(place) for place in truth.groups}}
random = np.random.default_rng(flips)
caught = harmless = 0
for number in range(count):
    image = bytearray(whole)
    for position in random.integers(0, len(image), flips):
        image[position] ^= 1 << int(random.integers(8)) if flips == 1 else int(random.integers(1, 256))
    scratch.write_bytes(image)
    started = time.process_time()
    faults = check_store(scratch)
    assert time.process_time() - started < 2, number
    if faults:
        caught += 1
        continue
    found = read_contents(scratch)
    assert {{place: found.digest(place) for place in found.groups}} == truth, number
    harmless += 1
assert peak_kib() < 300 * 1024
print(caught, harmless)
"""


@needs_proc
@pytest.mark.parametrize(("flips", "count"), [(1, 700), (8, 500), (64, 300)])
def test_flipped_bytes_never_crash_and_never_change_what_is_read(flips: int, count: int, store: Path) -> None:
    command = [sys.executable, "-c", MUTATE, str(store), str(store.parent / "mutant.h5"), str(count), str(flips)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-2000:]}"
    caught, harmless = map(int, done.stdout.split())
    assert caught + harmless == count


REFUSE = f"""{PEAK}
from mediafm_cli.store.inspect import check_store

assert not check_store(Path(sys.argv[1]))
before = peak_kib()
assert check_store(Path(sys.argv[2]))
assert peak_kib() - before < 50 * 1024
"""


@needs_proc
def test_refusing_takes_little_memory(store: Path) -> None:
    hostile = store.with_name("hostile.h5")
    shutil.copy(store, hostile)
    with h5py.File(hostile, "r+") as file:
        enormous_rows(file, store.parent)

    done = subprocess.run([sys.executable, "-c", REFUSE, str(store), str(hostile)], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-2000:]
