"""One title in a process of its own: what kills it there, a crash in a codec or a lack of memory, kills no other."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from mediafm_cli.errors import EndedError, MediaError
from mediafm_cli.stages.outcome import OnProgress, Outcome

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_SERVER_GONE = 255  # what multiprocessing gives where the server that would tell the exit code was ended as well
_ENDED = (-signal.SIGTERM, 128 + signal.SIGTERM, _SERVER_GONE)
_TIDYING_S = 5.0  # at most: something that the process began may hold its end open for ever
_PRELOAD = ["mediafm_cli.stages.segment", "mediafm_cli.segmenters.content"]


def run_isolated(work: Callable[..., Outcome], *arguments: Any, progress: OnProgress, **named: Any) -> Outcome:
    """Call ``work`` with these arguments, and ``progress``, in another process; what it returns.

    Everything has to be something that pickle can carry.

    Raises:
        MediafmError: what ``work`` raised.
        EndedError: the process was ended by SIGTERM, or nobody knows by what.
        MediaError: the process died of something else.
    """
    context: Any = multiprocessing.get_context(_METHOD)
    context.set_forkserver_preload(_PRELOAD)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(theirs, work, arguments, named), daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            try:
                kind, value = ours.recv()
            except EOFError as error:
                process.join()
                ended = EndedError if process.exitcode in _ENDED else MediaError
                raise ended(
                    f"The process that read {arguments[0]} died.",
                    _cause(process.exitcode),
                    "Play the film to see whether it is whole. With less memory: fewer --jobs, or no --keep-frames.",
                ) from error
            if kind == "progress":
                progress(value)
            elif kind == "returned":
                return value
            else:
                raise value
    finally:
        process.terminate()
        process.join()
        if process.exitcode == _SERVER_GONE:
            _end_without_server(process.pid, ours)
        ours.close()


def stop_isolated() -> None:
    """End every process that ``run_isolated`` waits for."""
    for process in multiprocessing.active_children():
        process.terminate()


def _end_without_server(process: int, ours: Connection) -> None:
    """End a process that multiprocessing takes for ended, and wait until it has tidied up and let go of its end."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + _TIDYING_S
    with suppress(EOFError, OSError):
        while (left := deadline - time.monotonic()) > 0 and ours.poll(left):
            ours.recv_bytes()


def _serve(answer: Connection, work: Callable[..., Outcome], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    signal.signal(signal.SIGTERM, _unwind)
    try:
        outcome = work(*arguments, progress=lambda progress: _tell(answer, "progress", progress), **named)
    except Exception as error:  # raised again by the parent
        carried = _carriable(error)
        carried.add_note(traceback.format_exc())
        _tell(answer, "raised", carried)
    else:
        _tell(answer, "returned", outcome)


def _tell(answer: Connection, kind: str, value: Any) -> None:
    """Send it to the parent; where that is gone, end as if terminated: nobody is left to hear of an error."""
    try:
        answer.send((kind, value))
    except BrokenPipeError:
        _unwind(signal.SIGTERM, None)


def _unwind(number: int, frame: object) -> None:
    """End like after Ctrl-C: what was begun on the disk is removed."""
    raise SystemExit(128 + number)


def _carriable(error: Exception) -> Exception:
    """The error, or what it says where pickle cannot carry the error itself."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the parts of an error of others may raise
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _cause(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"It was ended by {signal.Signals(-exit_code).name}."
    return f"It ended with exit code {exit_code}."
