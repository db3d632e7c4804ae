"""Commands that plugins add: listed without being imported, loaded when called, harmless where they are broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_distributions import write_distribution
from typed_commands import Mediafm

SOURCE = """
import typer
app = typer.Typer()

@app.command()
def count(names: list[str], each: int = 1) -> None:
    "Count names."
    typer.echo(len(names) * each)
"""
GROUP = "mediafm.commands.v1"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one distribution that adds a good, a broken and an odd command, and a second ``segment``."""
    points = {
        "count": "counting_plugin:app",
        "broken": "broken_plugin:app",
        "odd": "counting_plugin:SOURCE",
        "segment": "counting_plugin:app",
    }
    modules = {"counting_plugin": f"{SOURCE}\nSOURCE = 1", "broken_plugin": "import a_module_that_is_not_there"}
    write_distribution(tmp_path, "mediafm-counting", "1.2", entry_points={GROUP: points}, modules=modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "counting_plugin", raising=False)
    return tmp_path


def test_help_lists_a_command_with_its_distribution_and_imports_nothing(mediafm: Mediafm, installed: Path) -> None:
    typed = mediafm("--help")

    assert "Added by mediafm-counting 1.2." in [line.partition("count")[2].strip() for line in typed.out.splitlines()]
    assert "counting_plugin" not in sys.modules


def test_a_command_runs_when_it_is_called(mediafm: Mediafm, installed: Path) -> None:
    assert mediafm("count", "a", "b").out == "2\n"
    assert "Count names." in mediafm("count", "--help").out


def test_a_plugin_replaces_no_command_of_mediafm(mediafm: Mediafm, installed: Path) -> None:
    assert "Cut films into shots" in mediafm("segment", "--help").out


@pytest.mark.parametrize(
    ("command", "said"), [("broken", "No module named 'a_module_that_is_not_there'"), ("odd", "is not a typer.Typer")]
)
def test_a_broken_command_fails_alone_and_names_its_plugin(
    command: str, said: str, mediafm: Mediafm, installed: Path
) -> None:
    typed = mediafm(command)

    assert typed.code == 4
    assert "mediafm-counting 1.2" in typed.err
    assert said in typed.err
    assert mediafm("plugins", "list").code == 0


def test_two_plugins_that_offer_one_command_are_both_named(mediafm: Mediafm, installed: Path) -> None:
    write_distribution(installed, "mediafm-tally", entry_points={GROUP: {"count": "counting_plugin:app"}})

    typed = mediafm("count", "a")

    assert typed.code == 4
    assert "mediafm-counting and mediafm-tally" in typed.err


def test_the_allow_list_hides_what_it_does_not_name(
    mediafm: Mediafm, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAFM_PLUGINS", "something-else")

    assert "mediafm-counting" not in mediafm("--help").out
    assert mediafm("count", "a").code == 2
    assert "video.signal" in mediafm("plugins", "list").out


def test_a_config_file_sets_the_options_of_a_plugins_command_too(
    mediafm: Mediafm, installed: Path, tmp_path: Path
) -> None:
    config = tmp_path / "mediafm.toml"
    config.write_text("[count]\neach = 3\n")

    assert mediafm("--config", config, "count", "a", "b").out == "6\n"
    assert mediafm("--config", config, "count", "a", "b", "--each", "2").out == "4\n"
    assert "counting_plugin" in sys.modules


@pytest.mark.parametrize(
    ("table", "said"),
    [("[count]\neahc = 3", "no option of count called 'eahc'. Did you mean each?"), ("[cuont]", "Did you mean count?")],
)
def test_what_a_config_file_says_wrongly_of_it_is_refused(
    table: str, said: str, mediafm: Mediafm, installed: Path, tmp_path: Path
) -> None:
    config = tmp_path / "mediafm.toml"
    config.write_text(table)

    typed = mediafm("--config", config, "count", "a")

    assert typed.code == 2
    assert said in " ".join(typed.err.replace("→", "").split())


def test_the_help_of_a_plugins_command_is_as_plain_as_that_of_others(mediafm: Mediafm, installed: Path) -> None:
    assert "env var" not in mediafm("count", "--help").out
