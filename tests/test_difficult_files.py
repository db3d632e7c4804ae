"""Each row of each table of docs/difficult-files.md names a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "difficult-files.md"
HEADING, RULE = "| file | what happens | test |", "|---|---|---|"
LINES = DOCUMENT.read_text("utf-8").splitlines()
ROWS = [line for line in LINES if line.startswith("|") and line not in (HEADING, RULE)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_the_test_that_is_named_exists(row: str) -> None:
    named = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", row.split("|")[-2].strip())

    assert named is not None
    assert re.search(rf"^def {named[2]}\(", (TESTS / named[1]).read_text("utf-8"), re.MULTILINE)
