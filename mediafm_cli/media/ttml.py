"""Timed Text Markup Language (TTML, DFXP): times and text; styling and layout are left out.

Source: W3C, Timed Text Markup Language 1, https://www.w3.org/TR/ttml1/, section 10 (timing).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

import defusedxml
import defusedxml.ElementTree

_PARAMETER = "{http://www.w3.org/ns/ttml#parameter}"
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)(?:(\.\d+)|:(\d{2,}))?")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)")
_MAX_DEPTH = 50
_TIMES = {"begin", "end", "dur"}


@dataclass(frozen=True)
class _Clock:
    """What frames and ticks are worth."""

    frame_rate: float
    tick_rate: float

    def seconds(self, expression: str) -> float:
        expression = expression.strip()
        clock = _CLOCK.fullmatch(expression)
        if clock:
            hours, minutes, seconds, fraction, frames = clock.groups()
            whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
            return whole + float(fraction or 0) + int(frames or 0) / self.frame_rate
        offset = _OFFSET.fullmatch(expression)
        if offset is None:
            raise ValueError(f"{expression!r} is not a TTML time")
        units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "f": 1 / self.frame_rate, "t": 1 / self.tick_rate}
        return float(offset[1]) * units[offset[2]]


def parse_ttml(data: bytes) -> list[tuple[float, float, str]]:
    """Read (start_s, end_s, text) of every paragraph that has an end, its own or that of what encloses it.

    Where the spans of a paragraph have times, each of them is a cue instead.

    Raises:
        ValueError: not XML, not TTML, an entity or a document type is declared, or a time or rate cannot be read.
    """
    try:
        root = defusedxml.ElementTree.fromstring(data, forbid_dtd=True)
    except (ParseError, defusedxml.DefusedXmlException) as error:
        raise ValueError(f"not safe, well-formed XML ({error or type(error).__name__})") from error
    if _name(root) != "tt":
        raise ValueError(f"the document is <{_name(root)}>, not <tt>")
    cues: list[tuple[float, float, str]] = []
    _walk(root, _read_clock(root), (0.0, math.inf), cues, 0)
    return cues


def _read_clock(root: Element) -> _Clock:
    frame_rate = float(root.get(f"{_PARAMETER}frameRate", 30))
    up, down = map(float, re.split(r"[\s:]+", root.get(f"{_PARAMETER}frameRateMultiplier", "1 1").strip()))
    per_second = frame_rate if f"{_PARAMETER}frameRate" in root.attrib else 1
    tick_rate = float(root.get(f"{_PARAMETER}tickRate", per_second))
    if not all(0 < rate < math.inf for rate in (frame_rate, up, down, tick_rate)):
        raise ValueError("a frame rate or tick rate is not positive")
    return _Clock(frame_rate * up / down, tick_rate)


def _walk(
    element: Element, clock: _Clock, within: tuple[float, float], cues: list[tuple[float, float, str]], depth: int
) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError(f"elements are nested more than {_MAX_DEPTH} deep")
    for child in element:
        start = within[0] + clock.seconds(child.get("begin", "0s"))
        ends = [within[1]]
        ends += [within[0] + clock.seconds(child.attrib["end"])] if "end" in child.attrib else []
        ends += [start + clock.seconds(child.attrib["dur"])] if "dur" in child.attrib else []
        if _name(child) != "span" and (_name(child) != "p" or _has_timed_spans(child)):
            _walk(child, clock, (start, min(ends)), cues, depth + 1)
        elif min(ends) < math.inf:
            cues.append((start, min(ends), _text(child)))


def _has_timed_spans(paragraph: Element) -> bool:
    return any(_name(part) == "span" and part.attrib.keys() & _TIMES for part in paragraph.iter())


def _text(element: Element) -> str:
    for part in element.iter():
        part.text = "\n" if _name(part) == "br" else _spaced(part.text)
        part.tail = _spaced(part.tail)
    return "".join(element.itertext())


def _spaced(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
