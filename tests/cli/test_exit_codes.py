"""How each kind of failure ends, and that none shows a traceback unless it is asked for."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typed_commands import Mediafm, start

from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle


@dataclass(frozen=True)
class Place:
    """What the failing commands are typed on."""

    films: list[Path]
    stores: list[Path]
    model: Path
    empty: Path
    bad: Path = field(init=False)

    def __post_init__(self) -> None:
        bad = self.empty.parent / "bad.mp4"
        bad.write_text("no film")
        object.__setattr__(self, "bad", bad)


@pytest.fixture
def place(films: list[SyntheticTitle], stores: list[Path], model_folder: Path, tmp_path: Path) -> Place:
    (tmp_path / "empty").mkdir()
    return Place([film.path for film in films], stores, model_folder, tmp_path / "empty")


FAILURES: dict[str, tuple[int, str, Callable[[Place], list[object]]]] = {
    "no film": (1, "is not a media file", lambda p: ["segment", p.bad, "-o", p.empty]),
    "no model": (1, "is not a model folder", lambda p: ["embed", p.stores[0], "--model", p.empty]),
    "used folder": (1, "--resume", lambda p: ["pretrain", *p.stores, "-o", p.model]),
    "no such file": (2, "There is no nothing.mp4", lambda p: ["segment", "nothing.mp4", "-o", p.empty]),
    "nothing given": (2, "Missing argument", lambda p: ["fuse"]),
    "empty folder": (2, "has no file that ends in .h5", lambda p: ["fuse", p.empty]),
    "no match": (2, "Nothing matches", lambda p: ["fuse", p.empty / "*.h5"]),
    "empty stdin": (2, "stdin was empty", lambda p: ["fuse", "-"]),
    "unknown command": (2, "No such command", lambda p: ["fusion", *p.stores]),
    "unknown option": (2, "No such option", lambda p: ["fuse", *p.stores, "--normalise", "none"]),
    "wrong value": (2, "per-modality", lambda p: ["fuse", *p.stores, "--normalize", "loud"]),
    "no such preset": (2, "Known: mediafm, offline", lambda p: ["run", *p.films, "-o", p.empty, "--preset", "online"]),
    "no such device": (2, "There is no device", lambda p: ["embed", *p.stores, "--model", p.model, "--device", "tpu"]),
    "plugin option": (
        2,
        "Did you mean frames?",
        lambda p: ["encode", *p.stores, "--modality", "video", "--opt", "frame=3"],
    ),
    "other modality": (
        2,
        "encodes video, not audio",
        lambda p: ["encode", *p.stores, "--modality", "audio", "--encoder", "video.signal"],
    ),
    "one store for all": (2, "cannot share", lambda p: ["segment", *p.films, "-o", p.empty / "one.h5"]),
    "subtitles for all": (
        2,
        "belongs to one title",
        lambda p: ["segment", *p.films, "-o", p.empty, "--subtitles", p.bad],
    ),
    "some failed": (3, "1 of 2 titles failed", lambda p: ["segment", p.films[0], p.bad, "-o", p.empty]),
    "no such encoder": (
        4,
        "Did you mean video.signal?",
        lambda p: ["encode", *p.stores, "--modality", "video", "--encoder", "video.sginal"],
    ),
    "no such class": (
        4,
        "has no class",
        lambda p: ["encode", *p.stores, "--modality", "video", "--encoder", f"{__file__}:Missing"],
    ),
    "no store": (5, "is not a store", lambda p: ["check", p.bad]),
    "all refused": (5, "normalize none; now it is", lambda p: ["fuse", *p.stores, "--normalize", "per-modality"]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_has_its_code_says_why_and_prints_no_result(name: str, mediafm: Mediafm, place: Place) -> None:
    code, said, words = FAILURES[name]

    typed = mediafm(*words(place))

    assert typed.code == code
    assert said in typed.err
    assert "Traceback" not in typed.err
    assert typed.out == (f"{place.empty / place.films[0].stem}.h5\n" if code == 3 else "")


def test_debug_shows_the_traceback(mediafm: Mediafm, place: Place) -> None:
    typed = mediafm("--debug", "segment", place.bad, "-o", place.empty)

    assert typed.code == 1
    assert "Traceback" in typed.err
    assert "is not a media file" in typed.err


def test_the_others_are_done_where_one_title_fails(mediafm: Mediafm, place: Place) -> None:
    mediafm("segment", place.bad, *place.films, "-o", place.empty)

    assert sorted(path.name for path in place.empty.iterdir()) == [f"{film.stem}.h5" for film in place.films]


def test_what_is_not_expected_is_called_a_bug_in_one_breath(shell: Mediafm, tmp_path: Path) -> None:
    lines = [
        "from mediafm_cli.cli import inputs",
        "def find(*_, **__): raise RuntimeError('boom')",
        "inputs.find_inputs = find",
    ]
    (tmp_path / "sitecustomize.py").write_text("\n".join(lines))

    plain, debug = (shell(*words, "info", "x", env={"PYTHONPATH": str(tmp_path)}) for words in ([], ["--debug"]))

    assert plain.code == debug.code == 1
    assert "RuntimeError: boom" in plain.err
    assert "mediafm --debug" in plain.err
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err


def test_an_interrupted_training_keeps_its_checkpoints_and_goes_on(
    shell: Mediafm, place: Place, tmp_path: Path
) -> None:
    words = ["pretrain", *place.stores, "-o", tmp_path / "model", "--hidden", 16, "--layers", 1, "--heads", 1]
    endless = start(*words, "--max-steps", 10**6, "--checkpoint-every", 1)
    checkpoints = tmp_path / "model" / "checkpoints"
    while not (checkpoints.is_dir() and any(checkpoints.glob("step-*"))):
        assert endless.poll() is None, endless.stderr

    endless.send_signal(signal.SIGINT)
    _, err = endless.communicate()
    done = max(int(path.name.removeprefix("step-")) for path in checkpoints.glob("step-*"))
    resumed = shell(*words, "--max-steps", done + 2, "--resume")

    assert endless.returncode == 130
    said = f"pretrain {tmp_path / 'model'}: interrupted; the same command with --resume goes on"
    assert err.splitlines()[-1] == said
    assert resumed.code == 0, resumed.err
    assert f"{done + 2} steps, {done} of them before" in resumed.err


def test_an_interrupted_encoding_leaves_a_whole_store(place: Place) -> None:
    process = start(
        "encode", place.stores[0], "--modality", "video", "--media", place.films[0].parent, "--overwrite", "-v"
    )
    assert process.stderr is not None
    assert "encoder: video.signal" in process.stderr.readline()

    process.send_signal(signal.SIGINT)
    process.communicate()

    assert process.returncode in (0, 130)
    with open_store(place.stores[0]) as store:
        assert store.encoding("video").complete
