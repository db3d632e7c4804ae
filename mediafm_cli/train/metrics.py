"""``metrics.jsonl``: one line a step. A run and its repetition write the same file, but for ``speed``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from mediafm_cli.model.atomic import unwritable, write_atomically
from mediafm_cli.train.speed import Speed


@dataclass(frozen=True)
class Validation:
    """How the model does on titles that it never learned from, at masked shots that are the same each time.

    Attributes:
        loss: of what is hidden. ``cosine``: mean cosine by modality, where it is present and hidden. Both in the
            coordinates of the model, so that models of different projections do not compare by them.
        skill_over_mean: 1 − loss / loss of the mean vector of training titles; 0 is no better, 1 is perfect.
        skill_over_neighbour: the same against copies, each hidden modality from the nearest shot that shows it. Not the
            copied neighbour of ``ablate``, which copies whole shots where whole shots are hidden.
    """

    loss: float
    cosine: Mapping[str, float]
    skill_over_mean: float
    skill_over_neighbour: float


@dataclass(frozen=True)
class Metrics:
    """One step.

    Attributes:
        step: steps done, from 1. ``steps``: steps of the whole run.
        loss: cosine distance of what is asked for. ``cosine``: mean cosine by modality, where it is present and hidden.
        lr: of AdamW. ``grad_norm``: before clipping. ``shots``: of this step, over all processes.
        speed: how fast it was. ``validation``: where this step validates.
    """

    step: int
    steps: int
    loss: float
    cosine: Mapping[str, float]
    lr: float
    grad_norm: float
    shots: int
    speed: Speed
    validation: Validation | None = None


class MetricsLog:
    """Appends to ``metrics.jsonl``, from a given step on: later lines, of a run that was cut off, are dropped.

    Args:
        writes: False for a process that leaves it to another; then nothing is opened.
    """

    def __init__(self, path: Path, step: int, *, writes: bool = True) -> None:
        if not writes:
            path = Path(os.devnull)
        self._path = path
        if path.is_file():
            kept = [line for line in path.read_bytes().splitlines(keepends=True) if _step(line) <= step]
            write_atomically(path, b"".join(kept))
        try:
            self._file = open(path, "ab")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise unwritable(path, error) from error

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what could not be written is still in its buffer, and was told of
            self._file.close()

    def append(self, metrics: Metrics) -> None:
        line: dict[str, Any] = asdict(metrics)
        del line["steps"]  # it may grow with --resume
        if metrics.validation is None:
            del line["validation"]
        try:
            self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise unwritable(self._path, error) from error

    def sync(self) -> None:
        """Make what was appended last, before a checkpoint says that these steps are done."""
        if not self._path.is_file():
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise unwritable(self._path, error) from error


def _step(line: bytes) -> float:
    """The step of a line; infinite where a crash cut it off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
