"""Where an option's value comes from: the command line, the environment, the config file, the default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typed_commands import Mediafm

from mediafm_cli.synthetic import SyntheticTitle


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config file that says 0.3 s where the default is 0.15 s."""
    path = tmp_path / "mediafm.toml"
    path.write_text("[segment]\nmin_shot = 0.3\n")
    return path


@pytest.mark.parametrize(
    ("in_file", "environment", "typed", "expected"),
    [(False, None, [], 0.15), (True, None, [], 0.3), (True, "0.4", [], 0.4), (True, "0.4", ["--min-shot", 0.5], 0.5)],
)
def test_the_nearest_source_wins(
    in_file: bool,
    environment: str | None,
    typed: list[object],
    expected: float,
    mediafm: Mediafm,
    films: list[SyntheticTitle],
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if environment:
        monkeypatch.setenv("MEDIAFM_SEGMENT_MIN_SHOT", environment)
    globals_ = ["--config", config] if in_file else []
    store = config.with_name("film.h5")

    mediafm(*globals_, "segment", films[0].path, "-o", store, *typed)
    again = mediafm("segment", films[0].path, "-o", store, "--min-shot", expected, "--json", "-q")

    assert json.loads(again.out)["status"] == "unchanged"


def test_config_show_names_the_origin_of_each_value(
    mediafm: Mediafm, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAFM_ENCODE_BATCH_SIZE", "8")

    lines = mediafm("--config", config, "config", "show").out.splitlines()

    assert "segment.min_shot = 0.3  (config file)" in lines
    assert "encode.batch_size = 8  (environment)" in lines
    assert "pretrain.max_steps = 1000  (default)" in lines


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[segmnet]\n", "there is no command called 'segmnet'. Did you mean segment?"),
        ("[segment]\nmin_shots = 1\n", "there is no option of segment called 'min_shots'. Did you mean min_shot?"),
        ("segment = 1\n", "segment is not a table. Write [segment]"),
        ("[segment\n", "is not valid TOML"),
        ("[segment]\nmin_shot = 'long'\n", "Invalid value for '--min-shot'"),
    ],
)
def test_a_config_that_cannot_be_is_refused(content: str, said: str, mediafm: Mediafm, config: Path) -> None:
    config.write_text(content)

    typed = mediafm("--config", config, "segment", config, "-o", config.parent)

    assert typed.code == 2
    assert said in " ".join(typed.err.split()).replace(" → ", " ")


def test_a_config_that_is_not_there_is_refused(mediafm: Mediafm, tmp_path: Path) -> None:
    typed = mediafm("--config", tmp_path / "none.toml", "config", "show")

    assert (typed.code, "cannot be read" in typed.err) == (2, True)
