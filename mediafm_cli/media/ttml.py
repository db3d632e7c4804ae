"""Timed Text Markup Language (TTML, DFXP): times and text; styling and layout are left out.

Source: W3C, Timed Text Markup Language 1, https://www.w3.org/TR/ttml1/, section 10 (timing).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

import defusedxml
import defusedxml.ElementTree

_PARAMETER = "{http://www.w3.org/ns/ttml#parameter}"
_CLOCK = re.compile(r"(\d{2,}):(\d\d):(\d\d)(?:(\.\d+)|:(\d{2,}))?")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)")
_MAX_DEPTH = 50


@dataclass(frozen=True)
class _Clock:
    """What frames and ticks are worth."""

    frame_rate: float
    tick_rate: float

    def seconds(self, expression: str) -> float:
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
    """Read (start_s, end_s, text) of every paragraph that has a beginning and an end.

    Raises:
        ValueError: not XML, not TTML, an entity or a document type is declared, or a time cannot be read.
    """
    try:
        root = defusedxml.ElementTree.fromstring(data, forbid_dtd=True)
    except (ParseError, defusedxml.DefusedXmlException) as error:
        raise ValueError(f"not safe, well-formed XML ({error or type(error).__name__})") from error
    if _name(root) != "tt":
        raise ValueError(f"the document is <{_name(root)}>, not <tt>")
    frame_rate = float(root.get(f"{_PARAMETER}frameRate", 30))
    up, down = (float(part) for part in root.get(f"{_PARAMETER}frameRateMultiplier", "1 1").split())
    clock = _Clock(frame_rate * up / down, float(root.get(f"{_PARAMETER}tickRate", 0)) or frame_rate)
    cues: list[tuple[float, float, str]] = []
    _walk(root, clock, 0.0, cues, 0)
    return cues


def _walk(element: Element, clock: _Clock, begin: float, cues: list[tuple[float, float, str]], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError(f"elements are nested more than {_MAX_DEPTH} deep")
    for child in element:
        start = begin + clock.seconds(child.get("begin", "0s"))
        if _name(child) != "p":
            _walk(child, clock, start, cues, depth + 1)
        elif "end" in child.attrib:
            cues.append((start, begin + clock.seconds(child.attrib["end"]), _text(child)))
        elif "dur" in child.attrib:
            cues.append((start, start + clock.seconds(child.attrib["dur"]), _text(child)))


def _text(element: Element) -> str:
    parts = ["\n" if _name(element) == "br" else _spaced(element.text)]
    for child in element:
        parts += [_text(child), _spaced(child.tail)]
    return "".join(parts)


def _spaced(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
