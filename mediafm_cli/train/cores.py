"""The cores of a machine, shared by the processes that torchrun started on it."""

from __future__ import annotations

import os

from mediafm_cli.device import usable_cores


def own_cores() -> int:
    """This process's share of the cores; 0 where there are more processes than cores."""
    return usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
