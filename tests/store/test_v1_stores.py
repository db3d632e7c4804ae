"""Stores of format version 1 that were written once and are read for ever; see ``tests/stores/v1``.

Run as a program, this module writes them; the literal values below are what they hold:

    python tests/store/test_v1_stores.py
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mediafm_cli.store import commit
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import Contents, open_store, read_contents
from mediafm_cli.store.schema import Encoding

FOLDER = Path(__file__).parents[1] / "stores" / "v1"
PARTIAL, WHOLE, SEGMENTED = FOLDER / "partial.h5", FOLDER / "whole.h5", FOLDER / "segmented.h5"
all_of_them = pytest.mark.parametrize("path", [PARTIAL, WHOLE, SEGMENTED], ids=lambda path: path.stem)

WRITTEN_BY, HDF5 = "0.1.0", "2.0.0"
"""The versions of mediafm and of HDF5 that wrote the stores."""

SOURCE_SHA256 = "ab" * 32
MODEL_SHA256 = "cd" * 32
STREAMS = [
    {"index": 0, "kind": "video", "codec": "h264", "language": None, "width": 640, "height": 360, "rotation": 0}
    | {"frame_rate": "24", "sample_rate": None, "channels": None, "bitmap": False, "cover": False, "default": True},
    {"index": 1, "kind": "audio", "codec": "aac", "language": "deu", "width": None, "height": None, "rotation": None}
    | {"frame_rate": None, "sample_rate": 48000, "channels": 2, "bitmap": False, "cover": False, "default": True},
]


def write_stores(small_contents: Callable[[int, str], Contents]) -> None:
    """A store in the middle of an encoding; one from before there were boundaries and cues; and one that has them."""
    segmented = small_contents(4, "film")
    update_store(
        SEGMENTED, lambda _: segmented.without({p for p in segmented.groups if p[:3] in ("enc", "fus", "emb")})
    )
    contents = small_contents(3, "Überfahrt, Teil 1")
    source = replace(contents.groups["source"], streams=STREAMS[:1])
    video = contents.encoding("video")
    first = np.arange(3) < 1
    half = replace(video, vectors=video.vectors * first[:, None], present=first, done=first, complete=False)
    shots = replace(contents.groups["shots"], captions="stream:2", audio_stream=-1)
    bare = Contents(contents.title_id, {"source": source, "shots": shots})
    half = replace(half, made_from=parts_sha256(bare, ["shots/timing"]))
    update_store(PARTIAL, lambda _: bare.with_group("encodings/video", half))

    contents = small_contents(5, "film").without({"boundaries", "cues"})
    metadata = Encoding(
        np.array([[0.5, -0.25, 0, 2]], np.float32),
        np.ones(1, bool),
        np.ones(1, bool),
        modality="metadata",
        encoder="text.test",
        options={},
        fingerprint={"weights": "rain"},
        complete=True,
        versions={"numpy": "2"},
        made_from=parts_sha256(contents, ["source/metadata"]),
    )
    contents = contents.with_group("encodings/metadata", metadata)
    source = replace(contents.groups["source"], streams=STREAMS)
    shots = replace(contents.groups["shots"], captions="sidecar:film.srt", notes=["2 packets are damaged"])
    embedding = contents.groups["embeddings/model"]
    embedding = replace(embedding, made_from=parts_sha256(contents, ["fused", "encodings/metadata"]))
    for place, group in (("source", source), ("shots", shots), ("embeddings/model", embedding)):
        contents = contents.with_group(place, group)
    update_store(WHOLE, lambda _: contents)


@all_of_them
def test_a_store_of_version_1_is_valid(path: Path) -> None:
    assert check_store(path) == []


def test_a_store_in_the_middle_of_an_encoding_says_what_it_said() -> None:
    with open_store(PARTIAL) as store:
        title_id, places, shots, video = store.title_id, store.places, store.shots, store.encoding("video")

    assert title_id == "Überfahrt, Teil 1"
    assert places == ("source", "shots", "encodings/video")
    assert (shots.captions, shots.audio_stream, shots.notes) == ("stream:2", -1, [])
    assert shots.start_s.tolist() == [0, 1.5, 3]
    assert not video.complete
    assert video.done.tolist() == [True, False, False]
    assert video.present.tolist() == [True, False, False]
    np.testing.assert_allclose(video.vectors[0, :4], [2.040919, -2.555665, 0.418099, -0.56777], atol=1e-6)
    assert not video.vectors[1:].any()


def test_the_source_and_the_shots_of_a_whole_store_say_what_they_said() -> None:
    with open_store(WHOLE) as store:
        title_id, created_by, source, shots = store.title_id, store.created_by, store.source, store.shots

    assert (title_id, created_by) == ("film", f"mediafm-cli {WRITTEN_BY}")
    assert (source.name, source.path, source.size, source.duration_s) == ("film.mp4", "../film.mp4", 1234, 7.5)
    assert source.fingerprint == SOURCE_SHA256
    assert source.streams == STREAMS
    assert source.metadata == {"synopsis": "A kitchen. Später: Regen."}
    assert shots.start_s.tolist() == [0, 1.5, 3, 4.5, 6]
    assert shots.end_s.tolist() == [1.5, 3, 4.5, 6, 7.5]
    assert shots.start_pts.tolist() == shots.start_frame.tolist() == [0, 36, 72, 108, 144]
    assert shots.end_pts.tolist() == shots.end_frame.tolist() == [36, 72, 108, 144, 180]
    assert shots.text.tolist() == ["", "Guten Tag, Ärger!", "", "", ""]
    assert (shots.segmenter, shots.options, shots.fingerprint) == ("content", {"min_shot_s": 0.2}, {"version": "1"})
    assert (shots.time_base, shots.video_stream, shots.audio_stream) == ("1/24", 0, 1)
    assert (shots.captions, shots.notes) == ("sidecar:film.srt", ["2 packets are damaged"])
    assert shots.made_from == {"source/media": SOURCE_SHA256}


def test_the_boundaries_and_cues_of_a_segmented_store_say_what_they_said() -> None:
    with open_store(SEGMENTED) as store:
        places, boundaries, cues = store.places, store.boundaries, store.cues

    assert places == ("source", "shots", "boundaries", "cues")
    assert boundaries.kind.tolist() == ["start", "gradual", "cut", "cut"]
    assert boundaries.score.tolist() == [0, 1.5, 1.5, 1.5]
    assert boundaries.first_frame.tolist() == [0, 28, 72, 108]
    assert boundaries.last_frame.tolist() == [0, 44, 72, 108]
    np.testing.assert_allclose(boundaries.first_s, [0, 7 / 6, 3, 4.5])
    np.testing.assert_allclose(boundaries.last_s, [0, 11 / 6, 3, 4.5])
    assert list(boundaries.made_from) == ["shots/timing"]
    assert (cues.start_s.tolist(), cues.end_s.tolist()) == ([1.6, 2.0], [2.9, 2.5])
    assert (cues.text.tolist(), cues.sound.tolist()) == (["Guten Tag, Ärger!", "[Tür schlägt]"], [False, True])
    assert cues.made_from == {"source/media": SOURCE_SHA256}


def test_the_encodings_of_a_whole_store_say_what_they_said() -> None:
    with open_store(WHOLE) as store:
        modalities = store.modalities
        video, text, metadata = (store.encoding(name) for name in ("video", "text", "metadata"))

    assert modalities == ("text", "video")
    assert [encoding.encoder for encoding in (video, text, metadata)] == ["video.test", "text.test", "text.test"]
    assert (video.options, video.fingerprint, video.versions) == ({"size": 6}, {"version": "1"}, {"numpy": "2"})
    assert video.complete
    assert video.present.all()
    assert text.present.tolist() == [False, True, False, False, False]
    np.testing.assert_allclose(video.vectors[0, :4], [-0.801931, -1.324359, -0.248362, 0.420445], atol=1e-6)
    np.testing.assert_allclose(text.vectors[1], [-1.047927, -0.39619, -1.091329, -1.355209], atol=1e-6)
    assert metadata.vectors.tolist() == [[0.5, -0.25, 0, 2]]
    assert list(metadata.made_from) == ["source/metadata"]


def test_what_was_fused_and_embedded_in_a_whole_store_says_what_it_said() -> None:
    with open_store(WHOLE) as store:
        fused, embedding = store.fused, store.embedding("model")

    assert [(block.name, block.start, block.stop) for block in fused.blocks] == [("video", 0, 6), ("text", 6, 10)]
    assert [block.encoder for block in fused.blocks] == ["video.test", "text.test"]
    assert [block.fingerprint[:12] for block in fused.blocks] == ["eecb7aa3e0ff", "2e98c7b9e941"]
    assert fused.present.tolist() == [[True, number == 1] for number in range(5)]
    assert (fused.missing, fused.normalize) == ("zero", "none")
    assert fused.energy_share == pytest.approx([0.9146246, 0.0853754])
    assert list(fused.made_from) == ["encodings/text", "encodings/video"]
    np.testing.assert_allclose(fused.vectors[1, :4], [-0.174478, -0.247765, 0.236389, 0.516122], atol=1e-6)
    np.testing.assert_allclose(fused.vectors[1, 6:], [-0.330844, -0.125082, -0.344547, -0.427857], atol=1e-6)
    assert (embedding.model, embedding.layer) == (MODEL_SHA256, "output")
    assert (embedding.window, embedding.overlap, embedding.versions) == (512, 128, {"torch": "2.11"})
    assert list(embedding.made_from) == ["encodings/metadata", "fused"]
    np.testing.assert_allclose(embedding.shots[4, :3], [-0.054094, 1.338773, -0.516894], atol=1e-6)
    np.testing.assert_allclose(embedding.title[:3], [-0.721316, -0.51976, 0.160227], atol=1e-6)


@all_of_them
@pytest.mark.skipif(h5py.version.hdf5_version != HDF5, reason=f"bytes are promised with HDF5 {HDF5} only")
def test_the_writer_of_today_gives_the_same_bytes(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = read_contents(path)
    monkeypatch.setattr(commit, "__version__", WRITTEN_BY)

    update_store(tmp_path / path.name, lambda _: contents)

    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", [PARTIAL, WHOLE], ids=lambda path: path.stem)
def test_a_copy_is_updated_with_a_new_group(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path))
    before = read_contents(copy)
    colour = replace(before.encoding("video"), modality="colour")

    update_store(copy, lambda contents: contents.with_group("encodings/colour", colour))

    after = read_contents(copy)
    assert check_store(copy) == []
    np.testing.assert_array_equal(after.encoding("colour").vectors, colour.vectors)
    assert [after.digest(place) for place in before.groups] == [before.digest(place) for place in before.groups]


def test_a_partial_encoding_is_finished_in_a_copy(tmp_path: Path) -> None:
    copy = Path(shutil.copy(PARTIAL, tmp_path))

    def finish(contents: Contents | None) -> Contents:
        video = replace(contents.encoding("video"), done=np.ones(3, bool), complete=True)
        return contents.with_group("encodings/video", video)

    update_store(copy, finish)

    assert check_store(copy) == []
    assert read_contents(copy).encoding("video").complete


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[1]))
    from conftest import small_contents

    write_stores(small_contents)
