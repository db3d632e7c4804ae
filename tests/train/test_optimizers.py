"""Which parameters Muon and AdamW get, and at what rate."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.optim import AdamW, Muon
from toy_world import TINY, WITH_METADATA

from mediafm_cli.errors import UsageError
from mediafm_cli.model.msm import MEDIAFM
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.config import TrainConfig, find_recipe
from mediafm_cli.train.optimizers import build_optimizers, build_schedules, rate_factor

HIDDEN = {
    f"blocks.{layer}.{name}.weight"
    for layer in range(2)
    for name in (
        *("attention.query", "attention.key", "attention.value", "attention.out"),
        *("feed_forward.up", "feed_forward.down"),
    )
}


@pytest.fixture
def model() -> MediaFM:
    return MediaFM.seeded(replace(TINY, layout=WITH_METADATA, layers=2), 0)


def names(model: MediaFM, parameters: list[torch.Tensor]) -> set[str]:
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    return {known[id(parameter)] for parameter in parameters}


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_every_parameter_is_in_exactly_one_group(model: MediaFM, optimizer: str) -> None:
    optimizers = build_optimizers(model, TrainConfig(optimizer=optimizer))

    grouped = [id(p) for one in optimizers for group in one.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())


def test_muon_has_exactly_the_matrices_of_the_hidden_layers(model: MediaFM) -> None:
    muon, adamw = build_optimizers(model, TrainConfig())

    assert isinstance(muon, Muon)
    assert isinstance(adamw, AdamW)
    assert names(model, muon.param_groups[0]["params"]) == HIDDEN
    assert muon.param_groups[0]["adjust_lr_fn"] == "original"


def test_adamw_alone_has_everything(model: MediaFM) -> None:
    (adamw,) = build_optimizers(model, TrainConfig(optimizer="adamw"))

    assert isinstance(adamw, AdamW)
    assert names(model, adamw.param_groups[0]["params"]) >= HIDDEN


def test_weight_decay_is_for_matrices_only(model: MediaFM) -> None:
    optimizers = build_optimizers(model, TrainConfig(weight_decay=0.3))

    decayed = [p for one in optimizers for group in one.param_groups if group["weight_decay"] for p in group["params"]]
    assert names(model, decayed) == HIDDEN | {"project.weight", "project_metadata.weight", "predict.weight"}


@pytest.mark.parametrize("hidden", [16, 64])
@pytest.mark.parametrize(("name", "factor"), [("up", 2.0), ("down", 1.0)])  # up has four rows for each column
def test_the_spectral_norm_of_muons_update_is_its_rate_whatever_the_width(
    hidden: int, name: str, factor: float
) -> None:
    model = MediaFM.seeded(replace(TINY, hidden=hidden), 0)
    muon, _ = build_optimizers(model, TrainConfig(muon_lr=0.01, weight_decay=0.0))
    weight = getattr(model.blocks[0].feed_forward, name).weight
    before = weight.detach().clone()
    weight.grad = torch.randn(weight.shape, generator=torch.manual_seed(0))

    muon.step()

    norm = torch.linalg.matrix_norm(weight.detach() - before, ord=2).item()
    assert norm == pytest.approx(factor * 0.01, rel=0.3)  # Newton-Schulz brings singular values near 1, and is rough


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine() -> None:
    factors = [rate_factor(step, 110, 10 / 110) for step in range(110)]

    assert factors[:10] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert factors[60] == pytest.approx(0.5)  # half way down
    assert factors[35] == pytest.approx((1 + math.sqrt(0.5)) / 2)  # a quarter: cos 45°
    assert 0 < factors[-1] < 0.001


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_runs_have_a_rate(total: int) -> None:
    assert all(0 < rate_factor(step, total, 0.05) <= 1 for step in range(total))


def test_a_schedule_that_starts_later_gives_the_same_rates(model: MediaFM) -> None:
    config = TrainConfig(muon_lr=0.02, adamw_lr=0.003)

    def rates(first: int) -> list[list[float]]:
        optimizers = build_optimizers(model, config)
        schedules = build_schedules(optimizers, config, 40, first)
        seen = []
        for _ in range(first, 40):
            seen.append([schedule.get_last_lr()[0] for schedule in schedules])
            for optimizer, schedule in zip(optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()
        return seen

    assert rates(17) == rates(0)[17:]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"max_steps": 0}, "max_steps is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"muon_lr": -1.0}, "muon_lr is -1.0"),
        ({"adamw_lr": math.nan}, "adamw_lr is nan"),
        ({"batch_shots": 0}, "batch_shots is 0"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"precision": "fp16"}, "fp16 would need its gradients scaled"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        TrainConfig(**change)


def test_a_recipe_is_found_by_name_and_what_is_given_takes_the_place_of_its_own() -> None:
    recipe = find_recipe("mediafm")

    assert recipe.objective == MEDIAFM
    assert recipe.objective_with(mask_ratio=None, loss="blocks") == replace(MEDIAFM, loss="blocks")
    assert (recipe.model["position"], recipe.model["missing"]) == ("learned", "zero")


def test_an_unknown_recipe_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no recipe 'bert'\. Known: modality-wise, mediafm"):
        find_recipe("bert")
