"""Steps that other processes read ahead, and what becomes of a run for which there is no room."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from toy_world import SHORT, TINY, make_titles

from mediafm_cli.errors import UnavailableError
from mediafm_cli.model.batch import Batch
from mediafm_cli.train import reading
from mediafm_cli.train.reading import default_workers, read_steps
from mediafm_cli.train.sequences import Sequences

CPU, GPU = torch.device("cpu"), torch.device("cuda")
FULL = "unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"
BUS = "DataLoader worker (pid 1) is killed by signal: Bus error. It is possible that ... out of shared memory."


def steps(workers: int) -> Generator[list[Batch], None, None]:
    return read_steps(Sequences(make_titles(6), TINY, SHORT), 0, CPU, workers, nullcontext)


@pytest.mark.parametrize(
    ("cores", "beside", "workers"), [(16, "1", 8), (16, "4", 4), (4, "8", 0), (2, "1", 2), (64, "2", 8)]
)
def test_processes_of_one_machine_share_the_cores_that_they_may_use(
    cores: int, beside: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", beside)

    assert default_workers(GPU) == workers
    assert default_workers(CPU) == 0


def test_where_shared_memory_is_full_the_way_on_is_named_and_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensor: torch.Tensor) -> None:
        raise RuntimeError(f"{FULL}\nand a trace")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)  # in the process that reads ahead: it is a fork

    with pytest.raises(UnavailableError, match=r"no room in shared memory.*device \(28\)\. .*--workers 0.*--shm-size"):
        list(steps(workers=1))


def test_a_step_is_in_shared_memory_before_it_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = torch.Tensor.share_memory_

    def noted(tensor: torch.Tensor) -> torch.Tensor:
        (tmp_path / "shared").touch()
        return shared(tensor)

    monkeypatch.setattr(torch.Tensor, "share_memory_", noted)

    assert len(list(steps(workers=0))) == SHORT.max_steps
    assert not (tmp_path / "shared").exists()
    assert len(list(steps(workers=1))) == SHORT.max_steps
    assert (tmp_path / "shared").exists()


def test_a_process_that_a_bus_error_ends_tells_of_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed:
        def __init__(self, *given: object, **named: object) -> None: ...

        def __iter__(self) -> Killed:
            return self

        def __next__(self) -> None:
            raise RuntimeError(BUS)

    monkeypatch.setattr(reading, "DataLoader", Killed)

    with pytest.raises(UnavailableError, match=r"Bus error.*--workers 0"):
        next(steps(workers=1))


def test_no_room_for_a_semaphore_is_no_fault_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reading, "DataLoader", full)

    with pytest.raises(UnavailableError, match=r"No space left.*--workers 0"):
        next(steps(workers=1))
