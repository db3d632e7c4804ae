"""Many titles segmented side by side: what ``segment`` and the chain share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mediafm_cli.cli.titles import run_over_titles

if TYPE_CHECKING:
    from mediafm_cli.cli.console import Console
    from mediafm_cli.media.container import Decoding
    from mediafm_cli.stages.outcome import OnProgress, Outcome
    from mediafm_cli.stages.segment import SegmentSettings

_CORES_A_TITLE = 4
"""One decoder hardly gains from more."""


def segment_titles(
    stores: Mapping[Path, Path],
    settings: Mapping[Path, SegmentSettings],
    console: Console,
    *,
    jobs: int | None = None,
    hwaccel: str = "",
    overwrite: bool = False,
    dry_run: bool = False,
    nul: bool = False,
    then: Callable[[Outcome, OnProgress], Outcome] | None = None,
) -> list[Path]:
    """Segment each title into its store; of several, each in a process of its own, ``jobs`` of them at once.

    Args:
        then: what is done next with each title, in this process; what it returns is reported.
    """
    from mediafm_cli.stages.isolate import run_isolated
    from mediafm_cli.stages.segment import segment_title

    at_once, decoding = share_cores(len(stores), jobs, hwaccel)

    def segment(title: Path, progress: OnProgress) -> Outcome:
        how = replace(settings[title], decoding=decoding)
        named = {"overwrite": overwrite, "dry_run": dry_run}
        alone = len(stores) == 1
        call = segment_title if alone else partial(run_isolated, segment_title)
        outcome = call(title, stores[title], how, progress=progress, **named)
        return then(outcome, progress) if then else outcome

    return run_over_titles("segment", list(stores), segment, console, nul=nul, jobs=at_once)


def share_cores(titles: int, jobs: int | None, hwaccel: str) -> tuple[int, Decoding]:
    """How many titles are decoded at once, and with how many threads each."""
    from mediafm_cli.media.container import Decoding
    from mediafm_cli.media.hardware import require_device

    if hwaccel:
        require_device(hwaccel)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_once = min(titles, jobs or max(1, cores // _CORES_A_TITLE))
    return at_once, Decoding(max(1, cores // at_once), hwaccel)
