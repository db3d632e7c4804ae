"""Frames by their numbers, in one pass."""

from __future__ import annotations

import weakref
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import panning_pictures, write_video

from mediafm_cli.errors import MediaError
from mediafm_cli.media.strips import read_strips


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("strips") / "film.mkv", panning_pictures(40))


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_strips_come_when_their_last_frame_is_read_with_the_very_frames(film: Path) -> None:
    pictures = decode(film)

    read = dict(read_strips(film, 0, [[5, 9, 30], [8, 9], [0, 30]], (96, 64)))

    assert list(read) == [1, 0, 2]
    assert {place: [one.frame for one in strip] for place, strip in read.items()} == {
        0: [5, 9, 30],
        1: [8, 9],
        2: [0, 30],
    }
    for strip in read.values():
        for one in strip:
            np.testing.assert_array_equal(one.rgb, pictures[one.frame])
            assert one.time_s == pytest.approx(one.frame / 25, abs=1e-3)


def test_a_strip_that_was_given_out_is_not_held(film: Path) -> None:
    strips = read_strips(film, 0, [[1, 3], [3, 5], [9]], (96, 64))

    held = [weakref.ref(one.rgb) for one in next(strips)[1]]
    after_one = [kept() is None for kept in held]
    next(strips)
    after_two = [kept() is None for kept in held]
    next(strips)

    assert (after_one, after_two) == ([False, False], [True, False])
    assert [kept() is None for kept in held] == [True, True]


def test_the_pass_ends_with_the_last_frame_wanted(film: Path) -> None:
    seen: list[int] = []

    list(read_strips(film, 0, [[2, 4]], (96, 64), seen.append))

    assert seen[-1] == 5


@pytest.mark.parametrize(
    ("box", "shape"), [((48, 64), (32, 48, 3)), ((96, 16), (16, 24, 3)), ((192, 200), (128, 192, 3))]
)
def test_pictures_touch_the_box(box: tuple[int, int], shape: tuple[int, ...], film: Path) -> None:
    ((_, strip),) = read_strips(film, 0, [[3]], box)

    assert strip[0].rgb.shape == shape


def test_no_strip_costs_no_pass(film: Path) -> None:
    assert list(read_strips(film, 0, [], (96, 64))) == []


def test_a_frame_beyond_the_end_is_named(film: Path) -> None:
    with pytest.raises(MediaError, match=r"has 40 frames\. Frame 40 was wanted"):
        list(read_strips(film, 0, [[39], [40]], (96, 64)))


def test_a_stream_that_is_no_video_is_named(film: Path) -> None:
    with pytest.raises(MediaError, match=r"Stream 7 of .* is no video"):
        list(read_strips(film, 7, [[0]], (96, 64)))
