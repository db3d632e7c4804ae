"""Visits to a page in a real browser, and what becomes of a test where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS = {"phone": (390, 844), "desk": (1440, 900)}


@dataclass
class Visit:
    """An open page, and what it said and asked for."""

    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)


Open = Callable[..., Visit]
"""HTML, a width, a colour scheme, an address → the visit."""


def find_chromium() -> str:
    """The program that is called Chromium or Chrome here; without one, see ``go_without``."""
    found = os.environ.get("MEDIAFM_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    return found or go_without("no Chromium was found (set MEDIAFM_TEST_CHROMIUM to one)")


def go_without(why: str) -> NoReturn:
    """Skip the test; where MEDIAFM_REQUIRE_CHROMIUM is set, fail it."""
    if os.environ.get("MEDIAFM_REQUIRE_CHROMIUM"):
        pytest.fail(f"{why}, and MEDIAFM_REQUIRE_CHROMIUM is set", pytrace=False)
    pytest.skip(why)
