"""Runs that are interrupted, resumed, overwritten or refused."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from short_runs import TITLES, interrupted, lines, products, run
from toy_world import SHORT, TINY, make_titles

from mediafm_cli.errors import TrainingError, UsageError
from mediafm_cli.model.folder import load_model, read_config
from mediafm_cli.model.msm import MEDIAFM
from mediafm_cli.train.loop import pretrain
from mediafm_cli.train.metrics import Metrics
from mediafm_cli.train.plan import find_start, plan_run
from mediafm_cli.train.run_folder import check_run


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("after", [1, 4, 7, 11])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, after: int, optimizer: str) -> None:
    settings = replace(SHORT, optimizer=optimizer)
    run(tmp_path / "straight", settings=settings)
    interrupted(tmp_path / "broken", after, settings=settings)

    result = run(tmp_path / "broken", settings=settings, resume=True)

    assert result.resumed_from == after // 4 * 4
    assert products(tmp_path / "broken") == products(tmp_path / "straight")


def test_a_resumed_run_keeps_its_coordinates(tmp_path: Path) -> None:
    whitened = replace(TINY, projection="whitened")
    run(tmp_path / "straight", model_config=whitened)
    interrupted(tmp_path / "broken", 7, model_config=whitened)

    run(tmp_path / "broken", model_config=whitened, resume=True)

    assert products(tmp_path / "broken") == products(tmp_path / "straight")


def test_a_line_that_a_crash_cut_off_is_dropped(tmp_path: Path) -> None:
    run(tmp_path / "straight")
    interrupted(tmp_path / "broken", 6)
    with open(tmp_path / "broken" / "metrics.jsonl", "a") as file:
        file.write('{"step": 7, "lo')

    run(tmp_path / "broken", resume=True)

    assert products(tmp_path / "broken") == products(tmp_path / "straight")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_full_disk_under_the_log_is_told_of_with_the_way_on(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")

    with pytest.raises(TrainingError, match=r"metrics\.jsonl could not be written\. No space left.*with --resume"):
        run(tmp_path, resume=True)


def test_a_longer_run_goes_on_from_a_finished_one(tmp_path: Path) -> None:
    run(tmp_path)

    result = run(tmp_path, settings=replace(SHORT, max_steps=20), resume=True)

    assert (result.resumed_from, result.steps, len(result.losses)) == (12, 20, 8)
    assert read_config(tmp_path / "checkpoints" / "step-00000020").training.steps == 20
    assert read_config(tmp_path).training.steps == result.kept
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 21))


def test_a_longer_run_keeps_what_its_owner_wrote_in_the_card(tmp_path: Path) -> None:
    run(tmp_path)
    card = tmp_path / "README.md"
    card.write_text(card.read_text() + "Mine.")

    result = run(tmp_path, settings=replace(SHORT, max_steps=20), resume=True)

    assert card.read_text().endswith("Mine.")
    assert f"{result.kept} steps" in card.read_text()


def test_a_plan_is_what_the_run_does_and_tells_where_it_goes_on(tmp_path: Path) -> None:
    interrupted(tmp_path, 9)
    longer = plan_run(TITLES, TINY, replace(SHORT, max_steps=24))

    start = find_start(tmp_path, longer)

    assert start is not None
    assert (start.done, start.planned, longer.total_steps) == (8, 12, 24)
    # No warm-up is left at step 8: half a cosine over the 11 steps after the first of 12, and the 23 of 24.
    expected = tuple((1 + math.cos(math.pi * (8 - rise) / (total - rise))) / 2 for rise, total in ((1, 12), (1, 24)))
    assert start.rates(longer) == pytest.approx(expected)
    assert find_start(tmp_path / "nowhere", longer) is None
    result = run(tmp_path, settings=replace(SHORT, max_steps=24), resume=True)
    assert (result.resumed_from, result.steps) == (8, 24)


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_a_folder_is_looked_at_without_a_trace(tmp_path: Path, how: dict[str, bool]) -> None:
    asked = {"resume": False, "overwrite": False, **how}

    check_run(tmp_path / "new", **asked)

    assert list(tmp_path.iterdir()) == []
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"Choose another folder\.$"):
        check_run(tmp_path, **asked)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_finished_run_returns_at_once_and_repairs_the_model(tmp_path: Path) -> None:
    run(tmp_path)
    before = products(tmp_path)
    (tmp_path / "model.safetensors").unlink()

    result = run(tmp_path, resume=True)

    assert (result.resumed_from, result.steps, result.losses) == (12, 12, ())
    assert result.kept == read_config(tmp_path).training.steps
    assert products(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"settings": replace(SHORT, muon_lr=0.5)}, rf"muon_lr was {SHORT.muon_lr}, is 0\.5"),
        ({"settings": replace(SHORT, seed=3)}, "seed was 0, is 3"),
        ({"settings": replace(SHORT, ema=0.5)}, "ema was 0.0, is 0.5"),
        ({"settings": replace(SHORT, objective=MEDIAFM)}, "objective.loss was blocks, is vector"),
        ({"model_config": replace(TINY, hidden=32)}, "hidden was 16, is 32"),
        ({"model_config": replace(TINY, position="time")}, "position was rotary, is time"),
        (
            {"model_config": replace(TINY, layout=replace(TINY.layout, normalize="per-modality"))},
            "normalize is per-mod",
        ),
        ({"titles": TITLES[:-1]}, "title-09 left out"),
        ({"titles": [*TITLES, *make_titles(11)[10:]]}, "title-10 added"),
        ({"titles": [replace(TITLES[0], fingerprint="v2"), *TITLES[1:]]}, "title-00 changed"),
    ],
)
def test_another_run_is_not_resumed(tmp_path: Path, change: dict[str, object], why: str) -> None:
    interrupted(tmp_path, 8)

    with pytest.raises(TrainingError, match=f"holds another run.*{why}.*--overwrite"):
        run(tmp_path, resume=True, **change)  # type: ignore[arg-type]


def test_a_run_is_not_resumed_to_fewer_steps(tmp_path: Path) -> None:
    run(tmp_path)

    with pytest.raises(TrainingError, match="12 steps are done, and 8 were asked for"):
        run(tmp_path, settings=replace(SHORT, max_steps=8), resume=True)


def test_how_often_it_saves_may_change(tmp_path: Path) -> None:
    run(tmp_path / "straight")
    interrupted(tmp_path / "broken", 8)

    run(tmp_path / "broken", settings=replace(SHORT, checkpoint_every=3, keep_last=1), resume=True)

    weights = [load_model(tmp_path / name).state_dict() for name in ("straight", "broken")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert products(tmp_path / "broken")["metrics.jsonl"] == products(tmp_path / "straight")["metrics.jsonl"]


def test_a_folder_in_use_is_not_trained_into_again(tmp_path: Path) -> None:
    run(tmp_path)

    with pytest.raises(TrainingError, match=r"is not empty\. Go on with --resume.*--overwrite"):
        run(tmp_path)


def test_overwrite_starts_anew(tmp_path: Path) -> None:
    run(tmp_path / "straight")
    run(tmp_path / "again", settings=replace(SHORT, seed=5))

    result = run(tmp_path / "again", overwrite=True)

    assert result.resumed_from == 0
    assert products(tmp_path / "again") == products(tmp_path / "straight")


def test_overwrite_removes_nothing_that_no_run_has_made(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "model.safetensors").write_text("not ours either")

    with pytest.raises(TrainingError, match=r"is not overwritten\. It holds thesis\.tex"):
        run(tmp_path, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 2


def test_resume_and_overwrite_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        run(tmp_path, resume=True, overwrite=True)


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    def start_another(metrics: Metrics) -> None:
        run(tmp_path, resume=True)

    with pytest.raises(TrainingError, match="is in use"):
        pretrain(TITLES, TINY, SHORT, tmp_path, progress=start_another)


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_folder(tmp_path: Path) -> None:
    def closed_pipe(metrics: Metrics) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run(tmp_path, progress=closed_pipe)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file")

    with pytest.raises(UsageError, match=r"model is a file\. A model is a folder"):
        run(tmp_path / "model")


def test_a_model_without_checkpoints_is_not_trained_over(tmp_path: Path) -> None:
    run(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    before = products(tmp_path)

    with pytest.raises(TrainingError, match=r"nothing in .* to go on from.*README.md.*--overwrite"):
        run(tmp_path, resume=True)
    assert products(tmp_path) == before


@pytest.mark.parametrize("name", ["notes.txt", "checkpoints/mine.pt"])
@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_what_no_run_has_made_is_left_alone(tmp_path: Path, name: str, how: dict[str, bool]) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / name).write_text("mine")

    with pytest.raises(TrainingError, match=r"Choose another folder\.$"):
        run(tmp_path, **how)
    assert (tmp_path / name).read_text() == "mine"


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_with_resume(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "metrics.jsonl").write_text("")

    assert run(tmp_path, resume=True).steps == 12
