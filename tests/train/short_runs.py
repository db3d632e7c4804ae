"""Short runs over the toy world, and what they leave behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_world import SHORT, TINY, make_titles

from mediafm_cli.model.title import Title
from mediafm_cli.train.loop import Result, pretrain
from mediafm_cli.train.metrics import Metrics

TITLES = make_titles(10)


class InterruptedRunError(Exception):
    """Stands for whatever ends a process between two steps."""


def run(folder: Path, *, stop_after: int = 10**9, titles: list[Title] = TITLES, **arguments: object) -> Result:
    def interrupt(metrics: Metrics) -> None:
        if metrics.step == stop_after:
            raise InterruptedRunError

    settings = {"model_config": TINY, "settings": SHORT, "progress": interrupt, **arguments}
    return pretrain(titles, folder=folder, **settings)  # type: ignore[arg-type]


def interrupted(folder: Path, after: int, **arguments: object) -> None:
    with pytest.raises(InterruptedRunError):
        run(folder, stop_after=after, **arguments)


def products(folder: Path) -> dict[str, object]:
    """What a run and its repetition leave alike."""
    files = {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}
    return {**files, "metrics.jsonl": [without_speed(line) for line in lines(folder)]}


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_speed(line: dict) -> dict:
    """A line of ``metrics.jsonl`` without what differs from run to run."""
    return {name: value for name, value in line.items() if name != "speed"}
