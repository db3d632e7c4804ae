"""A title in a process of its own: what comes back, and what happens when the process dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest

from mediafm_cli.errors import EndedError, MediaError, StaleError
from mediafm_cli.stages.isolate import run_isolated, stop_isolated
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress, ignore_progress


def work(title: Path, *, how: str, progress: OnProgress) -> Outcome:
    """Do as told, in the other process."""
    progress(Progress(1, 2, "s"))
    if how == "refuse":
        raise StaleError("It is stale.", "It changed.", "Make it again.")
    if how == "choke":
        raise ValueError(threading.Lock())
    if how == "end of file":
        raise EOFError("the film ends too soon")
    if how == "tidy":
        try:
            title.write_text("half")
            progress(Progress(2, 2, "s"))
            time.sleep(60)
        finally:
            time.sleep(0.3)
            title.unlink()
    if how == "kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "leave":
        os._exit(7)
    return Outcome(title, "written", f"by process {os.getpid()}", ("a note",))


def test_what_it_returns_and_its_progress_come_back() -> None:
    told: list[Progress] = []

    outcome = run_isolated(work, Path("film.mp4"), how="return", progress=told.append)

    assert outcome.store == Path("film.mp4")
    assert outcome.summary != f"by process {os.getpid()}"
    assert outcome.notes == ("a note",)
    assert told == [Progress(1, 2, "s")]


def test_an_error_comes_back_as_it_was_with_where_it_happened() -> None:
    with pytest.raises(StaleError) as caught:
        run_isolated(work, Path("film.mp4"), how="refuse", progress=ignore_progress)

    assert (caught.value.what, caught.value.why, caught.value.hint) == ("It is stale.", "It changed.", "Make it again.")
    assert "in work" in caught.value.__notes__[0]


def test_an_error_that_cannot_be_carried_is_told_in_words() -> None:
    with pytest.raises(RuntimeError, match=r"ValueError: <unlocked _thread\.lock"):
        run_isolated(work, Path("film.mp4"), how="choke", progress=ignore_progress)


def test_an_end_of_file_in_the_work_is_not_taken_for_the_end_of_the_process() -> None:
    with pytest.raises(EOFError, match="the film ends too soon"):
        run_isolated(work, Path("film.mp4"), how="end of file", progress=ignore_progress)


@pytest.mark.parametrize(("how", "why"), [("kill", "ended by SIGSEGV"), ("leave", "ended with exit code 7")])
def test_a_process_that_dies_is_an_error_of_its_title_alone(how: str, why: str) -> None:
    with pytest.raises(MediaError, match=rf"The process that read film\.mp4 died\. It .*{why}"):
        run_isolated(work, Path("film.mp4"), how=how, progress=ignore_progress)

    assert run_isolated(work, Path("next.mp4"), how="return", progress=ignore_progress).store == Path("next.mp4")


def test_what_is_under_way_can_be_stopped_and_tidies_up(tmp_path: Path) -> None:
    started = threading.Event()
    caught: list[Exception] = []

    def watch(progress: Progress) -> None:
        if progress.done == 2:
            started.set()

    def run() -> None:
        try:
            run_isolated(work, tmp_path / "half", how="tidy", progress=watch)
        except EndedError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(30)

    stop_isolated()

    thread.join(30)
    assert not thread.is_alive()
    assert "ended with exit code 143" in str(caught[0])
    assert not (tmp_path / "half").exists()


def test_a_process_tidies_up_before_its_parent_goes_on_even_where_their_server_was_ended(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            os.kill(forkserver._forkserver._forkserver_pid, signal.SIGTERM)  # type: ignore[attr-defined]
            time.sleep(0.2)
            stop_isolated()  # from here on multiprocessing takes the process for ended
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_isolated(work, tmp_path / "half", how="tidy", progress=interrupt)

    assert not (tmp_path / "half").exists()
