"""Many titles: side by side, in order, and one that is bad stops no other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from devices import lacks_cuda
from typed_commands import start

from mediafm_cli.cli.segmenting import share_cores
from mediafm_cli.media.container import PROCESSOR, Decoding
from mediafm_cli.media.shots import cut_into_shots
from mediafm_cli.stages.outcome import Outcome
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
