"""What shot detection looks at is the same picture, however a film is coded."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from colour_clips import BT709_TO_BT2020, Tags, code_ycbcr, hlg_signal, make_frame, pq_signal, write_frames

from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import VideoPass
from mediafm_cli.media.probe import require_video
from mediafm_cli.media.shots import cut_into_shots
from mediafm_cli.media.thumbnails import read_thumbnails
from mediafm_cli.segmenters.content import ContentSegmenter

SIZE = (160, 90)
FRAMES = 130
PQ, HLG = Tags(1, 9, 16, 9), Tags(1, 9, 18, 9)


@pytest.fixture(scope="module")
def pictures(media: Path) -> list[np.ndarray]:
    """Fast action from a real film, small: float [h, w, 3] of 0 to 1."""
    found = []
    with av.open(str(media / "sintel_10s.mp4")) as container:
        for frame in container.decode(video=0):
            found.append(frame.reformat(*SIZE, "rgb24").to_ndarray() / 255)
            if len(found) == FRAMES:
                return found
    raise AssertionError("the clip is shorter than it was")


def write_hdr(path: Path, pictures: list[np.ndarray], tags: Tags) -> Path:
    signal_of = pq_signal if tags is PQ else hlg_signal
    signals = (signal_of(203 * picture**2.4 @ BT709_TO_BT2020.T) for picture in pictures)
    frames = [make_frame(code_ycbcr(signal, 9, full=False, depth=10), "yuv444p10le", tags) for signal in signals]
    return write_frames(path, frames, tags)


def find_starts(film: Path) -> list[int]:
    return cut_into_shots(film, ContentSegmenter()).start_frame.tolist()


@pytest.mark.parametrize("tags", [PQ, HLG], ids=["PQ", "HLG"])
def test_hdr_is_cut_as_its_sdr_version(pictures: list[np.ndarray], tmp_path: Path, tags: Tags) -> None:
    film = write_hdr(tmp_path / "film.mkv", pictures, tags)

    assert find_starts(film) == [0, 58, 76, 96, 118]  # hand-checked


def write_sdr(path: Path, pictures: list[np.ndarray], options: dict[str, str]) -> Path:
    tags = Tags(1, 1, 1, 1)
    frames = [make_frame(code_ycbcr(picture, 1, full=False, depth=8), "yuv444p", tags) for picture in pictures]
    return write_frames(path, frames, tags, codec="libx264", options={"qp": "0", **options})


def compare_with_means(film: Path, most: int = 50) -> np.ndarray:
    """How far the thumbnails of a film are from the means of all that their pixels cover: [frames], of 255."""
    apart = []
    with open_media(film) as container:
        video = VideoPass(container, require_video(film, container))
        for _, frame, thumbnail in islice(read_thumbnails(video, (64, 36)), most):
            means = frame.reformat(64, 36, "rgb24", interpolation=Interpolation.AREA).to_ndarray()
            assert thumbnail.rgb.shape == means.shape
            apart.append(np.abs(thumbnail.rgb.astype(int) - means).mean())
    return np.array(apart)


def test_a_thumbnail_of_a_small_picture_is_the_mean_of_what_it_covers(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    assert not compare_with_means(write_sdr(tmp_path / "film.mkv", pictures[:5], {})).any()


@pytest.mark.parametrize("name", ["sintel_10s.mp4", "bbb_480p_30s.mp4"])
def test_a_thumbnail_of_a_large_picture_is_close_to_the_mean_of_what_it_covers(media: Path, name: str) -> None:
    apart = compare_with_means(media / name)

    assert apart.any()  # it is not computed from all of the picture
    assert apart.max() < 3


def weave(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Every second line from a later moment."""
    both = upper.copy()
    both[1::2] = lower[1::2]
    return both


def test_interlaced_film_is_cut_as_its_progressive_version(pictures: list[np.ndarray], tmp_path: Path) -> None:
    woven = [weave(*moments) for moments in zip(pictures[::2], pictures[1::2], strict=True)]
    interlaced = write_sdr(tmp_path / "interlaced.mkv", woven, {"x264-params": "tff=1"})
    progressive = write_sdr(tmp_path / "progressive.mkv", pictures[::2], {})

    starts = find_starts(interlaced)

    assert starts == find_starts(progressive)
    assert {29, 48} <= set(starts)  # hand-checked cuts, at half the rate


@pytest.mark.parametrize(("times", "pixels_read"), [(2, 4), (5, 25), (6, 4), (9, 4)])
def test_a_pixel_is_the_mean_of_all_that_it_covers_or_of_four_in_a_large_picture(
    tmp_path: Path, times: int, pixels_read: int
) -> None:
    """Noise: the mean of n values of it strays from the middle by its spread over the root of n."""
    width, height = 64, 36
    noise = np.random.default_rng(0).integers(0, 256, (times * height, times * width, 1), np.uint8)
    film = write_sdr(tmp_path / "film.mkv", [np.repeat(noise, 3, axis=2) / 255], {})

    with open_media(film) as container:
        ((_, _, thumbnail),) = read_thumbnails(VideoPass(container, require_video(film, container)), (width, height))

    assert thumbnail.rgb.std() == pytest.approx(noise.std() / pixels_read**0.5, rel=0.15)
