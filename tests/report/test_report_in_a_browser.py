"""The page in a real browser: what a reader sees, clicks and types, at two widths and in both colour schemes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from made_reports import make_report, make_title
from PIL import Image
from visits import WIDTHS, Open, go_without

from mediafm_cli.report.page import render_page
from mediafm_cli.report.title import Caption

HOSTILE = """</script><img src=x onerror="window.stolen=1"><b>'"&{{ 7*7 }}"""

# The contrast of every text with what lies behind it, by the formula of WCAG 2.2 (relative luminance).
CONTRASTS = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, channel) => sum + part * [0.2126, 0.7152, 0.0722][channel], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, :disabled")) continue;
    const [one, other] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) low.push([walker.currentNode.data.trim(), contrast]);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_the_window_and_every_text_can_be_read(visit: Open, html: str, width: str, scheme: str) -> None:
    page = visit(html, width, scheme).page

    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS[width][0]
    assert page.evaluate(CONTRASTS) == []


def test_a_click_on_a_picture_chooses_its_shot(visit: Open, html: str) -> None:
    opened = visit(html)

    opened.page.click("#shot-4")

    assert opened.text("#where") == "shot 4 · 0:08.0–0:10.0"
    assert opened.text("#shot h3") == "Nacht, shot 4"
    assert opened.page.evaluate("location.hash") == "#Nacht:4"
    assert opened.page.get_attribute("#shot-4", "aria-selected") == "true"


def test_the_address_chooses_a_shot_at_the_start_and_later(visit: Open, html: str) -> None:
    opened = visit(html, address="#Tag%20%26%20Traum:3")

    assert opened.text("#shot h3") == "Tag & Traum, shot 3"
    opened.page.evaluate("location.hash = '#Nacht:2'")
    opened.page.wait_for_function("document.querySelector('#shot h3').textContent === 'Nacht, shot 2'")


@pytest.mark.parametrize("address", ["#nothing:3", "#Nacht:999", "#%E0%A4%A:1", "#timeline", "#:"])
def test_an_address_that_names_no_shot_does_no_harm(visit: Open, html: str, address: str) -> None:
    assert visit(html, address=address).text("#where").startswith("shot ")


def test_near_shots_can_be_limited_to_other_titles(visit: Open, html: str) -> None:
    opened = visit(html)

    opened.page.click("text=other titles")

    names = opened.page.locator("#near-fused b").all_inner_texts()
    assert len(names) == 5
    assert all(name.startswith("Tag & Traum, ") for name in names)


def test_the_title_is_chosen_by_its_list(visit: Open, html: str) -> None:
    opened = visit(html)

    opened.page.select_option("#title", label="Tag & Traum")

    assert opened.page.locator("#strip [role=option]").count() == 5
    assert "Tag & Traum.mp4" in opened.text("#timeline-about")


@pytest.mark.parametrize(("selector", "at", "shot"), [("[data-lane=shots]", 0.5, 4), ("#matrix-context", 0.95, 8)])
def test_a_click_into_a_drawing_chooses_a_shot(visit: Open, html: str, selector: str, at: float, shot: int) -> None:
    opened = visit(html)
    box = opened.page.locator(selector).bounding_box()
    assert box is not None

    opened.page.click(selector, position={"x": at * box["width"], "y": at * box["height"]})

    assert opened.text("#where").startswith(f"shot {shot} ")


def test_a_matrix_shows_the_diagonal_and_the_symmetry_of_cosines(visit: Open) -> None:
    """Drawn without the marks of the chosen shot, which is the first one."""
    opened = visit(render_page(make_report(make_title("film", 8))))

    shot = opened.page.locator("#matrix-fused").screenshot()

    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    cell = len(pixels) / 8
    middles = (cell * (np.arange(2, 8) + 0.5)).astype(int)
    shown = pixels[np.ix_(middles, middles)]
    assert (np.abs(shown - shown.transpose(1, 0, 2)) <= 2).all()
    assert len({tuple(shown[number, number]) for number in range(6)}) == 1
    assert shown.sum(axis=2).argmin(axis=1).tolist() == list(range(6))


def test_what_people_wrote_is_shown_and_does_not_run(visit: Open) -> None:
    title = make_title(HOSTILE, 3, text=[HOSTILE, "", ""], captions=[Caption(0, 1, HOSTILE)], media=HOSTILE)

    opened = visit(render_page(make_report(title)))

    assert opened.page.evaluate("window.stolen") is None
    assert opened.text("h1") == HOSTILE
    assert opened.text("#shot blockquote") == HOSTILE
    assert opened.page.locator("b:has-text('7*7'), img[src=x]").count() == 0


def test_pictures_and_drawings_have_names_for_those_who_do_not_see_them(visit: Open, html: str) -> None:
    page = visit(html).page

    unnamed = """() => [...document.querySelectorAll("img, canvas, svg, select, button, [role]")]
      .filter((one) => !one.closest("[aria-hidden=true], button canvas, .near, [role=option] > *"))
      .filter((one) => !(one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.alt
        || one.labels?.length || one.textContent.trim()))
      .map((one) => one.outerHTML.slice(0, 80))"""
    assert page.evaluate(unnamed) == []
    assert page.get_attribute("#shot img", "alt") == "shot 0, 0:00.0"


def test_nothing_moves_by_itself_where_less_motion_is_asked_for(visit: Open, html: str) -> None:
    page = visit(html, reduced_motion="reduce").page

    assert page.eval_on_selector("#strip", "one => getComputedStyle(one).scrollBehavior") == "auto"
    assert page.evaluate("document.getAnimations().length") == 0


def test_a_page_of_fused_vectors_alone_is_whole(visit: Open) -> None:
    opened = visit(render_page(make_report(make_title("film", 4, context=False, sound=None, sound_note="No sound."))))

    opened.page.click("#shot-2")

    assert opened.page.locator("#matrix-context, #near-context, #model").count() == 0
    assert "No model was given" in opened.text("header")
    assert opened.text("#sound-note") == "No sound."
    assert not opened.page.is_visible("[data-lane=wave]")


def test_a_shot_without_a_picture_is_a_plain_tile(visit: Open) -> None:
    opened = visit(render_page(make_report(make_title("film", 3, pictures=[None] * 3))))

    assert opened.text("#shot .picture") == "no picture"


def test_a_title_of_a_thousand_shots_is_quick_and_its_matrix_says_what_a_cell_is(visit: Open) -> None:
    opened = visit(render_page(make_report(make_title("film", 1200))))

    choosing = "() => { const from = performance.now(); choose(0, 700); return performance.now() - from; }"
    assert opened.page.evaluate(choosing) < 500
    assert "Each cell is the mean of 3 × 3 pairs." in opened.text("#similarity-about")
    with_source = "[...document.querySelectorAll('#strip img')].filter((one) => one.src).length"
    assert opened.page.evaluate(with_source) < 100


def test_labels_mark_the_map(visit: Open) -> None:
    title = make_title("film", 4, labels=["day", "night", "", "day"])
    opened = visit(render_page(make_report(title, label="light")))

    assert opened.page.locator("#mark option").all_inner_texts()[0] == "light"
    assert opened.page.locator("#marks button").all_inner_texts() == ["no label (1)", "day (2)", "night (1)"]


def test_marks_are_told_apart_without_colour(visit: Open) -> None:
    """Fourteen, and the one of the others: of any two, an eighth of what either covers the other does not."""
    title = make_title("film", 16, labels=[f"label {number:02}" for number in range(16)])
    opened = visit(render_page(make_report(title, label="label")), device_scale_factor=2)

    covers = """() => [...document.querySelectorAll("#marks canvas")].map((one) =>
      [...one.getContext("2d").getImageData(0, 0, one.width, one.height).data].filter((_, at) => at % 4 === 3))"""
    covered = np.array(opened.page.evaluate(covers)) / 255

    pairs = [(one, other) for number, one in enumerate(covered) for other in covered[:number]]
    assert len(covered) == 15
    assert min(1 - np.minimum(*pair).sum() / np.maximum(*pair).sum() for pair in pairs) > 1 / 8


@pytest.mark.parametrize(("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_without_a_browser_these_tests_are_skipped_or_where_it_is_required_fail(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("MEDIAFM_REQUIRE_CHROMIUM", required)

    with pytest.raises(outcome, match="no Chromium"):
        go_without("no Chromium")
