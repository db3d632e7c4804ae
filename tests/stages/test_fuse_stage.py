"""``fuse``: the order of the modalities, what it warns of, what it refuses, and the commands that it names."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mediafm_cli.cli.app import app
from mediafm_cli.errors import MediafmError, StaleError, StoreError, UsageError
from mediafm_cli.model.fusion import Normalize
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.outcome import Progress
from mediafm_cli.stages.segment import segment_title
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import Contents, open_store, read_contents
from mediafm_cli.store.schema import Fused
from mediafm_cli.synthetic import SyntheticTitle


@pytest.fixture
def store(stores: list[Path], films: list[SyntheticTitle]) -> Path:
    """The first film beside its store, which is encoded and not fused."""
    shutil.copy(films[0].path, stores[0].parent)
    update_store(stores[0], lambda contents: contents.without({"fused"}))
    return stores[0]


def encode(store: Path, modality: str, encoder: str | None = None, *options: str, **arguments: Any) -> None:
    with make_host(modality, encoder, options, preset="offline") as host:
        encode_title(store, host, EncodeSettings(modality, batch_size=2, commit_every_s=0), **arguments)


def interrupt_second_batch(progress: Progress) -> None:
    if progress.done == 4:
        raise KeyboardInterrupt


def read_fused(store: Path) -> Fused:
    with open_store(store) as found:
        return found.fused


def names(fused: Fused) -> list[str]:
    return [block.name for block in fused.blocks]


def type_command_of(error: MediafmError) -> None:
    """Run the command that the error says repairs it, as it stands."""
    words = shlex.split(error.hint.partition(": ")[2])
    assert words[0] == "mediafm"
    done = CliRunner().invoke(app, words[1:], env={"MEDIAFM_PRESET": "offline"})
    assert done.exit_code == 0, done.output


# --- what it writes ---------------------------------------------------------------------------------------------------


def test_a_fused_row_is_the_unit_vector_of_its_encodings(store: Path, films: list[SyntheticTitle]) -> None:
    fuse_title(store)

    with open_store(store) as found:
        fused, encodings = found.fused, [found.encoding(name) for name in ("video", "audio", "text")]
    rows = np.concatenate([encoding.vectors.astype(np.float64) for encoding in encodings], axis=1)
    np.testing.assert_allclose(fused.vectors, rows / np.sqrt((rows**2).sum(axis=1, keepdims=True)), rtol=1e-6)
    assert fused.present.tolist() == [[True, True, spoken] for spoken in films[0].spoken]
    assert [(block.start, block.stop) for block in fused.blocks] == [(0, 233), (233, 361), (361, 617)]
    assert [block.encoder for block in fused.blocks] == ["video.signal", "audio.logmel", "text.hashed"]
    assert (fused.missing, fused.normalize) == ("zero", "none")
    assert check_store(store) == []


def test_other_modalities_follow_the_three_by_name(store: Path) -> None:
    encode(store, "music", "audio.logmel", "n_mels=3")
    encode(store, "atmosphere", "audio.logmel", "n_mels=2")

    outcome = fuse_title(store)

    assert outcome.status == "written"
    assert names(read_fused(store)) == ["video", "audio", "text", "atmosphere", "music"]
    assert outcome.summary.startswith("627 numbers, energy: video ")


def test_modalities_are_fused_in_the_order_in_which_they_are_named(store: Path) -> None:
    fuse_title(store, modalities=["text", "video"])

    fused = read_fused(store)
    assert names(fused) == ["text", "video"]
    assert [(block.start, block.stop) for block in fused.blocks] == [(0, 256), (256, 489)]


def test_the_metadata_of_the_title_is_left_out(store: Path) -> None:
    fuse_title(store)

    with open_store(store) as found:
        assert "encodings/metadata" in found
        assert sorted(found.fused.made_from) == ["encodings/audio", "encodings/text", "encodings/video"]


def test_normalize_gives_the_modalities_of_a_shot_the_same_say(store: Path) -> None:
    fuse_title(store, normalize="per-modality")

    fused = read_fused(store)
    energy = np.add.reduceat(fused.vectors.astype(np.float64) ** 2, [0, 233, 361], axis=1)
    np.testing.assert_allclose(energy, fused.present / fused.present.sum(axis=1, keepdims=True), atol=1e-6)
    assert fused.normalize == "per-modality"


@pytest.mark.parametrize(("loudness", "share"), [(2.9, "89.4%"), (3.1, "90.6%")])
def test_a_modality_with_more_than_nine_tenths_of_the_energy_is_warned_of_until_it_is_normalized(
    loudness: float, share: str, store: Path
) -> None:
    def make_video_louder(contents: Contents) -> Contents:
        for modality, length in (("video", loudness), ("audio", 1)):
            encoding = contents.encoding(modality)
            rows = encoding.vectors / np.linalg.norm(encoding.vectors, axis=1, keepdims=True)
            louder = replace(encoding, vectors=rows * np.float32(length))
            contents = contents.with_group(f"encodings/{modality}", louder)
        return contents

    update_store(store, make_video_louder)

    outcome = fuse_title(store, modalities=["video", "audio"])

    assert f"energy: video {share}, audio" in outcome.summary  # l² / (l² + 1) of unit rows made l times as long
    assert [note.partition(";")[0] for note in outcome.notes] == (
        [f"video holds {share} of the energy where others are present, and drowns them"] * (loudness > 3)
    )
    assert fuse_title(store, normalize="per-modality", overwrite=True).notes == ()


@pytest.mark.parametrize("normalize", ["none", "per-modality"])
def test_a_modality_that_most_shots_have_alone_drowns_nothing_there(normalize: Normalize, store: Path) -> None:
    def keep_the_first_sound(contents: Contents) -> Contents:
        video, audio = contents.encoding("video"), contents.encoding("audio")
        rows = [of.vectors / np.linalg.norm(of.vectors, axis=1, keepdims=True) for of in (video, audio)]
        first = np.arange(len(rows[1])) == 0
        heard = replace(audio, vectors=np.where(first[:, None], rows[1], 0), present=first)
        contents = contents.with_group("encodings/video", replace(video, vectors=rows[0]))
        return contents.with_group("encodings/audio", heard)

    update_store(store, keep_the_first_sound)

    outcome = fuse_title(store, modalities=["video", "audio"], normalize=normalize)

    assert "energy: video 91.7%, audio 8.3%" in outcome.summary  # of 6 shots: 5.5 and 0.5
    assert outcome.notes == ()


def test_one_modality_alone_drowns_nothing(store: Path) -> None:
    assert fuse_title(store, modalities=["video"]).notes == ()


def test_shots_with_nothing_in_any_modality_are_counted(store: Path) -> None:
    outcome = fuse_title(store, modalities=["text"])

    fused = read_fused(store)
    assert outcome.notes == ("2 shots have nothing in any modality; their vectors are zero",)
    assert fused.present[:, 0].tolist() == [False, False, True, True, True, True]
    assert fused.vectors.any(axis=1).tolist() == [False, False, True, True, True, True]


# --- again ------------------------------------------------------------------------------------------------------------


def test_the_same_again_changes_nothing(store: Path) -> None:
    first = fuse_title(store)
    before = store.read_bytes()

    again = fuse_title(store)

    assert (again.status, again.summary) == ("unchanged", first.summary)
    assert store.read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "was", "now"),
    [
        ({"normalize": "per-modality"}, r"normalize none", r"normalize per-modality"),
        ({"modalities": ["audio", "video", "text"]}, r"video \(.*", r"audio \(audio\.logmel.*\) \+ video"),
        ({"modalities": ["video", "text"]}, r"video .* \+ audio .* \+ text .*", r"video \([^+]*\) \+ text"),
    ],
)
def test_vectors_fused_otherwise_are_refused_until_they_are_replaced(
    settings: dict[str, Any], was: str, now: str, store: Path
) -> None:
    fuse_title(store)
    before = store.read_bytes()

    with pytest.raises(StaleError, match=rf"fused from .*{was}; now it is .*{now}") as caught:
        fuse_title(store, **settings)

    assert caught.value.hint == "Replace them by adding --overwrite."
    assert store.read_bytes() == before
    assert fuse_title(store, **settings, overwrite=True).status == "written"
    assert fuse_title(store, **settings).status == "unchanged"


def test_two_encodings_by_one_encoder_with_other_options_are_told_apart(store: Path) -> None:
    fuse_title(store)
    encode(store, "audio", "audio.logmel", "low_hz=100", overwrite=True)

    with pytest.raises(StaleError, match="not the same") as caught:
        fuse_title(store)

    was, now = caught.value.why.removeprefix("They were fused from ").removesuffix(".").split("; now it is ")
    assert was != now


def test_a_dry_run_writes_nothing(store: Path) -> None:
    before = store.read_bytes()

    outcome = fuse_title(store, dry_run=True)

    assert outcome.status == "planned"
    assert store.read_bytes() == before
    with pytest.raises(UsageError, match="metadata cannot be fused"):
        fuse_title(store, modalities=["metadata"], dry_run=True)


# --- refusals, and the commands that they name ------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("frames=2",)], ids=["default options", "other options"])
def test_an_encoding_that_is_not_complete_is_refused_with_the_command_that_finishes_it(
    options: tuple[str, ...], store: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode(store, "video", "video.signal", *options, overwrite=True, progress=interrupt_second_batch)

    with pytest.raises(StoreError, match=r"encodings/video is not complete\. 2 of 6 shots are done") as caught:
        fuse_title(store)

    type_command_of(caught.value)
    assert fuse_title(store).status == "written"


@pytest.mark.parametrize("options", [(), ("frames=2",)], ids=["default options", "other options"])
def test_a_stale_encoding_is_refused_with_the_command_that_makes_it_again(
    options: tuple[str, ...], store: Path, films: list[SyntheticTitle]
) -> None:
    encode(store, "video", "video.signal", *options, overwrite=True)
    old = read_contents(store).encoding("video")
    segment_title(films[1].path, store, overwrite=True)
    update_store(store, lambda contents: contents.with_group("encodings/video", old))

    with pytest.raises(StaleError, match=r"encodings/video is stale\. It was made from shots/timing") as caught:
        fuse_title(store)

    type_command_of(caught.value)
    assert fuse_title(store).status == "written"
    with open_store(store) as found:
        assert found.encoding("video").options == old.options


def test_vectors_fused_from_what_changed_are_refused_with_the_command_that_makes_them_again(
    store: Path, films: list[SyntheticTitle]
) -> None:
    fuse_title(store)
    old = read_contents(store).groups["fused"]
    segment_title(films[1].path, store, overwrite=True)
    for modality in ("video", "audio", "text"):
        encode(store, modality)
    update_store(store, lambda contents: contents.with_group("fused", old))

    with pytest.raises(
        StaleError, match=r"fused is stale\. It was made from encodings/audio, encodings/text"
    ) as caught:
        fuse_title(store)

    type_command_of(caught.value)
    assert check_store(store) == []


def test_a_store_without_encodings_names_the_command_that_makes_one(store: Path) -> None:
    made = {place for place in read_contents(store).groups if place.startswith("encodings/")}
    update_store(store, lambda contents: contents.without(made))

    with pytest.raises(StoreError, match="has no encodings") as caught:
        fuse_title(store)

    type_command_of(caught.value)
    assert fuse_title(store).summary.startswith("233 numbers")


def test_a_command_can_be_typed_as_it_stands_for_a_store_with_a_space_in_its_name(store: Path) -> None:
    fuse_title(store)
    update_store(store, lambda contents: contents.without({"encodings/text"}))
    spaced = store.rename(store.parent / "the first film.h5")

    with pytest.raises(StoreError, match="has no encodings/text") as caught:
        fuse_title(spaced, modalities=["text"])

    type_command_of(caught.value)
    assert fuse_title(spaced).status == "unchanged"


@pytest.mark.parametrize(
    ("settings", "kind", "why"),
    [
        ({"modalities": ["video", "metadata"]}, UsageError, "metadata cannot be fused"),
        ({"modalities": ["video", "audio", "video"]}, UsageError, r"named twice\. Given: video, audio, video"),
        ({"normalize": "loud"}, UsageError, r"--normalize is 'loud'\. It can be: none, per-modality"),
        (
            {"modalities": ["music"]},
            StoreError,
            r"has no encodings/music\. Make it with: mediafm encode",
        ),
    ],
)
def test_what_cannot_be_fused_is_refused(
    settings: dict[str, Any], kind: type[MediafmError], why: str, store: Path
) -> None:
    before = store.read_bytes()

    with pytest.raises(kind, match=why):
        fuse_title(store, **settings)

    assert store.read_bytes() == before
