"""``mediafm plugins list | show | check | new``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_distributions import write_distribution
from tiny_checkpoints import write_open_clip
from typed_commands import Mediafm


def records(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


# --- show -------------------------------------------------------------------------------------------------------------


def test_show_tells_the_origin_the_needs_the_width_and_each_option_with_its_default(mediafm: Mediafm) -> None:
    typed = mediafm("plugins", "show", "audio.logmel")

    lines = [line.split(maxsplit=1) for line in typed.out.splitlines() if line and not line.startswith((" ", "--"))]
    shown = dict(lines)
    assert shown["kind"] == "encoder"
    assert shown["group"] == "mediafm.encoders.v1"
    assert shown["module"] == "mediafm_cli.encoders.audio_logmel:AudioLogMel"
    assert shown["distribution"].startswith("mediafm-cli ")
    assert (shown["needs"], shown["dim"]) == ("Audio(rate=16000)", "128")
    assert "--opt n_mels=64  (int)\n    mel bands; the vectors are twice as wide." in typed.out


def test_show_takes_options_since_the_width_depends_on_them(mediafm: Mediafm) -> None:
    (shown,) = records(mediafm("plugins", "show", "audio.logmel", "--opt", "n_mels=20", "--json").out)

    assert shown["schema"] == "mediafm.plugin"
    assert shown["dim"] == 40
    assert {"name": "floor_db", "type": "float", "default": "-90.0"}.items() <= shown["options"][2].items()


def test_show_needs_no_weights_where_the_width_is_known_without(
    mediafm: Mediafm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    (video,) = records(mediafm("plugins", "show", "video.open-clip", "--json").out)
    (text,) = records(mediafm("plugins", "show", "text.openai", "--json").out)

    assert (video["dim"], text["dim"]) == (768, 768)
    assert {"name": "pooling", "type": "mean | max | frames", "default": "mean"}.items() <= video["options"][4].items()


def test_show_says_why_a_width_is_not_known(mediafm: Mediafm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    (shown,) = records(mediafm("plugins", "show", "audio.wav2vec2", "--json").out)

    assert shown["dim"] is None
    assert "facebook/wav2vec2-base-960h cannot be found" in shown["dim_unknown"]
    assert "dim          not known: The weights of" in mediafm("plugins", "show", "audio.wav2vec2").out


def test_show_knows_segmenters_and_files(mediafm: Mediafm, tmp_path: Path) -> None:
    mediafm("plugins", "new", "ocr.mine", "-o", tmp_path)

    segmenter = mediafm("plugins", "show", "content")
    file = mediafm("plugins", "show", f"{tmp_path}/mediafm-ocr-mine/mediafm_ocr_mine.py:OcrMine")

    assert "--opt ratio=2.3  (float)" in segmenter.out
    assert "--opt frames=4  (int)" in file.out
    assert "distribution" not in file.out


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_plugin_that_is_not_there_is_named_with_the_nearest(command: str, mediafm: Mediafm) -> None:
    typed = mediafm("plugins", command, "audio.logmle")

    assert typed.code == 4
    assert "There is no plugin called 'audio.logmle'. Did you mean audio.logmel?" in typed.err


# --- check ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["text.hashed", "video.signal", "content"])
def test_check_reports_each_promise(name: str, mediafm: Mediafm) -> None:
    text, found = mediafm("plugins", "check", name), records(mediafm("plugins", "check", name, "--json").out)

    assert text.code == 0
    assert all(line.startswith("pass  ") for line in text.out.splitlines())
    assert [f"pass  {check['check']}" for check in found] == text.out.splitlines()
    assert {(check["schema"], check["name"], check["passed"]) for check in found} == {
        ("mediafm.plugin_check", name, True)
    }


def test_check_runs_an_encoder_of_the_preset_on_a_checkpoint(mediafm: Mediafm, tmp_path: Path) -> None:
    folder = write_open_clip(tmp_path / "clip")

    typed = mediafm("plugins", "check", "video.open-clip", "--opt", f"model={folder}")

    assert typed.code == 0, typed.out


def test_check_of_an_encoder_without_its_key_says_so(mediafm: Mediafm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    typed = mediafm("plugins", "check", "text.openai")

    assert typed.code == 1
    assert typed.out == ""
    assert "OPENAI_API_KEY is not set" in typed.err


COMMAND = """
import typer
app = typer.Typer()

@app.command()
def greet() -> None:
    "Greet."
"""


@pytest.mark.parametrize(("head", "code"), [("", 0), ("import torch", 4), ("raise ImportError('no')", 4)])
def test_check_knows_commands(
    head: str, code: int, mediafm: Mediafm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {"mediafm.commands.v1": {"greet": "greeting_plugin:app"}}
    write_distribution(
        tmp_path, "mediafm-greet", entry_points=points, modules={"greeting_plugin": f"{head}\n{COMMAND}"}
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "greeting_plugin", raising=False)

    typed = mediafm("plugins", "check", "greet")

    assert typed.code == code, typed.out
    assert mediafm("plugins", "show", "greet").code == 0


# --- new --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "needs", "module", "encoder"),
    [
        ("video.mine", None, "mediafm_video_mine", "VideoMine"),
        ("audio.mine", None, "mediafm_audio_mine", "AudioMine"),
        ("text.mine", None, "mediafm_text_mine", "TextMine"),
        ("ocr.two-b", "text", "mediafm_ocr_two_b", "OcrTwoB"),
        ("sound_fx.v2", "audio", "mediafm_sound_fx_v2", "SoundFxV2"),
    ],
)
def test_a_new_package_passes_its_checks_and_its_own_tests_at_once(
    name: str, needs: str | None, module: str, encoder: str, mediafm: Mediafm, tmp_path: Path
) -> None:
    new = mediafm("plugins", "new", name, "-o", tmp_path, *[f"--needs={needs}"] * bool(needs))

    package = tmp_path / module.replace("_", "-")
    files = [package / file for file in ("pyproject.toml", f"{module}.py", f"tests/test_{module}.py", "README.md")]
    assert new.out.splitlines() == list(map(str, files))
    check = mediafm("plugins", "check", f"{files[1]}:{encoder}")
    assert check.code == 0, check.out
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", package]
    tests = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(package)})
    assert tests.returncode == 0, tests.stdout
    assert "2 passed" in tests.stdout


def test_what_new_says_to_type_next_can_be_typed(
    mediafm: Mediafm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    said = mediafm("plugins", "new", "audio.mine").err

    (line,) = [line for line in said.splitlines() if "plugins check" in line]
    assert mediafm(*line.partition("mediafm ")[2].split()).code == 0


@pytest.mark.parametrize(
    "name", ["mine", "Audio.mine", "audio.", ".mine", "audio.my encoder", "audio/mine", "audio.1", "../a.b"]
)
def test_a_name_that_cannot_be_is_refused(name: str, mediafm: Mediafm, tmp_path: Path) -> None:
    typed = mediafm("plugins", "new", name, "-o", tmp_path)

    assert typed.code == 2
    assert "cannot be the name of an encoder" in typed.err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(mediafm: Mediafm, tmp_path: Path) -> None:
    typed = mediafm("plugins", "new", "audio.logmel", "-o", tmp_path)

    assert typed.code == 2
    assert "audio.logmel (mediafm-cli" in typed.err


def test_nothing_that_is_there_is_overwritten(mediafm: Mediafm, tmp_path: Path) -> None:
    mediafm("plugins", "new", "audio.mine", "-o", tmp_path)
    module = tmp_path / "mediafm-audio-mine" / "mediafm_audio_mine.py"
    module.write_text("# my work")

    typed = mediafm("plugins", "new", "audio.mine", "-o", tmp_path)

    assert typed.code == 2
    assert "is there already" in typed.err
    assert module.read_text() == "# my work"
