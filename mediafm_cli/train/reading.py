"""Read the steps of a run ahead, in processes of their own, and tell of it when one of them cannot."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from mediafm_cli.device import own_cores
from mediafm_cli.errors import MediafmError, UnavailableError
from mediafm_cli.model.batch import Batch
from mediafm_cli.train.sequences import Sequences
from mediafm_cli.train.stopping import leave_signals

MOST_WORKERS = 8


def default_workers(device: torch.device) -> int:
    """Processes that read ahead: on a GPU this process's share of the cores, none elsewhere."""
    if device.type != "cuda":
        return 0
    return min(MOST_WORKERS, own_cores())


def read_steps(
    sequences: Sequences,
    done: int,
    device: torch.device,
    workers: int,
    waiting: Callable[[], AbstractContextManager[None]],
) -> Generator[list[Batch], None, None]:
    """The parts of each step after ``done`` that are this process's.

    Args:
        waiting: entered while a step is waited for.

    Raises:
        UnavailableError: there is no room for what the processes hand over.
    """
    try:
        loader = iter(
            DataLoader(
                _ReadAhead(sequences),
                batch_size=None,
                sampler=range(done, sequences.total_steps),
                num_workers=workers,
                worker_init_fn=leave_signals,
                pin_memory=device.type == "cuda",
            )
        )
    except OSError as error:  # a semaphore lies in shared memory, too
        raise _no_room(error) from error
    try:
        while True:
            with waiting():
                parts = _next(loader)
            if parts is None:
                return
            if isinstance(parts, MediafmError):
                raise parts
            yield parts
    finally:
        # After an error they would live on, and an exit that waits for them would never come.
        if isinstance(loader, _MultiProcessingDataLoaderIter):
            loader._shutdown_workers()


def _next(loader: object) -> list[Batch] | MediafmError | None:
    try:
        return next(loader, None)  # type: ignore[call-overload]
    except RuntimeError as error:
        if "Bus error" not in str(error):
            raise
        raise _no_room(error) from error


@dataclass(frozen=True, eq=False)
class _ReadAhead(Dataset[list[Batch] | MediafmError]):
    """Steps as another process hands them over: an error is one of them, where torch would raise text."""

    sequences: Sequences

    def __getitem__(self, step: int) -> list[Batch] | MediafmError:
        try:
            parts = self.sequences[step]
            if get_worker_info() is not None:
                _share(parts)
            return parts
        except MediafmError as error:
            return error


def _share(parts: list[Batch]) -> None:
    """Move a step to shared memory. Left to torch, a thread would, whose error leaves the run waiting for ever."""
    try:
        for part in parts:
            for value in vars(part).values():
                if isinstance(value, Tensor):
                    value.share_memory_()
    except RuntimeError as error:
        raise _no_room(error) from error


def _no_room(error: Exception) -> UnavailableError:
    hint = "Read in the process that trains, --workers 0, or give a container more room: docker run --shm-size 8g"
    what = "There is no room in shared memory (/dev/shm) for the processes that read ahead."
    return UnavailableError(what, f"{str(error).splitlines()[0].rstrip('.')}.", hint)
