"""The grid of variants, and the settings that each comes to."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from made_titles import LAYOUT

from mediafm_cli.errors import TrainingError, UsageError
from mediafm_cli.evaluate.ablation.variants import choose, grid, resolve, settings_of
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import FolderConfig, TrainingRecord
from mediafm_cli.model.title import MetadataSource
from mediafm_cli.train.config import MODALITY_WISE, PUBLISHED, Recipe, TrainConfig


def model(recipe: Recipe = MODALITY_WISE, layout: Any = LAYOUT, **settings: Any) -> FolderConfig:
    """What ``config.json`` of a model says."""
    config = ModelConfig(layout, hidden=16, layers=1, heads=2, **recipe.model)
    trained = asdict(TrainConfig(objective=recipe.objective, **settings))
    return FolderConfig("", 1, config, TrainingRecord("test", 7, 5, trained, (), {}), {})


def names(config: FolderConfig) -> list[str]:
    return [variant.name for variant in grid(config)]


def settled(config: FolderConfig, name: str, max_steps: int | None = None) -> tuple[ModelConfig, TrainConfig]:
    (variant,) = (variant for variant in grid(config) if variant.name == name)
    return resolve(variant, config, config.model.layout, 5, max_steps)


# --- the grid ---------------------------------------------------------------------------------------------------------


def test_the_grid_of_the_default_recipe_changes_each_of_its_parts() -> None:
    assert names(model()) == [
        "reference",
        "without-video",
        "without-audio",
        "without-text",
        "mask=0",
        "mask=0.2",
        "mask=0.5",
        "optimizer=adamw",
        "projection=linear",
        "position=learned",
        "position=time",
        "loss=vector",
        "modality_mask_ratio=0",
        "visible_ratio=0",
        "input_dropout=0",
        "missing=zero",
        "video-x5",
        "audio-x5",
        "text-x5",
        "video-x10",
        "audio-x10",
        "text-x10",
        "loud-normalised",
    ]


def test_what_the_model_is_already_is_no_variant_of_it() -> None:
    found = names(model(PUBLISHED, optimizer="adamw"))

    assert {"mask=0.2", "optimizer=adamw", "position=learned", "loss=vector", "missing=zero"}.isdisjoint(found)
    assert {"optimizer=muon", "projection=whitened", "position=rotary", "loss=blocks", "missing=null-token"} <= set(
        found
    )


def test_a_model_that_knows_metadata_is_also_trained_without_global() -> None:
    layout = replace(LAYOUT, metadata=MetadataSource(4, "text.a", "9"))

    assert "global_token=false" in names(model(layout=layout))


def test_titles_that_were_normalised_need_no_variant_that_normalises_them() -> None:
    found = names(model(layout=replace(LAYOUT, normalize="per-modality")))

    assert "loud-normalised" not in found
    assert "audio-x10" in found


def test_a_single_modality_is_not_left_out() -> None:
    found = names(model(layout=replace(LAYOUT, blocks=(replace(LAYOUT.blocks[0], stop=13),))))

    assert found[:2] == ["reference", "mask=0"]
    assert not any("-x" in name for name in found)


def test_every_variant_of_both_recipes_comes_to_settings_that_can_be_used() -> None:
    for recipe in (MODALITY_WISE, PUBLISHED):
        config = model(recipe)
        reference = settled(config, "reference")
        for name in names(config)[1:]:
            found = settled(config, name)
            changes_titles = name.startswith("without") or name.endswith(("x5", "x10"))
            assert (found == reference) == changes_titles, name


def test_with_no_mask_no_modality_is_hidden_and_what_is_visible_is_asked_for() -> None:
    _, default = settled(model(), "mask=0")
    _, published = settled(model(PUBLISHED), "mask=0")

    for settings in (default, published):
        assert (settings.objective.mask_ratio, settings.objective.modality_mask_ratio) == (0, 0)
        assert settings.objective.visible_ratio > 0


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_reference_has_the_settings_of_the_model() -> None:
    config = model(adamw_lr=0.5, batch_shots=77, max_steps=31)

    shape, settings = settled(config, "reference")

    assert shape == config.model
    assert settings == TrainConfig(adamw_lr=0.5, batch_shots=77, max_steps=31, seed=5)


def test_steps_that_are_given_take_the_place_of_epochs_too() -> None:
    config = model(epochs=9)

    assert settled(config, "reference")[1].epochs == 9
    assert (settled(config, "reference", 4)[1].epochs, settled(config, "reference", 4)[1].max_steps) == (None, 4)


def test_a_model_trained_with_settings_that_are_not_known_here_is_refused() -> None:
    config = model()
    odd = {**config.training.settings, "new_thing": 3}

    with pytest.raises(TrainingError, match="new_thing is unknown"):
        settings_of(replace(config, training=replace(config.training, settings=odd)))


# --- a choice ---------------------------------------------------------------------------------------------------------


def chosen(**asked: Any) -> list[str]:
    return [variant.name for variant in choose(model(), **asked)]


def test_the_whole_grid_is_trained_where_nothing_was_chosen() -> None:
    assert chosen() == names(model())


def test_what_was_chosen_is_trained_with_the_reference_and_nothing_else() -> None:
    assert chosen(only=["missing=zero", "without-text"]) == ["reference", "missing=zero", "without-text"]
    assert chosen(pairs=["layers=2"]) == ["reference", "layers=2"]
    assert chosen(only=["reference"], swaps={"other": [Path("a.h5")]}) == ["reference", "swap-other"]


def test_pairs_with_commas_are_one_variant_and_pairs_of_their_own_several() -> None:
    config = model()
    variants = choose(config, pairs=["position=time,global_token=no,dropout=0.25", "ema=0.5"])

    assert [one.name for one in variants[1:]] == ["position=time+global_token=false+dropout=0.25", "ema=0.5"]
    shape, settings = resolve(variants[1], config, LAYOUT, 0, None)
    assert (shape.position, shape.global_token, shape.dropout, settings.ema) == ("time", False, 0.25, 0.0)
    assert resolve(variants[2], config, LAYOUT, 0, None)[1].ema == 0.5


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"only": ["without-audi"]}, "There is no variant 'without-audi'. .*Did you mean without-audio?"),
        ({"pairs": ["layers"]}, "--set layers has no value. Write it as --set KEY=VALUE"),
        ({"pairs": ["layer_count=2"]}, "There is no option 'layer_count'. Known: .*"),
        ({"pairs": ["layers=2,layers=3"]}, "The option 'layers' is given twice."),
        ({"pairs": ["layers=two"]}, "layers is 'two'. It must be of type int."),
        ({"pairs": ["seed=2"]}, "There is no option 'seed'"),
        ({"pairs": ["mask_ratio=1.5"]}, "mask_ratio is 1.5"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_what_can_be(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose(model(), **asked)


def test_a_shape_that_cannot_be_built_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(TrainingError, match="5 heads do not divide hidden 16"):
        choose(model(), pairs=["heads=5"])
