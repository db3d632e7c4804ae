"""Pictures come out upright, uncombed, with square pixels, and of one size."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from colour_clips import Tags, code_ycbcr, first_frame, make_frame, write_frames
from media_clips import panning_pictures, write_video

from mediafm_cli.media.container import open_media
from mediafm_cli.media.display import Display, Picture, read_display
from mediafm_cli.media.probe import best_video

LOSSLESS = {"qp": "0", "qmin": "1", "qmax": "1"}
"""For libx264; nearly so for mpeg2video."""


def read_file_display(film: Path) -> Display:
    with open_media(film) as container:
        stream = best_video(container)
        assert stream is not None
        return read_display(container, stream)


def show_first(film: Path, max_side: int | None = None) -> np.ndarray:
    return Picture(read_file_display(film), max_side).render(first_frame(film))


def set_display_matrix(film: Path, a: int, b: int, c: int, d: int) -> None:
    """Write the matrix into the track header (ISO 14496-12 §8.3.2): nine big-endian numbers, 16.16 and 2.30."""
    content = bytearray(film.read_bytes())
    struct.pack_into(
        ">9i", content, content.index(b"tkhd") + 44, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30
    )
    film.write_bytes(content)


@pytest.mark.parametrize(
    ("a", "b", "c", "d"),
    [
        (1, 0, 0, 1),
        (0, 1, -1, 0),
        (-1, 0, 0, -1),
        (0, -1, 1, 0),
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (0, 1, 1, 0),
        (0, -1, -1, 0),
    ],
)
def test_each_orientation_is_undone(tmp_path: Path, a: int, b: int, c: int, d: int) -> None:
    film = write_video(tmp_path / "film.mp4", panning_pictures(3))
    coded = first_frame(film).to_ndarray(format="rgb24")
    set_display_matrix(film, a, b, c, d)
    # The matrix takes the place (x, y) to (a x + c y, b x + d y); what comes out is moved to begin at 0.
    y, x = np.indices(coded.shape[:2])
    columns, rows = a * x + c * y, b * x + d * y
    wanted = np.zeros((np.ptp(rows) + 1, np.ptp(columns) + 1, 3), np.uint8)
    wanted[rows - rows.min(), columns - columns.min()] = coded

    display = read_file_display(film)

    assert (display.height, display.width) == wanted.shape[:2]
    np.testing.assert_array_equal(show_first(film), wanted)


def test_a_damaged_display_matrix_is_let_be(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", panning_pictures(3))
    plain = show_first(film)
    set_display_matrix(film, 0, 0, 0, 0)

    np.testing.assert_array_equal(show_first(film), plain)


@pytest.mark.parametrize("max_side", [None, 24, 200])
@pytest.mark.parametrize("size", [(101, 57), (57, 101), (1, 48), (48, 1), (1, 1), (3, 2)])
@pytest.mark.parametrize(
    ("pixel_format", "depth", "tags"),
    [
        ("yuv420p", 8, Tags(1, 1)),
        ("yuv422p10le", 10, Tags(1, 1)),
        ("yuv410p", 8, Tags(2, 1)),
        ("yuv420p10le", 10, Tags(1, 9, 16, 9)),
    ],
)
def test_odd_sizes_keep_their_shape_and_colour(
    pixel_format: str, depth: int, tags: Tags, size: tuple[int, int], max_side: int | None
) -> None:
    width, height = size
    signal = np.broadcast_to(np.array([0.3, 0.2, 0.1]), (16, 16, 3))
    coded = code_ycbcr(signal, tags.matrix, full=tags.range == 2, depth=depth)
    flat = render_flat(make_frame(coded, pixel_format, tags))
    frame = av.VideoFrame(width, height, pixel_format)
    for number, plane in enumerate(frame.planes):
        value = round(coded[0, 0, number])
        plane.update(
            np.full(plane.buffer_size * 8 // (8 if depth == 8 else 16), value, f"<u{1 + (depth > 8)}").tobytes()
        )
    frame.color_range, frame.colorspace = tags.range, tags.matrix
    frame.color_trc, frame.color_primaries = tags.transfer, tags.primaries
    scale = 1 if max_side is None else max_side / max(size)

    picture = Picture(Display(width, height, 0), max_side).render(frame)

    assert picture.shape == (max(1, round(height * scale)), max(1, round(width * scale)), 3)
    assert np.abs(picture.astype(int) - flat).max() <= 3


def render_flat(frame: av.VideoFrame) -> np.ndarray:
    return Picture(Display(frame.width, frame.height, 0)).render(frame)[0, 0].astype(int)


def test_an_odd_size_of_a_file_is_that_of_the_picture(tmp_path: Path) -> None:
    signal = np.random.default_rng(0).uniform(size=(57, 101, 3))
    codes = code_ycbcr(signal, 1, full=False, depth=10)
    film = write_frames(tmp_path / "film.mkv", [make_frame(codes, "yuv444p10le", Tags(1, 1))], Tags(1, 1))

    picture = show_first(film)

    assert picture.shape == (57, 101, 3)
    assert np.abs(picture - 255 * signal).max() <= 2


def bar_at(left: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """A red bar on blue, 8 pixels wide."""
    picture = np.broadcast_to(np.array([0.1, 0.2, 0.7]), (*size, 3)).copy()
    picture[:, left : left + 8] = (0.9, 0.2, 0.1)
    return picture


def interlace(upper: np.ndarray, lower: np.ndarray, pixel_format: str, depth: int) -> av.VideoFrame:
    """Two moments in one frame: its even lines show one and its odd lines the other, in each plane."""
    frame = make_frame(code_ycbcr(upper, 6, full=False, depth=depth), pixel_format, Tags(1, 6))
    other = make_frame(code_ycbcr(lower, 6, full=False, depth=depth), pixel_format, Tags(1, 6))
    for plane, plane_of_other in zip(frame.planes, other.planes, strict=True):
        lines = np.frombuffer(plane, np.uint8).reshape(plane.height, -1).copy()
        lines[1::2] = np.frombuffer(plane_of_other, np.uint8).reshape(plane.height, -1)[1::2]
        plane.update(lines.tobytes())
    return frame


@pytest.mark.parametrize("max_side", [None, 48, 192])
@pytest.mark.parametrize(
    ("codec", "pixel_format", "depth", "options", "tolerance"),
    [
        ("libx264", "yuv420p", 8, LOSSLESS | {"x264-params": "tff=1"}, 0),
        ("libx264", "yuv420p", 8, LOSSLESS | {"x264-params": "bff=1"}, 0),
        ("libx264", "yuv422p10le", 10, LOSSLESS | {"x264-params": "tff=1"}, 0),
        ("mpeg2video", "yuv420p", 8, LOSSLESS | {"flags": "+ildct+ilme"}, 12),
    ],
)
def test_an_interlaced_picture_shows_one_moment(
    tmp_path: Path,
    codec: str,
    pixel_format: str,
    depth: int,
    options: dict[str, str],
    tolerance: int,
    max_side: int | None,
) -> None:
    frames = [interlace(bar_at(16 * number), bar_at(16 * number + 9), pixel_format, depth) for number in range(4)]
    film = write_frames(tmp_path / "film.mkv", frames, Tags(1, 6), codec=codec, options=options)
    frame = first_frame(film)
    assert frame.interlaced_frame
    show = Picture(Display(96, 64, 0), max_side).render

    picture = show(frame)

    field = make_frame(code_ycbcr(bar_at(0, (32, 96)), 6, full=False, depth=depth), pixel_format, Tags(1, 6))
    alone = write_frames(tmp_path / "alone.mkv", [field], Tags(1, 6), codec=codec, options=LOSSLESS)
    assert np.abs(np.diff(picture.astype(int), axis=0)).max() <= tolerance  # no line differs from the next
    assert np.abs(picture.astype(int) - show(first_frame(alone))).max() <= tolerance


def test_a_progressive_picture_keeps_every_line() -> None:
    lines = np.zeros((64, 96, 3))
    lines[::2] = 1.0

    picture = Picture(Display(96, 64, 0)).render(
        make_frame(code_ycbcr(lines, 1, full=False, depth=8), "yuv444p", Tags(1, 1))
    )

    assert picture[::2].min() >= 253
    assert picture[1::2].max() <= 2


def test_the_size_stays_that_of_the_title() -> None:
    show = Picture(Display(96, 64, 0), 48).render
    sizes = [(64, 96), (32, 48), (128, 192), (57, 101), (64, 96)]
    halves = [
        np.repeat([[[0.2] * 3, [0.8] * 3]], height, axis=0).repeat(width // 2 + 1, axis=1) for height, width in sizes
    ]

    pictures = [
        show(make_frame(code_ycbcr(half[:, :width], 6, full=False, depth=8), "yuv444p", Tags(1, 6)))
        for half, (_, width) in zip(halves, sizes, strict=True)
    ]

    assert {picture.shape for picture in pictures} == {(32, 48, 3)}
    assert all(np.abs(picture[:, 4].astype(int) - 51).max() <= 2 for picture in pictures)
    assert all(np.abs(picture[:, -5].astype(int) - 204).max() <= 2 for picture in pictures)


def test_pixels_come_out_square(tmp_path: Path) -> None:
    film = write_video(tmp_path / "wide.mp4", panning_pictures(3), aspect=Fraction(16, 11))

    assert show_first(film).shape == (64, round(96 * 16 / 11), 3)
