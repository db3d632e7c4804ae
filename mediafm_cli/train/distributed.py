"""Several processes that train one model: what torchrun starts, or the only one where nothing did."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from mediafm_cli.errors import TrainingError, UsageError
from mediafm_cli.model.transformer import MediaFM

T = TypeVar("T")

Shard = Literal["none", "full"]
"""``none``: every process holds the whole model (DDP). ``full``: each holds a part of it (FSDP2)."""


class PeerError(TrainingError):
    """Another process of the run failed, or is gone; what it had to say, it said itself."""


@dataclass(frozen=True)
class World:
    """The processes of a run, and which one this is.

    Its methods are called by all of them, in the same order.

    Attributes:
        group: gives the process group through which they speak, or None for the one that carries gradients; it holds
            none, for a group ends with the last that refers to it.
    """

    device: torch.device
    rank: int = 0
    ranks: int = 1
    group: Callable[[], dist.ProcessGroup | None] = lambda: None

    @property
    def is_first(self) -> bool:
        """The one that writes and speaks."""
        return self.rank == 0

    def add_up(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.ranks > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, value: T) -> list[T]:
        """What each process has, by rank."""
        if self.ranks == 1:
            return [value]
        values: list[Any] = [None] * self.ranks
        dist.all_gather_object(values, value, group=self.group())
        return values

    def by_first(self, act: Callable[[], T]) -> T:
        """What ``act`` returns in the first process; the others wait for it.

        Raises:
            PeerError: in the others, where it fails in the first.
        """
        if self.ranks == 1:
            return act()
        outcome: list[Any] = [None]
        if self.is_first:
            try:
                outcome = [(act(),)]
            except Exception:
                dist.broadcast_object_list(outcome, group=self.group())
                raise
        dist.broadcast_object_list(outcome, group=self.group())
        if outcome[0] is None:
            raise _failed(0)
        return outcome[0][0]

    def together(self, act: Callable[[], T]) -> T:
        """What ``act`` returns in this process. Where it fails in any of them, none goes on.

        Raises:
            PeerError: in all but the first one of those in which it fails.
        """
        try:
            value = act()
        except Exception:
            self._require_first_failure(failed=True)
            raise
        self._require_first_failure(failed=False)
        return value

    def _require_first_failure(self, *, failed: bool) -> None:
        """Leave an error to the first process that has one."""
        everywhere = self.gather(failed)
        if any(everywhere) and everywhere.index(True) != self.rank:
            raise _failed(everywhere.index(True))


def _failed(rank: int) -> PeerError:
    return PeerError(f"Process {rank} of this run failed.", "It says why itself.")


@contextmanager
def join_world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started, or those of the caller's process group; alone where there is neither.

    Args:
        device: of a single process; a GPU without a number is the first. Of several processes, each takes the GPU of
            its own number.

    Raises:
        UsageError: there are fewer GPUs than processes on this machine.
        PeerError: another process is gone.
    """
    if dist.is_initialized():
        with _speaking(_own(device)) as world:
            yield world
        return
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        if device.type == "cuda":
            device = torch.device("cuda", device.index or 0)
            torch.cuda.set_device(device)
        yield World(device)
        return
    device = _own(device)
    with _losses_told():
        store, rank, ranks = next(dist.rendezvous("env://"))
        # After a restart torchrun's store still has the addresses of the processes before it.
        store = dist.PrefixStore(f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=ranks)
        with _speaking(device) as world:
            yield world
    # Not after an error: NCCL would wait for those that are still at work.
    dist.destroy_process_group()


@contextmanager
def _speaking(device: torch.device) -> Iterator[World]:
    """The processes of the group that is there, with a way to speak that ends here.

    A thread of Gloo's that still holds a tensor while Python ends aborts the process, and what was trained seems lost.
    The threads of a group end with the last that refers to it; FSDP, and what DDP imports, refer to theirs for ever.
    """
    if "gloo" not in dist.get_backend():
        yield World(device, dist.get_rank(), dist.get_world_size())
        return
    group = dist.new_group(backend="gloo")
    assert isinstance(group, dist.ProcessGroup), "a group of all processes has this one in it"
    try:
        yield World(device, dist.get_rank(), dist.get_world_size(), weakref.ref(group))
    finally:
        dist.destroy_process_group(group)


def _own(device: torch.device) -> torch.device:
    """The device of this process."""
    if device.type != "cuda":
        return device
    processes, found = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if processes > found:
        why = f"torch finds {found} on this machine, for {processes} processes."
        raise UsageError("There is not a GPU for each process.", why, f"Use torchrun --nproc-per-node {found}.")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def _losses_told() -> Iterator[None]:
    """A connection that broke tells nothing but that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        # Gloo's errors have no type of their own, but name its source files.
        if not isinstance(error, dist.DistError) and "gloo/" not in str(error):
            raise
        why = "If it failed, it said why itself; if it was killed, torchrun says so."
        hint = "The same command with --resume goes on from the last checkpoint."
        raise PeerError("Another process of this run is gone.", why, hint) from error


def spread(model: MediaFM, world: World, shard: Shard) -> nn.Module:
    """The model as it is called in training; the gradients of all processes become their mean."""
    if world.ranks == 1:
        return model
    if shard == "none":
        spread_out = DistributedDataParallel(model, device_ids=[world.device] if world.device.type == "cuda" else None)
        spread_out.broadcast_buffers = False  # no step changes the whitening, which all were given
        return spread_out
    mesh = dist.init_device_mesh(world.device.type, (world.ranks,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


@contextmanager
def gradients_exchanged(model: nn.Module, *, now: bool) -> Iterator[None]:
    """Backward passes in it exchange gradients, or keep them for the next that does."""
    if isinstance(model, DistributedDataParallel) and not now:
        with model.no_sync():
            yield
    else:
        if isinstance(model, FSDPModule):
            model.set_requires_gradient_sync(now)
        yield


def drop_gathered(model: nn.Module) -> None:
    """Call it where weights were changed after a forward pass without a backward one: FSDP still has the old ones."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which each process may hold a part; every process has to ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """The part of a whole tensor that this process holds of ``parameter``."""
    if isinstance(parameter, DTensor) and tensor.shape == parameter.shape:
        return distribute_tensor(
            tensor.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None
        )
    return tensor
