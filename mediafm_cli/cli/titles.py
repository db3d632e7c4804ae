"""Run one stage over many titles: one that fails does not stop the others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from mediafm_cli.errors import (
    AllFailedError,
    EndedError,
    FailedOnTitleError,
    MediafmError,
    OthersDoneError,
    PluginError,
    UnavailableError,
)

if TYPE_CHECKING:
    from mediafm_cli.cli.console import Console
    from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress

T = TypeVar("T")
U = TypeVar("U")


def run_over_titles(
    stage: str,
    titles: Sequence[Path],
    work: Callable[[Path, OnProgress], Outcome],
    console: Console,
    *,
    nul: bool = False,
    jobs: int = 1,
) -> list[Path]:
    """Call ``work`` on each title and print the path of each store as it is finished; the stores, in order.

    An error that ends the run does so at once; what is finished by then is still printed, and counted.

    Args:
        jobs: titles at once, each in a thread; ``work`` leaves the processor to processes of its own.

    Raises:
        MediafmError: the error of the only title.
        OthersDoneError: some of several failed; each was reported when it did.
        AllFailedError: all of several failed; with the exit code of the last.
        PluginError, UnavailableError: the plugin itself is broken, or what it needs is not there, so that no other
            title can fare better. One that failed on one of several titles fails that title.
        KeyboardInterrupt: with a note that says how many of several titles are done.
    """
    outcomes: dict[Path, Outcome] = {}
    failed: dict[Path, MediafmError] = {}
    several = len(titles) > 1
    stopped = Event()

    def run(numbered: tuple[int, Path]) -> Outcome | MediafmError:
        number, title = numbered
        label = f"{stage} {title.name}" + (f" ({number} of {len(titles)})" if several else "")
        try:
            with console.progress(label) as progress:

                def watch(told: Progress) -> None:
                    if stopped.is_set():
                        raise InterruptedError(f"{title} was given up, since another title ended the run")
                    progress(told)

                return work(title, watch)
        except Exception as error:
            if not several or stopped.is_set() or _ends_run(error):
                raise
            return error if isinstance(error, MediafmError) else _unforeseen(title, error)

    def report(numbered: tuple[int, Path], ended: Outcome | MediafmError) -> None:
        _, title = numbered
        if isinstance(ended, MediafmError):
            known = any((ended.why, ended.hint) == (before.why, before.hint) for before in failed.values())
            what = ended.what if title.name in ended.what else f"{title}: {ended.what}"
            again = known and ended.why
            # Not its own class: that of a plugin may take other arguments.
            kind = PluginError if isinstance(ended, PluginError) else MediafmError
            console.fail(MediafmError(f"{what} As above.") if again else kind(what, ended.why, ended.hint))
            failed[title] = ended
            return
        tell = console.detail if several else console.say
        tell(f"{stage} {ended.store}: {ended.status}: {ended.summary}")
        for note in ended.notes:
            console.warn(f"{ended.store}: {note}")
        _show_result(stage, ended, console, nul)
        outcomes[title] = ended

    def counted() -> str:
        counts = Counter([*(outcome.status for outcome in outcomes.values()), *["failed"] * len(failed)])
        counts["not done"] = len(titles) - counts.total()
        listed = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()) if count)
        return f"{stage}: {len(titles)} titles: {listed}"

    try:
        _each(run, list(enumerate(titles, 1)), report, jobs, stopped)
    except KeyboardInterrupt as interrupt:
        if several:
            interrupt.add_note(f"{len(outcomes)} of {len(titles)} titles are done ({stage})")
        raise
    except (PluginError, UnavailableError):
        if outcomes or failed:  # else the error says it all, in one line
            console.say(counted())
        raise
    if several:
        console.say(counted())
    done = [outcome.store for outcome in outcomes.values()]
    if failed and done:
        planned = any(outcome.status == "planned" for outcome in outcomes.values())
        raise OthersDoneError(list(failed), done, planned=planned)
    if failed:
        raise AllFailedError(len(titles), failed[titles[-1]].exit_code)
    return done


def _ends_run(error: Exception) -> bool:
    return isinstance(error, PluginError | UnavailableError) and not isinstance(error, FailedOnTitleError)


def _unforeseen(title: Path, error: Exception) -> MediafmError:
    if isinstance(error, OSError):
        return MediafmError(f"{title} failed.", f"{error.filename or 'A file'} cannot be used: {error.strerror}.")
    hint = "Run it on this title alone as mediafm --debug … and report what it prints."
    return MediafmError(f"{title} failed: {type(error).__name__}: {error}", "This is a bug.", hint)


def _each(
    call: Callable[[T], U], items: Sequence[T], report: Callable[[T, U], None], jobs: int, stopped: Event
) -> None:
    """Call each item, ``jobs`` of them at once, and report what comes of them, in the order of the items.

    The first error that is raised ends at once what is under way, and is raised when all that was finished, wherever in
    the order, is reported.
    """
    if jobs == 1:
        for item in items:
            report(item, call(item))
        return
    from concurrent.futures import ThreadPoolExecutor, as_completed

    from mediafm_cli.stages.isolate import stop_isolated

    with ThreadPoolExecutor(jobs) as pool:
        calls = deque((item, pool.submit(call, item)) for item in items)
        try:
            for ended in as_completed([future for _, future in calls]):
                if ended.exception() is not None:  # of several at once, the first in the order is raised
                    next(future for _, future in calls if future.done() and future.exception()).result()
                while calls and calls[0][1].done():
                    item, future = calls[0]
                    report(item, future.result())
                    calls.popleft()
        except BaseException as error:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            stop_isolated()
            pool.shutdown()
            for item, future in calls:
                if future.cancelled() or future.exception() is not None:
                    continue
                if isinstance(error, KeyboardInterrupt) and isinstance(future.result(), EndedError):
                    continue  # a signal to the whole group ended the process of the title along with this one
                report(item, future.result())
            raise


def _show_result(stage: str, outcome: Outcome, console: Console, nul: bool) -> None:
    if console.as_json:
        fields = {"store": str(outcome.store), "status": outcome.status, "summary": outcome.summary}
        console.record("outcome", stage=stage, **fields, notes=list(outcome.notes))
    else:
        console.result(str(outcome.store), "\0" if nul else "\n")
