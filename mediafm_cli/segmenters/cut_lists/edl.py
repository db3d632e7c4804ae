"""Cuts from an edit decision list: the events of CMX 3600 on its record side.

The adapter of OpenTimelineIO is not used here: it makes a timeline of clips, which takes more than these lists always
hold. It refuses events whose source runs at another speed, and comments before the first event; it passes over a
dissolve whose event has no line for the outgoing clip, and over ``FCM: DROP FRAME``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mediafm_cli.segmenters.cut_lists.entries import CutList, Entry, check_entries, refuse
from mediafm_cli.segmenters.cut_lists.timecodes import parse_timecode

_PYSCENEDETECT = "* CREATED WITH PYSCENEDETECT"
_TIME = r"(\d{1,3}(?:[:;]\d{1,3}){3})"
_MODE = re.compile(r"FCM:\s*(DROP|NON)", re.ASCII | re.IGNORECASE)
_EVENT = re.compile(
    rf"\d+\s+\S+\s+(\S+)\s+(C|D|W\d+)(?:\s+(\d{{1,6}}))?\s+{_TIME}\s+{_TIME}\s+{_TIME}\s+{_TIME}", re.ASCII
)
_PICTURE = re.compile(r"B|.*V.*", re.ASCII)  # B is V and A1; A2/V, AA/V and VA1A2 hold pictures too


@dataclass(frozen=True)
class _Event:
    line: int
    start: Fraction
    end: Fraction
    transition: Fraction
    frame: Fraction  # length of one


def read_edl(path: Path, text: str, rate: Fraction | None) -> CutList:
    """Read where each event starts on the record side, in seconds after the first of them.

    The record start of the first event with pictures is the first frame of the title. A dissolve or wipe (``D 024``,
    ``W001 024``) is a gradual transition over its first 24 frames. Where nothing is recorded between two events, the
    gap is a shot of its own, unless it is one frame: some programs write the last frame for the end. Events of sound
    alone, comments and speed changes are passed over.

    Args:
        rate: frames a second. Time codes with ``;``, and all that follow ``FCM: DROP FRAME``, count drop frames.

    Raises:
        UsageError: a line that starts with a number is no event, events overlap, or there is none with pictures; or the
            list is one of PySceneDetect's, whose time codes miss the frame (up to version 0.7.2 they tell the seconds
            of the clock, and the frame within them rounded down from a float).
    """
    if text.startswith(_PYSCENEDETECT):
        why = "PySceneDetect's time codes in this format miss the frame at most frame rates"
        raise refuse(path, "line 1", why, "Give its list of scenes instead: scenedetect … list-scenes writes .csv")
    events = list(_read_events(path, text, rate))
    if not events:
        raise refuse(path, "", "It holds no event with pictures", "Check that it is a CMX 3600 list.")
    return CutList(path, check_entries(path, _list_starts(path, events)), "seconds", zero="first frame")


def _list_starts(path: Path, events: Sequence[_Event]) -> Iterator[Entry]:
    zero, end = events[0].start, events[0].start
    for event in events:
        where = f"line {event.line}"
        if event.start < end:
            why = "it starts before the event above it ends on the record side"
            raise refuse(path, where, why, "Give the list of one video track.")
        if event.start - end > event.frame:
            yield Entry(where, float(end - zero), float(end - zero))
        first = event.start - zero
        if event.transition:
            yield Entry(where, float(first), float(first + event.transition - event.frame), "gradual")
        else:
            yield Entry(where, float(first), float(first))
        end = event.end


def _read_events(path: Path, text: str, rate: Fraction | None) -> Iterator[_Event]:
    """The events that record pictures for some time; the outgoing side of a dissolve records none."""
    drop = False
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if mode := _MODE.match(line.strip()):
            drop = mode[1].upper() == "DROP"
        if not words or not words[0].isdecimal():
            continue
        match = _EVENT.match(line.strip())
        if match is None:
            why = "it is no cut, dissolve or wipe with four time codes"
            raise refuse(path, f"line {number}", why, "001  AX  V  C  and four of 01:00:00:00 make an event.")
        channel, effect, length = match.group(1, 2, 3)
        if effect != "C" and length is None:
            raise refuse(path, f"line {number}", "its transition has no length", "Write it in frames, such as D 024.")
        try:
            start, end = (parse_timecode(code, rate, drop=drop) for code in match.group(6, 7))
        except ValueError as error:
            raise refuse(path, f"line {number}", str(error)) from error
        assert rate is not None  # a time code that counts frames is refused without it
        transition = Fraction(0) if effect == "C" else int(length) / rate
        if end < start:
            raise refuse(path, f"line {number}", "it ends before it starts on the record side")
        if transition > end - start:
            raise refuse(path, f"line {number}", f"its transition of {length} frames is longer than the event")
        if _PICTURE.fullmatch(channel) and end > start:
            yield _Event(number, start, end, transition, 1 / rate)
