"""Pretraining runs, from titles to a model folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from short_runs import TITLES, lines, products, run
from toy_world import SHORT, TINY, WITH_METADATA, make_titles

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.baselines import mean_vector
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import load_model, model_fingerprint, read_config
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.metrics import Metrics
from mediafm_cli.train.sequences import split_titles
from mediafm_cli.train.validation import validate, validation_set


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_the_model_learns_what_its_neighbours_cannot_tell(tmp_path: Path, optimizer: str) -> None:
    config = ModelConfig(TINY.layout, hidden=48, layers=2, heads=4, dropout=0.0)
    settings = TrainConfig(max_steps=150, muon_lr=3e-3, adamw_lr=3e-3, optimizer=optimizer)  # type: ignore[arg-type]

    result = run(tmp_path, titles=make_titles(40), model_config=config, settings=settings)

    assert result.losses[0] > 0.8
    assert result.validation is not None
    assert result.validation.loss < 0.1
    assert result.validation.skill_over_mean > 0.85
    assert result.validation.skill_over_neighbour > 0.85
    assert min(result.validation.cosine.values()) > 0.85


def test_a_seed_gives_the_same_files_twice_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        run(tmp_path / name, settings=replace(SHORT, seed=seed))

    assert products(tmp_path / "one") == products(tmp_path / "two")
    assert model_fingerprint(tmp_path / "one") != model_fingerprint(tmp_path / "other")


def test_the_order_in_which_titles_are_given_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path / "forward")
    run(tmp_path / "backward", titles=TITLES[::-1])

    assert products(tmp_path / "forward") == products(tmp_path / "backward")


def test_validating_more_often_changes_no_weight_and_no_validation(tmp_path: Path) -> None:
    config = replace(TINY, dropout=0.5)
    run(tmp_path / "often", model_config=config, settings=replace(SHORT, val_every=1))
    run(tmp_path / "once", model_config=config, settings=replace(SHORT, val_every=12))

    often, once = lines(tmp_path / "often"), lines(tmp_path / "once")
    assert [line["loss"] for line in often] == [line["loss"] for line in once]
    assert often[-1] == once[-1]


def test_dropout_is_on_in_training(tmp_path: Path) -> None:
    first, other = (
        run(tmp_path / str(dropout), model_config=replace(TINY, dropout=dropout)).losses for dropout in (0.0, 0.5)
    )

    assert first[0] != other[0]


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_title(tmp_path: Path) -> None:
    broken = replace(TITLES[3], vectors=TITLES[3].vectors * np.float32("nan"))

    with pytest.raises(TrainingError, match=r"Step \d+: the loss is nan.*the vectors of title-03\."):
        run(tmp_path, titles=[*TITLES[:3], broken, *TITLES[4:]], settings=replace(SHORT, val_fraction=0.0))
    assert not (tmp_path / "model.safetensors").exists()


def test_a_run_that_diverges_names_its_batch_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    wild = replace(SHORT, adamw_lr=1e38, muon_lr=1e38, warmup=0.0, checkpoint_every=1)

    with pytest.raises(TrainingError, match=r"The batch is fine: title-\d\d, .*lower learning rate"):
        run(tmp_path, settings=wild)
    assert (tmp_path / "checkpoints" / "step-00000001" / "config.json").exists()


@pytest.mark.parametrize(("titles", "shots"), [(1, 1), (1, 4), (2, 1), (3, 2)])
def test_the_smallest_catalogues_are_enough(tmp_path: Path, titles: int, shots: int) -> None:
    result = run(tmp_path, titles=make_titles(titles, shots=(shots, shots + 1)))

    assert result.steps == 12
    assert (result.validation is None) == (titles == 1)
    assert load_model(tmp_path).config.max_shots == shots


def test_no_titles_twice_the_same_and_empty_ones_are_refused(tmp_path: Path) -> None:
    nothing = [replace(title, vectors=title.vectors * 0) for title in TITLES]

    for titles, why in (([], "No title was given"), ([*TITLES, TITLES[2]], "Twice: title-02"), (nothing, "is zero")):
        with pytest.raises(TrainingError, match=why):
            run(tmp_path, titles=titles)
    assert list(tmp_path.iterdir()) == []


def test_shots_that_show_nothing_do_no_harm(tmp_path: Path) -> None:
    def gaps(title: Title) -> Title:
        shown = np.arange(len(title)) % 3 > 0
        return replace(title, vectors=title.vectors * shown[:, None], present=title.present & shown[:, None])

    result = run(tmp_path, titles=[gaps(title) for title in TITLES])

    assert np.isfinite(result.losses).all()


def test_titles_with_and_without_metadata_train_together_and_the_stand_in_is_learned(tmp_path: Path) -> None:
    config = replace(TINY, layout=WITH_METADATA)
    with_metadata = [title for title in make_titles(20) if title.metadata is not None]
    run(tmp_path / "mixed", model_config=config)
    run(tmp_path / "all", model_config=config, titles=with_metadata)
    run(tmp_path / "same-start", model_config=config, titles=with_metadata, settings=replace(SHORT, max_steps=1))

    early, late = (load_model(tmp_path / name).no_metadata for name in ("same-start", "all"))
    assert not torch.equal(early, late)


def test_positions_that_no_training_title_reaches_are_left_out(tmp_path: Path) -> None:
    run(tmp_path)

    training = read_config(tmp_path).training
    longest = max(title.shots for title in training.titles if title.split == "train")
    assert load_model(tmp_path).config.max_shots == longest


def test_the_record_names_both_sides_of_the_split(tmp_path: Path) -> None:
    run(tmp_path)

    training = read_config(tmp_path).training
    split = split_titles(TITLES, SHORT.val_fraction, SHORT.seed)
    assert training.title_ids("train") == tuple(title.title_id for title in split.train)
    assert training.title_ids("validation") == tuple(title.title_id for title in split.validation)
    assert (training.recipe, training.steps, training.seed) == ("mediafm", 12, 0)
    assert set(training.versions) == {"mediafm-cli", "numpy", "python", "torch"}


def test_every_step_is_logged_and_validation_comes_at_its_interval_and_at_the_end(tmp_path: Path) -> None:
    seen: list[Metrics] = []

    result = run(tmp_path, progress=seen.append)

    written = lines(tmp_path)
    assert [line["step"] for line in written] == list(range(1, 13))
    assert [line["loss"] for line in written] == list(result.losses) == [metrics.loss for metrics in seen]
    assert [line["step"] for line in written if "validation" in line] == [5, 10, 12]
    assert set(written[0]) == {"step", "loss", "cosine", "lr", "grad_norm", "shots"}
    assert set(written[4]["validation"]) == {"loss", "cosine", "skill_over_mean", "skill_over_neighbour"}
    assert set(written[0]["cosine"]) == {"video", "audio"}


def test_the_baselines_are_those_of_an_independent_formula() -> None:
    split = split_titles(TITLES, 0.3, 0)

    held_out = validation_set(split, TINY, SHORT)

    assert held_out is not None
    mean = mean_vector(split.train)
    rows = np.concatenate([title.vectors for title in split.train])
    assert mean == pytest.approx(rows.mean(axis=0), abs=1e-6)
    targets = np.concatenate([w.vectors[mask] for w, mask in zip(held_out.windows, held_out.masks, strict=True)])
    unit = mean / np.linalg.norm(mean)
    assert held_out.mean_loss == pytest.approx(1 - (targets @ unit).mean(), abs=1e-6)


def test_validation_is_the_same_each_time() -> None:
    held_out = validation_set(split_titles(TITLES, 0.3, 0), TINY, SHORT)
    model = MediaFM.seeded(replace(TINY, dropout=0.5), 0).train()

    assert held_out is not None
    assert validate(model, held_out, 2) == validate(model.train(), held_out, 2)


def test_the_callers_generator_is_left_alone(tmp_path: Path) -> None:
    state = torch.get_rng_state()

    run(tmp_path)

    assert torch.equal(torch.get_rng_state(), state)
