"""From frames to shots: times, pts, short shots, and damage on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import cut_bytes, panning_pictures, write_film, write_video

from mediafm_cli.api import Boundary, Segmenter, Thumbnail
from mediafm_cli.errors import MediaError, PluginError
from mediafm_cli.media.shots import ShotList, ShotRules, cut_into_shots
from mediafm_cli.segmenters.content import ContentSegmenter


class CutAt(Segmenter):
    """Cuts where it is told to, and looks at every frame."""

    def __init__(self, *frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.sizes: set[tuple[int, ...]] = set()

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        self.sizes = {thumbnail.rgb.shape for thumbnail in frames}
        yield from (Boundary(frame) for frame in self.frames)


class StopEarly(Segmenter):
    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        next(frames)
        yield Boundary(20)


def assert_tiles(shots: ShotList) -> None:
    for start, end in (
        (shots.start_s, shots.end_s),
        (shots.start_pts, shots.end_pts),
        (shots.start_frame, shots.end_frame),
    ):
        np.testing.assert_array_equal(start[1:], end[:-1])
        assert (end > start).all()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """100 frames at 25 a second: 4 s."""
    return write_video(tmp_path / "film.mp4", panning_pictures(100), container_options={"movflags": "faststart"})


def test_shots_tile_the_title_in_seconds_pts_and_frames(film: Path) -> None:
    shots = cut_into_shots(film, CutAt(25, 60))

    assert_tiles(shots)
    assert shots.start_frame.tolist() == [0, 25, 60]
    assert shots.end_frame[-1] == 100
    np.testing.assert_allclose(shots.start_s, [0, 1, 2.4])
    np.testing.assert_allclose(shots.end_s[-1], 4.0)
    numerator, denominator = map(int, shots.time_base.split("/"))
    np.testing.assert_allclose(shots.start_pts * numerator / denominator, shots.start_s)


@pytest.mark.parametrize(
    ("cuts", "min_shot_s", "starts"),
    [
        ((5, 95), 0.2, [0, 5, 95]),  # 5 frames are 0.2 s: long enough
        ((50, 54), 0.2, [0, 54]),  # joined to the one before
        ((4, 50), 0.2, [0, 50]),  # the first, to the next
        ((50, 97), 0.2, [0, 50]),  # the last, to the one before
        ((2, 4, 6, 50), 0.2, [0, 6, 50]),
        ((50,), 100.0, [0]),
    ],
)
def test_short_shots_are_joined(film: Path, cuts: tuple[int, ...], min_shot_s: float, starts: list[int]) -> None:
    shots = cut_into_shots(film, CutAt(*cuts), ShotRules(min_shot_s))

    assert_tiles(shots)
    assert shots.start_frame.tolist() == starts
    assert shots.end_frame[-1] == 100


@pytest.mark.parametrize("cuts", [(60, 25), (25, 25), (0,), (100,), (-5,)])
def test_a_segmenter_that_is_wrong_is_named(film: Path, cuts: tuple[int, ...]) -> None:
    with pytest.raises(PluginError, match="CutAt"):
        cut_into_shots(film, CutAt(*cuts))


def test_a_segmenter_may_stop_looking(film: Path) -> None:
    assert cut_into_shots(film, StopEarly()).end_frame.tolist() == [20, 100]


def test_thumbnails_have_the_size_that_the_segmenter_asks_for(film: Path) -> None:
    segmenter = CutAt()

    cut_into_shots(film, segmenter)

    assert segmenter.sizes == {(36, 64, 3)}


def test_progress_tells_frames_and_seconds(film: Path) -> None:
    told: list[tuple[int, float]] = []

    cut_into_shots(film, CutAt(), progress=lambda frames, time_s: told.append((frames, round(time_s, 6))))

    assert told == [(1, 0.0), (33, 1.28), (65, 2.56), (97, 3.84)]


@pytest.mark.parametrize("name", ["late.mkv", "late.ts"])
def test_a_picture_that_starts_late_keeps_its_place(tmp_path: Path, name: str) -> None:
    film = write_film(tmp_path / name, panning_pictures(50), np.zeros(80_000), video_start_s=2.0, audio_start_s=0.0)

    shots = cut_into_shots(film, CutAt(25))

    # The MP2 encoder of the .ts begins 481 samples early, by its delay: 0.03 s.
    np.testing.assert_allclose(shots.start_s, [2, 3], atol=0.031)
    np.testing.assert_allclose(shots.end_s, [3, 4], atol=0.031)


def test_a_clock_that_starts_high_starts_the_title_at_zero(tmp_path: Path) -> None:
    film = write_video(tmp_path / "high.ts", panning_pictures(50), pts=range(100_000, 100_050))

    shots = cut_into_shots(film, CutAt(25))

    np.testing.assert_allclose(shots.start_s, [0, 1], atol=1e-6)
    np.testing.assert_allclose(shots.origin_s, 4000, atol=5)


def test_a_file_cut_off_tells_what_was_read_and_lost(film: Path) -> None:
    shots = cut_into_shots(cut_bytes(film, film.parent / "cut.mp4", 0.6), CutAt())

    assert shots.report.lost_s == pytest.approx(4.0 - shots.end_s[-1])
    assert 0 < shots.report.frames < 100
    assert not shots.report.is_whole
    assert "the last" in shots.report.describe()


def test_a_matroska_file_cut_off_is_noticed(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", panning_pictures(100))

    shots = cut_into_shots(cut_bytes(whole, tmp_path / "cut.mkv", 0.5), CutAt())

    assert shots.report.lost_s == pytest.approx(4.0 - shots.end_s[-1], abs=0.01)


@pytest.mark.parametrize("name", ["live.mkv", "raw.h264"])
def test_a_title_of_unknown_duration_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    options = {"live": "1"} if name == "live.mkv" else {}
    film = write_video(tmp_path / name, panning_pictures(50), container_options=options)

    shots = cut_into_shots(film, CutAt(25))

    np.testing.assert_allclose(shots.end_s, [1, 2], atol=0.002)
    assert shots.report.is_whole


def test_frames_out_of_order_in_avi_take_even_steps(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.avi", panning_pictures(100), options={"bf": "3"})

    shots = cut_into_shots(film, CutAt(50))

    np.testing.assert_allclose(shots.end_s - shots.start_s, [2, 2], atol=0.05)


def test_a_title_of_damage_alone_is_an_error(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", panning_pictures(20), options={"g": "5"})
    data = bytearray(film.read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    film.write_bytes(data)

    with pytest.raises(MediaError, match=r"No picture of .* could be decoded"):
        cut_into_shots(film, CutAt())


def test_damage_is_counted_and_passed_over(media: Path) -> None:
    shots = cut_into_shots(media / "corrupted.mp4", ContentSegmenter())

    assert shots.report.damaged > 0
    assert shots.report.frames > 40
    assert "damaged" in shots.report.describe()


def test_damage_in_the_middle_costs_what_it_hits_and_no_more(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mkv", panning_pictures(100), options={"g": "10", "bf": "0"})
    with av.open(str(film)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(film.read_bytes())
    data[places[50] + 40 : places[54]] = bytes(places[54] - places[50] - 40)
    film.write_bytes(data)

    shots = cut_into_shots(film, CutAt())

    assert shots.report.damaged > 0
    assert 90 <= shots.report.frames <= 100
    assert shots.report.lost_s == 0
    np.testing.assert_allclose(shots.end_s, [4], atol=0.001)


def test_every_real_film_is_cut_and_tiled_and_whole(media: Path) -> None:
    clips = [name for name in json.loads((media / "cuts.json").read_text())["clips"] if "#" not in name]

    for name in [*clips, "h265_10bit.mp4", "rot90.mov"]:
        shots = cut_into_shots(media / name, ContentSegmenter())
        assert_tiles(shots)
        assert shots.report.is_whole, name


@pytest.mark.parametrize("name", ["jfk.flac", "elephantsdream.en.vtt"])
def test_what_is_no_film_is_an_error(media: Path, name: str) -> None:
    with pytest.raises(MediaError, match=name):
        cut_into_shots(media / name, ContentSegmenter())


def test_a_shot_of_five_frames_survives_the_defaults(media: Path) -> None:
    shots = cut_into_shots(media / "mov_bbb_4s.mp4", ContentSegmenter())

    assert shots.end_frame.tolist() == [95, 100]


def test_sound_that_is_longer_than_the_pictures_is_no_damage(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000 * 6)
    film = write_film(tmp_path / "film.mkv", panning_pictures(50), samples, video_start_s=0, audio_start_s=0)

    shots = cut_into_shots(film, CutAt(25))

    assert shots.report.is_whole, shots.report.describe()
    np.testing.assert_allclose(shots.end_s, [1, 2])


def test_a_sound_that_goes_on_does_not_hide_that_the_pictures_were_cut_off(tmp_path: Path) -> None:
    film = write_film(
        tmp_path / "film.mkv", panning_pictures(50), np.zeros(16_000 * 6), video_start_s=0, audio_start_s=0
    )
    data = bytearray(film.read_bytes())
    place = data.index(b"00:00:02.0")  # the duration that Matroska's tags declare for the pictures
    data[place : place + 8] = b"00:00:05"
    film.write_bytes(data)
    heard: list[int] = []

    deaf, hearing = (
        cut_into_shots(film, CutAt(25), listen=listen).report
        for listen in (None, {1: lambda packet: heard.append(packet.size)})
    )

    assert sum(heard) > 0
    assert hearing == deaf
    assert hearing.lost_s == pytest.approx(3.0, abs=0.1)


def test_one_time_stamp_that_leaps_ahead_does_not_scatter_those_after_it(tmp_path: Path) -> None:
    film = tmp_path / "leap.mkv"
    whole = write_video(tmp_path / "whole.mkv", panning_pictures(100), codec="mjpeg", pixel_format="yuvj420p")
    with av.open(str(whole)) as source, av.open(str(film), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size:
                packet.pts = packet.pts + 10_000 if number == 50 else packet.pts  # ms
                packet.stream = stream
                target.mux(packet)

    shots = cut_into_shots(film, CutAt(49))

    np.testing.assert_allclose(shots.end_s, [49 * 0.04, 12 + 50 * 0.04], atol=0.011)
