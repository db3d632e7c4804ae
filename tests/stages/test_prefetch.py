"""Reading ahead: in order, bounded, with every error in its turn, and no thread left behind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from mediafm_cli.stages.prefetch import prefetch

DEADLINE_S = 5.0


def wait_for(condition: threading.Event) -> None:
    assert condition.wait(DEADLINE_S)


def threads_of_prefetch() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("read-ahead", "prepare"))]


def test_results_come_in_the_order_of_the_items_though_some_take_longer() -> None:
    def prepare(item: int) -> int:
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * 10

    assert list(prefetch(iter(range(40)), prepare, ahead=4)) == [item * 10 for item in range(40)]


def test_nothing_gives_nothing() -> None:
    assert list(prefetch(iter(()), str, ahead=4)) == []


def test_items_are_read_while_the_first_result_is_used() -> None:
    fourth_read = threading.Event()

    def items() -> Iterator[int]:
        for item in range(10):
            if item == 3:
                fourth_read.set()
            yield item

    results = prefetch(items(), int, ahead=8)
    next(results)

    wait_for(fourth_read)
    results.close()


def test_no_more_is_read_than_was_allowed() -> None:
    read = itertools.count()
    seen = []

    def items() -> Iterator[int]:
        for item in read:
            seen.append(item)
            yield item

    results = prefetch(items(), int, ahead=5, threads=2)
    next(results)
    time.sleep(0.5)  # long enough to read thousands, were there no bound

    # One was used, five are ready, one waits for a place, and two are being prepared or were just read.
    assert len(seen) <= 1 + 5 + 1 + 2
    results.close()


def test_items_are_prepared_by_several_threads_at_once() -> None:
    together = threading.Barrier(3, timeout=DEADLINE_S)

    def prepare(item: int) -> int:
        together.wait()
        return item

    assert list(prefetch(iter(range(3)), prepare, ahead=8, threads=3)) == [0, 1, 2]


def failing_after(count: int) -> Iterator[int]:
    yield from range(count)
    raise ValueError("the film ends here")


def test_an_error_of_reading_comes_after_what_was_read_before_it() -> None:
    results = prefetch(failing_after(3), int, ahead=8)

    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the film ends here"):
        next(results)
    assert threads_of_prefetch() == []


def test_an_error_of_preparing_comes_in_its_turn() -> None:
    results = prefetch(iter([1, 2, 0, 3]), lambda item: 12 // item, ahead=8)

    assert [next(results), next(results)] == [12, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threads_of_prefetch() == []


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_whoever_stops_early_leaves_no_thread_and_no_open_file(taken: int) -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    results = prefetch(items(), int, ahead=3)
    for _ in range(taken):
        next(results)
    results.close()

    assert threads_of_prefetch() == []
    assert closed.is_set() == (taken > 0)  # a generator that was never begun has nothing to close
