"""Pretraining runs, from titles to a model folder."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from short_runs import TITLES, InterruptedRunError, lines, products, run, without_speed
from torch.utils.data import get_worker_info
from toy_world import SHORT, TINY, WITH_METADATA, make_titles

from mediafm_cli.errors import StaleError, TrainingError
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import load_model, model_fingerprint, read_config
from mediafm_cli.model.msm import Distances, measure
from mediafm_cli.model.title import Title
from mediafm_cli.train.config import MODALITY_WISE, RECIPES, TrainConfig
from mediafm_cli.train.coordinates import measure_whitening
from mediafm_cli.train.loop import ON_CPU, Engine, Result
from mediafm_cli.train.metrics import Metrics, Validation
from mediafm_cli.train.sequences import split_titles


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize(("recipe", "loss"), [("mediafm", 0.1), ("modality-wise", 0.3)])
def test_the_model_learns_what_its_neighbours_cannot_tell(
    tmp_path: Path, recipe: str, loss: float, optimizer: Literal["muon", "adamw"]
) -> None:
    chosen = RECIPES[recipe]
    config = ModelConfig(TINY.layout, **{"hidden": 48, "layers": 2, "heads": 4, "dropout": 0.0, **chosen.model})
    settings = TrainConfig(chosen.objective, max_steps=150, batch_shots=112, optimizer=optimizer, adamw_lr=3e-3)

    result = run(tmp_path, titles=make_titles(40), model_config=config, settings=settings)

    # A neighbour is of the other camera, and the mean of no state: copying either is off by about 0.8 and 0.95.
    assert result.losses[0] > 0.8
    assert result.validation is not None
    assert result.validation.loss < loss
    assert result.validation.skill_over_mean > 1 - 1.5 * loss
    assert result.validation.skill_over_neighbour > 1 - 1.5 * loss
    assert min(result.validation.cosine.values()) > 1 - 1.5 * loss


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 0.03)])
def test_a_gpu_learns_what_a_processor_learns(
    tmp_path: Path, precision: Literal["fp32", "bf16"], tolerance: float, compiled: bool
) -> None:
    shape = {"hidden": 48, "layers": 2, "heads": 6, "dropout": 0.0}
    config = ModelConfig(TINY.layout, **{**MODALITY_WISE.model, **shape, "input_dropout": 0.0})
    settings = replace(SHORT, max_steps=30, optimizer="adamw", precision=precision)
    engine = Engine(torch.device("cuda"), workers=2, compile=compiled)

    there = run(tmp_path / "gpu", titles=make_titles(40), model_config=config, settings=settings, engine=engine)

    exact = replace(settings, precision="fp32")
    here = run(tmp_path / "cpu", titles=make_titles(40), model_config=config, settings=exact)
    assert there.losses == pytest.approx(here.losses, abs=tolerance)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_coordinates_are_those_of_the_training_titles_and_stay(tmp_path: Path, ema: float) -> None:
    run(tmp_path, model_config=replace(TINY, projection="whitened"), settings=replace(SHORT, ema=ema))

    train = split_titles(TITLES, SHORT.val_fraction, SHORT.seed).train
    found = load_model(tmp_path).whitening
    assert found is not None
    for name, values in measure_whitening(train, TINY, SHORT.seed).items():
        assert torch.equal(found.get_buffer(name), values)


def test_a_model_whose_vectors_are_not_whitened_is_taught_no_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "plain")
    monkeypatch.setattr("mediafm_cli.train.step.measure", _without_lengths)
    run(tmp_path / "without")

    assert products(tmp_path / "plain") == products(tmp_path / "without")


def _without_lengths(*arguments: Any) -> Distances:
    found = measure(*arguments)
    return replace(found, length_errors=found.length_errors * float("nan"))


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
    assert without_speed(often[-1]) == without_speed(once[-1])


def test_dropout_is_on_in_training(tmp_path: Path) -> None:
    first, other = (
        run(tmp_path / str(dropout), model_config=replace(TINY, dropout=dropout)).losses for dropout in (0.0, 0.5)
    )

    assert first[0] != other[0]


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_title(tmp_path: Path) -> None:
    broken = replace(TITLES[3], vectors=TITLES[3].vectors * np.float32("nan"))

    with pytest.raises(TrainingError, match=r"Step \d+: .* nan\. Not finite: the vectors of title-03\."):
        run(tmp_path, titles=[*TITLES[:3], broken, *TITLES[4:]], settings=replace(SHORT, val_fraction=0.0))
    assert not (tmp_path / "model.safetensors").exists()


def test_a_held_out_title_that_is_not_finite_stops_the_run_and_is_named(tmp_path: Path) -> None:
    (title,) = split_titles(TITLES, SHORT.val_fraction, SHORT.seed).validation
    vectors = np.array(title.vectors)
    vectors[2] = np.nan
    titles = [replace(one, vectors=vectors) if one is title else one for one in TITLES]

    with pytest.raises(TrainingError, match=rf"Step 5: .*held-out titles is nan\. .*vectors of {title.title_id}\."):
        run(tmp_path, titles=titles)


def test_a_run_that_diverges_where_it_validates_says_so(tmp_path: Path) -> None:
    wild = replace(SHORT, adamw_lr=1e38, muon_lr=1e38, warmup=0.0, val_every=1)

    with pytest.raises(
        TrainingError, match=r"held-out titles is nan\. The batch is fine: title-\d\d\..*lower learning"
    ):
        run(tmp_path, settings=wild)
    assert not list((tmp_path / "checkpoints").glob("best-*"))


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


def read_validation(folder: Path, step: int) -> dict:
    return lines(folder)[step - 1]["validation"]


def test_the_record_names_both_sides_of_the_split(tmp_path: Path) -> None:
    run(tmp_path, recipe="my own")

    training = read_config(tmp_path).training
    split = split_titles(TITLES, SHORT.val_fraction, SHORT.seed)
    assert training.title_ids("train") == tuple(title.title_id for title in split.train)
    assert training.title_ids("validation") == tuple(title.title_id for title in split.validation)
    assert (training.recipe, training.steps, training.seed) == ("my own", 12, 0)
    assert training.validation == read_validation(tmp_path, 12)
    assert set(training.versions) == {"mediafm-cli", "numpy", "python", "torch"}


def test_every_step_is_logged_and_validation_comes_at_its_interval_and_at_the_end(tmp_path: Path) -> None:
    seen: list[Metrics] = []

    result = run(tmp_path, progress=seen.append)

    written = lines(tmp_path)
    assert [line["step"] for line in written] == list(range(1, 13))
    assert [line["loss"] for line in written] == list(result.losses) == [metrics.loss for metrics in seen]
    assert [line["step"] for line in written if "validation" in line] == [5, 10, 12]
    assert set(written[0]) == {"step", "loss", "cosine", "lr", "grad_norm", "shots", "speed"}
    assert set(written[0]["speed"]) == {"shots_per_s", "data_wait", "mfu"}
    assert set(written[4]["validation"]) == {"loss", "cosine", "skill_over_mean", "skill_over_neighbour"}
    assert set(written[0]["cosine"]) == {"video", "audio"}


# --- the best model ---------------------------------------------------------------------------------------------------


def validated_as(
    losses: dict[int, float], monkeypatch: pytest.MonkeyPatch, folder: Path, **arguments: object
) -> Result:
    """A run whose validations find these losses, one after the other."""
    found = iter(losses.values())
    monkeypatch.setattr("mediafm_cli.train.loop.validate", lambda *_: Validation(next(found), {"video": 0.5}, 0.1, 0.2))
    settings = replace(SHORT, val_every=2, checkpoint_every=2, keep_last=99)
    return run(folder, settings=settings, **arguments)


@pytest.mark.parametrize("best", [2, 6, 12])
def test_the_model_that_is_left_is_the_best_on_the_held_out_titles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    losses = {step: 0.5 + abs(step - best) / 100 for step in range(2, 13, 2)}

    result = validated_as(losses, monkeypatch, tmp_path)

    left, then = (load_model(folder) for folder in (tmp_path, tmp_path / "checkpoints" / f"step-{best:08d}"))
    assert (result.steps, result.kept) == (12, best)
    assert all(torch.equal(left.state_dict()[name], weight) for name, weight in then.state_dict().items())
    training = read_config(tmp_path).training
    assert (training.steps, training.validation["loss"]) == (best, 0.5)
    assert [path.name for path in (tmp_path / "checkpoints").glob("best-*")] == [f"best-{best:08d}"]


def test_of_two_models_that_are_equally_good_the_earlier_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = validated_as(dict.fromkeys(range(2, 13, 2), 0.5), monkeypatch, tmp_path)

    assert result.kept == 2


def test_the_best_model_of_a_run_that_went_on_may_be_from_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InterruptedRunError):
        validated_as({2: 0.9, 4: 0.1, 6: 0.9, 8: 0.9}, monkeypatch, tmp_path, stop_after=7)

    result = validated_as({8: 0.9, 10: 0.2, 12: 0.9}, monkeypatch, tmp_path, resume=True)

    assert (result.resumed_from, result.kept) == (6, 4)


def test_without_titles_to_validate_on_the_last_model_is_left(tmp_path: Path) -> None:
    result = run(tmp_path, settings=replace(SHORT, val_fraction=0.0))

    left, last = (load_model(folder) for folder in (tmp_path, tmp_path / "checkpoints" / "step-00000012"))
    assert result.kept == 12
    assert all(torch.equal(left.state_dict()[name], weight) for name, weight in last.state_dict().items())
    assert read_config(tmp_path).training.validation is None


def test_the_callers_generator_is_left_alone(tmp_path: Path) -> None:
    state = torch.get_rng_state()

    run(tmp_path)

    assert torch.equal(torch.get_rng_state(), state)


def test_reading_ahead_in_other_processes_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path / "alone")
    run(tmp_path / "ahead", engine=replace(ON_CPU, workers=2))

    assert products(tmp_path / "ahead") == products(tmp_path / "alone")


class ReplacedTitle:
    """A title that another process finds replaced."""

    def __init__(self, title: Title) -> None:
        self.title, self.title_id, self.fingerprint = title, title.title_id, title.fingerprint

    def __len__(self) -> int:
        return len(self.title)

    def window(self, start: int, stop: int) -> Title:
        if get_worker_info() is not None:
            raise StaleError("film.h5 was fused anew.", hint="Run the command again.")
        return self.title.window(start, stop)


def test_an_error_of_a_process_that_reads_ahead_is_told_as_it_is_and_ends_it(tmp_path: Path) -> None:
    with pytest.raises(StaleError) as caught:
        run(tmp_path, titles=[ReplacedTitle(title) for title in TITLES], engine=replace(ON_CPU, workers=1))

    assert (caught.value.what, caught.value.hint) == ("film.h5 was fused anew.", "Run the command again.")
    assert multiprocessing.active_children() == []  # an exit waits for them, and they ignore its SIGTERM


def test_an_error_between_steps_ends_the_processes_that_read_ahead(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError) as caught:
        run(tmp_path, stop_after=2, engine=replace(ON_CPU, workers=1))

    assert multiprocessing.active_children() == []
    assert caught.tb is not None  # which still holds all that the run had
