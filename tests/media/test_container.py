"""What ``open_media`` opens and refuses; the attacks are those that FFmpeg's defaults fall for."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from media_clips import cut_bytes, panning_pictures, write_video

from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import open_media
from mediafm_cli.media.probe import probe
from mediafm_cli.media.shots import cut_into_shots
from mediafm_cli.segmenters.content import ContentSegmenter


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_video(tmp_path / "film.mp4", panning_pictures(10))


@pytest.fixture
def server() -> Iterator[tuple[int, list[object]]]:
    """A local port, and the list of those who connected to it."""
    visitors: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        stop = threading.Event()

        def listen() -> None:
            while not stop.is_set():
                try:
                    connection, address = listener.accept()
                except TimeoutError:
                    continue
                visitors.append(address)
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield listener.getsockname()[1], visitors
        stop.set()
        thread.join()


def test_a_film_opens_and_closes(film: Path) -> None:
    with open_media(film) as container:
        assert container.format.name.startswith("mov,mp4")


def test_a_relative_path_opens(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(film.parent)

    assert probe(Path("film.mp4")).video_index == 0


@pytest.mark.parametrize("name", ["concat:a.mp4", "http:x.mp4", "a|b %d.mp4", "ünï.mp4", "\udcff.mp4"])
def test_a_file_is_opened_whatever_its_name_looks_like(film: Path, name: str) -> None:
    odd = film.rename(film.parent / name)

    assert probe(odd).video_index == 0


@pytest.mark.parametrize(
    ("disguise", "text"),
    [
        ("list.mp4", "ffconcat version 1.0\nfile film.mp4\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile film.mp4\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfilm.mp4\n#EXT-X-ENDLIST\n"),
        ("playlist.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfilm.mp4\n#EXT-X-ENDLIST\n"),
        ("manifest.mpd", '<?xml version="1.0"?><MPD><Period><BaseURL>film.mp4</BaseURL></Period></MPD>'),
        ("session.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
        ("captions.mp4", "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"),
    ],
)
def test_a_list_of_other_files_is_refused_under_any_name(film: Path, disguise: str, text: str) -> None:
    hostile = film.parent / disguise
    hostile.write_text(text)
    os.utime(film, (0, film.stat().st_mtime))  # a time of last access that any read would renew

    with pytest.raises(MediaError, match="not a media file"):
        probe(hostile)

    assert film.stat().st_atime == 0


@pytest.mark.parametrize("address", ["concat:{film}|{film}", "subfile,,start,0,end,0,,:{film}", "file:{film}"])
def test_an_address_in_place_of_a_path_is_refused(film: Path, address: str) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        probe(Path(address.format(film=film)))


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.mp4\n",
    ],
)
def test_nothing_connects_to_a_server_named_in_a_file(
    tmp_path: Path, server: tuple[int, list[object]], text: str
) -> None:
    port, visitors = server
    hostile = tmp_path / "film.mp4"
    hostile.write_text(text.format(port=port))

    with pytest.raises(MediaError):
        probe(hostile)

    assert visitors == []


def test_nothing_connects_to_a_server_given_as_a_path(server: tuple[int, list[object]]) -> None:
    port, visitors = server

    with pytest.raises(MediaError):
        probe(Path(f"http://127.0.0.1:{port}/film.mp4"))

    assert visitors == []


def test_a_gigantic_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    big = write_video(tmp_path / "big.mkv", [np.zeros((320, 320, 3), np.uint8)], codec="ffv1", pixel_format="bgr0")
    # Matroska's PixelWidth (B0) and PixelHeight (BA), each two bytes long: 320 becomes 16000.
    data = big.read_bytes()
    for name in (b"\xb0", b"\xba"):
        data = data.replace(name + b"\x82\x01\x40", name + b"\x82\x3e\x80")
    big.write_bytes(data)

    with pytest.raises(MediaError, match="more than 67108864 pixels"):
        cut_into_shots(big, ContentSegmenter())


def test_a_text_file_is_not_media(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("Dear diary\n" * 100)

    with pytest.raises(MediaError, match="No container format was recognised"):
        probe(tmp_path / "notes.mp4")


def test_a_header_cut_off_is_not_media(film: Path) -> None:
    with pytest.raises(MediaError, match="damaged or cut off"):
        probe(cut_bytes(film, film.parent / "cut.mp4", 0.5))


def test_an_empty_file_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()

    with pytest.raises(MediaError, match="is empty"):
        probe(tmp_path / "empty.mp4")


def test_a_folder_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="is a folder"):
        probe(tmp_path)


def test_a_missing_file_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        probe(tmp_path / "film.mp4")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")

    with pytest.raises(MediaError, match="not a regular file"):
        probe(tmp_path / "pipe.mp4")
