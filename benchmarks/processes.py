"""What a command of mediafm takes of the clock, of the processor and of memory, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

# A process begins with the peak memory of the one that starts it, so a small one stands between.
_START = """
import json, os, sys
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
command = [sys.executable, *sys.argv[1:]]
_, status, usage = os.wait4(os.posix_spawn(sys.executable, command, os.environ, file_actions=silent), 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
_TO_MIB = 1024 if sys.platform != "darwin" else 1024**2


@dataclass(frozen=True)
class Usage:
    """Seconds on the clock, and of the processor by all threads; peak MiB of the largest process."""

    wall_s: float
    processor_s: float
    peak_mib: float


def run_mediafm(words: Sequence[object], cores: int | None = None) -> Usage:
    """Run ``mediafm`` with these words to its end; its results are thrown away.

    Args:
        cores: the most that it may use; ``None`` for all.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-S", "-c", _START, "-m", "mediafm_cli", *map(str, words)]
    if cores:
        command = ["taskset", "--cpu-list", ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores])), *command]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    wall = time.perf_counter() - started
    code, processor, peak = json.loads(done.stdout)
    if code:
        raise SystemExit(f"mediafm {words[0]} failed")
    return Usage(wall, processor, peak / _TO_MIB)
