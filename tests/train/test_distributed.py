"""Several processes learn what one does, go on from each other's checkpoints, and end together."""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import several_processes
import torch
from several_processes import HANDED_ON, RUNS, TITLES, Interrupted, launch, on_two_machines, train
from short_runs import lines

from mediafm_cli.model.folder import read_config, read_weights
from mediafm_cli.train.distributed import join_world
from mediafm_cli.train.metrics import Metrics

TOLERANCES = {"adamw": 1e-5, "muon": 5e-3}
"""Muon divides by singular values, and enlarges how a sum of two gradients is rounded."""


@dataclass(frozen=True)
class Both:
    """The same runs of one process and of two, and what each of the two had to say."""

    one: Path
    two: Path
    said: list[dict[str, Any]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    for name, run in HANDED_ON.items():
        with pytest.raises(Interrupted):
            train(two / name, run, progress=interrupt_at_4)
    process = launch(several_processes.__file__, two)
    for name, run in {**RUNS, **HANDED_ON}.items():
        train(one / name, run)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "Warning" not in err
    return Both(one, two, [json.loads((two / f"said-{rank}.json").read_text()) for rank in range(2)])


def interrupt_at_4(metrics: Metrics) -> None:
    if metrics.step == 4:
        raise Interrupted


def difference(one: Path, two: Path) -> float:
    """The largest between two models' weights."""
    weights = [read_weights(folder, read_config(folder)).state_dict() for folder in (one, two)]
    return max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0])


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "step-00000012"


def test_a_gpu_without_a_number_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)

    with join_world(torch.device("cuda")) as world:
        assert world.device == torch.device("cuda", 0)

    assert taken == [torch.device("cuda", 0)]


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_what_one_does(both: Both, name: str) -> None:
    tolerance = TOLERANCES[RUNS[name].settings.optimizer]
    curves = [lines(folder / name) for folder in (both.one, both.two)]

    assert [line["shots"] for line in curves[0]] == [line["shots"] for line in curves[1]]
    for key in ("loss", "grad_norm"):
        assert [line[key] for line in curves[1]] == pytest.approx([line[key] for line in curves[0]], abs=tolerance)
    held_out = [[line["validation"]["loss"] for line in curve if "validation" in line] for curve in curves]
    assert held_out[1] == pytest.approx(held_out[0], abs=tolerance)
    assert difference(last(both.one / name), last(both.two / name)) < tolerance
    assert difference(both.one / name, both.two / name) < tolerance


def test_two_machines_learn_what_one_does(both: Both, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = [launch(several_processes.__file__, tmp_path, "adamw", where=on_two_machines(n, port)) for n in range(2)]

    for node in nodes:
        _, err = node.communicate()
        assert node.returncode == 0, err
    assert difference(both.one / "adamw", tmp_path / "adamw") < TOLERANCES["adamw"]
    assert len(lines(tmp_path / "adamw")) == len(lines(both.one / "adamw"))


@pytest.mark.parametrize("name", HANDED_ON)
def test_a_run_is_handed_from_one_process_to_two_and_back(both: Both, name: str) -> None:
    result = train(both.two / name, HANDED_ON[name], resume=True)

    resumed, stopped, kept = both.said[1][name]
    assert (resumed, kept, result.resumed_from, result.steps) == (4, None, stopped, 12)
    assert 6 < stopped < 12
    assert difference(last(both.one / name), last(both.two / name)) < TOLERANCES["muon"]
    assert [line["step"] for line in lines(both.two / name)] == list(range(1, 13))


def test_an_error_is_told_by_one_process_and_ends_both(both: Both) -> None:
    for name, why in (("not empty", "is not empty"), ("another run", "optimizer was adamw, is muon")):
        assert why in both.said[0][name]
        assert both.said[1][name] == "PeerError: Process 0 of this run failed. It says why itself."


def test_a_finished_run_is_finished_in_both(both: Both) -> None:
    assert both.said[0]["finished"] == both.said[1]["finished"] == read_config(both.two / "adamw").training.steps


def test_a_title_that_is_not_finite_is_named_whichever_process_has_it(both: Both) -> None:
    for number in range(0, len(TITLES), 3):
        assert f"Not finite: the vectors of {TITLES[number].title_id}." in both.said[0][f"nan {number}"]
        assert both.said[1][f"nan {number}"].startswith("PeerError")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells threads by name")
def test_what_processes_speak_through_ends_with_a_run(both: Both) -> None:
    """One of its threads that lets go of a tensor while Python ends would abort what has done all it was to do."""
    for said in both.said:
        assert said["threads before"] == said["threads within"] > said["threads after"]
