"""mediafm as it is typed: in this process where only words and streams matter, in one of its own where it does."""

from __future__ import annotations

import sys

import pytest
from typed_commands import Mediafm, Typed, start
from typer.testing import CliRunner

from mediafm_cli.cli.app import app


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders that need no weights and no key, where a test names none."""
    monkeypatch.setenv("MEDIAFM_PRESET", "offline")


@pytest.fixture
def mediafm(monkeypatch: pytest.MonkeyPatch) -> Mediafm:
    """Run a command in this process; ``stdin`` is what is piped in."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the command line puts its own there

    def run(*words: object, stdin: str = "") -> Typed:
        result = CliRunner().invoke(app, list(map(str, words)), input=stdin, prog_name="mediafm")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Typed(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def shell() -> Mediafm:
    """Run a command in a process of its own."""

    def run(*words: object, **settings: object) -> Typed:
        process = start(*words, **settings)
        out, err = process.communicate()
        return Typed(process.returncode, out, err)

    return run
