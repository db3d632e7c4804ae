"""``encode``: what it writes, how it goes on after an interruption, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from encode_runs import (
    InterruptedRunError,
    encode,
    interrupt,
    on_batch,
    read_encoding,
    uninterrupted,
    without_encodings,
    write_encoder,
)

from mediafm_cli.errors import MediaError, PluginError, StaleError
from mediafm_cli.media.shots import ShotRules
from mediafm_cli.stages.outcome import Progress
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import Contents, open_store, read_contents
from mediafm_cli.store.schema import Encoding
from mediafm_cli.synthetic import SyntheticTitle, write_catalogue

DIMS = {"video": 233, "audio": 128, "text": 256}
"""Width of the vectors of each modality in the offline preset, as the README states it."""


@pytest.fixture
def store(stores: list[Path], films: list[SyntheticTitle]) -> Path:
    """See ``without_encodings``."""
    return without_encodings(stores, films)


# --- what it writes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", DIMS)
def test_vectors_are_finite_of_the_encoders_width_and_zero_where_absent(
    modality: str, films: list[SyntheticTitle], fused_stores: list[Path]
) -> None:
    assert any(silent for film in films for silent in film.silent)
    for film, store in zip(films, fused_stores, strict=True):
        found = read_encoding(store, modality)

        # Room tone is a sound and every shot has pictures; text is there where somebody speaks.
        expected = film.spoken if modality == "text" else (True,) * len(film.spoken)
        assert found.present.tolist() == list(expected)
        assert found.complete
        assert found.vectors.dtype == np.float32
        assert found.vectors.shape == (len(film.spoken), DIMS[modality])
        assert np.isfinite(found.vectors).all()
        assert found.vectors.any(axis=1).tolist() == list(expected)


def test_a_film_without_sound_and_subtitles_has_neither_in_any_shot(tmp_path: Path) -> None:
    film = write_catalogue(tmp_path, titles=1, shots=2, size=(64, 36), sound=False, subtitles=False)[0]
    segment_title(film.path, tmp_path / "film.h5")

    outcomes = [encode(tmp_path / "film.h5", modality) for modality in ("audio", "text")]

    assert [outcome.status for outcome in outcomes] == ["written", "written"]
    for modality in ("audio", "text"):
        found = read_encoding(tmp_path / "film.h5", modality)
        assert found.complete
        assert not found.present.any()
        assert not found.vectors.any()


def test_shots_after_the_end_of_the_sound_have_none(films: list[SyntheticTitle], tmp_path: Path) -> None:
    film, store = films[0], tmp_path / "film.h5"
    stops_s = (film.start_frame[3] + 10) / film.fps
    with av.open(str(film.path)) as whole, av.open(str(tmp_path / "film.mp4"), "w") as cut:
        copies = {stream: cut.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            if packet.dts is not None and (packet.stream.type == "video" or packet.pts * packet.time_base < stops_s):
                packet.stream = copies[packet.stream]
                cut.mux(packet)
    segment_title(tmp_path / "film.mp4", store)

    encode(store, "audio")

    assert read_encoding(store, "audio").present.tolist() == [True] * 4 + [False] * 2


@pytest.mark.parametrize(("name", "row"), [("title", True), ("nothing", False)])
def test_the_metadata_is_one_row_which_is_present_where_something_is_known(
    name: str, row: bool, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    (tmp_path / "nothing.json").write_text("{}")
    known = {"title": films[0].metadata, "nothing": tmp_path / "nothing.json"}[name]
    segment_title(films[0].path, tmp_path / "film.h5", SegmentSettings(metadata=known))

    outcome = encode(tmp_path / "film.h5", "metadata")

    found = read_encoding(tmp_path / "film.h5", "metadata")
    assert found.vectors.shape == (1, DIMS["text"])
    assert found.complete
    assert found.present.tolist() == [row]
    assert found.vectors.any() == row
    assert outcome.summary.startswith(f"metadata: {int(row)} of 1 row present")


def test_metadata_and_text_need_no_film(store: Path, films: list[SyntheticTitle]) -> None:
    (store.parent / films[0].path.name).unlink()

    assert encode(store, "metadata", media=store.parent / "gone").status == "written"
    assert encode(store, "text", media=store.parent / "gone").status == "written"


def test_a_modality_of_ones_own_name_is_encoded_by_a_named_encoder(store: Path) -> None:
    encode(store, "music", "audio.logmel")
    encode(store, "audio")

    music, audio = read_encoding(store, "music"), read_encoding(store, "audio")
    assert (music.modality, music.encoder) == ("music", "audio.logmel")
    assert np.array_equal(music.vectors, audio.vectors)


def test_what_made_the_vectors_is_recorded(store: Path, tmp_path: Path) -> None:
    encode(store, "audio", options=("n_mels=8", "floor_db=-80"))
    mine = write_encoder(tmp_path, rest="fingerprint = lambda self: {'weights': 'abc'}")
    encode(store, "video", mine)

    audio, video = read_encoding(store, "audio"), read_encoding(store, "video")
    assert (audio.encoder, audio.vectors.shape[1]) == ("audio.logmel", 16)
    assert audio.options == {"n_mels": 8, "low_hz": 50.0, "floor_db": -80.0}
    assert (video.encoder, video.fingerprint) == (mine, {"weights": "abc"})


def test_progress_counts_shots_up_to_the_last(store: Path) -> None:
    seen: list[Progress] = []

    encode(store, "video", progress=seen.append)

    assert seen == [Progress(2, 6, "shots"), Progress(4, 6, "shots"), Progress(6, 6, "shots")]


# --- again, and after an interruption ---------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", [*DIMS, "metadata"])
def test_the_same_again_changes_nothing(modality: str, store: Path) -> None:
    encode(store, modality)
    before = store.read_bytes()

    outcome = encode(store, modality)

    assert outcome.status == "unchanged"
    assert store.read_bytes() == before


@pytest.mark.parametrize("modality", DIMS)
@pytest.mark.parametrize("batch", [2, 3])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(modality: str, batch: int, store: Path) -> None:
    whole, done = uninterrupted(store, modality), 2 * (batch - 1)

    with pytest.raises(InterruptedRunError):
        encode(store, modality, progress=on_batch(batch, interrupt))
    committed = read_encoding(store, modality)
    outcome = encode(store, modality)

    assert not committed.complete
    assert committed.done.tolist() == [True] * done + [False] * (6 - done)
    assert store.read_bytes() == whole
    assert outcome.summary.endswith(f", {done} from before")


def test_an_encoder_that_fails_keeps_the_finished_shots_and_goes_on_when_it_is_repaired(
    store: Path, tmp_path: Path
) -> None:
    mine, log = write_encoder(tmp_path), tmp_path / "encoded"
    whole = uninterrupted(store, "video", mine)
    write_encoder(tmp_path, "return vectors if self.calls < 3 else 1 / 0")

    with pytest.raises(PluginError, match=r"mine\.py:Mine failed on shots 4 to 5\. ZeroDivisionError: division by"):
        encode(store, "video", mine)
    done = read_encoding(store, "video").done.tolist()
    write_encoder(tmp_path, f"open({str(log)!r}, 'a').write(f'{{[shot.index for shot in shots]}}'); return vectors")
    encode(store, "video", mine)

    assert done == [True] * 4 + [False] * 2
    assert log.read_text() == "[4, 5]"
    assert store.read_bytes() == whole


def test_shots_finished_since_the_last_commit_are_all_that_a_failure_costs(store: Path) -> None:
    with pytest.raises(InterruptedRunError):
        encode(store, "video", commit_every_s=3600.0, progress=on_batch(3, interrupt))

    assert list(read_contents(store).groups) == ["source", "shots"]


@pytest.mark.parametrize("modality", DIMS)
def test_the_batch_size_changes_no_byte(modality: str, store: Path) -> None:
    bare, images = store.read_bytes(), set()
    for batch_size in (1, 4, 100):
        store.write_bytes(bare)
        encode(store, modality, batch_size=batch_size, commit_every_s=30.0)
        images.add(store.read_bytes())

    assert len(images) == 1


def test_another_batch_size_after_an_interruption_ends_with_the_same_bytes(store: Path) -> None:
    whole = uninterrupted(store, "video")
    with pytest.raises(InterruptedRunError):
        encode(store, "video", batch_size=1, progress=on_batch(4, interrupt))

    encode(store, "video", batch_size=4)

    assert store.read_bytes() == whole


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "then", "rest", "why"),
    [
        (("mine.py:Mine",), ("video.signal",), "", r"made by mine\.py:Mine, not video\.signal"),
        (("video.signal",), ("video.signal", "frames=2"), "", r"options .*'frames': 4.*, not .*'frames': 2"),
        (
            ("mine.py:Mine",),
            ("mine.py:Mine",),
            "fingerprint = lambda self: {'version': 'new'}",
            r"mine\.py:Mine has changed since: {'version': '1'} is now {'version': 'new'}",
        ),
        (("mine.py:Mine",), ("mine.py:Mine",), "dim = 2", r"mine\.py:Mine has changed since"),
    ],
    ids=["another encoder", "other options", "another fingerprint", "another width"],
)
def test_a_modality_that_was_made_otherwise_is_refused_until_it_is_replaced(
    first: tuple[str, ...],
    then: tuple[str, ...],
    rest: str,
    why: str,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_encoder(tmp_path)
    encode(store, "colour", first[0], options=first[1:])
    before = store.read_bytes()
    write_encoder(tmp_path, "return vectors[:, : self.dim]", rest)

    with pytest.raises(StaleError, match=rf"{store.name} has encodings/colour already, .*{why}") as caught:
        encode(store, "colour", then[0], options=then[1:])

    assert caught.value.hint == "Replace it by adding --overwrite."
    assert store.read_bytes() == before
    assert encode(store, "colour", then[0], options=then[1:], overwrite=True).status == "written"
    assert read_encoding(store, "colour").encoder == then[0]
    assert encode(store, "colour", then[0], options=then[1:]).status == "unchanged"


def test_an_encoding_in_which_nothing_is_present_is_no_other_encoders_either(store: Path) -> None:
    def hush(contents: Contents | None) -> Contents:
        shots = contents.groups["shots"]
        return contents.with_group("shots", replace(shots, text=np.full(len(shots.text), "", dtype=object)))

    update_store(store, hush)
    encode(store, "text")
    assert not read_encoding(store, "text").present.any()

    with pytest.raises(StaleError, match="has encodings/text already"):
        encode(store, "text", options=("dim=8",))


def test_half_of_one_encoder_is_never_finished_by_another(store: Path) -> None:
    with pytest.raises(InterruptedRunError):
        encode(store, "audio", progress=on_batch(2, interrupt))
    before = store.read_bytes()

    with pytest.raises(StaleError, match="n_mels"):
        encode(store, "audio", options=("n_mels=8",))

    assert store.read_bytes() == before


def test_shots_that_came_out_the_same_keep_what_was_made_of_them(store: Path, films: list[SyntheticTitle]) -> None:
    for modality in (*DIMS, "metadata"):
        encode(store, modality)
    before = read_contents(store)

    settings = SegmentSettings(rules=ShotRules(0.5), metadata=films[0].metadata)  # no shot of the film is shorter
    segment_title(films[0].path, store, settings, overwrite=True)

    after = read_contents(store)
    assert after.groups["shots"].options["min_shot_s"] == 0.5
    assert set(after.groups) == {*before.groups, "boundaries", "cues"}
    assert [encode(store, modality).status for modality in (*DIMS, "metadata")] == ["unchanged"] * 4


def test_shots_that_came_out_otherwise_drop_what_was_made_of_them(store: Path, films: list[SyntheticTitle]) -> None:
    for modality in (*DIMS, "metadata"):
        encode(store, modality)
    shutil.copy(films[0].subtitles, store.parent)

    settings = SegmentSettings(rules=ShotRules(1.1), metadata=films[0].metadata)  # the fifth shot is 25 frames long
    outcome = segment_title(store.parent / films[0].path.name, store, settings, overwrite=True)

    assert list(read_contents(store).groups) == ["source", "shots", "boundaries", "cues", "encodings/metadata"]
    assert "dropped, because the shots changed: encodings/audio, encodings/text, encodings/video" in outcome.notes
    assert encode(store, "video").summary.startswith("video: 5 of 5 shots present")


def cut_otherwise(contents: Contents) -> Contents:
    shots = contents.groups["shots"]
    start, end = shots.start_pts.copy(), shots.end_pts.copy()
    start[1] = end[0] = start[1] + 1
    return contents.with_group("shots", replace(shots, start_pts=start, end_pts=end))


def encode_half(contents: Contents) -> Contents:
    """What another process would have committed by now."""
    blank = np.zeros(6, bool)
    vectors = np.zeros((6, 233), np.float32)
    made_by = {"modality": "video", "encoder": "video.signal", "options": {}, "fingerprint": {}, "versions": {}}
    made_from = parts_sha256(contents, ["shots/timing"])
    half = Encoding(vectors, blank, np.arange(6) < 3, complete=False, made_from=made_from, **made_by)
    return contents.with_group("encodings/video", half)


@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwrite"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (cut_otherwise, r"changed while it was being encoded\. Changed: shots/timing"),
        (encode_half, "another process encodes video at the same time"),
    ],
)
def test_a_store_that_changes_meanwhile_is_left_as_it_was_changed(
    change: Callable[[Contents], Contents], why: str, overwrite: bool, store: Path
) -> None:
    changed = read_contents(store)

    def act() -> None:
        nonlocal changed
        changed = update_store(store, change)

    with pytest.raises(StaleError, match=rf"{store.name}.* {why}"):
        encode(store, "video", progress=on_batch(2, act), overwrite=overwrite)

    found = read_contents(store)
    assert {place: found.digest(place) for place in found.groups} == {
        place: changed.digest(place) for place in changed.groups
    }


def test_a_store_that_is_removed_meanwhile_is_not_made_again(store: Path) -> None:
    with pytest.raises(StaleError, match=rf"{store.name} is gone"):
        encode(store, "video", progress=on_batch(2, store.unlink))

    assert not store.exists()


def test_another_modality_that_lands_meanwhile_stays(store: Path) -> None:
    encode(store, "video", progress=on_batch(2, lambda: encode(store, "text")))

    with open_store(store) as found:
        assert found.modalities == ("text", "video")
    assert check_store(store) == []


def test_overwriting_replaces_what_is_there_at_the_first_commit(store: Path) -> None:
    encode(store, "video")
    whole = store.read_bytes()

    with pytest.raises(InterruptedRunError):
        encode(store, "video", overwrite=True, progress=on_batch(2, interrupt))
    done = read_encoding(store, "video").done.tolist()
    encode(store, "video")

    assert done == [True] * 2 + [False] * 4
    assert store.read_bytes() == whole


def test_a_dry_run_says_what_is_left_and_writes_nothing(store: Path) -> None:
    with pytest.raises(InterruptedRunError):
        encode(store, "video", progress=on_batch(2, interrupt))
    before = store.read_bytes()

    left, anew = encode(store, "video", dry_run=True), encode(store, "video", dry_run=True, overwrite=True)

    assert (left.status, left.summary) == ("planned", "4 of 6 rows would be encoded by video.signal")
    assert anew.summary == "6 of 6 rows would be encoded by video.signal"
    with open_store(store) as opened:
        spoken = sum(map(bool, opened.shots.text))
    assert 0 < spoken < 6
    planned = encode(store, "text", dry_run=True).summary
    assert planned == f"6 of 6 rows would be encoded by text.hashed, {spoken} with text"
    assert store.read_bytes() == before
    assert not list(store.parent.glob("*.lock"))


def test_a_dry_run_finds_what_would_be_refused(store: Path, films: list[SyntheticTitle]) -> None:
    encode(store, "text")
    (store.parent / films[0].path.name).unlink()

    with pytest.raises(StaleError):
        encode(store, "text", options=("dim=8",), dry_run=True)
    with pytest.raises(MediaError, match="was not found"):
        encode(store, "video", dry_run=True)


# --- the film ---------------------------------------------------------------------------------------------------------


def test_a_film_that_moved_is_found_beside_the_store_and_by_its_folder(
    store: Path, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    beside = store.parent / films[0].path.name

    assert encode(store, "video").status == "written"
    beside.rename(tmp_path / "elsewhere" / beside.name)
    assert encode(store, "audio", media=tmp_path / "elsewhere").status == "written"


def test_a_film_is_found_where_it_was_when_it_moves_with_its_store(films: list[SyntheticTitle], tmp_path: Path) -> None:
    for folder in ("films", "stores"):
        (tmp_path / "here" / folder).mkdir(parents=True)
    shutil.copy(films[0].path, tmp_path / "here" / "films" / "film.mp4")
    segment_title(tmp_path / "here" / "films" / "film.mp4", tmp_path / "here" / "stores" / "film.h5")

    (tmp_path / "here").rename(tmp_path / "there")

    assert encode(tmp_path / "there" / "stores" / "film.h5", "video").status == "written"


def test_a_film_that_is_gone_is_named_with_every_place_that_was_looked_at(
    store: Path, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    name = films[0].path.name
    (store.parent / name).unlink()
    before = store.read_bytes()

    with pytest.raises(MediaError, match=f"The media file of {store}, {name}, was not found") as caught:
        encode(store, "video", media=tmp_path / "elsewhere")

    with open_store(store) as found:
        places = [tmp_path / "elsewhere" / name, store.parent / found.source.path, store.parent / name]
    assert caught.value.why == f"Looked at: {', '.join(map(str, places))}."
    assert "--media FOLDER" in caught.value.hint
    assert store.read_bytes() == before


@pytest.mark.parametrize("keeps_its_size", [True, False])
def test_a_film_that_changed_is_refused(
    keeps_its_size: bool, store: Path, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    film = store.parent / films[0].path.name
    image = bytearray(film.read_bytes())
    image[len(image) // 2] ^= 1
    film.write_bytes(image if keeps_its_size else image + b"\0")

    with pytest.raises(StaleError, match=rf"{film} is not the file that {store} was segmented from") as caught:
        encode(store, "video")

    words = "--segmenter content --opt contrast=0.45 --opt gradual=True --min-shot 0.15 --opt ratio=2.3"
    assert caught.value.hint == f"Segment it again: mediafm segment {film} -o {store} {words} --overwrite"
