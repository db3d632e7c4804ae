"""Words of messages."""

from __future__ import annotations

import pytest

from mediafm_cli.errors import counted


@pytest.mark.parametrize(("number", "said"), [(0, "0 titles"), (1, "1 title"), (2, "2 titles"), (1000, "1000 titles")])
def test_a_noun_follows_its_number(number: int, said: str) -> None:
    assert counted(number, "title") == said
