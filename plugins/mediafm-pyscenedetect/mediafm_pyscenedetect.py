"""``pyscenedetect.*``: the shot-boundary detectors of PySceneDetect, unchanged, as segmenters of mediafm.

Each detector runs as PySceneDetect's ``SceneManager`` runs it, on frames of 256 × 144 pixels, the size that
``SceneManager`` makes of a 16:9 film. Options have PySceneDetect's names and defaults.

Source: PySceneDetect 0.7, https://www.scenedetect.com/docs/latest/api/detectors.html (BSD 3-Clause).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from mediafm_cli.api import Boundary, Segmenter, Thumbnail
from mediafm_cli.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from scenedetect import FrameTimecode, SceneDetector  # type: ignore[import-untyped]

_TICKS = 705_600_000  # of a second: "flicks", in which frames of every usual rate, 24000/1001 too, last whole numbers
_FRAMES_OR_SECONDS = re.compile(r"(?P<frames>\d+)|(?P<seconds>\d+\.\d*|\.\d+|\d+(?=s))s?", re.ASCII)
_CLOCK = re.compile(r"(?:(?P<hours>\d+):)?(?P<minutes>[0-5]?\d):(?P<seconds>[0-5]?\d(?:\.\d*)?)", re.ASCII)


# --- options ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ContentOptions:
    """Options of ``pyscenedetect.content``.

    Attributes:
        threshold: least ``content_val`` of a cut, 0 to 255; lower finds more.
        min_scene_len: least length of a shot: ``15`` is frames; ``0.6s``, ``0.6`` and ``00:00:00.6`` are time; 0 leaves
            short shots to ``--min-shot``.
        delta_hue, delta_sat, delta_lum, delta_edges: weights of the four differences in ``content_val``.
        luma_only: look at brightness only, whatever the weights.
        kernel_size: pixels by which edges are widened, odd, at least 3; chosen from the frame's size otherwise.
        filter_mode: how ``min_scene_len`` is kept: ``merge`` cuts that follow one another, or ``suppress`` the later.
    """

    threshold: float = 27.0
    min_scene_len: str = "15"
    delta_hue: float = 1.0
    delta_sat: float = 1.0
    delta_lum: float = 1.0
    delta_edges: float = 0.0
    luma_only: bool = False
    kernel_size: int | None = None
    filter_mode: Literal["merge", "suppress"] = "merge"

    def __post_init__(self) -> None:
        _require_within("threshold", self.threshold, 0, 255)
        _check_content(self)


@dataclass(frozen=True)
class AdaptiveOptions:
    """Options of ``pyscenedetect.adaptive``.

    Attributes:
        adaptive_threshold: least ``adaptive_ratio`` of a cut, 0 to 255: its ``content_val`` over the mean of the frames
            around it; lower finds more.
        min_scene_len: as for ``ContentOptions``.
        window_width: how many frames before it and after it are around a frame.
        min_content_val: least ``content_val`` of a cut, 0 to 255.
        delta_hue, delta_sat, delta_lum, delta_edges, luma_only, kernel_size: as for ``ContentOptions``.
    """

    adaptive_threshold: float = 3.0
    min_scene_len: str = "15"
    window_width: int = 2
    min_content_val: float = 15.0
    delta_hue: float = 1.0
    delta_sat: float = 1.0
    delta_lum: float = 1.0
    delta_edges: float = 0.0
    luma_only: bool = False
    kernel_size: int | None = None

    def __post_init__(self) -> None:
        _require_within("adaptive_threshold", self.adaptive_threshold, 0, 255)
        _require_within("min_content_val", self.min_content_val, 0, 255)
        _require(self.window_width >= 1, "window_width", self.window_width, "at least 1")
        _check_content(self)


@dataclass(frozen=True)
class HashOptions:
    """Options of ``pyscenedetect.hash``.

    Attributes:
        threshold: least share of the hash's bits that change at a cut, 0 to 1; lower finds more.
        size: side of the square of low frequencies that is hashed, 1 to 256.
        lowpass: how much finer the picture is than that square, 1 to 256; 2 keeps the lower half of the frequencies.
        min_scene_len: as for ``ContentOptions``.
    """

    threshold: float = 0.35
    size: int = 8
    lowpass: int = 2
    min_scene_len: str = "15"

    def __post_init__(self) -> None:
        _require_within("threshold", self.threshold, 0, 1)
        _require_within("size", self.size, 1, 256)
        _require_within("lowpass", self.lowpass, 1, 256)
        # OpenCV promises its cosine transform for even sizes only.
        _require(self.size * self.lowpass % 2 == 0, "size × lowpass", self.size * self.lowpass, "even")
        parse_length("min_scene_len", self.min_scene_len)


@dataclass(frozen=True)
class HistogramOptions:
    """Options of ``pyscenedetect.histogram``.

    Attributes:
        threshold: least difference of the histograms of brightness at a cut, 0 to 1; lower finds more.
        bins: of the histogram, 1 to 256.
        min_scene_len: as for ``ContentOptions``.
    """

    threshold: float = 0.20
    bins: int = 128
    min_scene_len: str = "15"

    def __post_init__(self) -> None:
        _require_within("threshold", self.threshold, 0, 1)
        _require_within("bins", self.bins, 1, 256)
        parse_length("min_scene_len", self.min_scene_len)


@dataclass(frozen=True)
class ThresholdOptions:
    """Options of ``pyscenedetect.threshold``.

    Attributes:
        threshold: mean of a frame's values, 0 to 255, below which it is dark.
        min_scene_len: as for ``ContentOptions``.
        fade_bias: where in the dark frames the boundary is: -1 at their start, 0 in their middle, 1 at their end.
        add_final_scene: a title that ends in the dark gets a boundary where that begins.
        method: ``floor`` for fades to black; ``ceiling`` for fades to white, where a frame counts as faded out from
            ``threshold`` on.
        min_out_length: shorter dark stretches are no boundary; written like ``min_scene_len``, in the same unit.
    """

    threshold: int = 12
    min_scene_len: str = "15"
    fade_bias: float = 0.0
    add_final_scene: bool = False
    method: Literal["floor", "ceiling"] = "floor"
    min_out_length: str = "0"

    def __post_init__(self) -> None:
        _require_within("threshold", self.threshold, 0, 255)
        _require_within("fade_bias", self.fade_bias, -1, 1)
        lengths = [parse_length(name, getattr(self, name)) for name in ("min_scene_len", "min_out_length")]
        if len({type(length) for length in lengths if length}) > 1:
            raise UsageError(
                "min_scene_len and min_out_length are in different units.",
                f"{self.min_scene_len} and {self.min_out_length}: the frame rate, which relates them, is not known.",
                "Give both in frames (15) or both in seconds (0.6s).",
            )


def parse_length(name: str, text: str) -> int | float:
    """Read a length of time as PySceneDetect writes it.

    Returns:
        Frames as an int (``15``), or seconds as a float (``0.6s``, ``0.6``, ``00:00:00.6``).

    Raises:
        UsageError: it is neither.
    """
    if match := _FRAMES_OR_SECONDS.fullmatch(text):
        return int(match["frames"]) if match["frames"] else float(match["seconds"])
    if match := _CLOCK.fullmatch(text):
        return 3600.0 * int(match["hours"] or 0) + 60.0 * int(match["minutes"]) + float(match["seconds"])
    raise UsageError(f"{name} is {text!r}.", hint="Give frames (15), seconds (0.6s) or a time (00:00:00.6).")


# --- segmenters -------------------------------------------------------------------------------------------------------


class _PySceneDetect(Segmenter):
    """What the segmenters share: the size of the frames, and what the boundaries depend on."""

    thumbnail_size: ClassVar[tuple[int, int]] = (256, 144)

    @abstractmethod
    def make_detector(self) -> SceneDetector:
        """The library's detector with the options set.

        Raises:
            UnavailableError: PySceneDetect cannot be imported.
        """

    def fingerprint(self) -> Mapping[str, str]:
        """The version of PySceneDetect, and of how it is called.

        Raises:
            UnavailableError: PySceneDetect cannot be imported.
        """
        return {"version": "1", "scenedetect": import_scenedetect().__version__}

    def _length(self, name: str) -> int | float:
        return parse_length(name, getattr(self.options, name))

    def _clock(self) -> Callable[[Thumbnail], FrameTimecode]:
        """What tells the detector the time of a frame: its number, or its real time where a length is in seconds.

        A segmenter does not know the frame rate, and a film may have none. So the library is told that there is one
        frame a second, or one a tick: then a length is exact in either unit, at a variable frame rate too.
        """
        scenedetect = import_scenedetect()
        lengths = [self._length(name) for name in ("min_scene_len", "min_out_length") if hasattr(self.options, name)]
        if any(isinstance(length, float) for length in lengths):
            tick = Fraction(1, _TICKS)
            timecode = scenedetect.common.Timecode
            return lambda seen: scenedetect.FrameTimecode(timecode(round(seen.time_s * _TICKS), tick), fps=1 / tick)
        return lambda seen: scenedetect.FrameTimecode(seen.frame, fps=Fraction(1))


class _CutSegmenter(_PySceneDetect):
    """A detector of hard cuts; the score of a cut is the number that the detector compares with its threshold.

    Attributes:
        metric: place of that number in the detector's ``get_metrics()``.
    """

    metric: ClassVar[int] = 0

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        """Yield each cut as soon as the detector names it.

        Raises:
            UnavailableError: PySceneDetect cannot be imported.
        """
        detector, read_time = self.make_detector(), self._clock()
        window, delay = self._window(), self._delay()
        recent = _RecentFrames(2 * window + 1, delay * _TICKS if isinstance(delay, float) else delay)
        for thumbnail in frames:
            seen = _Seen(thumbnail.frame, read_time(thumbnail), _bgr(thumbnail))
            recent.add(seen)
            for cut in detector.process_frame(seen.timecode, seen.bgr):
                frame, around = recent.look_up(cut, window)
                if frame > 0:  # with a threshold of 0 the library calls the first frame a cut too
                    yield Boundary(frame, score=self.score(self._measure(cut, around)))

    def score(self, value: float) -> float:
        """How sure the detector is, from its metric; larger is surer."""
        return value

    def _measure(self, cut: FrameTimecode, around: Sequence[_Seen]) -> float:
        """The metric of a cut, from a second detector that sees the frames around it only.

        Measuring every frame would make ``ContentDetector`` find edges too, which takes three times as long, and the
        library's ``StatsManager`` keeps all frames of a title.
        """
        detector, stats = self.make_detector(), import_scenedetect().StatsManager()
        detector.stats_manager = stats
        for seen in around:
            detector.process_frame(seen.timecode, seen.bgr)
        (value,) = stats.get_metrics(cut, [detector.get_metrics()[self.metric]])
        return float(value)

    def _window(self) -> int:
        """Frames before and after a cut that the detector compares it with, beside the one before it."""
        return 0

    def _delay(self) -> int | float:
        """Frames or seconds after a cut at which the detector may name it."""
        return 0


class Content(_CutSegmenter):
    """``ContentDetector``: a cut where hue, saturation and brightness jump. The score is ``content_val``, 0 to 255."""

    Options = ContentOptions

    def make_detector(self) -> SceneDetector:
        """``ContentDetector`` with the options set."""
        scenedetect = import_scenedetect()
        return scenedetect.ContentDetector(
            threshold=self.options.threshold,
            min_scene_len=self._length("min_scene_len"),
            filter_mode=scenedetect.detector.FlashFilter.Mode[self.options.filter_mode.upper()],
            **_content_arguments(self.options),
        )

    def _delay(self) -> int | float:
        # To merge cuts it waits for what follows.
        return self._length("min_scene_len") if self.options.filter_mode == "merge" else 0


class Adaptive(_CutSegmenter):
    """``AdaptiveDetector``: a cut where a jump stands out from those around it. The score is ``adaptive_ratio``."""

    Options = AdaptiveOptions
    metric = -1

    def make_detector(self) -> SceneDetector:
        """``AdaptiveDetector`` with the options set."""
        return import_scenedetect().AdaptiveDetector(
            adaptive_threshold=self.options.adaptive_threshold,
            min_scene_len=self._length("min_scene_len"),
            window_width=self.options.window_width,
            min_content_val=self.options.min_content_val,
            **_content_arguments(self.options),
        )

    def _window(self) -> int:
        return self.options.window_width


class Hash(_CutSegmenter):
    """``HashDetector``: a cut where the perceptual hash changes. The score is the share of its bits that change."""

    Options = HashOptions

    def make_detector(self) -> SceneDetector:
        """``HashDetector`` with the options set."""
        return import_scenedetect().HashDetector(
            threshold=self.options.threshold,
            size=self.options.size,
            lowpass=self.options.lowpass,
            min_scene_len=self._length("min_scene_len"),
        )


class Histogram(_CutSegmenter):
    """``HistogramDetector``: a cut where the histogram of brightness changes.

    The score is 1 less the correlation of the two histograms: the number that ``threshold`` is about.
    """

    Options = HistogramOptions

    def make_detector(self) -> SceneDetector:
        """``HistogramDetector`` with the options set."""
        return import_scenedetect().HistogramDetector(
            threshold=self.options.threshold,
            bins=self.options.bins,
            min_scene_len=self._length("min_scene_len"),
        )

    def score(self, value: float) -> float:
        """1 less the correlation."""
        return 1 - value


class Threshold(_PySceneDetect):
    """``ThresholdDetector``: a boundary in each dark stretch between two shots, with no score.

    All that the library tells of a fade is where the brightness crosses the threshold. So ``first`` is the first dark
    frame, and ``last`` the first that is bright again, or the last of a title that ends in the dark.
    """

    Options = ThresholdOptions

    def make_detector(self) -> SceneDetector:
        """``ThresholdDetector`` with the options set."""
        scenedetect = import_scenedetect()
        return scenedetect.ThresholdDetector(
            threshold=self.options.threshold,
            min_scene_len=self._length("min_scene_len"),
            fade_bias=self.options.fade_bias,
            add_final_scene=self.options.add_final_scene,
            method=scenedetect.ThresholdDetector.Method[self.options.method.upper()],
            min_out_length=self._length("min_out_length"),
        )

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        """Yield each boundary as soon as the picture is bright again.

        Raises:
            UnavailableError: PySceneDetect cannot be imported.
        """
        detector: Any = self.make_detector()
        read_time = self._clock()
        crossed = newest = 0  # the frame that crossed the threshold last, and the last frame
        timecode = None
        for thumbnail in frames:
            timecode, newest = read_time(thumbnail), thumbnail.frame
            if detector.process_frame(timecode, _bgr(thumbnail)):
                # The library's formula, because its answer is a time where lengths are in seconds.
                split = crossed + round((newest - crossed) * (1.0 + self.options.fade_bias) / 2.0)
                yield from _fade(split, crossed, newest)
            if detector.last_fade["frame"] is timecode:
                crossed = newest
        if timecode is not None and detector.post_process(timecode):
            yield from _fade(crossed, crossed, newest)


# --- between the two libraries ----------------------------------------------------------------------------------------


def import_scenedetect() -> ModuleType:
    """PySceneDetect, which takes long to import.

    Raises:
        UnavailableError: it is not installed, or OpenCV, which it needs, does not load.
    """
    try:
        import scenedetect
    except ImportError as error:
        raise UnavailableError(
            "PySceneDetect cannot be imported.",
            f"{' '.join(str(error).split())}.",
            "Install it with: pip install scenedetect-headless",
        ) from error
    return scenedetect


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame as the detector sees it: its number in the title, its time, and uint8 [144, 256, 3], BGR."""

    number: int
    timecode: FrameTimecode
    bgr: np.ndarray


class _RecentFrames:
    """The frames that a detector may still call a cut, and those around them.

    Args:
        least: frames to keep at least, beside the newest.
        delay: how long after a cut the detector may name it, in the units of ``frame_num``.
    """

    def __init__(self, least: int, delay: int | float) -> None:
        self._least = least
        self._delay = delay
        self._frames: deque[_Seen] = deque()

    def add(self, newest: _Seen) -> None:
        """Keep a frame, and forget those that are too old."""
        frames = self._frames
        while len(frames) > self._least and _ticks_between(frames[1], frames[-1]) >= self._delay:
            frames.popleft()  # needed by the second only, which would have been named by now
        frames.append(newest)

    def look_up(self, cut: FrameTimecode, window: int) -> tuple[int, list[_Seen]]:
        """The number of the cut; and the frames from ``window`` + 1 before it to ``window`` after it."""
        frames = list(self._frames)
        (place,) = (place for place, seen in enumerate(frames) if seen.timecode.frame_num == cut.frame_num)
        return frames[place].number, frames[max(0, place - window - 1) : place + window + 1]


def _ticks_between(one: _Seen, other: _Seen) -> int:
    return other.timecode.frame_num - one.timecode.frame_num


def _fade(split: int, first: int, last: int) -> Iterator[Boundary]:
    if split > 0:  # the library puts a boundary before a title that begins in the dark, if told to put it first
        yield Boundary(split, "gradual", first=first, last=last)


def _bgr(thumbnail: Thumbnail) -> np.ndarray:
    return np.ascontiguousarray(thumbnail.rgb[..., ::-1])


def _content_arguments(options: Any) -> dict[str, Any]:
    components = import_scenedetect().ContentDetector.Components
    weights = components(options.delta_hue, options.delta_sat, options.delta_lum, options.delta_edges)
    return {"weights": weights, "luma_only": options.luma_only, "kernel_size": options.kernel_size}


def _check_content(options: ContentOptions | AdaptiveOptions) -> None:
    parse_length("min_scene_len", options.min_scene_len)
    weights = (options.delta_hue, options.delta_sat, options.delta_lum, options.delta_edges)
    _require(any(weights), "Each of delta_hue, delta_sat, delta_lum, delta_edges", 0, "other than 0 for one at least")
    size = options.kernel_size
    _require(size is None or (size >= 3 and size % 2 == 1), "kernel_size", size, "odd and at least 3")


def _require_within(name: str, value: float, low: float, high: float) -> None:
    _require(low <= value <= high, name, value, f"{low} to {high}")


def _require(holds: bool, name: str, value: object, what: str) -> None:
    if not holds:
        raise UsageError(f"{name} is {value}.", f"It must be {what}.")
