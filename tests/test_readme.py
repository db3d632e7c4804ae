"""What the README tells people to type works: its commands are known, and its Python runs."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer

from mediafm_cli.cli.app import app
from mediafm_cli.model.folder import load_model, model_fingerprint
from mediafm_cli.stages.embed import EmbedSettings, embed_store

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def typed_commands() -> list[list[str]]:
    """Every line of a shell block, and every code span, that starts with ``mediafm`` and a command."""
    spans = re.findall(r"`(mediafm [^`]+)`", re.sub(r"```.*?```", "", README.read_text("utf-8"), flags=re.DOTALL))
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("mediafm ")]
    pipes = [part.strip() for line in [*lines, *spans] for part in line.split("|")]
    return [shlex.split(part, comments=True) for part in pipes]


@pytest.mark.parametrize("words", typed_commands(), ids=" ".join)
def test_a_command_in_the_readme_has_the_options_it_is_shown_with(words: list[str]) -> None:
    context = typer.Context(typer.main.get_command(app))
    name, *rest = words[1:]
    if name == "--config":
        _, name, *rest = rest
    command = context.command.get_command(context, name)
    assert command is not None, name
    if hasattr(command, "commands") and rest:
        command = command.commands[rest[0]]
    known = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in rest if re.match(r"--?\w", word)} <= known


@pytest.mark.parametrize("source", blocks("python"))
def test_python_in_the_readme_runs(
    source: str, stores: list[Path], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    shutil.move(stores[0], tmp_path / "stores" / "film.h5")
    settings = EmbedSettings("model")
    embed_store(tmp_path / "stores" / "film.h5", load_model(model_folder), model_fingerprint(model_folder), settings)
    (tmp_path / "model").symlink_to(model_folder)
    monkeypatch.chdir(tmp_path)
    found: dict = {}

    exec(compile(source, "README.md", "exec"), found)

    assert found["vectors"].shape[0] == len(found["shots"].start_s) == 6
    assert found["title"].ndim == 1
    assert np.array_equal(found["again"], found["vectors"])
