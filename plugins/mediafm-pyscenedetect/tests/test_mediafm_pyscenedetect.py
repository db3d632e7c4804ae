"""The segmenters say what PySceneDetect says of the same film, and keep mediafm's contract.

Every expected boundary and score comes from PySceneDetect itself: its own reader of the same file, ``SceneManager``,
``StatsManager`` and detectors, with the arguments that its documentation gives.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import mediafm_pyscenedetect
import numpy as np
import pytest
import scenedetect
from mediafm_pyscenedetect import Adaptive, Content, Hash, Histogram, Threshold, parse_length
from scenedetect import (
    AdaptiveDetector,
    ContentDetector,
    HashDetector,
    HistogramDetector,
    SceneDetector,
    SceneManager,
    StatsManager,
    ThresholdDetector,
)
from scenedetect.detector import FlashFilter

from mediafm_cli.api import Segmenter, Thumbnail
from mediafm_cli.errors import UnavailableError, UsageError
from mediafm_cli.evaluate.boundaries.agreement import Counts, count_cuts
from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import VideoPass
from mediafm_cli.media.probe import require_video
from mediafm_cli.media.shots import cut_into_shots
from mediafm_cli.media.thumbnails import read_thumbnails
from mediafm_cli.options import parse_options
from mediafm_cli.testing import assert_segmenter

SIZE = (256, 144)  # of thumbnails; PySceneDetect does not scale frames that are no wider
PAIRS = [
    (Content, ContentDetector),
    (Adaptive, AdaptiveDetector),
    (Hash, HashDetector),
    (Histogram, HistogramDetector),
    (Threshold, ThresholdDetector),
]
SEGMENTERS = [segmenter for segmenter, _ in PAIRS]
COMPONENTS = ContentDetector.Components
METRICS = {Content: 0, Adaptive: -1, Hash: 0, Histogram: 0}  # place in what the detector measures
SCORES = {Histogram: lambda correlation: 1 - correlation}  # the others are scored by what is measured
MEANS = {  # how an option is written, where that is not how the library writes it
    "filter_mode": lambda text: FlashFilter.Mode[text.upper()],
    "method": lambda text: ThresholdDetector.Method[text.upper()],
    "min_scene_len": int,
    "min_out_length": int,
}


@dataclass(frozen=True)
class Case:
    """A segmenter with options, and the detector with the arguments that mean the same."""

    segmenter: type[Segmenter]
    detector: type[SceneDetector]
    options: dict[str, Any]
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return " ".join([self.segmenter.__name__, *(f"{name}={value}" for name, value in self.options.items())])

    def make(self) -> Segmenter:
        return self.segmenter(self.segmenter.Options(**self.options))


CASES = [
    *(Case(segmenter, detector, {}, {}) for segmenter, detector in PAIRS),
    *(Case(segmenter, detector, {"min_scene_len": "0"}, {"min_scene_len": 0}) for segmenter, detector in PAIRS),
    *(Case(segmenter, detector, {"min_scene_len": "7"}, {"min_scene_len": 7}) for segmenter, detector in PAIRS),
    Case(Content, ContentDetector, {"threshold": 12.5}, {"threshold": 12.5}),
    Case(Content, ContentDetector, {"filter_mode": "suppress"}, {"filter_mode": FlashFilter.Mode.SUPPRESS}),
    Case(Content, ContentDetector, {"luma_only": True}, {"luma_only": True}),
    Case(
        Content,
        ContentDetector,
        {"delta_hue": 0.5, "delta_sat": 0.25, "delta_edges": 2.0, "kernel_size": 9},
        {"weights": COMPONENTS(0.5, 0.25, 1.0, 2.0), "kernel_size": 9},
    ),
    Case(
        Adaptive,
        AdaptiveDetector,
        {"adaptive_threshold": 1.5, "window_width": 4, "min_content_val": 8.0, "delta_edges": 1.0},
        {"adaptive_threshold": 1.5, "window_width": 4, "min_content_val": 8.0, "weights": COMPONENTS(1, 1, 1, 1)},
    ),
    Case(Adaptive, AdaptiveDetector, {"luma_only": True}, {"luma_only": True}),
    Case(
        Hash, HashDetector, {"threshold": 0.2, "size": 16, "lowpass": 4}, {"threshold": 0.2, "size": 16, "lowpass": 4}
    ),
    Case(Histogram, HistogramDetector, {"threshold": 0.5, "bins": 16}, {"threshold": 0.5, "bins": 16}),
    *(
        Case(Threshold, ThresholdDetector, {"fade_bias": bias, "threshold": 30}, {"fade_bias": bias, "threshold": 30})
        for bias in (-1.0, -0.4, 1.0)
    ),
    Case(Threshold, ThresholdDetector, {"add_final_scene": True}, {"add_final_scene": True}),
    Case(Threshold, ThresholdDetector, {"min_out_length": "12"}, {"min_out_length": 12}),
    Case(
        Threshold,
        ThresholdDetector,
        {"method": "ceiling", "threshold": 200, "min_scene_len": "0"},
        {"method": ThresholdDetector.Method.CEILING, "threshold": 200, "min_scene_len": 0},
    ),
]
CASES_IN_SECONDS = [
    *(Case(segmenter, detector, {"min_scene_len": "0.5s"}, {"min_scene_len": 0.5}) for segmenter, detector in PAIRS),
    Case(
        Content,
        ContentDetector,
        {"min_scene_len": "00:00:00.300", "filter_mode": "suppress"},
        {"min_scene_len": "00:00:00.300", "filter_mode": FlashFilter.Mode.SUPPRESS},
    ),
    Case(
        Threshold,
        ThresholdDetector,
        {"min_scene_len": "0.5s", "min_out_length": "0.4s"},
        {"min_scene_len": 0.5, "min_out_length": 0.4},
    ),
]


# --- films ------------------------------------------------------------------------------------------------------------


def still(seed: int, count: int) -> list[np.ndarray]:
    """A picture of blocks that drifts by two pixels a frame."""
    blocks = np.random.default_rng(seed).integers(60, 240, (9, 16, 3), dtype=np.uint8)
    picture = blocks.repeat(16, axis=0).repeat(16, axis=1)
    return [np.roll(picture, 2 * step, axis=1) for step in range(count)]


def fade(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    shares = np.linspace(1, 0, len(frames))
    return [(share * frame).astype(np.uint8) for share, frame in zip(shares, frames, strict=True)]


def draw_film() -> list[np.ndarray]:
    """Cuts between long, short and very short shots, a white flash, fades through black, and a fade that ends it."""
    black, white = [np.zeros((144, 256, 3), np.uint8)], [np.full((144, 256, 3), 255, np.uint8)]
    film = [frame for seed, length in enumerate([30, 20, 9, 3, 5, 40, 2, 2, 25]) for frame in still(seed, length)]
    film += white * 3 + still(20, 30)
    film += fade(still(21, 16)) + black * 5 + fade(still(22, 17))[::-1] + still(22, 20)
    film += fade(still(23, 10)) + black * 20 + still(24, 30)
    return film + fade(still(25, 20)) + black * 13


def write_film(path: Path, frames: Sequence[np.ndarray], times_ms: Sequence[int], rate: Fraction) -> Path:
    """A lossless file, so that all who read it see the same pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for picture, time_ms in zip(frames, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = draw_film()
    times_ms = [40 * number for number in range(len(frames))]
    return write_film(tmp_path_factory.mktemp("film") / "film.mkv", frames, times_ms, Fraction(25))


@pytest.fixture(scope="module")
def uneven_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film at a frame rate that varies between 10 and 100 frames a second."""
    frames = draw_film()
    steps_ms = np.random.default_rng(0).integers(10, 101, len(frames) - 1)
    times_ms = [0, *np.cumsum(steps_ms).tolist()]
    return write_film(tmp_path_factory.mktemp("film") / "uneven.mkv", frames, times_ms, Fraction(25))


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips with hand-checked cuts; not part of the project, so absent from a plain clone."""
    folder = Path(os.environ.get("MEDIAFM_TEST_MEDIA", Path(__file__).parent / "../../../../shared/media")).resolve()
    if not (folder / "cuts.json").is_file():
        pytest.skip(f"no real clips at {folder} (set MEDIAFM_TEST_MEDIA to a folder with cuts.json)")
    return folder


def read_film(path: Path, stream: int | None = None) -> list[Thumbnail]:
    """Every frame of one video stream, of the file's best where none is named, as mediafm hands it to a segmenter."""
    with open_media(path) as container:
        video = require_video(path, container) if stream is None else container.streams[stream]
        return [thumbnail for _, _, thumbnail in read_thumbnails(VideoPass(container, video), SIZE)]


@pytest.fixture(scope="module")
def thumbnails(film: Path) -> list[Thumbnail]:
    return read_film(film)


@pytest.fixture(scope="module")
def uneven_thumbnails(uneven_film: Path) -> list[Thumbnail]:
    return read_film(uneven_film)


def in_memory(frames: Sequence[np.ndarray]) -> list[Thumbnail]:
    return [Thumbnail(number, number / 25, frame) for number, frame in enumerate(frames)]


def frames_of(segmenter: Segmenter, thumbnails: Sequence[Thumbnail]) -> list[int]:
    return [boundary.frame for boundary in segmenter.detect(iter(thumbnails))]


def seconds_of(segmenter: Segmenter, thumbnails: Sequence[Thumbnail]) -> list[float]:
    return [thumbnails[frame].time_s for frame in frames_of(segmenter, thumbnails)]


def run_scene_manager(path: Path, detector: SceneDetector, stats: StatsManager | None = None) -> list[float]:
    """Seconds at which PySceneDetect's shots begin, all but the first."""
    manager = SceneManager(stats)
    manager.add_detector(detector)
    manager.detect_scenes(scenedetect.open_video(str(path), backend="pyav"))
    return [start.seconds for start, _ in manager.get_scene_list(start_in_scene=True)[1:]]


def default_arguments(detector: type[SceneDetector]) -> dict[str, Any]:
    """What a detector takes, and its defaults; the weights one by one."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(detector).parameters.items()}
    defaults.pop("block_size", None)  # deprecated, without effect
    weights = defaults.pop("weights", None)
    return defaults | (weights._asdict() if weights else {})


# --- the same as PySceneDetect ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [*CASES, *CASES_IN_SECONDS], ids=str)
def test_boundaries_of_a_film_are_those_of_pyscenedetect(case: Case, film: Path, thumbnails: list[Thumbnail]) -> None:
    expected_s = run_scene_manager(film, case.detector(**case.arguments))

    found_s = seconds_of(case.make(), thumbnails)

    assert expected_s
    assert found_s == pytest.approx(expected_s)


# PySceneDetect places a fade by frame numbers that it derives from the mean frame rate, so it is no reference here.
@pytest.mark.parametrize("case", [case for case in CASES_IN_SECONDS if case.segmenter is not Threshold], ids=str)
def test_seconds_are_real_time_where_the_frame_rate_varies(
    case: Case, uneven_film: Path, uneven_thumbnails: list[Thumbnail], thumbnails: list[Thumbnail]
) -> None:
    expected_s = run_scene_manager(uneven_film, case.detector(**case.arguments))

    found_s = seconds_of(case.make(), uneven_thumbnails)

    assert found_s == pytest.approx(expected_s)
    assert frames_of(case.make(), uneven_thumbnails) != frames_of(case.make(), thumbnails)


@pytest.mark.parametrize("case", [case for case in CASES if "min_scene_len" in case.options], ids=str)
def test_frames_are_counted_where_the_frame_rate_varies(
    case: Case, uneven_thumbnails: list[Thumbnail], thumbnails: list[Thumbnail]
) -> None:
    assert frames_of(case.make(), uneven_thumbnails) == frames_of(case.make(), thumbnails)


@pytest.mark.parametrize(
    "case", [case for case in [*CASES, *CASES_IN_SECONDS] if case.segmenter is not Threshold], ids=str
)
def test_scores_are_the_statistics_of_pyscenedetect(case: Case, film: Path, thumbnails: list[Thumbnail]) -> None:
    detector, stats = case.detector(**case.arguments), StatsManager()
    run_scene_manager(film, detector, stats)
    key = detector.get_metrics()[METRICS[case.segmenter]]

    found = list(case.make().detect(iter(thumbnails)))

    metrics = [stats.get_metrics(boundary.frame, [key])[0] for boundary in found]
    expected = [SCORES.get(case.segmenter, float)(metric) for metric in metrics]
    assert [boundary.score for boundary in found] == pytest.approx(expected, rel=1e-12)
    assert min(expected) > 0


def test_the_host_cuts_a_film_where_pyscenedetect_does(film: Path) -> None:
    expected_s = run_scene_manager(film, AdaptiveDetector())

    shots = cut_into_shots(film, Adaptive())

    assert shots.start_s[1:].tolist() == pytest.approx(expected_s)


@pytest.mark.parametrize(("segmenter", "detector"), PAIRS)
def test_options_are_the_arguments_of_the_detector_with_its_defaults(
    segmenter: type[Segmenter], detector: type[SceneDetector]
) -> None:
    options = segmenter.Options()

    found = {field.name: getattr(options, field.name) for field in fields(options)}
    assert {name: MEANS.get(name, lambda value: value)(value) for name, value in found.items()} == default_arguments(
        detector
    )


@pytest.mark.parametrize(
    "text", ["15", "0", "0.6", "0.6s", "2s", ".5", "3.", "00:00:00.600", "01:02:03", "02:03.25", "1:05"]
)
def test_lengths_are_read_as_pyscenedetect_reads_them(text: str) -> None:
    rate = Fraction(25)
    expected_s = scenedetect.FrameTimecode(text, fps=rate).seconds

    length = parse_length("min_scene_len", text)

    assert scenedetect.FrameTimecode(length, fps=rate).seconds == pytest.approx(expected_s)


# --- fades and edges of a film ----------------------------------------------------------------------------------------


GREY, DARK = np.full((144, 256, 3), 100, np.uint8), np.full((144, 256, 3), 5, np.uint8)


def test_a_fade_is_one_gradual_boundary_from_the_first_dark_frame_to_the_first_bright_one() -> None:
    frames = in_memory([GREY] * 40 + [DARK] * 10 + [GREY] * 40)

    (found,) = Threshold().detect(iter(frames))

    assert (found.frame, found.kind, found.first, found.last, found.score) == (45, "gradual", 40, 50, 0.0)


def test_a_title_that_ends_in_the_dark_has_its_last_boundary_there_if_asked_for() -> None:
    frames = in_memory([GREY] * 40 + [DARK] * 10)

    (found,) = Threshold(Threshold.Options(add_final_scene=True)).detect(iter(frames))

    assert (found.frame, found.kind, found.first, found.last) == (40, "gradual", 40, 49)
    assert frames_of(Threshold(), frames) == []


@pytest.mark.parametrize(
    ("options", "frames", "expected"),
    [
        ({"fade_bias": -1.0}, [DARK] * 20 + [GREY] * 20, []),
        ({"fade_bias": 0.0}, [DARK] * 20 + [GREY] * 20, [10]),
        ({"add_final_scene": True}, [DARK] * 40, []),
    ],
)
def test_a_title_that_begins_in_the_dark_has_no_boundary_before_its_first_frame(
    options: dict[str, Any], frames: list[np.ndarray], expected: list[int]
) -> None:
    segmenter = Threshold(Threshold.Options(**options))

    assert frames_of(segmenter, in_memory(frames)) == expected


@pytest.mark.parametrize("segmenter", [Content, Hash])
def test_a_threshold_of_0_makes_a_cut_of_every_frame_but_the_first(segmenter: type[Segmenter]) -> None:
    options = segmenter.Options(threshold=0.0, min_scene_len="0")

    assert frames_of(segmenter(options), in_memory(still(1, 12))) == list(range(1, 12))


# --- the contract -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [*CASES[: len(PAIRS)], *CASES_IN_SECONDS], ids=str)
def test_keeps_the_contract_of_a_segmenter(case: Case) -> None:
    assert_segmenter(case.segmenter, case.make().options)


@pytest.mark.parametrize("min_scene_len", ["15", "0.6s"])
@pytest.mark.parametrize("segmenter", SEGMENTERS)
def test_memory_does_not_grow_with_the_title(segmenter: type[Segmenter], min_scene_len: str) -> None:
    frames = [np.random.default_rng(seed).integers(0, 256, (36, 64, 3), dtype=np.uint8) for seed in range(3)]
    used: list[int] = []

    def watch() -> Iterator[Thumbnail]:
        for number in range(1501):
            if number % 500 == 0:
                used.append(tracemalloc.get_traced_memory()[0])
            yield Thumbnail(number, number / 25, frames[number // 40 % 3].copy())

    tracemalloc.start()
    for _ in segmenter(segmenter.Options(min_scene_len=min_scene_len)).detect(watch()):
        pass
    tracemalloc.stop()

    assert used[3] - used[1] < 50_000  # 1,000 frames are 7 MB


@pytest.mark.parametrize(
    ("segmenter", "pair", "said"),
    [
        (Content, "threshold=300", "threshold is 300.0. It must be 0 to 255."),
        (Content, "kernel_size=4", "kernel_size is 4. It must be odd and at least 3."),
        (Content, "min_scene_len=soon", "Give frames (15), seconds (0.6s) or a time (00:00:00.6)."),
        (Content, "min_scene_len=-3", "min_scene_len is '-3'."),
        (Content, "filter_mode=drop", "It can be: merge, suppress."),
        (Content, "weights=1", "There is no option 'weights'."),
        (Adaptive, "window_width=0", "window_width is 0. It must be at least 1."),
        (Adaptive, "adaptive_threshold=-1", "adaptive_threshold is -1.0. It must be 0 to 255."),
        (Adaptive, "min_content_val=256", "min_content_val is 256.0. It must be 0 to 255."),
        (Hash, "threshold=27", "threshold is 27.0. It must be 0 to 1."),
        (Hash, "size=0", "size is 0. It must be 1 to 256."),
        (Hash, "lowpass=0", "lowpass is 0. It must be 1 to 256."),
        (Histogram, "bins=512", "bins is 512. It must be 1 to 256."),
        (Histogram, "threshold=1.5", "threshold is 1.5. It must be 0 to 1."),
        (Threshold, "fade_bias=2", "fade_bias is 2.0. It must be -1 to 1."),
        (Threshold, "threshold=-1", "threshold is -1. It must be 0 to 255."),
        (Threshold, "min_out_length=0.5s", "Give both in frames (15) or both in seconds (0.6s)."),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_what_can(segmenter: type[Segmenter], pair: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_options(segmenter.Options, [pair])

    assert said in str(refused.value)


def test_options_that_cannot_be_together_are_refused() -> None:
    no_weights = ["delta_hue=0", "delta_sat=0", "delta_lum=0"]

    with pytest.raises(UsageError, match="other than 0 for one at least"):
        parse_options(Content.Options, no_weights)
    with pytest.raises(UsageError, match=r"size × lowpass is 21. It must be even."):
        parse_options(Hash.Options, ["size=7", "lowpass=3"])


@pytest.mark.parametrize("segmenter", SEGMENTERS)
def test_the_fingerprint_names_the_version_of_pyscenedetect(segmenter: type[Segmenter]) -> None:
    assert segmenter().fingerprint() == {"version": "1", "scenedetect": version("scenedetect-headless")}


@pytest.mark.parametrize("segmenter", SEGMENTERS)
def test_without_pyscenedetect_an_error_says_what_to_install(
    segmenter: type[Segmenter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scenedetect", None)

    with pytest.raises(UnavailableError, match="pip install scenedetect-headless"):
        list(segmenter().detect(iter(in_memory([GREY]))))
    with pytest.raises(UnavailableError, match="pip install scenedetect-headless"):
        segmenter().fingerprint()


def test_importing_the_plugin_and_making_a_segmenter_loads_no_opencv() -> None:
    code = "import sys, mediafm_pyscenedetect as m; m.Adaptive(); print({'scenedetect', 'cv2'} & set(sys.modules))"
    folder = str(Path(mediafm_pyscenedetect.__file__).parent)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)

    assert done.stdout == "set()\n", done.stderr


# --- real films -------------------------------------------------------------------------------------------------------


def test_hard_cuts_of_real_films_are_found(media: Path) -> None:
    """Not worse than PySceneDetect itself, which reads and scales the clips in its own way.

    ``SceneManager`` with ``AdaptiveDetector()`` and the ``pyav`` reader finds 22 of 24 hard cuts of these clips, and 2
    that are none (PySceneDetect 0.7.2; without the one stream that this reader cannot choose): an F1 of .917.
    """
    total = Counts()
    for name, clip in json.loads((media / "cuts.json").read_text())["clips"].items():
        file, _, stream = name.partition("#stream")
        found = frames_of(Adaptive(), read_film(media / file, int(stream) if stream else None))
        changing = {frame for g in clip["gradual"] for frame in range(g["first"] - 2, g["last"] + 3)}
        total += count_cuts([frame for frame in found if frame not in changing], clip["hard_cuts"])

    assert total.recall >= 0.9, total
    assert total.f1 >= 0.91, total
