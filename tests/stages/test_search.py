"""Shots near to a shot, a picture or a sentence: the right ones, in the right vectors, by the right encoder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import cdist
from small_contents import small_contents
from small_titles import make_model, make_store
from tiny_checkpoints import write_open_clip

from mediafm_cli.encoders.text_hashed import TextHashed
from mediafm_cli.encoders.video_open_clip import VideoOpenClip, VideoOpenClipOptions
from mediafm_cli.errors import MediaError, MediafmError, PluginError, StaleError, StoreError, UsageError, command
from mediafm_cli.model.folder import load_model, model_fingerprint
from mediafm_cli.stages.embed import EmbedSettings, embed_store
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.queries import encode_image, encode_text, host_of, read_encoding, read_image
from mediafm_cli.stages.search import ShotPlace, choose_place, find_shot, scan_titles, search, vector_of
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import Contents, open_store
from mediafm_cli.synthetic import SyntheticTitle

CLIP_VOCABULARY = 49408


@pytest.fixture
def small(tmp_path: Path) -> list[Path]:
    """Three titles of random vectors."""
    return [make_store(tmp_path, title_id, shots) for title_id, shots in (("a", 9), ("b: Teil 2", 4), ("c", 6))]


@pytest.fixture
def clip(stores: list[Path], films: list[SyntheticTitle], tmp_path: Path) -> tuple[list[Path], Path]:
    """The films' stores, encoded by an untrained CLIP; and its folder."""
    folder = write_open_clip(tmp_path / "clip", vocabulary=CLIP_VOCABULARY)
    media = EncodeSettings("video", media=films[0].path.parent)
    with make_host("video", "video.open-clip", [f"model={folder}", "frames=2"], preset="offline") as host:
        for store in stores:
            encode_title(store, host, media, overwrite=True)
    return stores, folder


@pytest.fixture
def poster(films: list[SyntheticTitle], fused_stores: list[Path], tmp_path: Path) -> Path:
    """A frame from the middle of shot 3 of the second film, as a PNG."""
    with open_store(fused_stores[1]) as store:
        frame = int(store.shots.start_frame[3] + store.shots.end_frame[3]) // 2
    with av.open(str(films[1].path)) as container:
        pictures = [picture.to_image() for picture in container.decode(video=0)]
    pictures[frame].save(tmp_path / "poster.png")
    return tmp_path / "poster.png"


# --- the shots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["encodings/video", "fused"])
def test_hits_are_those_of_the_smallest_cosine_distance_over_all_titles(place: str, small: list[Path]) -> None:
    vectors, places = [], []
    for path in small:
        with open_store(path) as store:
            of_title = store.read(place).vectors
        vectors.append(of_title)
        places += [(path, shot) for shot in range(len(of_title))]
    query = vectors[0][4]
    distances = cdist([query], np.concatenate(vectors), "cosine")[0]
    expected = [number for number in np.argsort(distances) if places[number] != (small[0], 4)][:6]

    hits = search(scan_titles(small), place, query, count=6, left_out={small[0]: 4})

    assert [(hit.store, hit.shot) for hit in hits] == [places[number] for number in expected]
    np.testing.assert_allclose([hit.cosine for hit in hits], 1 - distances[expected], atol=1e-6)


def test_a_hit_says_what_its_store_says_of_the_shot(small: list[Path]) -> None:
    hit = search(scan_titles(small), "encodings/text", vector_of("encodings/text", ShotPlace(small[1], 1)), count=1)[0]

    assert (hit.store, hit.title_id, hit.shot) == (small[1], "b: Teil 2", 1)
    assert (hit.start_s, hit.end_s, hit.text) == (1.5, 3.0, "Guten Tag, Ärger!")
    assert hit.cosine == pytest.approx(1)


def test_shots_without_the_modality_are_never_found(small: list[Path]) -> None:
    hits = search(scan_titles(small), "encodings/text", np.ones(4), count=100)

    assert sorted((hit.store, hit.shot) for hit in hits) == [(path, 1) for path in small]


def test_a_title_can_be_left_out(small: list[Path]) -> None:
    hits = search(
        scan_titles(small), "fused", vector_of("fused", ShotPlace(small[0], 2)), count=100, left_out={small[0]: None}
    )

    assert {hit.store for hit in hits} == set(small[1:])


def test_a_shot_that_lacks_the_modality_is_nothing_to_search_by(small: list[Path]) -> None:
    with pytest.raises(StoreError, match=r"Shot 0 of .* has nothing in encodings/text"):
        vector_of("encodings/text", ShotPlace(small[0], 0))


def test_stale_vectors_are_refused(small: list[Path]) -> None:
    def retell(contents: Contents | None) -> Contents:
        shots = contents.groups["shots"]
        return contents.with_group("shots", replace(shots, text=shots.text[::-1]))

    update_store(small[1], retell)

    with pytest.raises(StaleError, match="encodings/text is stale"):
        search(scan_titles(small), "encodings/text", np.ones(4))


def test_vectors_made_from_what_is_stale_are_refused(tmp_path: Path) -> None:
    contents = small_contents()
    video = contents.encoding("video")
    store = tmp_path / "film.h5"
    update_store(store, lambda _: contents)
    assert vector_of("embeddings/model", ShotPlace(store, 1)).any()
    update_store(
        store, lambda _: contents.with_group("encodings/video", replace(video, vectors=video.vectors[::-1].copy()))
    )

    with pytest.raises(StaleError, match=r"fused is stale.*mediafm fuse"):
        vector_of("embeddings/model", ShotPlace(store, 1))


def test_vectors_that_are_not_all_there_are_refused(small: list[Path]) -> None:
    def halve(contents: Contents | None) -> Contents:
        video = contents.encoding("video")
        half = np.arange(len(video.done)) < 2
        halved = replace(video, vectors=video.vectors * half[:, None], present=half, done=half, complete=False)
        return contents.with_group("encodings/video", halved)

    update_store(small[1], halve)

    with pytest.raises(StoreError, match=r"encodings/video is not complete\. 2 of 4 shots are done"):
        search(scan_titles(small), "encodings/video", np.ones(6))


@pytest.mark.parametrize(
    ("place", "change", "told"),
    [
        ("encodings/video", {"fingerprint": {"version": "2"}}, "of two encoders"),
        ("encodings/video", {"options": {"size": 7}}, "of two encoders"),
        ("fused", {"normalize": "per-modality"}, "of two layouts"),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(
    place: str, change: dict[str, object], told: str, small: list[Path]
) -> None:
    update_store(small[2], lambda contents: contents.with_group(place, replace(contents.groups[place], **change)))

    with pytest.raises(StaleError, match=f"{small[0]} and {small[2]} have {place} {told}"):
        search(scan_titles(small), place, vector_of(place, ShotPlace(small[0], 0)))


def test_what_is_fused_otherwise_than_the_first_is_told_how_to_be_fused_like_it(small: list[Path]) -> None:
    fuse_title(small[0], normalize="per-modality", overwrite=True)

    with pytest.raises(StaleError) as caught:
        search(scan_titles(small), "fused", vector_of("fused", ShotPlace(small[0], 0)))

    modalities = ("--modality", "video", "--modality", "text")
    wanted = command("mediafm", "fuse", small[1], *modalities, "--normalize", "per-modality", "--overwrite")
    assert f"Make them alike with: {wanted}." in caught.value.hint
    for store in small[1:]:
        fuse_title(store, normalize="per-modality", overwrite=True)
    assert search(scan_titles(small), "fused", vector_of("fused", ShotPlace(small[0], 0)))


# --- where, and what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "place"), [((), "fused"), (("context",), "embeddings/context"), (("context", "other"), "fused")]
)
def test_the_embeddings_are_searched_where_there_are_any_of_one_name_and_else_what_is_fused(
    names: tuple[str, ...], place: str, small: list[Path]
) -> None:
    folder = make_model(small[0].parent / "made", small[0])
    for name in names:
        embed_store(small[0], load_model(folder), model_fingerprint(folder), EmbedSettings(name))

    assert choose_place(scan_titles(small), None) == place


@pytest.mark.parametrize(
    ("named", "place"),
    [
        ("flat", "fused"),
        ("fused", "fused"),
        ("text", "encodings/text"),
        ("encodings/text", "encodings/text"),
        ("other", "embeddings/other"),
        ("embeddings/other", "embeddings/other"),
    ],
)
def test_vectors_are_named_in_short_or_by_their_group(named: str, place: str, small: list[Path]) -> None:
    folder = make_model(small[0].parent / "made", small[0])
    embed_store(small[1], load_model(folder), model_fingerprint(folder), EmbedSettings("other"))

    assert choose_place(scan_titles(small), named) == place


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("vidoe", r"have vectors called 'vidoe'\. There are: text, video, flat"),
        ("shots", "have vectors called 'shots'"),
        ("source", "have vectors called 'source'"),
        ("metadata", "Metadata is of the title as a whole"),
        ("text", "can be encodings/text or embeddings/text"),
    ],
)
def test_a_name_that_is_of_no_vectors_or_of_two_is_refused(named: str, told: str, tmp_path: Path) -> None:
    store = make_store(tmp_path, "film", 5, metadata=True)
    folder = make_model(tmp_path / "made", store)
    embed_store(store, load_model(folder), model_fingerprint(folder), EmbedSettings("text"))

    with pytest.raises(UsageError, match=told):
        choose_place(scan_titles([store]), named)


@pytest.mark.parametrize(
    ("like", "store", "shot"),
    [
        ("a:0", 0, 0),
        ("a:8", 0, 8),
        ("a@0", 0, 0),
        ("a@1.5", 0, 1),
        ("a@13.49", 0, 8),
        ("b: Teil 2:3", 1, 3),
        ("b: Teil 2@4.4", 1, 2),
        ("renamed:1", 2, 1),
        ("renamed.h5:1", 2, 1),
        ("c:1", 2, 1),
    ],
)
def test_a_shot_is_named_by_title_or_store_and_by_number_or_time(
    like: str, store: int, shot: int, small: list[Path]
) -> None:
    small[2] = small[2].rename(small[2].with_name("renamed.h5"))

    assert find_shot(scan_titles(small), like) == ShotPlace(small[store], shot)


@pytest.mark.parametrize(
    ("like", "told"),
    [
        ("a", "'a' names no shot. Write TITLE:NUMBER or TITLE@SECONDS"),
        ("a:-1", "'a:-1' names no shot"),
        (f"a:{'9' * 5000}", "names no shot"),
        ("a:9", "'a' has no shot 9. Its shots are 0 to 8."),
        ("a@13.5", "'a' has no shot at 13.5 s. The title goes from 0.000 s to 13.500 s."),
        (
            "b: Teil:1",
            "There is no title 'b: Teil'. None of the 3 stores has this id or name. Did you mean 'b: Teil 2'",
        ),
    ],
)
def test_a_shot_that_is_not_there_is_told(like: str, told: str, small: list[Path]) -> None:
    with pytest.raises(UsageError) as caught:
        find_shot(scan_titles(small), like)

    assert told in str(caught.value)


# --- pictures and sentences -------------------------------------------------------------------------------------------


def test_a_picture_finds_the_shot_that_it_is_from(stores: list[Path], poster: Path) -> None:
    with host_of(read_encoding(stores[0], "encodings/video")) as host:
        query = encode_image(host, poster)

    hit = search(scan_titles(stores), "encodings/video", query, count=1)[0]
    assert (hit.store, hit.shot) == (stores[1], 3)


def test_a_picture_is_encoded_as_the_frames_of_a_shot(clip: tuple[list[Path], Path], poster: Path) -> None:
    stores, folder = clip
    import open_clip
    import torch

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.no_grad(), Image.open(poster) as picture:
        expected = model.eval().encode_image(preprocess(picture)[None], normalize=True).numpy()[0]

    with host_of(read_encoding(stores[0], "encodings/video")) as host:
        found = encode_image(host, poster)

    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_sentence_is_encoded_by_the_text_tower_of_the_encoder_that_the_stores_name(
    clip: tuple[list[Path], Path],
) -> None:
    stores, folder = clip
    encoder = VideoOpenClip(VideoOpenClipOptions(model=str(folder), frames=2))
    encoder.load()

    with host_of(read_encoding(stores[0], "encodings/video")) as host:
        query = encode_text(host, "a boat at sea")

    np.testing.assert_allclose(query, encoder.encode_texts(["a boat at sea"])[0], atol=1e-6)
    with open_store(stores[2]) as store:
        distances = cdist([query], store.encoding("video").vectors, "cosine")[0]
    hits = search(scan_titles(stores[2:]), "encodings/video", query, count=2)
    assert [hit.shot for hit in hits] == np.argsort(distances)[:2].tolist()


def test_a_sentence_is_the_text_of_a_shot_to_an_encoder_of_text(stores: list[Path]) -> None:
    with open_store(stores[0]) as store:
        spoken = next(shot for shot, text in enumerate(store.shots.text) if text)
        text, vector = store.shots.text[spoken], store.encoding("text").vectors[spoken]

    with host_of(read_encoding(stores[0], "encodings/text")) as host:
        query = encode_text(host, text)

    assert isinstance(host.encoder, TextHashed)
    np.testing.assert_array_equal(query, vector)


def test_an_encoder_without_a_text_tower_says_so_and_names_one_that_has_it(stores: list[Path]) -> None:
    with (
        host_of(read_encoding(stores[0], "encodings/video")) as host,
        pytest.raises(UsageError, match=r"video.signal cannot be asked by a sentence.*--encoder video\.open-clip"),
    ):
        encode_text(host, "a boat at sea")


def test_an_encoder_of_sound_does_not_look_at_pictures(stores: list[Path], poster: Path) -> None:
    with (
        host_of(read_encoding(stores[0], "encodings/audio")) as host,
        pytest.raises(UsageError, match=r"audio.logmel does not look at pictures"),
    ):
        encode_image(host, poster)


def test_what_is_fused_has_no_encoder_to_ask(stores: list[Path]) -> None:
    with pytest.raises(UsageError, match="fused can be searched for shots only"):
        read_encoding(stores[0], "fused")


def test_an_empty_sentence_is_refused(stores: list[Path]) -> None:
    with (
        host_of(read_encoding(stores[0], "encodings/text")) as host,
        pytest.raises(UsageError, match="The sentence to search for is empty"),
    ):
        encode_text(host, " \n")


def test_other_weights_than_those_of_the_stores_are_refused(clip: tuple[list[Path], Path]) -> None:
    stores, folder = clip
    shutil.rmtree(folder)
    write_open_clip(folder, seed=1, vocabulary=CLIP_VOCABULARY)

    with pytest.raises(StaleError, match=r"video.open-clip is not as it was .* Its fingerprint was .*, and is now"):
        host_of(read_encoding(stores[0], "encodings/video"))


def test_weights_that_moved_are_named_by_an_option(clip: tuple[list[Path], Path], tmp_path: Path) -> None:
    stores, folder = clip
    encoding = read_encoding(stores[0], "encodings/video")
    folder.rename(tmp_path / "moved")

    with pytest.raises(MediafmError):
        host_of(encoding)
    with host_of(encoding, [f"model={tmp_path / 'moved'}"]) as host:
        assert encode_text(host, "rain").shape == (16,)


def test_an_option_that_changes_the_vectors_is_refused(clip: tuple[list[Path], Path]) -> None:
    stores, _ = clip

    with pytest.raises(StaleError, match="Other options: frames=3"):
        host_of(read_encoding(stores[0], "encodings/video"), ["frames=3"])


@pytest.mark.parametrize(
    "given", [np.ones((1, 3), np.float32), np.full((1, 16), np.nan, np.float32), np.zeros((1, 16), np.float32)]
)
def test_a_text_tower_that_breaks_its_promise_is_named(
    given: np.ndarray, clip: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, _ = clip
    monkeypatch.setattr(VideoOpenClip, "encode_texts", lambda *_: given)

    with (
        host_of(read_encoding(stores[0], "encodings/video")) as host,
        pytest.raises(PluginError, match=r"video.open-clip .* for a sentence"),
    ):
        encode_text(host, "rain")


@pytest.mark.parametrize("max_side", [None, 40])
def test_a_picture_is_turned_upright_and_scaled_as_frames_are(max_side: int | None, tmp_path: Path) -> None:
    upright = np.zeros((80, 60, 3), np.uint8)
    upright[:40] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)

    found = read_image(tmp_path / "turned.png", max_side)

    assert found.shape == ((80, 60, 3) if max_side is None else (40, 30, 3))
    assert found.dtype == np.uint8
    assert found[2, 2].tolist() == [255, 0, 0]
    assert found[-2, 2].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.write_text("no picture"), "It is of no kind that is known"),
        (lambda path: path.mkdir(), "Is a directory"),
    ],
)
def test_what_is_no_picture_is_told(write: Callable[[Path], object], told: str, tmp_path: Path) -> None:
    write(tmp_path / "poster.jpg")

    with pytest.raises(MediaError, match=rf"poster.jpg cannot be read as a picture.*{told}"):
        read_image(tmp_path / "poster.jpg", None)
