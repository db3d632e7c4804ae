"""What is said of a media file before it is decoded."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition
from media_clips import COVER, DEFAULT, OTHER, SIZE, panning_pictures, write_film, write_streams, write_video

from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import open_media
from mediafm_cli.media.fingerprint import fingerprint_file
from mediafm_cli.media.probe import probe, require_video

MIB = 1 << 20


def test_fingerprint_is_the_hash_of_size_and_three_pieces(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(5 * MIB + 3)
    (tmp_path / "a").write_bytes(data)
    middle = (len(data) - MIB) // 2
    pieces = data[:MIB] + data[middle : middle + MIB] + data[-MIB:]

    assert fingerprint_file(tmp_path / "a") == hashlib.sha256(f"{len(data)}\n".encode() + pieces).hexdigest()


def test_fingerprint_of_a_small_file_covers_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"film")

    assert fingerprint_file(tmp_path / "a") == hashlib.sha256(b"4\nfilm").hexdigest()


def test_fingerprint_of_a_missing_file_is_a_media_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        fingerprint_file(tmp_path / "a")


def test_width_is_that_of_square_pixels(tmp_path: Path) -> None:
    film = write_video(tmp_path / "wide.mp4", panning_pictures(5), aspect=Fraction(4, 3))

    video = probe(film).video

    assert video is not None
    assert (video.width, video.height) == (128, 64)


@pytest.mark.parametrize(
    ("name", "size", "rotation"),
    [("rot90.mov", (320, 568), 90), ("fire2_vfr_rot180.mp4", (1280, 720), 180), ("sintel_10s.mp4", (640, 360), 0)],
)
def test_size_is_as_displayed(media: Path, name: str, size: tuple[int, int], rotation: int) -> None:
    video = probe(media / name).video

    assert video is not None
    assert (video.width, video.height, video.rotation) == (*size, rotation)


def test_the_best_streams_are_chosen_not_the_first(media: Path) -> None:
    info = probe(media / "nasa_13013.mp4")

    assert (info.video_index, info.audio_index) == (3, 4)
    assert info.video is not None
    assert info.video.frame_rate == "30000/1001"


@pytest.mark.parametrize(
    ("name", "streams", "index"),
    [
        ("cover.mp4", [("mjpeg", (640, 480), COVER), ("libx264", SIZE, DEFAULT)], 0),  # MP4 puts the cover behind
        ("angles.mkv", [("libx264", (192, 128), OTHER), ("libx264", SIZE, DEFAULT)], 1),
        ("angles.mp4", [("libx264", SIZE, DEFAULT), ("libx264", (192, 128), OTHER)], 0),
    ],
)
def test_of_several_video_streams_the_default_one_is_taken_and_never_a_cover(
    tmp_path: Path, name: str, streams: list[tuple[str, tuple[int, int], Disposition]], index: int
) -> None:
    info = probe(write_streams(tmp_path / name, streams))

    assert info.video_index == index
    assert info.video is not None
    assert (info.video.width, info.video.height) == SIZE


def test_a_cover_alone_is_no_film(tmp_path: Path) -> None:
    film = write_streams(tmp_path / "cover.mp4", [("mjpeg", SIZE, COVER)])

    assert probe(film).video is None
    with open_media(film) as container, pytest.raises(MediaError, match=r"has no video\. It holds 1 × cover art"):
        require_video(film, container)


def test_bitmap_subtitles_are_told_from_text(media: Path) -> None:
    pictures = probe(media / "popeye_pgs_T00-1.mkv").streams[1]
    text = probe(media / "nasa_13013.mp4").streams[2]

    assert (pictures.bitmap, pictures.language, text.bitmap) == (True, "eng", False)


def test_sound_alone_has_no_video(media: Path) -> None:
    assert probe(media / "jfk.flac").video is None

    with (
        open_media(media / "jfk.flac") as container,
        pytest.raises(MediaError, match=r"has no video. It holds 1 × audio"),
    ):
        require_video(media / "jfk.flac", container)


def test_start_is_that_of_the_earliest_stream(tmp_path: Path) -> None:
    film = write_film(
        tmp_path / "late.mkv", panning_pictures(25), np.zeros(48_000), video_start_s=2.0, audio_start_s=1.0
    )

    assert probe(film).start_s == pytest.approx(1.0, abs=0.001)


def test_a_duration_that_is_not_declared_is_none(tmp_path: Path) -> None:
    film = write_video(tmp_path / "live.mkv", panning_pictures(10), container_options={"live": "1"})

    assert probe(film).duration_s is None


def test_tags_that_are_no_utf8_are_passed_over(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mkv", panning_pictures(5))
    language, program = b"\x22\xb5\x9c\x83und", b"Lavf"  # the element Language of 3 bytes; the writing program
    content = film.read_bytes()
    assert language in content
    assert program in content
    film.write_bytes(content.replace(language, language[:4] + b"\xff\xfe\xfd").replace(program, b"L\xffvf"))

    video = probe(film).video

    assert video is not None
    assert video.language is None
