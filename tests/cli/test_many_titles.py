"""Many titles: side by side, in order, and one that is bad stops no other."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from devices import lacks_cuda
from typed_commands import start

from mediafm_cli.cli.console import Console
from mediafm_cli.cli.segmenting import share_cores
from mediafm_cli.cli.titles import run_over_titles
from mediafm_cli.errors import (
    AllFailedError,
    FailedOnTitleError,
    MediaError,
    MediafmError,
    OthersDoneError,
    UnavailableError,
)
from mediafm_cli.media.container import PROCESSOR, Decoding
from mediafm_cli.media.shots import cut_into_shots
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress
from mediafm_cli.store import commit
from mediafm_cli.synthetic import SyntheticTitle


@pytest.fixture
def folder(films: list[SyntheticTitle], tmp_path: Path) -> Path:
    """Three films, and two files that are none."""
    media = tmp_path / "media"
    media.mkdir()
    for film in films:
        shutil.copy(film.path, media)
    (media / "bad_empty.mp4").touch()
    (media / "bad_text.mp4").write_text("This is no film.")
    return media


@pytest.mark.parametrize("jobs", [1, 3])
def test_bad_files_stop_no_other_and_are_named(mediafm, folder: Path, tmp_path: Path, jobs: int) -> None:
    done = mediafm("segment", folder, "-o", tmp_path / "stores", "--jobs", jobs)

    assert done.code == 3
    assert done.out.splitlines() == [str(tmp_path / "stores" / f"title_{number:03d}.h5") for number in range(3)]
    assert f"error: {folder / 'bad_empty.mp4'} is empty (0 bytes)." in done.err
    assert f"error: {folder / 'bad_text.mp4'} is not a media file that can be read." in done.err
    assert "segment: 5 titles: 2 failed, 3 written" in done.err
    assert f"2 of 5 titles failed: {folder / 'bad_empty.mp4'}, {folder / 'bad_text.mp4'}." in done.err


def test_side_by_side_gives_the_same_stores(mediafm, films: list[SyntheticTitle], tmp_path: Path) -> None:
    paths = [film.path for film in films]

    mediafm("segment", *paths, "-o", tmp_path / "one", "--jobs", 1)
    mediafm("segment", *paths, "-o", tmp_path / "two", "--jobs", 3)

    for film in films:
        one, two = (tmp_path / name / f"{film.path.stem}.h5" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_results_are_told_in_order(mediafm, films: list[SyntheticTitle], tmp_path: Path) -> None:
    backwards = [film.path for film in reversed(films)]

    done = mediafm("segment", *backwards, "-o", tmp_path, "--jobs", 3, "--json")

    stores = [Path(json.loads(line)["store"]).stem for line in done.out.splitlines()]
    assert stores == [path.stem for path in backwards]


@pytest.mark.parametrize(
    ("titles", "jobs", "cores", "at_once", "threads"),
    [
        (10, None, 16, 4, 4),
        (2, None, 16, 2, 8),
        (10, None, 2, 1, 2),
        (10, 8, 4, 8, 1),
        (1, 4, 6, 1, 6),
        (10, 3, 16, 3, 5),
    ],
)
def test_titles_and_threads_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, titles: int, jobs: int | None, cores: int, at_once: int, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(cores), raising=False)

    assert share_cores(titles, jobs, "") == (at_once, Decoding(threads))


@pytest.fixture
def slow(films: list[SyntheticTitle], tmp_path: Path) -> list[object]:
    """Words that segment films, each into ``stores``; all but the last for ever, once ``started`` is there."""
    plugin = tmp_path / "slow.py"
    plugin.write_text(
        "import time\n"
        "from pathlib import Path\n"
        "from mediafm_cli.api import Segmenter\n"
        "class Slow(Segmenter):\n"
        "    def begin(self, title):\n"
        f"        self.is_last = title.name == {films[-1].path.stem!r}\n"
        "    def detect(self, frames):\n"
        "        if not self.is_last:\n"
        f"            (Path({str(tmp_path)!r}) / 'started').touch()\n"
        "        for frame in frames:\n"
        "            time.sleep(0 if self.is_last else 0.2)\n"
        "        yield from ()\n"
    )
    paths = [film.path for film in films]
    return ["segment", *paths, "-o", tmp_path / "stores", "--segmenter", f"{plugin}:Slow"]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_ends_every_process_at_once(
    slow: list[object],
    tmp_path: Path,
    jobs: int,
    number: signal.Signals,
    code: int,
    send: Callable[[int, signal.Signals], None],
) -> None:
    process = start(*slow, "--jobs", jobs, start_new_session=True)
    wait_for(tmp_path / "started", process)

    send(process.pid, number)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (code, "")
    assert err == "Interrupted. 0 of 3 titles are done (segment); run the same command again to go on.\n"
    assert list((tmp_path / "stores").iterdir()) == []


def test_what_was_finished_out_of_order_is_told_and_counted_after_ctrl_c(slow: list[object], tmp_path: Path) -> None:
    process = start(*slow, "--jobs", 3)
    last = tmp_path / "stores" / "title_002.h5"
    wait_for(tmp_path / "started", process)
    wait_for(last, process)

    time.sleep(2)  # until the parent has heard of it
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert out == f"{last}\n"
    assert err.endswith("Interrupted. 1 of 3 titles are done (segment); run the same command again to go on.\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process reads")
def test_a_process_that_ends_before_its_parent_hears_of_the_signal_is_no_failure(
    slow: list[object], tmp_path: Path
) -> None:
    process = start(*slow, "--jobs", 3)
    wait_for(tmp_path / "stores" / "title_002.h5", process)
    os.kill(_reader("title_001.mp4"), signal.SIGTERM)
    time.sleep(2)  # until the parent has heard of it

    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)

    assert err.splitlines()[-1].startswith("Interrupted. 1 of 3 titles are done (segment)")
    assert "died" not in err


def _reader(name: str) -> int:
    """The process that reads a file called so, as soon as there is one."""
    while not (found := [process for process in Path("/proc").glob("[0-9]*") if _reads(process, name)]):
        time.sleep(0.05)
    return int(found[0].name)


def _reads(process: Path, name: str) -> bool:
    try:
        return any(link.resolve().name == name for link in (process / "fd").iterdir())
    except OSError:
        return False


def test_processes_whose_parent_was_killed_end_in_silence(slow: list[object], tmp_path: Path) -> None:
    process = start(*slow, "--jobs", 2)
    wait_for(tmp_path / "started", process)

    process.kill()
    _, err = process.communicate(timeout=20)  # which waits for all that write there

    assert err == ""
    assert [path.name for path in (tmp_path / "stores").iterdir() if path.suffix != ".h5"] == []


def test_a_cause_that_titles_share_is_told_once(mediafm, films: list[SyntheticTitle], tmp_path: Path) -> None:
    words = ["segment", *(film.path for film in films), "-o", tmp_path]
    mediafm(*words)

    again = mediafm(*words, "--max-shot", 4)

    assert again.code == 5
    assert again.err.count("--max-shot unset → 4.0") == again.err.count("--overwrite") == 1
    assert again.err.count("is there already. As above.\n") == 2
    assert "All 3 titles failed." in again.err


def test_a_folder_that_cannot_be_written_ends_the_run_before_any_film_is_decoded(
    mediafm, films: list[SyntheticTitle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediafm_cli.stages.segment.cut_into_shots", None)
    (tmp_path / "file").touch()
    words = [*(film.path for film in films), "-o", tmp_path / "file" / "stores"]

    for command in (["segment"], ["segment", "--keep-frames", 2], ["run", "--jobs", 2]):
        typed = mediafm(*command, *words)

        assert (typed.code, typed.out) == (1, "")
        assert typed.err.count("error:") == 1
        assert f"error: {tmp_path / 'file' / 'stores'} cannot be written.\n  Not a directory.\n" in typed.err
        assert "Choose another folder with -o" in typed.err


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


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["segment", "--hwaccel", "cudda"], "error: There is no hardware decoder 'cudda'."),
        (["segment", "--subtitle-encoding", "utf-9"], "error: There is no encoding 'utf-9'."),
        (["run", "--subtitle-encoding", "utf-9"], "error: There is no encoding 'utf-9'."),
        (["run", "--language", "englisch"], "error: 'englisch' is no language."),
    ],
)
def test_a_wrong_word_is_said_once_before_any_title(
    mediafm, folder: Path, tmp_path: Path, words: list[str], error: str
) -> None:
    typed = mediafm(*words, folder, "-o", tmp_path / "stores")

    assert (typed.code, typed.out) == (2, "")
    assert typed.err.count("error:") == 1
    assert error in typed.err


@lacks_cuda
def test_each_film_that_the_device_did_not_decode_is_named(
    mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    typed = mediafm("segment", films[0].path.parent, "-o", tmp_path / "stores", "--hwaccel", "cuda")

    assert typed.code == 0
    for film in films:
        store = tmp_path / "stores" / f"{film.path.stem}.h5"
        assert f"warning: {store}: cuda cannot decode h264 (there is no such device" in typed.err


@pytest.mark.parametrize("command", [["segment"], ["run", "--preset", "offline", "--max-steps", 1]])
def test_how_many_films_a_device_decoded_is_said_once(
    mediafm, films: list[SyntheticTitle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[object]
) -> None:
    """With a device that decodes all but the first film, as it would."""

    def choose(media: Path, wanted: Decoding) -> tuple[Decoding, str]:
        if media == films[0].path:
            return replace(wanted, hwaccel=""), "cuda cannot decode it; the processor does"
        return wanted, "h264 is decoded by cuda"

    def run_here(work: Callable[..., Outcome], *arguments: Any, **named: Any) -> Outcome:
        return work(*arguments, **named)

    def cut(*arguments: Any, decoding: Decoding, **named: Any) -> Any:
        return cut_into_shots(*arguments, decoding=PROCESSOR, **named)

    monkeypatch.setattr("mediafm_cli.media.hardware.require_device", lambda name: None)
    monkeypatch.setattr("mediafm_cli.stages.segment.choose_decoding", choose)
    monkeypatch.setattr("mediafm_cli.stages.segment.cut_into_shots", cut)
    monkeypatch.setattr("mediafm_cli.stages.isolate.run_isolated", run_here)
    words = [*command, *(film.path for film in films), "-o", tmp_path / "stores", "--hwaccel", "cuda"]

    typed, again = mediafm(*words), mediafm(*words)

    assert (typed.code, again.code) == (0, 0)
    assert typed.err.count("decoded by") == 1
    assert "segment: decoded by cuda: 2 of 3\n" in typed.err
    assert f"warning: {tmp_path / 'stores' / films[0].path.stem}.h5: cuda cannot decode it" in typed.err
    assert "decoded by" not in again.err


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
