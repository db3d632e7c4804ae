"""Contact sheets: the frames around one place of a film, in a grid that a phone shows, with what is marked there.

Over each picture are two lanes. The first says what is true: a filled bar. The second says what was found: a bar of
which only the outline is drawn. Both carry a word, and a cut also a stroke before the first picture of the new shot,
whole for the true one and broken for the one found, so that nobody needs to tell the colours apart.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 3
BOX = (348, 300)
"""Greatest width and height of a picture, in pixels."""

MARGIN, GAP = 16, 12
LANE, LABEL = 38, 44
HEADING, LINE = 64, 44
WIDTH = 2 * MARGIN + COLUMNS * BOX[0] + (COLUMNS - 1) * GAP
_PAPER, _INK, _FAINT = "#16181c", "#ffffff", "#b8bec6"
_TRUE, _FOUND = "#f0a830", "#6cc4f5"
_STROKE = 8
_DASH = 14


@dataclass(frozen=True, eq=False)
class Still:
    """One picture, uint8 [height, width, 3], at most ``BOX`` and all of one size, with its frame number and label."""

    frame: int
    label: str
    rgb: np.ndarray


@dataclass(frozen=True)
class Mark:
    """What is marked from frame ``first`` to frame ``last``, inclusive, and the line about it in the head."""

    word: str
    first: int
    last: int
    line: str
    is_cut: bool

    def covers(self, frame: int) -> bool:
        return self.first <= frame <= self.last


def draw_sheet(heading: str, line: str, stills: Sequence[Still], true: Mark | None, found: Mark | None) -> bytes:
    """Draw a sheet as PNG, ``WIDTH`` wide.

    Args:
        heading: what it is about. ``line``: where; both are shortened in the middle where they are too long.
    """
    height, width = stills[0].rgb.shape[:2]
    corners = place_pictures([still.frame for still in stills], (width, height), true, found)
    sheet = Image.new("RGB", (WIDTH, corners[-1][1] + height + LABEL + MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_head(draw, heading, line, true, found)
    for still, (left, top) in zip(stills, corners, strict=True):
        sheet.paste(Image.fromarray(still.rgb), (left, top))
        cell = left - (BOX[0] - width) // 2
        label = (cell + BOX[0] // 2, top + height + LABEL // 2)
        draw.text(label, _shorten(still.label, _font(28), BOX[0]), _INK, _font(28), anchor="mm")
        if true and true.covers(still.frame):
            _draw_mark(draw, true, "true", (cell, top - LANE * (2 if found else 1)), (top, height))
        if found and found.covers(still.frame):
            _draw_mark(draw, found, "found", (cell, top - LANE), (top, height))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def place_pictures(
    frames: Sequence[int], size: tuple[int, int], true: Mark | None, found: Mark | None
) -> list[tuple[int, int]]:
    """Left and top of each picture on the sheet; a row in which nothing is marked has no lanes.

    Args:
        size: width and height of every picture.
    """
    marks = [mark for mark in (true, found) if mark]
    corners: list[tuple[int, int]] = []
    top = MARGIN + HEADING + 3 * LINE + GAP
    for start in range(0, len(frames), COLUMNS):
        row = frames[start : start + COLUMNS]
        top += LANE * len(marks) * any(mark.covers(frame) for mark in marks for frame in row)
        lefts = [MARGIN + column * (BOX[0] + GAP) + (BOX[0] - size[0]) // 2 for column in range(len(row))]
        corners += [(left, top) for left in lefts]
        top += size[1] + LABEL + GAP
    return corners


def _draw_head(draw: ImageDraw.ImageDraw, heading: str, line: str, true: Mark | None, found: Mark | None) -> None:
    top = MARGIN
    for text, size, colour, height in (
        (heading, 44, _INK, HEADING),
        (line, 30, _FAINT, LINE),
        (f"true: {true.line if true else 'nothing'}", 30, _TRUE, LINE),
        (f"found: {found.line if found else 'nothing'}", 30, _FOUND, LINE),
    ):
        font = _font(size, bold=size == 44)
        draw.text((MARGIN, top + height // 2), _shorten(text, font, WIDTH - 2 * MARGIN), colour, font, anchor="lm")
        top += height


def _draw_mark(
    draw: ImageDraw.ImageDraw, mark: Mark, name: str, lane: tuple[int, int], picture: tuple[int, int]
) -> None:
    """The bar over a picture, and for a cut the stroke in the gap before it.

    Args:
        lane: left and top of the bar's place. ``picture``: top and height.
    """
    is_true = name == "true"
    left, top = lane
    bar = (left, top + 2, left + BOX[0] - 1, top + LANE - 4)
    fill, outline, ink = (_TRUE, _TRUE, _PAPER) if is_true else (_PAPER, _FOUND, _FOUND)
    draw.rectangle(bar, fill, outline, 3)
    text = _shorten(f"{name} {mark.word}", _font(26, bold=True), BOX[0] - 12)
    draw.text((left + BOX[0] // 2, (bar[1] + bar[3]) // 2), text, ink, _font(26, bold=True), anchor="mm")
    if mark.is_cut:
        dash, step = (picture[1], picture[1]) if is_true else (_DASH, 2 * _DASH)
        end = sum(picture)
        for y in range(picture[0], end, step):
            draw.rectangle((left - GAP + 2, y, left - GAP + 1 + _STROKE, min(y + dash, end) - 1), outline)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, with its middle left out where it is wider than ``width`` pixels."""
    kept = len(text)
    shown = text
    while kept > 1 and font.getlength(shown) > width:
        kept -= 1
        shown = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return shown


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as Matplotlib brings it along: the same on every machine, with Greek, Cyrillic and Arabic letters."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)
