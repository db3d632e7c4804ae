"""Read ahead: what comes next is read and prepared in the background while the device works on what is there."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

THREADS = min(4, os.cpu_count() or 1)
_LOOK_S = 0.1  # how often a thread that waits looks whether it is still wanted

T = TypeVar("T")
U = TypeVar("U")


def prefetch(
    items: Iterator[T], prepare: Callable[[T], U], *, ahead: int, threads: int = THREADS
) -> Generator[U, None, None]:
    """What ``prepare`` makes of each item, in order, up to ``ahead`` of them before they are asked for.

    One thread iterates; ``threads`` others prepare. At most ``threads`` items wait in the form in which they were read.
    An error of either is raised here, in its turn. Closing the generator ends the threads.

    Args:
        items: a generator; it is also closed by the thread that iterates it.
    """
    ready: Queue[Future[U] | None] = Queue(max(1, ahead))
    unwanted = Event()

    def hand_over(result: Future[U] | None) -> None:
        while not unwanted.is_set():
            try:
                ready.put(result, timeout=_LOOK_S)
            except Full:
                continue
            return

    def read() -> None:
        preparing: deque[Future[U]] = deque()
        with ThreadPoolExecutor(threads, "prepare") as pool:
            try:
                for item in items:
                    preparing.append(pool.submit(prepare, item))
                    if len(preparing) == threads:
                        hand_over(_finished(preparing.popleft()))
                    if unwanted.is_set():
                        return
                failed = None
            except BaseException as error:  # raised again where the result is asked for
                failed = error
            finally:
                close = getattr(items, "close", None)
                if close:
                    close()
        for result in preparing:
            hand_over(result)
        last: Future[U] | None = None
        if failed is not None:
            last = Future()
            last.set_exception(failed)
        hand_over(last)

    reader = Thread(target=read, name="read-ahead", daemon=True)
    reader.start()
    try:
        while (result := ready.get()) is not None:
            yield result.result()
    finally:
        unwanted.set()
        reader.join()


def _finished(result: Future[U]) -> Future[U]:
    result.exception()
    return result
