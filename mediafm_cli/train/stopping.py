"""End a run well: on SIGTERM, as a cluster sends it before it takes the machine away, and on the first Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NOTED = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Whether a signal has asked for the end, and which."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Note SIGTERM and SIGINT instead of dying from them; the second Ctrl-C does what it does elsewhere.

    SIGTERM may come any number of times: a cluster sends it to torchrun and to its processes, and torchrun hands it on.
    Signals reach the main thread only: in another one nothing is noted.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in NOTED}

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = signal.Signals(number)
        if number == signal.SIGINT:
            signal.signal(number, before[stop.signal])

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals(worker: int) -> None:
    """For a process that reads ahead: the one that trains ends it, when it has ended the run.

    torchrun and terminals send signals to whole process groups.
    """
    for number in NOTED:
        signal.signal(number, signal.SIG_IGN)
