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
    from mediafm_cli.stages.segment import SegmentOutcome, segment_title

    at_once, decoding = share_cores(len(stores), jobs, hwaccel)
    alone = len(stores) == 1
    decoded_by: list[str] = []

    def segment(title: Path, progress: OnProgress) -> Outcome:
        how = replace(settings[title], decoding=decoding)
        named = {"overwrite": overwrite, "dry_run": dry_run}
        call = segment_title if alone else partial(run_isolated, segment_title)
        outcome = call(title, stores[title], how, progress=progress, **named)
        if isinstance(outcome, SegmentOutcome) and outcome.decoded_by:
            decoded_by.append(outcome.decoded_by)
        return then(outcome, progress) if then else outcome

    try:
        return run_over_titles("segment", list(stores), segment, console, nul=nul, jobs=at_once)
    finally:
        if hwaccel and decoded_by and not alone:
            console.say(f"segment: decoded by {hwaccel}: {decoded_by.count(hwaccel)} of {len(decoded_by)}")


def require_text_settings(language: str | None, subtitle_encoding: str | None) -> None:
    """Raise a UsageError where one of the languages is none, or there is no such encoding."""
    from mediafm_cli.media.languages import parse_languages
    from mediafm_cli.media.text_encoding import require_encoding

    parse_languages(language)
    if subtitle_encoding is not None:
        require_encoding(subtitle_encoding)


def share_cores(titles: int, jobs: int | None, hwaccel: str) -> tuple[int, Decoding]:
    """How many titles are decoded at once, and with how many threads each."""
    from mediafm_cli.media.container import Decoding
    from mediafm_cli.media.hardware import require_device

    if hwaccel:
        require_device(hwaccel)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_once = min(titles, jobs or max(1, cores // _CORES_A_TITLE))
    return at_once, Decoding(max(1, cores // at_once), hwaccel)
