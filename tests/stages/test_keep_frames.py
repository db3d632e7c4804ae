"""Frames and sound kept from the pass that finds the shots: the same as are read later, and what becomes of them."""

from __future__ import annotations

import errno
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mediafm_cli.api import Frames
from mediafm_cli.errors import MediaError
from mediafm_cli.media import audio
from mediafm_cli.media.container import Decoding
from mediafm_cli.media.frames import sample_frames
from mediafm_cli.media.kept import KeptFrom, KeptWriter, kept_path
from mediafm_cli.media.kept_frames import FramesWriter, open_kept_frames
from mediafm_cli.media.shots import DEFAULT_RULES, ShotRules
from mediafm_cli.stages import keep
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.read import open_store
from mediafm_cli.store.schema import Shots
from mediafm_cli.synthetic import SyntheticTitle

SMALL, FULL = Frames(4, max_side=96), Frames(4)


def keep_frames(film: Path, store: Path, needs: Frames, rules: ShotRules = DEFAULT_RULES) -> Shots:
    segment_title(film, store, SegmentSettings(keep_frames=needs, rules=rules))
    with open_store(store) as opened:
        return opened.shots


def spans_of(shots: Shots) -> list[tuple[int, int]]:
    return list(zip(shots.start_pts.tolist(), shots.end_pts.tolist(), strict=True))


def read_kept(store: Path, shots: Shots, needs: Frames) -> list[np.ndarray]:
    with open_store(store) as opened:
        media = opened.source.fingerprint
    kept = open_kept_frames(store, media, shots.video_stream, needs)
    assert kept is not None
    with kept:
        return [kept.read(*span) for span in spans_of(shots)]


def sought(film: Path, shots: Shots, needs: Frames) -> list[np.ndarray]:
    return [frames for _, frames in sample_frames(film, spans_of(shots), needs, shots.video_stream)]


def encode(store: Path, modality: str, options: Sequence[str] = ()) -> np.ndarray:
    with make_host(modality, preset="offline", options=options) as host:
        encode_title(store, host, EncodeSettings(modality))
    with open_store(store) as opened:
        return opened.encoding(modality).vectors


def encode_video(store: Path) -> np.ndarray:
    return encode(store, "video", ["max_side=96"])


@pytest.fixture
def no_seeking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame has to come from the pass."""

    def refuse(*arguments: object) -> Iterator[tuple[int, None]]:
        raise AssertionError(f"frames are sought: {arguments}")

    monkeypatch.setattr(keep, "sample_frames", refuse)


@pytest.mark.usefixtures("no_seeking")
def test_kept_frames_are_those_that_would_be_sought(films: list[SyntheticTitle], tmp_path: Path) -> None:
    shots = keep_frames(films[0].path, tmp_path / "film.h5", SMALL)

    kept = read_kept(tmp_path / "film.h5", shots, SMALL)

    np.testing.assert_array_equal(np.stack(kept), np.stack(sought(films[0].path, shots, SMALL)))


@pytest.mark.usefixtures("no_seeking")
def test_frames_of_shots_that_were_joined_are_kept_in_passing(films: list[SyntheticTitle], tmp_path: Path) -> None:
    rules = ShotRules(min_shot_s=4)
    shots = keep_frames(films[0].path, tmp_path / "film.h5", SMALL, rules)

    kept = read_kept(tmp_path / "film.h5", shots, SMALL)

    assert len(kept) < len(films[0].cuts)
    np.testing.assert_array_equal(np.stack(kept), np.stack(sought(films[0].path, shots, SMALL)))


def test_of_shots_that_were_split_the_parts_are_kept_and_nothing_else(
    films: list[SyntheticTitle], tmp_path: Path
) -> None:
    shots = keep_frames(films[0].path, tmp_path / "film.h5", SMALL, ShotRules(max_shot_s=1))

    kept = read_kept(tmp_path / "film.h5", shots, SMALL)

    np.testing.assert_array_equal(np.stack(kept), np.stack(sought(films[0].path, shots, SMALL)))
    with zipfile.ZipFile(kept_path(tmp_path / "film.h5")) as archive:
        names = {name for name in archive.namelist() if name.endswith(".png")}
    assert names == {f"{start}_{end}_{number}.png" for start, end in spans_of(shots) for number in range(4)}


@pytest.mark.usefixtures("no_seeking")
def test_frames_in_full_size_are_kept_nearly_exactly(films: list[SyntheticTitle], tmp_path: Path) -> None:
    shots = keep_frames(films[0].path, tmp_path / "film.h5", FULL)

    kept = np.stack(read_kept(tmp_path / "film.h5", shots, FULL)).astype(int)

    error = kept - np.stack(sought(films[0].path, shots, FULL))
    assert np.sqrt((error**2).mean()) < 2.5  # levels of 255: about 40 dB


def test_real_films_are_kept_as_they_are_sought(media: Path, tmp_path: Path) -> None:
    for name in ("nasa_13013.mp4", "fire2_vfr_rot180.mp4", "sintel_10s.mp4"):
        shots = keep_frames(media / name, tmp_path / f"{name}.h5", SMALL)

        kept = read_kept(tmp_path / f"{name}.h5", shots, SMALL)

        np.testing.assert_array_equal(np.stack(kept), np.stack(sought(media / name, shots, SMALL)))


def test_encoding_gives_the_same_bytes_with_kept_frames_and_without(
    films: list[SyntheticTitle], tmp_path: Path
) -> None:
    keep_frames(films[0].path, tmp_path / "kept.h5", SMALL)
    segment_title(films[0].path, tmp_path / "bare.h5")

    np.testing.assert_array_equal(encode_video(tmp_path / "kept.h5"), encode_video(tmp_path / "bare.h5"))


def test_encoding_needs_no_film_where_all_frames_were_kept(films: list[SyntheticTitle], tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(films[0].path.read_bytes())
    keep_frames(film, tmp_path / "film.h5", SMALL)
    film.unlink()

    vectors = encode_video(tmp_path / "film.h5")

    assert vectors.any(axis=1).all()


def test_frames_kept_in_full_size_serve_any_smaller_need_and_leave_a_mark(
    films: list[SyntheticTitle], tmp_path: Path
) -> None:
    keep_frames(films[0].path, tmp_path / "full.h5", FULL)
    segment_title(films[0].path, tmp_path / "bare.h5")

    from_jpeg, exact = encode_video(tmp_path / "full.h5"), encode_video(tmp_path / "bare.h5")

    np.testing.assert_allclose(from_jpeg, exact, atol=0.05)
    with open_store(tmp_path / "full.h5") as full, open_store(tmp_path / "bare.h5") as bare:
        assert full.encoding("video").versions["kept-frames"] == "jpeg-95"
        assert "kept-frames" not in bare.encoding("video").versions


def test_shots_too_short_for_the_grid_are_sought_and_kept_too(media: Path, tmp_path: Path) -> None:
    needs = Frames(6, max_side=64)  # the last shot of the clip is 5 frames long

    shots = keep_frames(media / "mov_bbb_4s.mp4", tmp_path / "film.h5", needs)

    kept = read_kept(tmp_path / "film.h5", shots, needs)
    np.testing.assert_array_equal(np.stack(kept), np.stack(sought(media / "mov_bbb_4s.mp4", shots, needs)))


def test_frames_of_shots_that_are_there_already_are_kept_later(films: list[SyntheticTitle], tmp_path: Path) -> None:
    store = tmp_path / "film.h5"
    segment_title(films[0].path, store)
    settings = SegmentSettings(keep_frames=SMALL)

    first, again = (segment_title(films[0].path, store, settings) for _ in range(2))

    assert (first.status, again.status) == ("written", "unchanged")
    assert kept_path(store).exists()


def test_the_same_frames_give_the_same_bytes(films: list[SyntheticTitle], tmp_path: Path) -> None:
    for name in ("one", "two"):
        keep_frames(films[0].path, tmp_path / f"{name}.h5", SMALL)

    assert kept_path(tmp_path / "one.h5").read_bytes() == kept_path(tmp_path / "two.h5").read_bytes()


def test_what_was_kept_of_another_film_or_in_another_number_is_not_taken(
    films: list[SyntheticTitle], tmp_path: Path
) -> None:
    store = tmp_path / "film.h5"
    shots = keep_frames(films[0].path, store, SMALL)
    with open_store(store) as opened:
        media = opened.source.fingerprint

    assert open_kept_frames(store, "0" * 64, shots.video_stream, SMALL) is None
    assert open_kept_frames(store, media, shots.video_stream + 1, SMALL) is None
    assert open_kept_frames(store, media, shots.video_stream, Frames(3, max_side=96)) is None
    assert open_kept_frames(store, media, shots.video_stream, Frames(4, max_side=95)) is None


def put_into(path: Path, name: str, data: bytes, *, compress: bool = False) -> None:
    """Replace one member of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for member, old in members.items():
            archive.writestr(member, data if member == name else old)


def huge_png() -> bytes:
    data = io.BytesIO()
    Image.new("1", (9000, 9000)).save(data, "png")
    return data.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff not a picture", huge_png()], ids=["nothing", "broken", "81 megapixels"]
)
def test_a_damaged_picture_is_an_error_that_says_what_to_delete(
    films: list[SyntheticTitle], tmp_path: Path, data: bytes
) -> None:
    store = tmp_path / "film.h5"
    shots = keep_frames(films[0].path, store, SMALL)
    start, end = spans_of(shots)[0]
    put_into(kept_path(store), f"{start}_{end}_0.png", data)

    with pytest.raises(MediaError, match=r"holds nothing kept that can be read.* Delete it: rm .*film\.frames\.zip"):
        read_kept(store, shots, SMALL)


def test_compressed_members_and_files_of_another_kind_are_refused(films: list[SyntheticTitle], tmp_path: Path) -> None:
    store = tmp_path / "film.h5"
    shots = keep_frames(films[0].path, store, SMALL)
    put_into(kept_path(store), "", b"", compress=True)

    with pytest.raises(MediaError, match="not as it was written"):
        read_kept(store, shots, SMALL)
    kept_path(store).write_bytes(b"no archive")
    with pytest.raises(MediaError, match="BadZipFile"):
        read_kept(store, shots, SMALL)


def give_up(path: Path) -> None:
    with KeptWriter(path, KeptFrom("ab" * 32, 0, 1)) as writer:
        FramesWriter(writer).add(0, 10, [np.zeros((4, 4, 3), np.uint8)])
        raise InterruptedError


def test_nothing_is_left_of_frames_that_were_not_finished(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        give_up(tmp_path / "film.frames.zip")

    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "film.frames.zip"

    with KeptWriter(path, KeptFrom("ab" * 32, 0, 1)) as writer:
        with pytest.raises(MediaError, match="Another process is keeping frames"):
            KeptWriter(path, KeptFrom("ab" * 32, 0, 1))
        FramesWriter(writer).add(0, 10, [np.zeros((4, 4, 3), np.uint8)])
        writer.commit()

    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["frames.json", "0_10_0.jpg"]
        assert json.loads(archive.read("frames.json"))["count"] == 1


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "film.frames.zip"
    (tmp_path / ".film.frames.zip.tmp").write_bytes(b"half a file" * 1000)

    with KeptWriter(path, KeptFrom("ab" * 32, 0, 1)) as writer:
        writer.commit()

    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert path.stat().st_size < 1000


@pytest.mark.parametrize("refused", ["frames.json", "0_"])
def test_a_full_disk_is_blamed_on_nobody_and_leaves_nothing(
    films: list[SyntheticTitle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    write = zipfile.ZipFile.writestr

    def fill_up(archive: zipfile.ZipFile, member: zipfile.ZipInfo, data: bytes) -> None:
        if member.filename.startswith(refused):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(archive, member, data)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fill_up)

    with pytest.raises(MediaError, match=r"could not be written\. No space left on device\. Make room"):
        keep_frames(films[0].path, tmp_path / "film.h5", SMALL)

    assert list(tmp_path.iterdir()) == []


def test_an_encrypted_member_is_an_error_like_any_other_damage(films: list[SyntheticTitle], tmp_path: Path) -> None:
    store = tmp_path / "film.h5"
    shots = keep_frames(films[0].path, store, SMALL)
    data = bytearray(kept_path(store).read_bytes())
    data[6] |= 1  # the flag in the header of the first member, and in the directory at the end
    data[data.index(b"PK\x01\x02") + 8] |= 1
    kept_path(store).write_bytes(data)

    with pytest.raises(MediaError, match=r"holds nothing kept that can be read\. RuntimeError: .*encrypted"):
        read_kept(store, shots, SMALL)


@pytest.fixture
def no_demuxing(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sound has to come from the pass."""

    def refuse(*arguments: object) -> Iterator[None]:
        raise AssertionError(f"the film is demuxed: {arguments}")

    monkeypatch.setattr(audio, "iterate_packets", refuse)


def test_sound_that_was_kept_gives_the_same_bytes_and_is_not_demuxed_again(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    bare = {}
    for name in ("bbb_480p_30s.mp4", "bbb_0_30_vp8.webm", "nasa_13013.mp4", "sintel_10s.mp4"):
        segment_title(media / name, tmp_path / "bare" / f"{name}.h5")
        bare[name] = encode(tmp_path / "bare" / f"{name}.h5", "audio")
        keep_frames(media / name, tmp_path / f"{name}.h5", SMALL)

    request.getfixturevalue("no_demuxing")
    kept = {name: encode(tmp_path / f"{name}.h5", "audio") for name in bare}

    assert [bool(vectors.any()) for vectors in bare.values()] == [True, True, True, False]
    for name, vectors in bare.items():
        np.testing.assert_array_equal(kept[name], vectors)


def test_keeping_leaves_the_store_as_it_is(media: Path, tmp_path: Path) -> None:
    film = tmp_path / "cut.mp4"
    film.write_bytes((media / "fire2_vfr_rot180.mp4").read_bytes()[:-500_000])
    segment_title(film, tmp_path / "bare.h5")

    keep_frames(film, tmp_path / "kept.h5", SMALL)

    assert (tmp_path / "kept.h5").read_bytes() == (tmp_path / "bare.h5").read_bytes()


def test_the_summary_says_what_was_kept(media: Path, tmp_path: Path) -> None:
    settings = SegmentSettings(keep_frames=SMALL)

    spoken = segment_title(media / "nasa_13013.mp4", tmp_path / "spoken.h5", settings)
    silent = segment_title(media / "sintel_10s.mp4", tmp_path / "silent.h5", settings)

    assert spoken.summary.endswith("; 4 frames of each and the sound kept for encode")
    assert silent.summary.endswith("; 4 frames of each kept for encode")


def test_an_archive_of_the_first_version_is_made_again(films: list[SyntheticTitle], tmp_path: Path) -> None:
    store = tmp_path / "film.h5"
    shots = keep_frames(films[0].path, store, SMALL)
    with open_store(store) as opened:
        old = {"format": "mediafm-frames", "version": 1, "media": opened.source.fingerprint, "video_stream": 0}
    put_into(kept_path(store), "frames.json", json.dumps({**old, "count": 4, "max_side": 96}).encode())

    outcome = segment_title(films[0].path, store, SegmentSettings(keep_frames=SMALL))

    assert outcome.summary.endswith("4 frames of each kept for encode")
    assert len(read_kept(store, shots, SMALL)) == len(shots.start_s)
    assert encode(store, "audio").any()


def test_shots_of_which_no_frame_decodes_are_remembered_and_counted(
    films: list[SyntheticTitle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode_all_but_two(
        path: Path, spans: list[tuple[int, int]], needs: Frames, stream: int, decoding: Decoding
    ) -> Iterator[tuple[int, np.ndarray | None]]:
        for number, frames in sample_frames(path, spans, needs, stream, decoding):
            yield number, None if number in (1, 2) else frames

    store, settings = tmp_path / "film.h5", SegmentSettings(keep_frames=SMALL)
    segment_title(films[0].path, store)
    monkeypatch.setattr(keep, "sample_frames", decode_all_but_two)

    first, again = (segment_title(films[0].path, store, settings) for _ in range(2))

    assert first.summary.endswith("4 frames of each kept for encode; shots of which no frame decodes: 2")
    assert (first.status, again.status) == ("written", "unchanged")
    vectors = encode_video(store)
    assert [bool(vector.any()) for vector in vectors[:4]] == [True, False, False, True]
