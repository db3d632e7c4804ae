"""Choose where to compute, and in which precision."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from mediafm_cli.errors import UsageError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""``auto`` is bf16 on a GPU and fp32 elsewhere."""


def find_device(name: str) -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"There is no device {name!r}.", "It can be: auto, cpu, cuda, cuda:N.") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"There is no device {name!r}.", "It can be: auto, cpu, cuda, cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        why = f"torch finds {torch.cuda.device_count()} GPUs on this machine."
        raise UsageError(f"There is no device {name!r}.", why, "Use --device auto or --device cpu.")
    return device


def own_cores() -> int:
    """This process's share of the cores that it may use: a container or a scheduler may allow fewer than there are.

    The processes that torchrun starts on a machine share them; 0 where these are more than the cores.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """The context in which a model computes in ``precision``; weights and results stay as they are."""
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" else "fp32"
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
