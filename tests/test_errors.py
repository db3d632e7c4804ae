"""Words of messages, and exit codes."""

from __future__ import annotations

import pytest

from mediafm_cli.errors import (
    INTERRUPTED,
    TERMINATED,
    AllFailedError,
    PluginError,
    Terminated,
    counted,
    interrupted_code,
)


@pytest.mark.parametrize(("number", "said"), [(0, "0 titles"), (1, "1 title"), (2, "2 titles"), (1000, "1000 titles")])
def test_a_noun_follows_its_number(number: int, said: str) -> None:
    assert counted(number, "title") == said


def test_the_signal_decides_the_exit_code() -> None:
    assert interrupted_code(KeyboardInterrupt()) == INTERRUPTED == 130
    assert interrupted_code(Terminated()) == TERMINATED == 143


def test_when_all_titles_failed_the_last_decides_the_exit_code() -> None:
    error = AllFailedError(3, PluginError.exit_code)

    assert (str(error), error.exit_code) == ("All 3 titles failed.", 4)
