"""Contact sheets: where the pictures are, what is marked over them, and that nothing is drawn over the pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mediafm_cli.report.contact_sheet import BOX, COLUMNS, LANE, MARGIN, WIDTH, Mark, Still, draw_sheet, place_pictures

SIZE = (348, 196)
ORANGE, BLUE = (240, 168, 48), (108, 196, 245)


def stills(count: int, size: tuple[int, int] = SIZE) -> list[Still]:
    pictures = np.random.default_rng(1).integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)
    return [Still(100 + number, f"{100 + number} · 0:04.167", rgb) for number, rgb in enumerate(pictures)]


def mark(first: int, last: int, is_cut: bool = False) -> Mark:
    return Mark("cut" if is_cut else "dissolve", first, last, f"{first}–{last}", is_cut)


def open_sheet(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("size", [SIZE, (168, 300), (347, 261)])
def test_every_picture_is_there_pixel_by_pixel(size: tuple[int, int]) -> None:
    shown, true, found = stills(7, size), mark(102, 104), mark(103, 103, is_cut=True)

    sheet = open_sheet(draw_sheet("missed", "film.mp4", shown, true, found))

    corners = place_pictures([still.frame for still in shown], size, true, found)
    for still, (left, top) in zip(shown, corners, strict=True):
        np.testing.assert_array_equal(sheet[top : top + size[1], left : left + size[0]], still.rgb)
    assert sheet.shape[1] == WIDTH


def test_pictures_lie_in_columns_and_centred_in_their_cells() -> None:
    corners = place_pictures(range(5), (300, 100), None, None)

    lefts, tops = [left for left, _ in corners], [top for _, top in corners]
    assert lefts[:COLUMNS] == [MARGIN + 24, MARGIN + 24 + 360, MARGIN + 24 + 720]
    assert lefts[3:] == lefts[:2]
    assert tops[0] == tops[1] == tops[2] < tops[3] == tops[4]


def test_only_rows_in_which_something_is_marked_have_lanes() -> None:
    bare = place_pictures(range(9), SIZE, None, None)
    marked = place_pictures(range(9), SIZE, mark(3, 4), None)

    added = [with_marks[1] - without[1] for with_marks, without in zip(marked, bare, strict=True)]
    assert added == [0] * 3 + [LANE] * 6


def test_the_true_one_is_a_filled_bar_and_the_found_one_an_outline() -> None:
    shown, true, found = stills(3), mark(101, 101), mark(102, 102)
    sheet = open_sheet(draw_sheet("missed", "film.mp4", shown, true, found))
    (_, at_true, at_found) = place_pictures([100, 101, 102], SIZE, true, found)

    def share(colour: tuple[int, int, int], corner: tuple[int, int], lanes_above: int) -> float:
        left, top = corner[0], corner[1] - lanes_above * LANE
        return float((sheet[top : top + LANE, left : left + BOX[0]] == colour).all(axis=2).mean())

    assert share(ORANGE, at_true, 2) > 0.5
    assert 0.05 < share(BLUE, at_found, 1) < 0.5
    assert share(ORANGE, at_found, 2) == share(BLUE, at_true, 1) == 0


@pytest.mark.parametrize(("is_true", "share"), [(True, 1.0), (False, 0.5)])
def test_a_cut_has_a_stroke_before_its_picture_whole_if_true_and_broken_if_found(is_true: bool, share: float) -> None:
    cut = mark(101, 101, is_cut=True)
    true, found = (cut, None) if is_true else (None, cut)
    sheet = open_sheet(draw_sheet("cut", "film.mp4", stills(3), true, found))
    left, top = place_pictures([100, 101, 102], SIZE, true, found)[1]

    stroke = (sheet[top : top + SIZE[1], left - 6] == (ORANGE if is_true else BLUE)).all(axis=1)

    assert stroke.mean() == pytest.approx(share, abs=0.05)


def test_long_names_do_not_run_off_the_sheet() -> None:
    sheet = open_sheet(draw_sheet("missed", "Ein Film mit Überlänge " * 20, stills(1), mark(100, 100), None))

    background = sheet[0, 0]
    assert (sheet[: 2 * MARGIN + 200, WIDTH - MARGIN + 2 :] == background).all()
    assert not (sheet[: 2 * MARGIN + 200, WIDTH - 5 * MARGIN : WIDTH - MARGIN] == background).all()
