"""``mediafm transcribe`` as a user types it, in an environment where the plugin is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from made_media import LOW_HZ, write_film

from mediafm_cli.store.read import open_store

PLUGIN = Path(__file__).parents[1]
NO_HUB = {"HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the plugin in it."""

    python: Path

    def run(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MEDIAFM_PLUGINS")}
        return subprocess.run(
            [self.python, *map(str, words)],
            capture_output=True,
            text=True,
            env={**kept, "OMP_NUM_THREADS": "1", **NO_HUB, **environment},
        )

    def mediafm(self, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "mediafm_cli", *words, **environment)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What ``pip install ./plugins/mediafm-whisper`` makes; everything else is seen from here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=True)
    environment = Environment(folder / "venv" / "bin" / "python")
    here = sysconfig.get_paths()["purelib"]
    there = environment.run("-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout.strip()
    Path(there, "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    plugin = Path(shutil.copytree(PLUGIN, folder / PLUGIN.name))
    done = environment.run("-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", plugin)
    assert done.returncode == 0, done.stderr
    return environment


@pytest.fixture
def tiny(checkpoints: Path) -> list[object]:
    """The option that names a tiny model."""
    return ["--model", checkpoints / "seeking"]


def test_the_help_lists_the_command_with_its_distribution(installed: Environment) -> None:
    listed = installed.mediafm("--help").stdout
    help_ = installed.mediafm("transcribe", "--help")

    lines = [line.split() for line in listed.splitlines()]
    assert ["transcribe", "Added", "by", "mediafm-whisper", "0.1.0."] in lines
    assert help_.returncode == 0
    _, _, first, second, *_ = [line.strip() for line in help_.stdout.splitlines() if line.strip()]
    assert first == "mediafm transcribe film.mp4"
    assert second.startswith("mediafm transcribe *.mp4 ")


@pytest.mark.parametrize("words", [["--help"], ["transcribe", "--help"]])
def test_the_help_loads_no_torch(words: list[str], installed: Environment) -> None:
    program = f"""
import sys
from mediafm_cli.cli.app import app
try:
    app({words!r})
except SystemExit:
    print(sorted({{"torch", "transformers", "av", "pysubs2"}} & set(sys.modules)), "mediafm_whisper" in sys.modules)
"""

    done = installed.run("-c", program)

    assert done.stdout.splitlines()[-1] == f"[] {words != ['--help']}"


def test_a_film_is_transcribed_and_segment_reads_the_file(
    installed: Environment, film: Path, tiny: list[object]
) -> None:
    heard = installed.mediafm("transcribe", film, *tiny)
    cut = installed.mediafm("segment", film, "-o", film.parent / "stores")

    assert heard.returncode == 0, heard.stderr
    assert heard.stdout == f"{film.with_suffix('.srt')}\n"
    assert heard.stderr == f"transcribe {film.with_suffix('.srt')}: written: cues: 2, language en\n"
    assert cut.returncode == 0, cut.stderr
    with open_store(film.parent / "stores" / "film.h5") as store:
        assert store.shots.captions == "sidecar:film.srt"
        assert list(store.shots.text) == ["low tone", "high tone"]


def test_again_is_quick_and_keeps_the_file(installed: Environment, film: Path) -> None:
    film.with_suffix(".srt").write_text("mine")

    done = installed.mediafm("transcribe", film, "--model", "no/such-model")

    assert (done.returncode, done.stdout) == (0, f"{film.with_suffix('.srt')}\n")
    assert "unchanged: there already; replace it with --overwrite" in done.stderr
    assert film.with_suffix(".srt").read_text() == "mine"


def test_a_title_with_other_subtitles_is_left_alone_until_it_is_asked_for(
    installed: Environment, film: Path, tiny: list[object]
) -> None:
    (film.parent / "film.en.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")

    left = installed.mediafm("transcribe", film, *tiny)
    asked = installed.mediafm("transcribe", film, *tiny, "--overwrite")

    assert (left.returncode, left.stdout) == (0, "")
    assert "skipped: it has subtitles beside it, film.en.srt; do it all the same with --overwrite" in left.stderr
    assert (asked.returncode, asked.stdout) == (0, f"{film.with_suffix('.srt')}\n")
    assert "Hello" in (film.parent / "film.en.srt").read_text()


def test_a_title_without_sound_does_not_stop_the_others(installed: Environment, film: Path, tiny: list[object]) -> None:
    write_film(film.parent / "a_mute.mkv", (LOW_HZ, 1), sound=False)
    (film.parent / "b_broken.mkv").write_bytes(b"no media")

    done = installed.mediafm("transcribe", film.parent, *tiny, "-o", film.parent / "subs", "--json", "-q")

    assert done.returncode == 3
    assert "a_mute.mkv has no sound." in done.stderr
    assert "b_broken.mkv is not a media file that can be read." in done.stderr
    (record,) = map(json.loads, done.stdout.splitlines())
    assert (record["stage"], record["status"]) == ("transcribe", "written")
    assert record["store"] == str(film.parent / "subs" / "film.srt")


def test_a_dry_run_says_what_would_be_done(installed: Environment, film: Path) -> None:
    done = installed.mediafm("transcribe", film, "--dry-run", "--model", "no/such-model", "--task", "translate")

    assert done.returncode == 0
    assert f"planned: {film} would be translated by no/such-model" in done.stderr
    assert list(film.parent.iterdir()) == [film]


def test_language_and_output_file_are_taken(installed: Environment, film: Path, tiny: list[object]) -> None:
    output = film.parent / "film.de.srt"

    done = installed.mediafm("transcribe", film, *tiny, "--language", "DE", "-o", output, "-v")

    assert (done.returncode, done.stdout) == (0, f"{output}\n")
    assert "cues: 2, language de" in done.stderr
    assert "model: " in done.stderr


def test_a_hub_out_of_reach_says_how_to_get_the_weights(installed: Environment, film: Path, tmp_path: Path) -> None:
    done = installed.mediafm("transcribe", film, HF_HOME=str(tmp_path / "hub"))

    assert done.returncode == 1
    assert "The weights of openai/whisper-small cannot be found." in done.stderr
    assert (
        "hf download openai/whisper-small --local-dir whisper-small; and name that folder: --model whisper-small"
        in (done.stderr)
    )
    assert not film.with_suffix(".srt").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--language", "xx"], "does not know the language 'xx'"),
        (["--task", "sing"], "'sing' is not one of"),
        (["--revision", "v1"], "a folder has no revision 'v1'"),
        (["--device", "cuda:99"], "There is no device 'cuda:99'"),
    ],
)
def test_a_mistake_is_said_before_any_work(
    words: list[str], said: str, installed: Environment, film: Path, tiny: list[object]
) -> None:
    done = installed.mediafm("transcribe", film, *tiny, *words)

    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(film.parent.iterdir()) == [film]


def test_two_titles_never_share_a_file(installed: Environment, film: Path, tiny: list[object]) -> None:
    twin = shutil.copy(film, film.with_suffix(".mov"))

    same = installed.mediafm("transcribe", film, twin, *tiny)
    named = installed.mediafm("transcribe", film, twin, *tiny, "-o", film.parent / "one.srt")

    assert (same.returncode, named.returncode) == (2, 2)
    assert "would both become" in same.stderr
    assert "2 titles cannot share the file" in named.stderr
