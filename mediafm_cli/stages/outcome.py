"""What a stage says of one title when it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["written", "unchanged", "planned"]


@dataclass(frozen=True)
class Outcome:
    """One title through one stage.

    Attributes:
        store: the store that holds the result.
        status: ``written``; ``unchanged``, where the result was there already; ``planned``, in a dry run.
        summary: one line for a person.
        notes: what the person should know beside it: damage, subtitles skipped, a modality that dominates.
    """

    store: Path
    status: Status
    summary: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How far one title has come, in ``unit``; ``total`` is None where it is not known.

    ``before`` of it was done already when this run began, and says nothing of its pace.
    """

    done: float
    total: float | None
    unit: str
    before: float = 0.0


OnProgress = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """For callers who do not watch."""
