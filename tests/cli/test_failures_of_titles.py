"""Among many titles: what fails alone, what ends the run of all, and how each is told."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mediafm_cli.cli.console import Console
from mediafm_cli.cli.titles import run_over_titles
from mediafm_cli.errors import (
    AllFailedError,
    FailedOnTitleError,
    MediaError,
    MediafmError,
    OthersDoneError,
    UnavailableError,
)
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress
from mediafm_cli.store import commit
from mediafm_cli.synthetic import SyntheticTitle


def test_a_cause_that_titles_share_is_told_once(mediafm, films: list[SyntheticTitle], tmp_path: Path) -> None:
    words = ["segment", *(film.path for film in films), "-o", tmp_path]
    mediafm(*words)

    again = mediafm(*words, "--max-shot", 4)

    assert again.code == 5
    assert again.err.count("--max-shot unset → 4.0") == again.err.count("--overwrite") == 1
    assert again.err.count("is there already. As above.\n") == 2
    assert "All 3 titles failed." in again.err


def write_without_scaler(path: Path) -> Path:
    """Five pictures of a pixel format that FFmpeg's scaler does not take."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb4"
        for number in range(5):
            frame = av.VideoFrame(64, 48, "rgb4")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("command", [["segment"], ["run", "--preset", "offline", "--max-steps", 1]])
def test_pictures_that_cannot_be_scaled_cost_their_own_title(
    mediafm, films: list[SyntheticTitle], tmp_path: Path, command: list[object]
) -> None:
    odd, others = write_without_scaler(tmp_path / "odd.nut"), [film.path for film in films[:2]]

    typed = mediafm(*command, odd, *others, "-o", tmp_path / "stores")

    assert typed.code == 3
    assert typed.out.splitlines() == [str(tmp_path / "stores" / f"{film.stem}.h5") for film in others]
    what = "The pictures are of the pixel format rgb4, which cannot be scaled."
    assert f"error: {odd}: {what}\n  Operation not supported.\n" in typed.err
    assert f"error: 1 of 3 titles failed: {odd}." in typed.err


def test_an_encoder_is_not_blamed_for_pictures_that_cannot_be_scaled(mediafm, tmp_path: Path) -> None:
    stores = tmp_path / "stores"
    segmented = mediafm("segment", write_without_scaler(tmp_path / "odd.nut"), "-o", stores, "--segmenter", "fixed")

    typed = mediafm("encode", stores, "--modality", "video", "--encoder", "video.signal")

    assert (segmented.code, typed.code) == (0, 1)
    assert "The pictures are of the pixel format rgb4, which cannot be scaled." in typed.err


def write_segmenter(folder: Path, title: str, body: str) -> str:
    """A segmenter that takes any title as one shot, but for the title of that name; the words that name it."""
    (folder / "odd.py").write_text(
        "from mediafm_cli.api import Boundary, Segmenter\n"
        "class Odd(Segmenter):\n"
        "    def begin(self, title):\n"
        f"        self.is_odd = title.name == {title!r}\n"
        "        self.begun()\n"
        "    def begun(self):\n"
        "        pass\n"
        "    def detect(self, frames):\n"
        "        if self.is_odd:\n"
        "            yield from self.cut()\n"
        "    def cut(self):\n"
        "        return []\n"
        f"    {body}\n"
    )
    return f"{folder / 'odd.py'}:Odd"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def begun(self): assert not self.is_odd, 'no such film'", "failed on {film}. AssertionError: no such film."),
        ("def cut(self): return [1 / 0]", "failed on {film}. ZeroDivisionError: division by zero."),
        ("def cut(self): return [Boundary(9), Boundary(3)]", "{film}: The segmenter mediafm_plugin_odd:Odd is wrong"),
    ],
)
def test_a_segmenter_that_fails_on_one_title_fails_that_title(
    mediafm, films: list[SyntheticTitle], tmp_path: Path, body: str, said: str
) -> None:
    odd, *others = [film.path for film in films]
    words = ["--segmenter", write_segmenter(tmp_path, odd.stem, body), "-o", tmp_path / "stores"]

    typed, alone = mediafm("segment", odd, *others, *words), mediafm("segment", odd, *words)

    assert (typed.code, alone.code, alone.out) == (3, 4, "")
    assert typed.out.splitlines() == [str(tmp_path / "stores" / f"{film.stem}.h5") for film in others]
    assert said.format(film=odd) in typed.err
    assert "mediafm --debug … shows where." not in typed.err  # that would show the traceback of another error
    assert "segment: 3 titles: 1 failed, 2 written\n" in typed.err
    assert f"error: 1 of 3 titles failed: {odd}." in typed.err


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def __init__(self, options=None): raise KeyError('start')", "failed to start. KeyError: 'start'."),
        ("raise RuntimeError('no licence')", "could not be loaded. RuntimeError: no licence."),
    ],
)
def test_a_segmenter_that_cannot_be_loaded_or_started_ends_the_run(
    mediafm, films: list[SyntheticTitle], tmp_path: Path, body: str, said: str
) -> None:
    words = ["--segmenter", write_segmenter(tmp_path, "", body), "-o", tmp_path / "stores"]

    typed = mediafm("segment", *(film.path for film in films), *words)

    assert (typed.code, typed.out) == (4, "")
    (line,) = typed.err.splitlines()
    assert said in line


class Acts:
    """Work on four titles at once: d ends well, after c failed and before b ends the run; a would go on for ever."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.failed, self.finished = threading.Event(), threading.Event()
        self.given_up: list[str] = []

    def work(self, title: Path, progress: OnProgress) -> Outcome:
        if title.name == "a":
            try:
                while True:
                    progress(Progress(1, None, "s"))
                    time.sleep(0.01)
            except InterruptedError:
                self.given_up.append(title.name)
                raise
        if title.name == "b":
            assert self.finished.wait(30)
            raise self.error
        if title.name == "c":
            self.failed.set()
            raise MediaError("c is damaged.")
        assert self.failed.wait(30)
        self.finished.set()
        return Outcome(title, "written", "shots: 1")


@pytest.mark.parametrize("error", [UnavailableError("There is no key."), KeyboardInterrupt()])
def test_an_error_that_ends_the_run_does_so_at_once_and_what_is_finished_is_told(
    capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    acts = Acts(error)

    with pytest.raises(type(error)):
        run_over_titles("segment", [Path(name) for name in "abcd"], acts.work, Console(), jobs=4)

    told = capsys.readouterr()
    assert acts.given_up == ["a"]
    assert told.out.splitlines() == ["d"]
    assert told.err.count("error:") == 1
    assert "error: c is damaged." in told.err


def test_an_error_that_ends_the_run_leaves_a_count_of_what_is_done_and_what_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(title: Path, progress: OnProgress) -> Outcome:
        if title.name == "3":
            raise MediaError("3 is damaged.")
        if title.name == "8":
            raise UnavailableError("There is no room.")
        return Outcome(title, "written", "shots: 1")

    with pytest.raises(UnavailableError):
        run_over_titles("segment", [Path(str(number)) for number in range(1, 11)], work, Console())

    assert capsys.readouterr().err.endswith("segment: 10 titles: 1 failed, 3 not done, 6 written\n")


class NoFilmError(MediaError):
    """An error of a plugin, made in a way of its own."""

    exit_code = 7

    def __init__(self, film: Path) -> None:
        super().__init__(f"{film} is no film.", "It is a book.")


class NoScreenError(FailedOnTitleError):
    """Another."""

    def __init__(self, film: Path) -> None:
        super().__init__(f"There is no screen for {film}.", "It is dark.", "Light it.")


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        (NoFilmError, 7, "error: b is no film.\n  It is a book.\n"),
        (NoScreenError, 4, "error: There is no screen for b. It is dark. Light it.\n"),
    ],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_that_a_plugin_makes_in_its_own_way_is_told_like_any_other(
    capsys: pytest.CaptureFixture[str], kind: Callable[[Path], MediafmError], code: int, said: str, jobs: int
) -> None:
    def work(title: Path, progress: OnProgress) -> Outcome:
        if title.name == "a":
            return Outcome(title, "written", "shots: 1")
        raise kind(title)

    with pytest.raises(OthersDoneError):
        run_over_titles("segment", [Path("a"), Path("b")], work, Console(), jobs=jobs)
    told = capsys.readouterr().err
    with pytest.raises(AllFailedError) as raised:
        run_over_titles("segment", [Path("b"), Path("c")], work, Console(), jobs=jobs)

    assert said in told
    assert (str(raised.value), raised.value.exit_code) == ("All 2 titles failed.", code)


def test_a_disk_that_is_full_at_the_eighth_of_ten_titles_is_said_with_what_is_done(
    mediafm, stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = [Path(shutil.copy(stores[0], tmp_path / f"{number:02}.h5")) for number in range(1, 11)]
    before = titles[7].read_bytes()
    replace, room = commit._replace, iter(range(7))

    def write(path: Path, image: bytes) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(path, image)

    monkeypatch.setattr(commit, "_replace", write)

    typed = mediafm("encode", *titles, "--modality", "metadata", "--overwrite")

    assert typed.code == 1
    assert typed.out.splitlines() == [str(title) for title in titles[:7]]
    assert typed.err.count("No space left on device.") == typed.err.count("Make room, and run the command again") == 1
    assert "encode metadata: 10 titles: 3 not done, 7 written\n" in typed.err
    assert titles[7].read_bytes() == before


def test_of_errors_that_end_the_run_together_the_first_in_order_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def complete_backwards(futures: list[Future[Outcome]]) -> list[Future[Outcome]]:
        return [future for future in reversed(futures) if future.exception()]

    def fail(title: Path, progress: OnProgress) -> Outcome:
        raise UnavailableError(f"{title} has no key.")

    monkeypatch.setattr("concurrent.futures.as_completed", complete_backwards)

    with pytest.raises(UnavailableError, match=r"a has no key"):
        run_over_titles("segment", [Path("a"), Path("b")], fail, Console(quiet=True), jobs=2)
