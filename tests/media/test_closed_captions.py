"""Captions that lie in the pictures, or in a stream as broadcasts send them."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pysubs2
import pytest
from caption_clips import (
    ERASE,
    Track,
    name_programme,
    pop_on,
    roll_up,
    send,
    send_708,
    triplet,
    write_captioned,
    write_with_tracks,
)

from mediafm_cli.media.captions import Captions, Cue, StreamCues, find_captions
from mediafm_cli.media.closed_captions import ClosedCaptions
from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import VideoPass
from mediafm_cli.media.probe import probe

# Each pair takes a picture, 25 a second: what is shown begins with the pair after the letters.
TALK = {10: pop_on("Hello there"), 60: ERASE, 70: pop_on("[music]")}
CUES = (Cue(0.88, 2.4, "Hello there"), Cue(3.2, 4.0, "[music]"))


def read(film: Path) -> Captions:
    return find_captions(film, probe(film))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("film.mp4", "libx264"),
        ("film.mkv", "libx264"),
        ("film.ts", "libx264"),
        ("film.ts", "mpeg2video"),
        ("film.mkv", "libx265"),
    ],
)
def test_captions_in_the_pictures_are_read(tmp_path: Path, name: str, codec: str) -> None:
    captions = read(write_captioned(tmp_path / name, send(TALK, 100), codec))

    assert (captions.cues, captions.source, captions.notes) == (CUES, "stream:0", ())
    assert [cue.sound for cue in captions.cues] == [False, True]


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_picture_that_was_looked_at_is_free_again_at_once(tmp_path: Path) -> None:
    film = write_captioned(tmp_path / "film.mp4", send(TALK, 100), "libx264")
    streamed = StreamCues(0.0)
    with open_media(film) as container:
        video = VideoPass(container, container.streams.video[0])
        for pts, frame in video:
            streamed.see(video.report.seconds(pts), frame)
        held = sum(type(one) is av.VideoFrame for one in gc.get_objects())

    assert video.report.frames == 100
    assert held <= 10  # what the last packets brought


def test_a_stream_of_closed_captions_is_read_alike(tmp_path: Path) -> None:
    coded = {number: data[:3] for number, data in enumerate(send(TALK, 100))}

    captions = read(write_with_tracks(tmp_path / "film.mov", 100, [Track("eia_608", coded)]))

    assert (captions.cues, captions.source) == (CUES, "stream:1")


def test_captions_that_roll_up_are_said_once(tmp_path: Path) -> None:
    lines = {10: roll_up("one"), 30: roll_up("two"), 50: roll_up("two"), 70: roll_up("three"), 90: ERASE}

    captions = read(write_captioned(tmp_path / "film.mp4", send(lines, 100)))

    assert [cue.text for cue in captions.cues] == ["one", "two", "two", "three"]
    assert [cue.start_s for cue in captions.cues] == pytest.approx([0.48, 1.28, 2.08, 2.88])  # with their line feeds


@pytest.mark.parametrize(("field", "kind"), [("first", 0), ("second", 1)])
def test_the_times_are_those_of_ffmpeg(tmp_path: Path, field: str, kind: int) -> None:
    program = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    talk = {5: pop_on("One"), 30: pop_on("Two of them"), 60: ERASE, 65: pop_on("Three"), 95: ERASE}
    film = write_captioned(tmp_path / "film.mp4", send(talk, 110, kind))

    video = f"movie={film}[out0+subcc]"
    command = [program, "-v", "error", "-data_field", field, "-f", "lavfi", "-i", video, "-map", "0:s", "-f", "srt"]
    shown = subprocess.run([*command, "-"], capture_output=True, check=True, text=True).stdout

    events = pysubs2.SSAFile.from_string(shown, format_="srt")
    assert [(cue.text, cue.start_s, cue.end_s) for cue in read(film).cues] == [
        (event.plaintext.strip(), pytest.approx(event.start / 1000), pytest.approx(event.end / 1000))
        for event in events
    ]


def test_captions_that_are_not_read_are_said(tmp_path: Path) -> None:
    film = write_captioned(tmp_path / "film.mp4", send_708("Hello there", 30))

    captions = read(film)

    assert (captions.cues, captions.source) == ((), "none")
    assert captions.notes == (
        "video stream 0 carries closed captions of CEA-708 alone, which are not read; give a file with --subtitles",
    )


@pytest.mark.parametrize(
    "triplets",
    [send({}, 30), send({10: name_programme("The storm")}, 30, kind=1), send({10: ERASE}, 30), send_708("", 30)],
    ids=["padding", "programme data", "nothing but erasing", "empty packets of CEA-708"],
)
def test_padding_and_programme_data_are_no_captions(tmp_path: Path, triplets: list[bytes]) -> None:
    captions = read(write_captioned(tmp_path / "film.mp4", triplets))

    assert (captions.cues, captions.source, captions.notes) == ((), "none", ())


def test_a_file_beside_the_film_comes_before_the_pictures(tmp_path: Path) -> None:
    film = write_captioned(tmp_path / "film.mp4", send(TALK, 100))
    (tmp_path / "film.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nbeside\n")

    captions = read(film)

    assert (captions.source, [cue.text for cue in captions.cues]) == ("sidecar:film.srt", ["beside"])


def test_several_pairs_at_a_time_are_decoded_in_order() -> None:
    captions = ClosedCaptions()

    captions.take(1.0, b"".join(triplet(pair) for pair in [*pop_on("One"), *ERASE, *pop_on("Two")]))
    captions.end(3.0)

    assert captions.timed == [(1.0, 1.0, "One"), (1.0, 3.0, "Two")]


def test_damaged_triplets_are_passed_over() -> None:
    captions = ClosedCaptions()

    captions.take(0.0, bytes(range(256)))
    captions.take(1.0, b"\xfc\x94")
    captions.end(2.0)

    assert all(start <= end for start, end, _ in captions.timed)
