"""Variants of a model, trained on its titles: what they learn from, what is used again, and what is compared."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from world_stores import SmallCatalogue, draw_small, write_stores

from mediafm_cli.errors import UsageError
from mediafm_cli.evaluate.ablation import retrain
from mediafm_cli.evaluate.ablation.ablate import Ablation, Retraining, run_ablation
from mediafm_cli.evaluate.ablation.masked import make_folds, score
from mediafm_cli.evaluate.ablation.predictors import model_predictor
from mediafm_cli.evaluate.ablation.retrain import (
    ChangedTitle,
    Run,
    RunSettings,
    StoppedError,
    learned_titles,
    swapped_titles,
)
from mediafm_cli.evaluate.ablation.variants import grid
from mediafm_cli.model.folder import load_model, read_config
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import Contents
from mediafm_cli.train.catalogue import open_catalogue

STEPS = 6
CHOSEN = ("without-text", "optimizer=adamw", "audio-x10")


def retrain_model(
    catalogue: SmallCatalogue, folder: Path, *only: str, seeds: int = 1, **asked: object
) -> tuple[Ablation, list[Run]]:
    """The ablation, and its runs in order."""
    runs: list[Run] = []
    asked = {"only": only, **asked}
    retraining = Retraining(RunSettings(folder, seeds, STEPS), **asked)  # type: ignore[arg-type]
    return run_ablation(catalogue.stores, catalogue.model, retraining=retraining, say=runs.append), runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grid") / "runs"


@pytest.fixture(scope="module")
def retrained(small_catalogue: SmallCatalogue, folder: Path) -> tuple[Ablation, list[Run]]:
    return retrain_model(small_catalogue, folder, *CHOSEN, seeds=2)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_every_variant_is_trained_with_each_seed_on_the_models_own_training_titles(
    retrained: tuple[Ablation, list[Run]], small_catalogue: SmallCatalogue
) -> None:
    ablation, runs = retrained
    own = read_config(small_catalogue.model).training

    assert [(run.variant.name, run.seed, run.reused) for run in runs] == [
        (name, seed, False) for name in ("reference", *CHOSEN) for seed in (0, 1)
    ]
    for run in runs:
        record = read_config(run.folder).training
        assert {title.title_id for title in record.titles} == set(own.title_ids("train"))
        assert set(ablation.titles).isdisjoint(title.title_id for title in record.titles)
        assert record.settings["max_steps"] == STEPS
        assert record.settings["optimizer"] == ("adamw" if run.variant.name == "optimizer=adamw" else "muon")


def test_a_run_is_a_folder_of_its_own_named_by_what_decides_it_and_without_checkpoints(
    retrained: tuple[Ablation, list[Run]], folder: Path
) -> None:
    _, runs = retrained

    assert sorted(path.name for path in folder.iterdir()) == sorted(run.folder.name for run in runs)
    assert runs[0].folder.name.startswith("reference-seed0-")
    assert len({run.folder.name.rpartition("-")[2] for run in runs}) == len(runs)
    assert not list(folder.glob("*/checkpoints"))


def test_what_is_finished_is_used_again_and_gives_the_same(
    retrained: tuple[Ablation, list[Run]], small_catalogue: SmallCatalogue, folder: Path
) -> None:
    ablation, _ = retrained

    again, runs = retrain_model(small_catalogue, folder, *CHOSEN, seeds=2)

    assert all(run.reused for run in runs)
    assert again.retrained == ablation.retrained


def test_other_settings_are_another_run(small_catalogue: SmallCatalogue, folder: Path) -> None:
    retraining = Retraining(RunSettings(folder, 1, STEPS + 1), only=("reference",))
    runs: list[Run] = []

    run_ablation(small_catalogue.stores, small_catalogue.model, retraining=retraining, say=runs.append)

    assert not runs[0].reused


def test_a_run_that_was_stopped_goes_on_to_the_same_end(
    small_catalogue: SmallCatalogue,
    retrained: tuple[Ablation, list[Run]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true_pretrain = retrain.pretrain
    steps: list[int] = []

    def stop_half_way(*args: object, progress: object, **options: object) -> object:
        def watch(metrics: object) -> None:
            if metrics.step == STEPS // 2:  # type: ignore[attr-defined]
                raise KeyboardInterrupt

        settings = replace(args[2], checkpoint_every=1)  # type: ignore[type-var]
        return true_pretrain(args[0], args[1], settings, args[3], progress=watch, **options)  # type: ignore[arg-type]

    def go_on(*args: object, progress: object, **options: object) -> object:
        return true_pretrain(*args, progress=lambda metrics: steps.append(metrics.step), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(retrain, "pretrain", stop_half_way)
    with pytest.raises(KeyboardInterrupt):
        retrain_model(small_catalogue, tmp_path, "reference")
    monkeypatch.setattr(retrain, "pretrain", go_on)
    _, runs = retrain_model(small_catalogue, tmp_path, "reference")

    assert (steps[0], steps[-1]) == (STEPS // 2 + 1, STEPS)
    weights = [(run.folder / "model.safetensors").read_bytes() for run in (runs[0], retrained[1][0])]
    assert weights[0] == weights[1]


def test_sigterm_ends_the_grid_and_says_how_to_go_on(
    small_catalogue: SmallCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_pretrain = retrain.pretrain

    def terminated(*args: object, **options: object) -> object:
        return replace(true_pretrain(*args, **options), kept=None)  # type: ignore[arg-type]

    monkeypatch.setattr(retrain, "pretrain", terminated)

    with pytest.raises(StoppedError, match=f"reference, seed 0: stopped after {STEPS} steps. Run the same command"):
        retrain_model(small_catalogue, tmp_path, "reference")
    assert StoppedError.exit_code == 143


# --- titles -----------------------------------------------------------------------------------------------------------


def test_a_changed_title_is_changed_window_by_window(small_catalogue: SmallCatalogue) -> None:
    (title,) = open_catalogue(small_catalogue.stores[:1]).titles
    for variant in grid(read_config(small_catalogue.model)):
        changed = ChangedTitle(title, variant)

        window = changed.window(3, 9)

        assert len(changed) == len(title)
        np.testing.assert_allclose(window.vectors, variant.change(title.load()).vectors[3:9], atol=1e-6)


def test_titles_that_the_model_learned_from_have_to_be_there_as_they_were(
    small_catalogue: SmallCatalogue, tmp_path: Path
) -> None:
    config = read_config(small_catalogue.model)
    first, second = config.training.title_ids("train")[:2]
    stores = [Path(shutil.copy(path, tmp_path)) for path in small_catalogue.stores if path.stem != first]
    reverse_shots(next(path for path in stores if path.stem == second))

    with pytest.raises(
        UsageError, match=rf"2 of the 12 titles .* Not there, or changed since: {first}, {second}. Give"
    ):
        learned_titles(open_catalogue(stores), config)


def reverse_shots(path: Path) -> None:
    def put(contents: Contents | None) -> Contents:
        fused = contents.groups["fused"]
        return contents.with_group("fused", replace(fused, vectors=fused.vectors[::-1], present=fused.present[::-1]))

    update_store(path, put)


def test_where_the_model_learned_from_every_title_nothing_is_retrained(
    small_catalogue: SmallCatalogue, tmp_path: Path
) -> None:
    learned = read_config(small_catalogue.model).training.title_ids("train")
    seen = replace(small_catalogue, stores=[path for path in small_catalogue.stores if path.stem in learned])

    with pytest.raises(UsageError, match=r"There is nothing to measure what is retrained on. .* Add titles"):
        retrain_model(seen, tmp_path, "reference")


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_is_the_mean_over_seeds_of_the_scores_of_the_runs(
    retrained: tuple[Ablation, list[Run]], small_catalogue: SmallCatalogue
) -> None:
    ablation, runs = retrained
    catalogue = open_catalogue(small_catalogue.stores)
    measured = [title.load() for title in catalogue.titles if title.title_id in ablation.titles]
    folds = make_folds(measured, 0)

    scores = [
        score(model_predictor("", load_model(run.folder)), folds, catalogue.layout.blocks)
        for run in runs
        if run.variant.name == "optimizer=adamw"
    ]

    row = next(row for row in ablation.retrained if row.name == "optimizer=adamw")
    assert row.cells["cosine"].value == pytest.approx(np.mean([one.cosine for one in scores]))
    assert row.cells["MRR"].value == pytest.approx(np.mean([one.mrr for one in scores]))
    means = [np.mean(list(one.by_modality.values())) for one in scores]
    assert row.cells["mean cosine"].value == pytest.approx(np.mean(means))


def test_each_variant_is_compared_with_the_reference_of_the_same_seeds(retrained: tuple[Ablation, list[Run]]) -> None:
    reference, *others = retrained[0].retrained

    assert (reference.name, reference.change, reference.changed_from, reference.seeds) == ("reference", {}, "", ())
    adamw = next(row for row in others if row.name == "optimizer=adamw")
    for measure in ("mean cosine", "MRR", "cos text"):
        difference = adamw.cells[measure].value - reference.cells[measure].value
        assert adamw.change[measure].value == pytest.approx(difference)
    assert np.mean(adamw.seeds) == pytest.approx(adamw.change["mean cosine"].value)
    assert len(adamw.seeds) == 2


def test_each_variant_is_held_against_the_baseline_that_does_best_on_the_modalities_it_could_learn(
    retrained: tuple[Ablation, list[Run]],
) -> None:
    ablation = retrained[0]
    baselines = [row for row in ablation.rows if row.kind == "baseline"]

    for name, modalities in {"reference": ("video", "audio", "text"), "without-text": ("video", "audio")}.items():
        row = next(row for row in ablation.retrained if row.name == name)
        best = max(np.mean([one.scores.by_modality[name] for name in modalities]) for one in baselines)
        assert row.over_best["mean cosine"].value == pytest.approx(row.cells["mean cosine"].value - best)
        assert set(row.over_best) == set(row.cells)


def test_without_a_modality_the_others_are_compared_and_it_is_missed_or_not(
    retrained: tuple[Ablation, list[Run]],
) -> None:
    reference, without = retrained[0].retrained[:2]

    assert set(without.change) == {"mean cosine", "cos video", "cos audio"}
    others = np.mean([reference.cells[f"cos {name}"].value for name in ("video", "audio")])
    assert without.change["mean cosine"].value == pytest.approx(without.cells["mean cosine"].value - others)
    assert without.energy["text"] == 0


def test_a_loud_modality_holds_the_energy_and_only_single_modalities_are_compared(
    retrained: tuple[Ablation, list[Run]],
) -> None:
    loud = next(row for row in retrained[0].retrained if row.name == "audio-x10")

    assert loud.energy["audio"] > 0.97
    assert set(loud.change) == {"mean cosine", "cos video", "cos audio", "cos text"}


def test_the_modality_that_is_missed_most_is_found_where_two_were_left_out(
    small_catalogue: SmallCatalogue, folder: Path, retrained: tuple[Ablation, list[Run]]
) -> None:
    one, _ = retrained
    two, _ = retrain_model(small_catalogue, folder, "without-text", "without-audio")

    assert [found.of for found in one.dependences] == ["predicting hidden shots"]
    assert two.dependences[1].of == "learning to predict the other modalities"
    assert set(two.dependences[1].costs) == {"text", "audio"}


# --- other encoders ---------------------------------------------------------------------------------------------------


def test_other_encoders_are_compared_by_retrieval_on_the_same_titles(
    small_catalogue: SmallCatalogue, folder: Path, tmp_path: Path
) -> None:
    swapped = write_stores(tmp_path / "other", draw_small("video", 20, rename="text"), revision="2")

    ablation, runs = retrain_model(small_catalogue, folder, "reference", swaps={"other": swapped})

    reference, row = ablation.retrained
    assert (row.name, set(row.change)) == ("swap-other", {"top-1", "MRR"})
    assert row.change["MRR"].value == pytest.approx(row.cells["MRR"].value - reference.cells["MRR"].value)
    config = read_config(runs[1].folder)
    assert {block.fingerprint for block in config.model.layout.blocks} != {
        block.fingerprint for block in read_config(runs[0].folder).model.layout.blocks
    }


def test_the_same_titles_have_to_be_in_the_stores_to_swap_to(small_catalogue: SmallCatalogue, tmp_path: Path) -> None:
    titles = open_catalogue(small_catalogue.stores).titles
    fewer = write_stores(tmp_path / "fewer", draw_small("text", 20)[2:])
    shorter = write_stores(tmp_path / "shorter", draw_small("text", 20, shots=(8, 10)))

    with pytest.raises(UsageError, match=r"2 of 20 titles are not among the stores to swap to. Not there: .*00000"):
        swapped_titles(fewer, titles)
    with pytest.raises(UsageError, match=r"20 of 20 titles have other shots .* and 17 more. Copy the segmented stores"):
        swapped_titles(shorter, titles)
