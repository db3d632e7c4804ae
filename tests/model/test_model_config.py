"""The shapes that are possible, and how many numbers they learn."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
import torch

from mediafm_cli.cli.commands.pretrain import SIZES as SAID
from mediafm_cli.cli.training import ModelChoice
from mediafm_cli.errors import TrainingError
from mediafm_cli.model.config import SIZES, ModelConfig, count_parameters
from mediafm_cli.model.title import Block, Layout
from mediafm_cli.model.transformer import MediaFM

THREE = Layout(tuple(Block(name, 768 * at, 768 * at + 768, f"{name}.a", "1") for at, name in enumerate("vat")))
OPTIONS = {
    "position": ["learned", "rotary", "time"],
    "projection": ["linear", "per-modality", "whitened"],
    "missing": ["zero", "null-token", "masked"],
    "global_token": [True, False],
    "layer": ["output", "hidden"],
}


def built(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in MediaFM(config).parameters())


@pytest.mark.parametrize("described", [True, False])
def test_parameters_are_counted_as_they_are_built_whatever_the_options(config: ModelConfig, described: bool) -> None:
    layout = config.layout if described else replace(config.layout, metadata=None)
    chosen = [dict(zip(OPTIONS, values, strict=True)) for values in itertools.product(*OPTIONS.values())]
    configs = [replace(config, layout=layout, **options) for options in chosen]

    assert [count_parameters(one) for one in configs] == [built(one) for one in configs]


@pytest.mark.parametrize("name", SIZES)
def test_the_help_says_how_many_numbers_each_size_learns(name: str) -> None:
    config = ModelChoice(size=name).config(THREE)

    layers, hidden, millions = re.search(rf"{name} \((\d+) × (\d+), ([\d.]+)", SAID).groups()

    assert (config.layers, config.hidden) == (int(layers), int(hidden))
    decimals = len(millions.partition(".")[2])
    assert round(count_parameters(config) / 1e6, decimals) == float(millions)
    assert count_parameters(config) == built(config)


def test_heads_of_the_named_sizes_are_64_wide_and_base_is_berts() -> None:
    assert {size.hidden // size.heads for size in SIZES.values()} == {64}
    # Devlin et al. 2019, section 3: L=12, H=768, A=12 and L=24, H=1024, A=16.
    assert (SIZES["base"].layers, SIZES["base"].hidden, SIZES["base"].heads) == (12, 768, 12)
    assert (SIZES["large"].layers, SIZES["large"].hidden, SIZES["large"].heads) == (24, 1024, 16)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hidden": 10}, "4 heads do not divide hidden 10"),
        ({"hidden": 1 << 30}, "hidden is 1073741824"),
        ({"layers": 10**9}, "layers is 1000000000"),
        ({"max_shots": 0}, "max_shots is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"input_dropout": 1.0}, "input_dropout is 1.0"),
        ({"heads": 0}, "0 heads"),
        ({"heads": 16, "position": "time"}, "position time turns pairs of numbers, and a head has 1"),
        ({"layout": Layout(())}, "do not follow one another"),
        ({"layout": Layout((Block("a", 0, 4, "a", "1"), Block("b", 5, 8, "b", "1")))}, "do not follow one another"),
        ({"layout": Layout((Block("a", 0, 0, "a", "1"),))}, "do not follow one another"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(config: ModelConfig, change: dict, why: str) -> None:
    with pytest.raises(TrainingError, match=why):
        replace(config, **change)


def test_heads_of_odd_width_need_no_turning_where_positions_are_learned(config: ModelConfig) -> None:
    assert replace(config, heads=16, position="learned").head_width == 1
