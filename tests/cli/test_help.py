"""Help is quick, opens with what can be typed, and costs no heavy import."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from typed_commands import Mediafm

from mediafm_cli.cli.app import app

HEAVY = ("torch", "numpy", "h5py", "av", "transformers", "matplotlib", "pysubs2", "safetensors", "rich")
LOOK = f"""
import json, sys
from typer.testing import CliRunner
from mediafm_cli.cli.app import app
codes = {{words: CliRunner().invoke(app, words.split()).exit_code for words in json.loads(sys.argv[1])}}
print(json.dumps([codes, [name for name in {HEAVY} if name in sys.modules]]))
"""


def command_lines() -> list[str]:
    root = typer.main.get_command(app)
    groups = {name: getattr(command, "commands", {}) for name, command in root.commands.items()}  # type: ignore[attr-defined]
    return [*groups, *(f"{name} {child}" for name, children in groups.items() for child in children)]


@pytest.mark.parametrize("words", command_lines())
def test_help_opens_with_two_commands_that_can_be_typed(words: str, mediafm: Mediafm) -> None:
    typed = mediafm(*words.split(), "--help")

    examples = [line.strip() for line in typed.out.splitlines() if line.startswith("  mediafm ")]
    assert typed.code == 0
    assert len(examples) >= 2
    assert typed.out.index(examples[0]) < typed.out.index("Options:")
    assert sum(f" {words.split()[0]}" in example for example in examples) >= 2


def test_help_of_every_command_imports_nothing_heavy() -> None:
    lines = [f"{words} --help".strip() for words in ["", *command_lines()]]

    done = subprocess.run([sys.executable, "-c", LOOK, json.dumps(lines)], capture_output=True, text=True, check=True)

    codes, heavy = json.loads(done.stdout)
    assert codes == dict.fromkeys(lines, 0)
    assert heavy == []


TYPER_ALONE = """
import typer

app = typer.Typer()


@app.command()
def act(film: str) -> None: ...


app(["--help"])
"""


def test_help_takes_hardly_longer_than_that_of_an_application_that_does_nothing() -> None:
    """Typer and rich take two tenths of a second of a quiet processor; ours is to add little."""

    def cpu_s(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    taken = [(cpu_s("-m", "mediafm_cli", "--help"), cpu_s("-c", TYPER_ALONE)) for _ in range(5)]
    ours, nothing = (min(times) for times in zip(*taken, strict=True))
    assert ours < 1.5 * nothing


def test_the_script_and_the_module_are_the_same_program(shell: Mediafm) -> None:
    folder = os.path.dirname(sys.executable)
    script = subprocess.run([shutil.which("mediafm", path=folder) or "", "--version"], capture_output=True, text=True)

    assert shell("--version").out == script.stdout == f"mediafm {version('mediafm-cli')}\n"
