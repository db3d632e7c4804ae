"""Cuts from an OpenTimelineIO timeline, read by the library ``opentimelineio``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from mediafm_cli.errors import UnavailableError
from mediafm_cli.segmenters.cut_lists.documents import load_json
from mediafm_cli.segmenters.cut_lists.entries import CutList, Entry, check_entries, refuse
from mediafm_cli.segmenters.cut_lists.timecodes import snap_rate

_ROUNDING_S = 1e-6  # lengths that are added up in floats differ by less where they are the same


def read_timeline(path: Path, text: str, title_rate: Fraction | None, rate: Fraction | None) -> CutList:
    """Read where the clips and gaps of the video tracks start, in seconds from the start of the timeline.

    The start of the timeline is the first frame of the title, whatever ``global_start_time`` says. Of several video
    tracks counts what can be seen; clips inside nested tracks and stacks count too. What is disabled is a gap, and gaps
    in a row are one. A transition is gradual from ``in_offset`` before its cut to the last frame before ``out_offset``
    after it.

    Args:
        title_rate: frames a second of the title.
        rate: frames a second of the first clip, instead of what the file says; every time is scaled with it.

    Raises:
        UsageError: it is no timeline, or has no video; or it counts 24 frames a second and the title 24000/1001, or the
            like, which most often means the same frames and not the same times, so that ``rate`` has to say.
        UnavailableError: ``opentimelineio`` is not installed.
    """
    otio = _import_otio()
    load_json(path, text)  # the library's own parser ends the process where JSON is very deep
    try:
        timeline = otio.core.deserialize_json_from_string(text)
        if not isinstance(timeline, otio.schema.Timeline):
            raise ValueError(f"it holds a {type(timeline).__name__}, not a Timeline")
        track = _flatten(otio, timeline.video_tracks())
        counted = _first_rate(track)
        if rate is None and title_rate is not None and counted != title_rate and round(counted) == round(title_rate):
            raise ValueError(_ambiguous(counted, title_rate))
        frame, scale = 1 / counted, Fraction(1) if rate is None else counted / rate
        entries = [
            Entry(f"item {number} of the video", float(first * scale), float(last * scale), kind)
            for number, (first, last, kind) in enumerate(_find_edges(otio, track, Fraction(0), frame), 1)
        ]
    except (otio.exceptions.OTIOError, ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise refuse(path, "", f"It is no timeline that can be read ({why})") from error
    return CutList(path, check_entries(path, entries), "seconds", zero="first frame")


def _import_otio() -> ModuleType:
    try:
        import opentimelineio
    except ImportError as error:
        raise UnavailableError(
            "Timelines (.otio) are read by OpenTimelineIO, which is not installed.",
            hint="Install it with: pip install 'mediafm-cli[otio]'",
        ) from error
    return opentimelineio


def _flatten(otio: ModuleType, tracks: Sequence[Any]) -> Any:
    """One track of what can be seen of several, each as far as its ``source_range`` shows it."""
    enabled = [track for track in tracks if track.enabled]
    if not enabled:
        raise ValueError("it has no video track")
    shown = [
        otio.algorithms.track_trimmed_to_range(track, track.source_range) if track.source_range else track
        for track in enabled
    ]
    longest = max(_length(otio, track) for track in shown)
    joined = [_join_gaps(otio, track, longest) for track in shown]
    return joined[0] if len(joined) == 1 else otio.algorithms.flatten_stack(joined)


def _length(otio: ModuleType, track: Any) -> Any:
    """How long the clips and gaps of a track are together; transitions take no time of their own."""
    items = [item for item in track if not isinstance(item, otio.schema.Transition)]
    return sum((item.trimmed_range().duration for item in items), start=otio.opentime.RationalTime())


def _join_gaps(otio: ModuleType, track: Any, length: Any) -> Any:
    """A copy of a track, filled up to ``length``, in which what is disabled is a gap, and gaps in a row are one.

    Wherever a gap of an upper track ends, ``flatten_stack`` divides the clip that is seen through it.
    """
    rest = length - _length(otio, track)
    filling = [otio.schema.Gap(duration=rest)] if rest.to_seconds() > _ROUNDING_S else []
    joined = otio.schema.Track(kind=track.kind)
    for item in [*track, *filling]:
        if isinstance(item, otio.schema.Transition) or (item.enabled and not isinstance(item, otio.schema.Gap)):
            joined.append(item.deepcopy())
            continue
        duration = item.trimmed_range().duration
        if joined and isinstance(joined[-1], otio.schema.Gap):
            duration += joined.pop().trimmed_range().duration
        joined.append(otio.schema.Gap(duration=duration))
    return joined


def _first_rate(track: Any) -> Fraction:
    first = next((item for item in track if hasattr(item, "trimmed_range")), None)
    if first is None:
        raise ValueError("its video track is empty")
    return snap_rate(first.trimmed_range().duration.rate)


def _find_edges(
    otio: ModuleType, track: Any, start: Fraction, frame: Fraction
) -> Iterator[tuple[Fraction, Fraction, Literal["cut", "gradual"]]]:
    """First and last frame, in seconds, and kind of what begins each item of a track that starts at ``start``."""
    at, transition = start, None
    for item in track:
        if isinstance(item, otio.schema.Transition):
            transition = item
            continue
        duration = _seconds(item.trimmed_range().duration)
        if duration < 0:
            raise ValueError("an item is shorter than nothing")
        if duration == 0:
            continue
        before, after = (Fraction(0), Fraction(0)) if transition is None else _offsets(transition)
        if before + after > 0:
            first = max(Fraction(0), at - before)
            yield first, max(first, at + after - frame), "gradual"
        else:
            yield at, at, "cut"
        if isinstance(item, otio.core.Composition):
            inner = _find_edges(otio, _open(otio, item), at, frame)
            next(inner, None)  # where it starts has been told
            yield from inner
        at, transition = at + duration, None


def _open(otio: ModuleType, item: Any) -> Any:
    """A nested track or stack as one track, as long as it is shown."""
    video, is_track = otio.schema.TrackKind.Video, isinstance(item, otio.schema.Track)
    layers = [item] if is_track else [_as_track(otio, child) for child in item]
    track = _flatten(otio, [layer for layer in layers if is_track or layer.kind == video])
    return (
        track
        if is_track or item.source_range is None
        else otio.algorithms.track_trimmed_to_range(track, item.source_range)
    )


def _as_track(otio: ModuleType, layer: Any) -> Any:
    """A layer of a stack: a track, or an item that lies in the stack by itself."""
    is_track = isinstance(layer, otio.schema.Track)
    return layer if is_track else otio.schema.Track(kind=otio.schema.TrackKind.Video, children=[layer.deepcopy()])


def _offsets(transition: Any) -> tuple[Fraction, Fraction]:
    return _seconds(transition.in_offset), _seconds(transition.out_offset)


def _ambiguous(counted: Fraction, title_rate: Fraction) -> str:
    what = f"it counts {float(counted):.3f} frames a second and the title has {float(title_rate):.3f}"
    frames, times = (
        f"--opt rate={title_rate} where its frames are the title's",
        f"--opt rate={counted} where its times are",
    )
    return f"{what}; say {frames}, {times}"


def _seconds(time: Any) -> Fraction:
    return Fraction(time.value) / snap_rate(time.rate)
