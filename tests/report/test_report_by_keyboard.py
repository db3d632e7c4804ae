"""The page by the keyboard alone: what Tab reaches, what the arrow keys move, and what is said and ringed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from made_reports import make_report, make_title
from visits import Open, Visit

from mediafm_cli.report.page import render_page


def press_tab(opened: Visit) -> Iterator[str]:
    """The id of each element that Tab reaches, as far as it has one, to the end of the page."""
    opened.page.keyboard.press("Tab")
    while not opened.page.evaluate("document.activeElement === document.body"):
        yield opened.page.evaluate("document.activeElement.id")
        opened.page.keyboard.press("Tab")


def press_and_read(opened: Visit, selector: str, *keys: str) -> list[str]:
    """What an element says after each key."""
    said = []
    for key in keys:
        opened.page.keyboard.press(key)
        said.append(opened.text(selector))
    return said


def test_tab_reaches_everything_in_the_order_of_the_page(visit: Open, html: str) -> None:
    reached = [name for name in press_tab(visit(html)) if name]

    drawings = ["matrix-fused", "matrix-context", "mark", "map-fused", "map-context"]
    assert reached == ["title", "next", "lanes", "shot-0", *drawings]


@pytest.mark.parametrize("selector", ["#shot-0", "#lanes", "#map-fused", "#map-context"])
def test_arrow_keys_go_from_shot_to_shot(visit: Open, html: str, selector: str) -> None:
    opened = visit(html)
    opened.page.focus(selector)

    further, back = ("ArrowDown", "ArrowUp") if selector == "#shot-0" else ("ArrowUp", "ArrowDown")  # as in any slider
    chosen = press_and_read(opened, "#where", "ArrowRight", further, "ArrowLeft", back)

    assert [where.split(" ·")[0] for where in chosen] == ["shot 1", "shot 2", "shot 1", "shot 0"]


@pytest.mark.parametrize("selector", ["#shot-0", "#lanes"])
def test_keys_go_to_the_ends_of_a_title_and_no_further(visit: Open, html: str, selector: str) -> None:
    opened = visit(html)
    opened.page.focus(selector)

    chosen = press_and_read(opened, "#where", "End", "ArrowRight", "Home", "ArrowLeft")

    assert [where.split(" ·")[0] for where in chosen] == ["shot 8", "shot 8", "shot 0", "shot 0"]


def test_the_arrows_in_the_map_go_on_in_the_next_title(visit: Open, html: str) -> None:
    opened = visit(html, address="#Nacht:8")
    opened.page.focus("#map-context")

    told = press_and_read(opened, "#map-readout", "ArrowRight", "End", "ArrowRight", "Home")

    assert [one.split(", 0:")[0] for one in told] == [
        "Tag & Traum, shot 0",
        "Tag & Traum, shot 4",
        "Tag & Traum, shot 4",
        "Nacht, shot 0",
    ]


def test_a_slider_says_where_it_is(visit: Open, html: str) -> None:
    page = visit(html, address="#Tag%20%26%20Traum:3").page

    sliders = page.locator("[role=slider]")
    said = ("aria-valuemin", "aria-valuenow", "aria-valuemax", "aria-valuetext")
    assert [[slider.get_attribute(name) for name in said] for slider in sliders.all()] == [
        ["0", "3", "4", "shot 3, 0:06.0: Line 3."],
        ["0", "12", "13", "Tag & Traum, shot 3, 0:06.0: Line 3."],
        ["0", "12", "13", "Tag & Traum, shot 3, 0:06.0: Line 3."],
    ]


def test_arrow_keys_in_a_matrix_read_pairs_and_enter_chooses_the_row(visit: Open, html: str) -> None:
    opened = visit(html)
    opened.page.focus("#matrix-fused")
    told = press_and_read(opened, "#similarity-readout", "Home", "ArrowRight", "ArrowDown", "End")

    (where,) = press_and_read(opened, "#where", "Enter")

    assert [one.split(":")[0] for one in told] == ["Shots 0 and 0", "Shots 0 and 1", "Shots 1 and 1", "Shots 1 and 8"]
    first, last = make_title("Nacht", 9, seed=1).fused[[1, 8]]
    cosine = first @ last / np.linalg.norm(first) / np.linalg.norm(last)
    assert float(told[-1].split()[5].replace("−", "-")) == pytest.approx(cosine, abs=0.011)
    assert where.startswith("shot 1 ")
    assert opened.text("#similarity-readout") == told[-1]


def test_arrow_keys_in_a_matrix_of_means_go_from_cell_to_cell(visit: Open) -> None:
    opened = visit(render_page(make_report(make_title("film", 1200))))
    opened.page.focus("#matrix-context")

    told = press_and_read(opened, "#similarity-readout", "Home", "ArrowRight", "ArrowDown", "End")

    assert [one.split(":")[0] for one in told] == [
        "Shots 0–2 and 0–2",
        "Shots 0–2 and 3–5",
        "Shots 3–5 and 3–5",
        "Shots 3–5 and 1197–1199",
    ]


@pytest.mark.parametrize("selector", ["#lanes", "#shot-0", "#matrix-context", "#map-fused"])
def test_what_has_the_focus_is_ringed(visit: Open, html: str, selector: str) -> None:
    page = visit(html).page
    page.keyboard.press("Tab")  # a ring is for those who use the keyboard

    page.focus(selector)

    assert page.eval_on_selector(selector, "one => getComputedStyle(one).outline").endswith(" solid 3px")


def test_enter_on_a_near_shot_goes_there(visit: Open, html: str) -> None:
    opened = visit(html)
    opened.page.focus("#near-context li:first-child button")
    named = opened.text("#near-context li:first-child b")

    opened.page.keyboard.press("Enter")

    assert opened.text("#shot h3") == named.replace(", ", ", shot ")
