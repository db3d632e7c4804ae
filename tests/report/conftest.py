"""A real browser, pages opened in it, and a page to open."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from made_reports import make_report, make_title
from visits import WIDTHS, Open, Visit, find_chromium, go_without

from mediafm_cli.report.ablation import AblationSummary, Bar, BarChart
from mediafm_cli.report.page import render_page
from mediafm_cli.report.title import Caption

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = find_chromium()
    if find_spec("playwright") is None:
        go_without("playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a page from a file; at the end, nothing was asked of the network and nothing was complained about."""
    visits: list[Visit] = []

    def open_page(html: str, width: str = "desk", scheme: Any = "light", address: str = "", **options: Any) -> Visit:
        file = tmp_path / "report.html"
        file.write_text(html)
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        page = chromium.new_page(viewport=size, color_scheme=scheme, **options)  # type: ignore[arg-type]
        opened = Visit(page)
        visits.append(opened)
        page.on("console", lambda said: opened.problems.append(said.text))
        page.on("pageerror", lambda error: opened.problems.append(str(error)))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.goto(file.as_uri() + address)
        page.wait_for_function("document.getElementById('where').textContent !== ''")
        return opened

    yield open_page
    for opened in visits:
        opened.page.close()
        assert opened.problems == []
        assert [url[:60] for url in opened.requests if not url.startswith(("file:", "data:"))] == []
        assert sum(url.startswith("file:") for url in opened.requests) <= 1


@pytest.fixture(scope="module")
def html() -> str:
    """Two titles with everything: a model, its curves, an ablation, a gradual transition, a caption of a sound."""
    bars = (Bar("all flat", 0.4, 0.3, 0.5, False, True), Bar("trained", 0.6, None, None, True))
    first = make_title("Nacht", 9, seed=1, begins=["start", "gradual", *["cut"] * 7], transitions={1: (1.5, 2.5)})
    second = make_title("Tag & Traum", 5, seed=2, captions=[Caption(0, 1, "[wind]", True)])
    ablation = AblationSummary((BarChart("Predicting hidden shots", "cosine", 0.0, 0.7, bars),), "2 titles")
    return render_page(make_report(first, second), ablation)
