"""Sought frames are the frames that a plain decode shows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import InputContainer
from media_clips import cut_bytes, panning_pictures, write_video

from mediafm_cli.api import Frames
from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import PROCESSOR, Decoding, open_media
from mediafm_cli.media.display import Display, Picture
from mediafm_cli.media.frames import sample_frames

OPEN_GOPS = {"x264-params": "keyint=20:min-keyint=20:scenecut=0:bframes=3:open-gop=1:b-pyramid=normal"}


def render(frame: av.VideoFrame) -> np.ndarray:
    return Picture(Display(frame.width, frame.height, 0)).render(frame)


def decode_plainly(path: Path, stream_index: int = 0) -> dict[int, np.ndarray]:
    """Every frame by its pts, read with PyAV alone."""
    with av.open(str(path)) as container:
        return {frame.pts: render(frame) for frame in container.decode(container.streams[stream_index])}


def times_by_hand(start: int, end: int, count: int, eighth: int) -> list[float]:
    """The rule in words: of the eighths of a second in the span, every second, fourth, … one where there are more than
    four for each frame, the nearest to the centre of each part; the centres where there are too few. In pts."""
    centres = [start + (end - start) * (part + 0.5) / count for part in range(count)]
    inside = [time for time in range(start, end) if time % eighth == 0]
    spacing = eighth
    while len(inside) > 4 * count:
        spacing *= 2
        inside = [time for time in inside if time % spacing == 0]
    if len(inside) < count:
        return centres
    return [min(inside, key=lambda time: (abs(time - int(centre)), -time)) for centre in centres]


def pictures_shown(
    frames: dict[int, np.ndarray], spans: Sequence[tuple[int, int]], count: int, time_base: Fraction
) -> list[np.ndarray]:
    """At each of those times the last frame that has begun; of those inside the span."""
    shown = []
    for start, end in spans:
        inside = sorted(pts for pts in frames if start <= pts < end)
        times = times_by_hand(start, end, count, round(Fraction(1, 8) / time_base))
        chosen = [max((pts for pts in inside if pts <= time), default=inside[0]) for time in times]
        shown.append(np.stack([frames[pts] for pts in chosen]))
    return shown


def time_base_of(path: Path, stream_index: int = 0) -> Fraction:
    with av.open(str(path)) as container:
        time_base = container.streams[stream_index].time_base
        return Fraction(time_base.numerator, time_base.denominator)


def spans_of(pts: Sequence[int], length: int) -> list[tuple[int, int]]:
    edges = [*sorted(pts)[::length], max(pts) + 1]
    return [(start, end) for start, end in itertools.pairwise(edges) if end > start]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("closed.mp4", "libx264", {"g": "12"}),
        ("open.mp4", "libx264", OPEN_GOPS),
        ("open.mkv", "libx264", OPEN_GOPS),
        ("open.ts", "libx264", OPEN_GOPS),
        ("one_key.mp4", "libx264", {"g": "1000"}),
        ("vp8.webm", "libvpx", {"g": "12"}),
        ("mpeg2.mpg", "mpeg2video", {"g": "12", "bf": "2"}),
        ("b_frames.mkv", "mpeg4", {"g": "12", "bf": "2"}),
    ],
)
@pytest.mark.parametrize(("length", "count"), [(7, 1), (30, 4), (3, 5)])
def test_samples_equal_a_sequential_decode(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], length: int, count: int
) -> None:
    film = write_video(tmp_path / name, panning_pictures(90), codec=codec, options=options)
    frames = decode_plainly(film)
    spans = spans_of(list(frames), length)

    sampled = list(sample_frames(film, spans, Frames(count), 0))

    assert [number for number, _ in sampled] == list(range(len(spans)))
    np.testing.assert_array_equal(
        np.concatenate([pictures for _, pictures in sampled]),
        np.concatenate(pictures_shown(frames, spans, count, time_base_of(film))),
    )


@pytest.mark.parametrize("name", ["seeking.mp4", "in_passing.avi"])
def test_no_more_threads_decode_than_are_asked_for(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_video(tmp_path / name, panning_pictures(30))
    threads: list[int] = []

    def watch(path: Path, decoding: Decoding = PROCESSOR) -> InputContainer:
        container = open_media(path, decoding)
        threads.append(container.streams.video[0].codec_context.thread_count)
        return container

    monkeypatch.setattr("mediafm_cli.media.frames.open_media", watch)

    list(sample_frames(film, [(0, 1)], Frames(1), 0, Decoding(threads=3)))

    assert max(threads) == threads[-1] == 3


def test_variable_frame_rate_goes_by_time_not_by_number(tmp_path: Path) -> None:
    pts = [0, 10, 20, 500, 510, 900, 1000, 1010, 1020, 1030]
    film = write_video(tmp_path / "vfr.mkv", panning_pictures(10), pts=pts, time_base=Fraction(1, 1000))
    frames = decode_plainly(film)

    (_, sampled), *_ = sample_frames(film, [(0, 1040)], Frames(4), 0)

    # The eighths of a second nearest the centres at 130, 390, 650 and 910 ms are 125, 375, 625 and 875 ms, which fall
    # into the frames that begin at 20, 20, 510 and 510 ms.
    np.testing.assert_array_equal(sampled, np.stack([frames[stamp] for stamp in (20, 20, 510, 510)]))


@pytest.mark.parametrize("name", ["corrupted.mp4", "nasa_13013.mp4", "mov_bbb_4s.mp4", "h265_10bit.mp4"])
def test_samples_of_real_clips_equal_a_sequential_decode(media: Path, name: str) -> None:
    film = media / name
    index = {"nasa_13013.mp4": 3}.get(name, 0)
    frames = decode_tolerantly(film, index)
    spans = spans_of(list(frames), 11)

    sampled = [pictures for _, pictures in sample_frames(film, spans, Frames(3), index)]

    wanted = pictures_shown(frames, spans, 3, time_base_of(film, index))
    np.testing.assert_array_equal(np.concatenate(sampled), np.concatenate(wanted))


def decode_tolerantly(path: Path, stream_index: int) -> dict[int, np.ndarray]:
    frames: dict[int, np.ndarray] = {}
    with av.open(str(path)) as container:
        stream = container.streams[stream_index]
        stream.thread_type = "AUTO"
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                continue
            frames.update((frame.pts, render(frame)) for frame in decoded)
    return frames


def test_a_span_that_nothing_decodes_in_gives_none(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", panning_pictures(100), options={"g": "10"})
    cut = cut_bytes(whole, tmp_path / "cut.mkv", 0.5)

    sampled = dict(sample_frames(cut, [(0, 400), (3600, 4000)], Frames(2), 0))

    assert sampled[0] is not None
    assert sampled[1] is None


def test_frames_without_time_stamps_are_sampled_too(tmp_path: Path) -> None:
    film = write_video(tmp_path / "raw.h264", panning_pictures(50))
    pictures = list(decode_in_order(film))

    # A raw stream is timed at 25 frames a second on FFmpeg's clock of 1/1200000 s.
    (_, sampled), *_ = sample_frames(film, [(0, 50 * 48_000)], Frames(2), 0)

    # The centres are at 0.5 and 1.5 s, which are on the grid: the frames that begin at 0.48 and 1.48 s.
    np.testing.assert_array_equal(sampled, np.stack([pictures[12], pictures[37]]))


def decode_in_order(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [render(frame) for frame in container.decode(video=0)]


@pytest.mark.parametrize(("name", "turns"), [("rot90.mov", 3), ("fire2_vfr_rot180.mp4", 2)])
def test_pictures_are_upright(media: Path, name: str, turns: int) -> None:
    frames = decode_plainly(media / name)

    (_, sampled), *_ = sample_frames(media / name, [(0, 1)], Frames(1), 0)

    # rot90.mov is to be turned by 90 degrees clockwise, which is three quarter turns anticlockwise.
    np.testing.assert_array_equal(sampled[0], np.rot90(frames[0], turns))


def test_longer_side_is_scaled_with_square_pixels(tmp_path: Path) -> None:
    film = write_video(tmp_path / "wide.mp4", panning_pictures(5), aspect=Fraction(4, 3))

    (_, sampled), *_ = sample_frames(film, [(0, 1)], Frames(1, max_side=64), 0)

    assert sampled.shape == (1, 32, 64, 3)


def test_a_flat_picture_keeps_its_colour_when_scaled(tmp_path: Path) -> None:
    red = np.full((64, 96, 3), (200, 40, 40), np.uint8)
    film = write_video(tmp_path / "red.mkv", [red] * 3, codec="ffv1", pixel_format="bgr0")

    (_, sampled), *_ = sample_frames(film, [(0, 1)], Frames(1, max_side=24), 0)

    assert np.abs(sampled.astype(int) - (200, 40, 40)).max() <= 1


@pytest.mark.parametrize("spans", [[(0, 10), (5, 20)], [(10, 20), (0, 10)], [(5, 5)]])
def test_spans_out_of_order_are_refused(tmp_path: Path, spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        list(sample_frames(tmp_path / "any.mp4", spans, Frames(1), 0))


def test_a_stream_that_is_not_video_is_refused(media: Path) -> None:
    with pytest.raises(MediaError, match="no video stream number 1"):
        list(sample_frames(media / "mov_bbb_4s.mp4", [(0, 1)], Frames(1), 1))
