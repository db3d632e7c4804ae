"""mediafm as it is typed, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Typed:
    """What came of a command."""

    code: int
    out: str
    err: str


Mediafm = Callable[..., Typed]
"""Words → what came of them."""


def start(*words: object, **settings: Any) -> subprocess.Popen[str]:
    """Start a command; ``settings`` are those of Popen."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **settings.pop("env", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **settings}
    return subprocess.Popen([sys.executable, "-m", "mediafm_cli", *map(str, words)], env=environment, **pipes)
