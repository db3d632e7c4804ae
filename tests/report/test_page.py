"""The page as text: whole, the same each time, without an address in it, and safe from what people wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from made_reports import make_report, make_title

from mediafm_cli.report.ablation import AblationSummary, Bar, BarChart
from mediafm_cli.report.page import format_clock, render_page
from mediafm_cli.report.title import Caption

HOSTILE = """</script><img src=x onerror="window.stolen=1">'"{{ 7*7 }}<!--\u2028&amp;"""


class Elements(HTMLParser):
    """The elements of a page, and the text of its scripts by their id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._script = dict(attributes).get("id") or "own" if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


def test_the_same_report_gives_the_same_page() -> None:
    assert render_page(make_report()) == render_page(make_report())


def test_a_page_names_no_address() -> None:
    html = render_page(make_report())

    assert re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", html) == []
    for tag, attributes in Elements(html).tags:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))


def test_the_policy_of_the_page_allows_its_own_script_and_nothing_else() -> None:
    page = Elements(render_page(make_report()))

    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    digest = base64.b64encode(hashlib.sha256(page.scripts["own"].encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}';" in policy


def test_what_people_wrote_stays_text() -> None:
    text = ["", HOSTILE, ""]
    title = make_title(HOSTILE, 3, text=text, captions=[Caption(0, 1, HOSTILE)], media=HOSTILE)
    plain = Elements(render_page(make_report(make_title("film", 3))))

    page = Elements(render_page(make_report(title)))

    data = json.loads(page.scripts["data"])
    assert data["titles"][0]["id"] == data["titles"][0]["media"] == data["titles"][0]["text"][1] == HOSTILE
    assert data["titles"][0]["captions"][0][3] == HOSTILE
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert "7*7" in page.scripts["data"]


def test_the_matrices_hold_the_cosines() -> None:
    title = make_title("film", 4)
    data = json.loads(Elements(render_page(make_report(title))).scripts["data"])

    unit = title.fused / np.linalg.norm(title.fused, axis=1, keepdims=True)
    matrix = data["titles"][0]["matrices"]["fused"]
    cells = np.frombuffer(base64.b64decode(matrix["cells"]), np.uint8) / 255 * (1 - data["floor"]) + data["floor"]
    np.testing.assert_allclose(cells, (unit @ unit.T)[np.triu_indices(4)], atol=(1 - data["floor"]) / 500)


def test_nearest_shots_are_given_among_all_and_in_other_titles() -> None:
    data = json.loads(Elements(render_page(make_report())).scripts["data"])

    assert set(data["nearest"]["fused"]) == {"anywhere", "elsewhere"}
    assert all(row >= 7 for row in data["nearest"]["context"]["elsewhere"]["rows"][0])
    assert 0 not in data["nearest"]["fused"]["anywhere"]["rows"][0]


def test_without_a_model_the_page_shows_single_shots_and_says_what_a_model_adds() -> None:
    html = render_page(make_report(make_title("film", 3, context=False)))

    data = json.loads(Elements(html).scripts["data"])
    assert data["spaces"] == ["fused"]
    assert "No model was given" in html
    assert "After context" not in html


def test_shots_that_are_not_shown_are_counted() -> None:
    html = render_page(make_report(replace(make_title("film", 3), shots=1500)))

    assert "<small>of 1,500</small>" in html
    assert "the first ones are shown" in html


def test_the_best_baseline_is_not_said_to_be_untrained() -> None:
    bars = (Bar("trained, shots shuffled", 0.5, None, None, False, True), Bar("trained", 0.6, None, None, True))
    ablation = AblationSummary((BarChart("Predicting hidden shots", "cosine", 0, 1, bars),), "2 titles")

    html = render_page(make_report(), ablation)

    assert "trained, shots shuffled <small>best baseline</small>" in html
    assert "A baseline needs no training, or no context; the broken line is the best of them." in html


def test_a_baseline_is_told_from_a_model_in_words() -> None:
    names = [("all flat", False), ("window mean ±2", False), ("trained", True), ("loud: audio", True)]
    bars = tuple(Bar(name, 0.5, None, None, trained, name == "window mean ±2") for name, trained in names)

    html = render_page(make_report(), AblationSummary((BarChart("Probes", "AP micro", 0, 1, bars),), "2 titles"))

    rows = re.findall(r'<th scope="row">(.*?)</th>', html)
    assert rows == [
        "all flat <small>baseline</small>",
        "window mean ±2 <small>best baseline</small>",
        "trained",
        "loud: audio",
    ]


def test_a_title_of_one_shot_is_shown() -> None:
    data = json.loads(Elements(render_page(make_report(make_title("film", 1)))).scripts["data"])

    assert data["nearest"]["fused"]["anywhere"]["rows"] == [[]]


@pytest.mark.parametrize(("seconds", "clock"), [(0, "0:00"), (59.6, "1:00"), (3723, "1:02:03")])
def test_lengths_are_written_as_on_a_clock(seconds: float, clock: str) -> None:
    assert format_clock(seconds) == clock
