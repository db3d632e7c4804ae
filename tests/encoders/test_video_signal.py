"""``video.signal`` against pictures whose description can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm_cli.api import Frames, Shot
from mediafm_cli.encoders.video_signal import VideoSignal, VideoSignalOptions
from mediafm_cli.errors import UsageError
from mediafm_cli.testing import assert_encoder

LAYOUT, COLOUR, EDGES, MOTION = slice(0, 41), slice(41, 73), slice(73, 217), slice(217, 233)
LUMA = slice(0, 21)
HUES = slice(41, 65)


def encode(*frames: np.ndarray) -> np.ndarray:
    return VideoSignal().encode([Shot(0, 0.0, 1.0, frames=np.stack(frames))])[0]


def plain(rgb: tuple[int, int, int], size: tuple[int, int] = (90, 160)) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (*size, 3)).copy()


def stripes(*, upright: bool) -> np.ndarray:
    """Sine waves of 16 pixels across 96 × 96."""
    wave = (128 + 100 * np.sin(2 * np.pi * np.arange(96) / 16)).astype(np.uint8)
    grid = np.broadcast_to(wave[None, :] if upright else wave[:, None], (96, 96))
    return np.repeat(grid[..., None], 3, axis=2)


def cosine(one: np.ndarray, two: np.ndarray) -> float:
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)))


def test_keeps_the_contract_of_an_encoder() -> None:
    assert_encoder(VideoSignal)
    assert_encoder(VideoSignal, VideoSignalOptions(frames=1, max_side=64))


def test_asks_for_the_frames_its_options_name() -> None:
    assert VideoSignal(VideoSignalOptions(frames=7, max_side=96)).needs == Frames(7, 96)


def test_refuses_options_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="frames of at least 1"):
        VideoSignalOptions(frames=0)


def test_mid_grey_lies_at_the_origin_of_layout_edges_and_motion() -> None:
    vector = encode(plain((128, 128, 128)), plain((128, 128, 128)))

    # 128 of 255 is 0.002 above the middle; the DC coefficient of an orthonormal 8 × 8 DCT is 8 times that.
    assert vector[0] == pytest.approx(8 * (128 / 255 - 0.5) / 0.5, abs=1e-4)
    np.testing.assert_allclose(vector[1:41], 0, atol=1e-5)
    np.testing.assert_allclose(vector[EDGES], 0, atol=1e-5)
    np.testing.assert_array_equal(vector[MOTION], 0)


def test_a_picture_split_into_light_above_dark_is_an_odd_vertical_wave() -> None:
    picture = plain((255, 255, 255))
    picture[45:] = 0

    luma = encode(picture)[LUMA]

    # DCT-II of the step +½ ×4, -½ ×4 in 8 points: only odd vertical frequencies, the first the largest.
    step = np.repeat([0.5, -0.5], 4)
    by_hand = [np.sqrt(8) * 0.5 * np.sum(step * np.cos(np.pi * (np.arange(8) + 0.5) * u / 8)) for u in (1, 3, 5)]
    zigzag_of_vertical = [
        2,
        9,
        20,
    ]  # 0-based places of (1, 0), (3, 0), (5, 0) in the zigzag of JPEG, ITU-T T.81 figure 5
    np.testing.assert_allclose(luma[zigzag_of_vertical] / luma[2], np.array(by_hand) / by_hand[0], rtol=1e-4)
    np.testing.assert_allclose(np.delete(luma, zigzag_of_vertical), 0, atol=1e-5)


def test_pure_blue_has_the_chroma_of_bt601() -> None:
    vector = encode(plain((0, 0, 255)))

    # ITU-R BT.601: Cb = 0.5 and Cr = -0.081 for full blue.
    assert vector[31] / vector[21] == pytest.approx(-0.081312 / 0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("rgb", "hue_bin"), [((255, 0, 0), 0), ((255, 255, 0), 4), ((0, 255, 0), 8), ((0, 0, 255), 16), ((255, 0, 255), 20)]
)
def test_a_pure_colour_falls_into_the_bin_of_its_hue(rgb: tuple[int, int, int], hue_bin: int) -> None:
    hues = encode(plain(rgb))[HUES]

    assert np.argmax(hues) == hue_bin  # 24 bins: 15 degrees each
    np.testing.assert_allclose(np.delete(hues, hue_bin), hues.min(), atol=1e-6)


def test_a_grey_picture_has_no_hue() -> None:
    np.testing.assert_allclose(encode(plain((90, 90, 90)))[HUES], 0, atol=1e-6)


def test_edges_of_upright_stripes_point_sideways_and_those_of_level_stripes_down() -> None:
    upright = encode(stripes(upright=True))[EDGES][:128].reshape(16, 8)
    level = encode(stripes(upright=False))[EDGES][:128].reshape(16, 8)

    np.testing.assert_array_equal(np.argmax(upright, axis=1), 0)  # 0 of 180 degrees
    np.testing.assert_array_equal(np.argmax(level, axis=1), 4)  # 90 of 180 degrees


def test_edges_do_not_depend_on_the_light() -> None:
    bright = stripes(upright=True)

    assert cosine(encode(bright)[EDGES], encode(bright // 2)[EDGES]) == pytest.approx(1, abs=1e-3)


def test_identical_frames_have_no_motion() -> None:
    picture = stripes(upright=True)

    np.testing.assert_array_equal(encode(picture, picture, picture)[MOTION], 0)


def test_motion_is_seen_where_it_happens() -> None:
    before = plain((100, 100, 100), (96, 96))
    after = before.copy()
    after[72:, :24] = 200  # the lowest cell on the left

    motion = encode(before, after)[MOTION].reshape(4, 4)

    assert motion[3, 0] > 0
    assert np.count_nonzero(np.round(motion, 6)) == 1


def test_one_frame_has_no_motion() -> None:
    np.testing.assert_array_equal(encode(stripes(upright=True))[MOTION], 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 160), (160, 1), (2, 3), (7, 5), (90, 160), (161, 91)])
def test_any_frame_size_gives_a_finite_vector(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)

    assert np.isfinite(encode(picture, picture[::-1])).all()


def test_size_changes_the_description_little() -> None:
    small, large = stripes(upright=True), np.repeat(np.repeat(stripes(upright=True), 2, axis=0), 2, axis=1)

    assert cosine(encode(small)[LAYOUT], encode(large)[LAYOUT]) == pytest.approx(1, abs=1e-3)


def test_unlike_pictures_are_not_all_alike() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 3, 4, 3)).astype(np.uint8)
    pictures = np.repeat(np.repeat(coarse, 30, axis=1), 40, axis=2)

    vectors = VideoSignal().encode([Shot(i, 0.0, 1.0, frames=picture[None]) for i, picture in enumerate(pictures)])

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[~np.eye(12, dtype=bool)]
    assert cosines.mean() < 0.6
