"""Sources of one look come out as one picture, however it is coded."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from colour_clips import (
    BT709_TO_BT2020,
    Tags,
    code_ycbcr,
    colour_patches,
    first_frame,
    hlg_signal,
    make_frame,
    middles,
    pq_signal,
    show_with_ffmpeg,
    write_frames,
)
from scipy.interpolate import CubicHermiteSpline

from mediafm_cli.errors import MediaError
from mediafm_cli.media.display import Display, Picture

SIGNAL = colour_patches()
WANTED = middles(np.round(255 * SIGNAL))
LIGHT = 203 * SIGNAL**2.4
"""cd/m²: BT.1886 with SDR's white at HDR reference white, BT.2408."""
LIMITED, FULL = 1, 2
PQ, HLG, BT2020 = 16, 18, 9
# In 8 bits FFmpeg's scaler is up to 2 codes too dark, where its fast paths round down, and the coding itself is up to 2
# codes off in the colours that weigh least.
TOLERANCE = 4


def render(frame: av.VideoFrame, max_side: int | None = None) -> np.ndarray:
    return Picture(Display(frame.width, frame.height, 0), max_side).render(frame)


def hdr_frame(light: np.ndarray, transfer: int, pixel_format: str = "yuv444p10le") -> tuple[av.VideoFrame, Tags]:
    """Light in cd/m², of BT.709's primaries, in 10 bits of BT.2020."""
    wide = light @ BT709_TO_BT2020.T
    signal = pq_signal(wide) if transfer == PQ else hlg_signal(wide)
    tags = Tags(LIMITED, BT2020, transfer, BT2020)
    return make_frame(code_ycbcr(signal, BT2020, full=False, depth=10), pixel_format, tags), tags


@pytest.mark.parametrize("max_side", [None, 80, 300])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize(
    ("pixel_format", "depth", "range_"),
    [
        ("yuv420p", 8, LIMITED),
        ("yuv420p", 8, FULL),
        ("yuvj420p", 8, FULL),
        ("yuv422p", 8, LIMITED),
        ("yuv410p", 8, LIMITED),
        ("yuv420p10le", 10, LIMITED),
        ("yuv422p10le", 10, LIMITED),
        ("yuv444p10le", 10, FULL),
        ("yuv444p12le", 12, LIMITED),
        ("yuv420p16le", 16, LIMITED),
    ],
)
def test_a_picture_looks_the_same_however_it_is_coded(
    pixel_format: str, depth: int, range_: int, matrix: int, max_side: int | None
) -> None:
    codes = code_ycbcr(SIGNAL, matrix, full=range_ == FULL, depth=depth)

    picture = render(make_frame(codes, pixel_format, Tags(range_, matrix)), max_side)

    assert np.abs(middles(picture) - WANTED).max() <= TOLERANCE


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize(
    ("pixel_format", "depth", "range_"), [("yuv420p", 8, LIMITED), ("yuv420p", 8, FULL), ("yuv422p10le", 10, LIMITED)]
)
def test_sdr_equals_what_ffmpeg_shows(tmp_path: Path, pixel_format: str, depth: int, range_: int, matrix: int) -> None:
    tags = Tags(range_, matrix)
    frame = make_frame(code_ycbcr(SIGNAL, matrix, full=range_ == FULL, depth=depth), pixel_format, tags)
    film = write_frames(tmp_path / "film.mkv", [frame], tags)

    picture = render(first_frame(film))

    shown = show_with_ffmpeg(film, "scale=flags=accurate_rnd+full_chroma_int", 96, 160)
    assert np.abs(middles(picture) - middles(shown)).max() <= TOLERANCE


@pytest.mark.parametrize("pixel_format", ["gbrp", "gbrp10le", "rgb24", "bgra", "rgb48le"])
def test_rgb_is_taken_as_it_is(pixel_format: str) -> None:
    frame = av.VideoFrame.from_ndarray(np.round(255 * SIGNAL).astype(np.uint8), format="rgb24")

    picture = render(frame.reformat(format=pixel_format))

    assert np.abs(middles(picture) - WANTED).max() <= 1


@pytest.mark.parametrize(
    ("size", "matrix"), [((160, 96), 6), ((1024, 576), 6), ((1024, 640), 1), ((1280, 544), 1), ((1920, 1080), 1)]
)
def test_an_untagged_matrix_is_that_of_the_size(size: tuple[int, int], matrix: int) -> None:
    # The rule of mpv and libplacebo: BT.709 from 1280 pixels of width or above 576 lines.
    green = np.broadcast_to(np.array([0.2, 0.8, 0.3]), (size[1], size[0], 3))

    picture = render(make_frame(code_ycbcr(green, matrix, full=False, depth=8), "yuv444p", Tags()))

    assert np.abs(picture[4, 4].astype(int) - (51, 204, 76)).max() <= 2


@pytest.mark.parametrize("max_side", [None, 80])
@pytest.mark.parametrize(("pixel_format", "depth"), [("gray", 8), ("gray10le", 10)])
@pytest.mark.parametrize("range_", [LIMITED, FULL])
def test_gray_has_a_range_too(tmp_path: Path, range_: int, pixel_format: str, depth: int, max_side: int | None) -> None:
    gray = np.broadcast_to(SIGNAL[:16].mean(axis=0)[:, :1], SIGNAL.shape)
    codes = code_ycbcr(gray, 1, full=range_ == FULL, depth=depth)[..., :1]
    film = write_frames(tmp_path / "film.mkv", [make_frame(codes, pixel_format, Tags(range_))], Tags(range_))

    picture = render(first_frame(film), max_side)

    assert np.abs(middles(picture) - middles(np.round(255 * gray))).max() <= 1


def test_a_palette_holds_colours_of_full_range() -> None:
    palette = np.zeros((256, 4), np.uint8)
    palette[5] = (255, 200, 100, 50)  # alpha, red, green, blue
    frame = av.VideoFrame.from_ndarray((np.full((16, 16), 5, np.uint8), palette), format="pal8")
    frame.color_range = LIMITED

    assert render(frame)[8, 8].tolist() == [200, 100, 50]


@pytest.mark.parametrize("max_side", [None, 80])
@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le"])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_up_to_half_of_white_looks_like_sdr(
    tmp_path: Path, transfer: int, pixel_format: str, max_side: int | None
) -> None:
    frame, tags = hdr_frame(LIGHT, transfer, pixel_format)
    film = write_frames(tmp_path / "film.mkv", [frame], tags)
    is_dark = LIGHT[8::16, 8::16].max(axis=-1) < 97  # where BT.2390's curve from 1000 to 203 cd/m² begins

    picture = middles(render(first_frame(film), max_side))

    # 10 bits of PQ in BT.2020 tell apart no more than 4 codes of a dark channel beside a bright one.
    assert is_dark.sum() >= 15
    assert np.abs(picture - WANTED)[is_dark].max() <= 4
    assert np.abs(picture - WANTED)[is_dark].mean() < 0.5


@pytest.mark.parametrize(
    ("transfer", "filters"),
    [
        # zimg, with white at 203 cd/m²; of HLG it has another idea, per channel.
        (PQ, "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,zscale=t=bt709:m=gbr:r=full"),
        # libswscale's own colour management, which interpolates in a table of colours: hence the tolerance.
        (HLG, "format=gbrp16le,scale=out_primaries=bt709:out_transfer=bt709"),
    ],
)
def test_hdr_up_to_half_of_white_equals_what_ffmpeg_shows(tmp_path: Path, transfer: int, filters: str) -> None:
    frame, tags = hdr_frame(LIGHT, transfer)
    film = write_frames(tmp_path / "film.mkv", [frame], tags)
    is_dark = LIGHT[8::16, 8::16].max(axis=-1) < 97

    picture = middles(render(first_frame(film)))

    shown = middles(show_with_ffmpeg(film, f"{filters},format=rgb24", 96, 160))
    assert np.abs(picture - shown)[is_dark].max() <= 5
    assert np.abs(picture - shown)[is_dark].mean() < 1


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_highlights_are_rolled_off_by_the_curve_of_bt2390(transfer: int) -> None:
    light = np.array([50.0, 90, 120, 160, 203, 300, 450, 600, 800, 1000])
    white, peak = pq_signal(np.array([203.0, 1000.0]))
    # BT.2390-8 §5.4.1: from the knee on a Hermite spline, of slope 1 there and 0 at the peak.
    knee = 1.5 * white / peak - 0.5
    spline = CubicHermiteSpline([knee, 1], [knee, white / peak], [1, 0])
    level = pq_signal(light) / peak
    rolled = np.where(level < knee, level, spline(level)) * peak
    shades = np.linspace(0, 203, 100_000)
    wanted = 255 * (np.interp(rolled, pq_signal(shades), shades) / 203) ** (1 / 2.4)
    columns = light.repeat(16)[None, :, None]

    picture = render(hdr_frame(np.broadcast_to(columns, (96, 160, 3)), transfer)[0])

    assert np.abs(middles(picture)[0, :, 0] - wanted).max() <= 1.5
    assert wanted[4] == pytest.approx(231, abs=1)  # reference white leaves room for what is brighter


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_without_primaries_is_bt2020(transfer: int) -> None:
    frame, _ = hdr_frame(LIGHT, transfer)
    tagged = render(frame)
    frame.color_primaries = 2

    np.testing.assert_array_equal(render(frame), tagged)


@pytest.mark.parametrize(
    ("primaries", "to_wide"),
    [
        (BT2020, BT709_TO_BT2020),
        # Linear sRGB to linear Display P3 in three.js.
        (12, np.array([[0.8224621, 0.1775380, 0], [0.0331941, 0.9668058, 0], [0.0170827, 0.0723974, 0.9105199]])),
    ],
)
def test_a_wide_gamut_comes_out_in_bt709(primaries: int, to_wide: np.ndarray) -> None:
    signal = (SIGNAL**2.4 @ to_wide.T) ** (1 / 2.4)
    tags = Tags(LIMITED, 1, 1, primaries)

    picture = render(make_frame(code_ycbcr(signal, 1, full=False, depth=12), "yuv444p12le", tags))

    # Near black, the four digits of a published matrix leave light of 0.0005, which is 11 codes.
    difference = np.abs(middles(picture) - WANTED)
    assert difference[WANTED > 30].max() <= 2
    assert difference.max() <= 11


def test_the_tags_of_each_frame_count() -> None:
    show = Picture(Display(160, 96, 0)).render
    limited = make_frame(code_ycbcr(SIGNAL, 6, full=False, depth=8), "yuv444p", Tags(LIMITED, 6))
    full = make_frame(code_ycbcr(SIGNAL, 1, full=True, depth=10), "yuv444p10le", Tags(FULL, 1))
    smaller = make_frame(code_ycbcr(SIGNAL[::2, ::2], 9, full=False, depth=8), "yuv420p", Tags(LIMITED, 9))
    hdr, _ = hdr_frame(LIGHT, PQ)
    alone = render(hdr)

    pictures = [show(frame) for frame in (limited, full, smaller, hdr, limited)]

    assert [picture.shape for picture in pictures] == [(96, 160, 3)] * 5
    assert max(np.abs(middles(pictures[place]) - WANTED).max() for place in (0, 1, 2, 4)) <= TOLERANCE
    np.testing.assert_array_equal(pictures[3], alone)


def test_rendering_leaves_the_tags_of_a_frame() -> None:
    frame, tags = hdr_frame(LIGHT, PQ)

    render(frame)

    assert Tags(frame.color_range, frame.colorspace, frame.color_trc, frame.color_primaries) == tags


@pytest.mark.parametrize(("matrix", "name"), [(8, "YCgCo"), (14, "ICtCp"), (15, "IPT-C2")])
def test_a_coding_that_cannot_be_read_is_said(matrix: int, name: str) -> None:
    frame = make_frame(code_ycbcr(SIGNAL, 1, full=False, depth=8), "yuv444p", Tags(LIMITED, matrix))

    with pytest.raises(MediaError, match=f"coded as {name}, which cannot be read.*Convert it to YCbCr"):
        render(frame)


def test_dolby_vision_without_a_base_layer_is_said(tmp_path: Path) -> None:
    film = write_dolby_vision(tmp_path / "film.hevc", profile=0, full=True)

    with pytest.raises(MediaError, match=r"Dolby Vision profile 5.*purple and green.*Convert it to HDR10 or SDR"):
        render(first_frame(film))


@pytest.mark.parametrize("full", [False, True])
def test_dolby_vision_over_hdr10_is_shown_as_hdr10(tmp_path: Path, full: bool) -> None:
    film = write_dolby_vision(tmp_path / "film.hevc", profile=1, full=full)
    frame = first_frame(film)
    assert "DOVI_METADATA" in frame.side_data

    picture = middles(render(frame))

    plain = middles(render(hdr_frame(LIGHT, PQ)[0]))
    assert np.abs(picture - plain).mean() < 3  # x265 and 4:2:0


def write_dolby_vision(path: Path, *, profile: int, full: bool) -> Path:
    """HEVC whose pictures are each followed by a unit of Dolby Vision metadata, with curves that change nothing."""
    light = LIGHT @ BT709_TO_BT2020.T
    tags = Tags(FULL if full else LIMITED, BT2020, PQ, BT2020)
    frame = make_frame(code_ycbcr(pq_signal(light), BT2020, full=full, depth=10), "yuv420p10le", tags)
    write_frames(path, [frame], tags, codec="libx265", options={"x265-params": "log-level=none:qp=4"})
    path.write_bytes(path.read_bytes() + b"\0\0\0\1" + dolby_vision_unit(profile=profile, full=full))
    return path


def dolby_vision_unit(*, profile: int, full: bool) -> bytes:
    """NAL unit 62 with the reference processing unit of ETSI GS CCM 001; its checksum is not looked at."""
    curve = "1" + f"{0:010b}{1023:010b}"  # two pivots
    polynomial = "1" + "1" + "0" + "1" + 23 * "0" + "010" + 23 * "0"  # of order 1: 0 + 1 x
    bits = (
        f"{2:06b}{0:011b}{profile:04b}{0:04b}"
        + ("1" + "0" + "00" + "000011000" + "01" + str(int(full)))  # 23 bits after the point of coefficients
        + ("011" + "011" + "00101" + "0" + "000" + "0" + "1")  # base and enhancement of 10 bits, 12 in all, no residual
        + ("0" + "0" + "1" + "1" + "1" + 3 * curve + "1" + "1" + 3 * polynomial)
    )
    bits += "0" * (-len(bits) % 8)
    payload = b"\x19" + int(bits, 2).to_bytes(len(bits) // 8, "big") + b"\xaa\xbb\xcc\xdd\x80"
    return b"\x7c\x01" + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def test_transparency_is_ignored() -> None:
    signal = np.concatenate([SIGNAL, np.zeros_like(SIGNAL[..., :1])], axis=-1)
    codes = np.concatenate([code_ycbcr(SIGNAL, 1, full=False, depth=8), 255 * signal[..., 3:]], axis=-1)

    picture = render(make_frame(codes, "yuva444p", replace(Tags(), range=LIMITED, matrix=1)))

    assert np.abs(middles(picture) - WANTED).max() <= 2
