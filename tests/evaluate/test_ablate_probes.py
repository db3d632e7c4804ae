"""Probes of the model, of the model shown something else, and of retrained ones; and what the labels depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from world_stores import MODALITIES, SmallCatalogue, make_catalogue

from mediafm_cli.evaluate.ablation.ablate import Ablation, Retraining, run_ablation
from mediafm_cli.evaluate.ablation.interventions import without
from mediafm_cli.evaluate.ablation.probes import WHOLE, Asked, Probes, Question, read_probes
from mediafm_cli.evaluate.ablation.retrain import RunSettings
from mediafm_cli.evaluate.probes.probe import run_probe
from mediafm_cli.evaluate.probes.probing import Task
from mediafm_cli.model.folder import load_model, read_config
from mediafm_cli.train.catalogue import open_catalogue


@pytest.fixture(scope="module")
def probed(small_catalogue: SmallCatalogue, tmp_path_factory: pytest.TempPathFactory) -> Ablation:
    return run_ablation(
        small_catalogue.stores,
        small_catalogue.model,
        seed=3,
        question=Question(small_catalogue.labels, "multiclass"),
        retraining=Retraining(
            RunSettings(tmp_path_factory.mktemp("runs"), 1, 4), only=("without-text", "missing=zero")
        ),
    )


def test_the_rows_are_those_of_probe_and_the_model_shown_something_else(
    probed: Ablation, small_catalogue: SmallCatalogue
) -> None:
    expected = run_probe(small_catalogue.stores, small_catalogue.labels, "multiclass", small_catalogue.model, seed=3)

    first, changed = probed.probes[: len(expected.rows)], probed.probes[len(expected.rows) :]
    assert [row.name for row in first] == [row.name for row in expected.rows]
    for row, wanted in zip(first, expected.rows, strict=True):
        assert row.cells["AP macro"].value == pytest.approx(wanted.cells["ap_macro"].value)
        assert row.cells["AP micro"].low == pytest.approx(wanted.cells["ap_micro"].low)
        assert (row.kind == "baseline") == wanted.baseline
    assert {row.kind for row in changed} == {"intervention"}
    names = [row.name.removeprefix("trained, ") for row in probed.rows if row.kind == "intervention"]
    assert [row.name.removeprefix("flat + trained, ") for row in changed] == names[1:]  # isolated is a row of probe's
    assert probed.best["AP macro"] == expected.best["ap_macro"]


def test_changes_are_those_from_the_row_of_the_whole(probed: Ablation) -> None:
    rows = {row.name: row for row in probed.probes}
    zeroed = rows["flat + trained, text zeroed"]

    assert zeroed.changed_from == WHOLE
    assert zeroed.change["AP macro"].value == pytest.approx(
        zeroed.cells["AP macro"].value - rows[WHOLE].cells["AP macro"].value
    )
    best = rows[probed.best["AP macro"]].cells["AP macro"].value
    assert zeroed.over_best["AP macro"].value == pytest.approx(zeroed.cells["AP macro"].value - best)
    assert zeroed.energy["text"] == 0


def test_what_leaves_the_vectors_as_they_are_changes_nothing(probed: Ablation) -> None:
    row = next(row for row in probed.probes if row.name.endswith("any loudness, normalised"))

    assert row.change["AP macro"].value == pytest.approx(0, abs=0.01)


def test_retrained_models_are_probed_as_well_and_beside_the_reference(probed: Ablation) -> None:
    reference, *others = probed.probes_retrained

    assert [row.name for row in (reference, *others)] == ["reference", "without-text", "missing=zero"]
    for row in others:
        difference = row.cells["AP macro"].value - reference.cells["AP macro"].value
        assert row.change["AP macro"].value == pytest.approx(difference)


def test_what_was_asked_is_recorded(probed: Ablation) -> None:
    assert probed.probed is not None
    assert (probed.probed.task, probed.probed.column, probed.probed.learned) == ("multiclass", "label", 12)
    assert len(probed.probed.titles) == 20
    assert probed.probed.chance["AP macro"] == pytest.approx(1 / len(probed.probed.classes), abs=0.05)
    assert "the label of clips" in [found.of for found in probed.dependences]


def small_probes(catalogue: SmallCatalogue, task: Task = "multiclass") -> tuple[Probes, list[Asked]]:
    """The whole and the whole without each modality."""
    stored, config = open_catalogue(catalogue.stores), read_config(catalogue.model)
    probes = read_probes(stored, config, Question(catalogue.labels, task), 0, 500, 0.95)
    model = load_model(catalogue.model)
    asked = [Asked(WHOLE, "trained", (probes.ask_model(model, probes.titles),))]
    for column, block in enumerate(stored.layout.blocks):
        one = without(block, column)
        found = probes.ask_model(model, [one.change(title) for title in probes.titles])
        asked.append(Asked(one.name, "intervention", (found,), WHOLE, one.removed))
    return probes, asked


@pytest.mark.parametrize(
    ("task", "measures"),
    [("multilabel", {"AP macro", "AP micro"}), ("retrieval", {"AP at 1:3"}), ("ranking", {"Kendall τ"})],
)
def test_every_task_can_be_asked(
    task: Task, measures: set[str], small_catalogue: SmallCatalogue, tmp_path: Path
) -> None:
    labels = small_catalogue.labels
    if task == "ranking":
        labels = tmp_path / "numbers.csv"
        labels.write_text(small_catalogue.labels.read_text().replace("scene ", ""))

    probes, asked = small_probes(replace(small_catalogue, labels=labels), task)
    baseline = replace(asked[0], name="a baseline", kind="baseline")
    (_, whole, zeroed, *_), _ = probes.rows([baseline, *asked])

    assert (whole.name, set(whole.cells)) == (WHOLE, measures)
    assert set(zeroed.change) == measures
    assert probes.record.task == task


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_modality_that_a_catalogue_was_built_to_depend_on_is_found(modality: str, tmp_path: Path) -> None:
    probes, asked = small_probes(make_catalogue(tmp_path, modality, titles=28, scene=2.0, width=24, shots=(18, 26)))

    found = probes.dependence(asked, "the scene")

    assert found is not None
    assert found.modality == modality


@pytest.mark.long
@pytest.mark.parametrize("modality", MODALITIES)
def test_the_whole_ablation_finds_the_modality_that_a_catalogue_was_built_to_depend_on(
    modality: str, tmp_path: Path
) -> None:
    catalogue = make_catalogue(tmp_path, modality, titles=40, scene=2.0, width=24, shots=(20, 30), max_steps=150)

    found = run_ablation(catalogue.stores, catalogue.model, question=Question(catalogue.labels, "multiclass"))

    assert {one.of: one.modality for one in found.dependences}["the label of clips"] == modality


def test_where_labels_say_nothing_of_any_modality_none_stands_out(
    small_catalogue: SmallCatalogue, tmp_path: Path
) -> None:
    header, *lines = small_catalogue.labels.read_text().splitlines()
    drawn = np.random.default_rng(0).integers(3, size=len(lines))
    noise = [f"{line.rpartition(',')[0]},kind {kind}" for line, kind in zip(lines, drawn, strict=True)]
    (tmp_path / "noise.csv").write_text("\n".join([header, *noise]))

    probes, asked = small_probes(replace(small_catalogue, labels=tmp_path / "noise.csv"))

    assert probes.dependence(asked, "noise").modality is None


def test_a_single_modality_taken_away_leads_nothing(small_catalogue: SmallCatalogue) -> None:
    probes, asked = small_probes(small_catalogue)

    assert probes.dependence(asked[:2], "the scene") is None
