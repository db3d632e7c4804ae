"""The ablation: which rows, on which titles, against what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from world_stores import SmallCatalogue

from mediafm_cli.errors import StaleError, TrainingError
from mediafm_cli.evaluate.ablation.ablate import Ablation, run_ablation
from mediafm_cli.evaluate.ablation.masked import make_folds, score
from mediafm_cli.evaluate.ablation.predictors import mean_predictor, model_predictor
from mediafm_cli.evaluate.ablation.results import table
from mediafm_cli.model.folder import load_model, model_fingerprint, read_config
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import Contents, open_store
from mediafm_cli.train.catalogue import open_catalogue

ROWS = [
    "video flat",
    "audio flat",
    "text flat",
    "all flat",
    "window mean ±2",
    "window mean ±4",
    "mean vector",
    "untrained",
    "trained, shots shuffled",
    "trained",
    "trained, isolated",
    "trained, video zeroed",
    "trained, audio zeroed",
    "trained, text zeroed",
    "trained, [GLOBAL] off",
    "trained, video ×5",
    "trained, audio ×5",
    "trained, text ×5",
    "trained, video ×10",
    "trained, audio ×10",
    "trained, text ×10",
    "trained, any loudness, normalised",
]
"""Of a single title, from which nothing can be swapped or shuffled."""


@pytest.fixture(scope="module")
def ablation(fused_stores: list[Path], model_folder: Path) -> Ablation:
    return run_ablation(fused_stores, model_folder, seed=3)


def learned(model_folder: Path) -> set[str]:
    return set(read_config(model_folder).training.title_ids("train"))


def rename(path: Path, title_id: str) -> Path:
    """The same title under another id, in a store of its own."""
    with open_store(path) as store:
        contents = store.contents()
    renamed = path.with_name(f"{title_id}.h5")
    update_store(renamed, lambda _: replace(contents, title_id=title_id))
    return renamed


def reverse_shots(path: Path) -> None:
    """Give the title other fused vectors, made from the same encodings as far as the store knows."""

    def put(contents: Contents | None) -> Contents:
        fused = contents.groups["fused"]
        return contents.with_group("fused", replace(fused, vectors=fused.vectors[::-1], present=fused.present[::-1]))

    update_store(path, put)


# --- rows -------------------------------------------------------------------------------------------------------------


def test_the_rows_are_every_baseline_the_model_and_the_model_shown_something_else(ablation: Ablation) -> None:
    assert [row.name for row in ablation.rows] == ROWS
    assert ablation.modalities == ("video", "audio", "text")
    kinds = {kind: [row.name for row in ablation.rows if row.kind == kind] for kind in ("baseline", "trained")}
    assert kinds == {"baseline": ROWS[:9], "trained": ["trained"]}


def test_the_record_says_what_was_measured(ablation: Ablation, model_folder: Path) -> None:
    assert ablation.model == model_fingerprint(model_folder)
    assert (ablation.steps, ablation.seed) == (read_config(model_folder).training.steps, 3)
    # 6 shots a title are hidden as 2, 1, 1, 1, 1: the two of the first fold are told apart by chance in half the cases.
    assert ablation.chance_top1 == pytest.approx(1 / 2)
    assert ablation.chance_mrr == pytest.approx((1 + 1 / 2) / 2)


def test_each_row_is_the_score_of_its_predictor_on_the_held_out_title(
    ablation: Ablation, fused_stores: list[Path], model_folder: Path
) -> None:
    catalogue = open_catalogue(fused_stores)
    trained = load_model(model_folder)
    titles = [title.load() for title in catalogue.titles]
    seen = [title for title in titles if title.title_id in learned(model_folder)]
    unseen = [title for title in titles if title.title_id not in learned(model_folder)]
    mean = np.concatenate([title.vectors for title in seen]).mean(axis=0)
    expected = {
        "trained": model_predictor("trained", trained),
        "untrained": model_predictor("untrained", MediaFM.seeded(trained.config, 3)),
        "mean vector": mean_predictor(mean),
    }

    found = {row.name: row.scores for row in ablation.rows}

    for name, predictor in expected.items():
        wanted = score(predictor, make_folds(unseen, 3), catalogue.layout.blocks)
        assert found[name].cosine == pytest.approx(wanted.cosine, abs=1e-5)
        assert found[name].mrr == pytest.approx(wanted.mrr)


def test_zeroing_a_modality_and_training_change_the_scores(ablation: Ablation) -> None:
    cosines = {row.name: row.scores.cosine for row in ablation.rows}

    names = ["untrained", "trained", "trained, video zeroed", "trained, audio zeroed", "trained, text zeroed"]
    assert len({cosines[name] for name in names}) == 5


def test_skill_is_measured_against_the_mean_vector_and_the_copied_neighbour(ablation: Ablation) -> None:
    rows = {row.name: row for row in ablation.rows}
    mean, copy, trained = (rows[name].scores.cosine for name in ("mean vector", "all flat", "trained"))

    assert rows["trained"].skill_over_mean == pytest.approx((trained - mean) / (1 - mean))
    assert rows["trained"].skill_over_copy == pytest.approx((trained - copy) / (1 - copy))
    assert rows["mean vector"].skill_over_mean is None
    assert rows["all flat"].skill_over_copy is None
    assert (rows["video flat"].skill_over_mean, rows["video flat"].skill_over_copy) == (None, None)


def test_the_same_seed_gives_the_same_ablation_in_any_order_of_stores(
    ablation: Ablation, fused_stores: list[Path], model_folder: Path
) -> None:
    again = run_ablation(fused_stores[::-1], model_folder, seed=3)

    assert again.titles == ablation.titles
    for row, expected in zip(again.rows, ablation.rows, strict=True):
        assert row.scores.cosine == pytest.approx(expected.scores.cosine, abs=1e-6)


def test_progress_counts_the_rows(fused_stores: list[Path], model_folder: Path) -> None:
    seen: list[tuple[object, ...]] = []

    run_ablation(fused_stores, model_folder, progress=lambda *counted: seen.append(counted))

    assert seen == [("rows", number, len(ROWS)) for number in range(1, len(ROWS) + 1)]


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def over_titles(small_catalogue: SmallCatalogue) -> Ablation:
    return run_ablation(small_catalogue.stores, small_catalogue.model, seed=3)


def test_every_figure_has_its_interval(over_titles: Ablation) -> None:
    measures = {"cosine", "cos video", "cos audio", "cos text", "top-1", "MRR"}
    rows = {row.name: row for row in over_titles.rows}

    assert set(rows["trained"].cells) == measures | {"over mean", "over copy"}
    assert set(rows["mean vector"].cells) == measures | {"over copy"}
    assert set(rows["video flat"].cells) == measures
    for row in over_titles.rows:
        scores = row.scores
        assert row.cells["cosine"].value == pytest.approx(scores.cosine)
        assert row.cells["cos text"].value == pytest.approx(scores.by_modality["text"])
        assert row.cells["MRR"].value == pytest.approx(scores.mrr)
        assert all(cell.low <= cell.value <= cell.high for cell in row.cells.values())
    assert rows["trained"].cells["over mean"].value == pytest.approx(rows["trained"].skill_over_mean)
    assert all(cell.high - cell.low > 0.001 for cell in rows["trained"].cells.values())


def test_the_best_baseline_is_the_highest_of_those_that_need_no_training_or_no_context(over_titles: Ablation) -> None:
    baselines = [row for row in over_titles.rows if row.kind == "baseline"]

    for measure in ("cosine", "cos audio", "MRR"):
        highest = max(baselines, key=lambda row: row.cells[measure].value)
        assert over_titles.best[measure] == highest.name


def test_each_row_of_a_model_is_compared_with_the_best_baseline_and_each_change_with_the_model(
    over_titles: Ablation,
) -> None:
    rows = {row.name: row for row in over_titles.rows}
    trained, zeroed = rows["trained"], rows["trained, text zeroed"]
    best = rows[over_titles.best["cosine"]].cells["cosine"].value

    assert trained.over_best["cosine"].value == pytest.approx(trained.cells["cosine"].value - best)
    assert zeroed.over_best["cosine"].value == pytest.approx(zeroed.cells["cosine"].value - best)
    assert zeroed.change["MRR"].value == pytest.approx(zeroed.cells["MRR"].value - trained.cells["MRR"].value)
    assert (zeroed.changed_from, trained.changed_from, trained.change) == ("trained", "", {})
    assert rows["untrained"].over_best == rows["untrained"].change == {}


def test_differences_are_paired(over_titles: Ablation) -> None:
    rows = {row.name: row for row in over_titles.rows}
    change, cell = (rows["trained, text zeroed"].change["cosine"], rows["trained"].cells["cosine"])

    # Titles differ far more from each other than the model does from itself without text.
    assert change.high - change.low < (cell.high - cell.low) / 2


def test_what_leaves_the_vectors_as_they_are_changes_nothing(over_titles: Ablation) -> None:
    row = next(row for row in over_titles.rows if row.name == "trained, any loudness, normalised")

    # The world's encodings are unit vectors, so normalisation changes nothing but what loudness did.
    assert row.change["cosine"].value == pytest.approx(0, abs=1e-6)


def test_energy_is_that_of_the_vectors_that_the_model_is_shown(over_titles: Ablation) -> None:
    energy = {row.name: row.energy for row in over_titles.rows}

    assert energy["trained, text zeroed"]["text"] == 0
    assert energy["trained, audio ×10"]["audio"] > 0.97 > 0.5 > energy["trained"]["audio"]
    assert energy["trained, any loudness, normalised"] == pytest.approx(energy["trained"])
    assert energy["window mean ±2"] is None


def test_a_single_title_has_figures_and_no_intervals(ablation: Ablation) -> None:
    for row in ablation.rows:
        for cell in (*row.cells.values(), *row.over_best.values(), *row.change.values()):
            assert np.isfinite(cell.value)
            assert np.isnan([cell.low, cell.high]).all()
            assert cell.includes_zero
    assert [found.modality for found in ablation.dependences] == [None]


# --- titles -----------------------------------------------------------------------------------------------------------


def test_only_titles_that_the_model_never_learned_from_are_measured(ablation: Ablation, model_folder: Path) -> None:
    assert ablation.held_out
    assert ablation.titles == read_config(model_folder).training.title_ids("validation")


def test_where_all_were_learned_from_they_are_measured_and_said_so(stores: list[Path], model_folder: Path) -> None:
    seen = [path for path in stores if path.stem in learned(model_folder)]

    found = run_ablation(seen, model_folder)

    assert not found.held_out
    assert set(found.titles) == learned(model_folder)


def test_a_learned_title_under_another_name_is_known_by_its_content(stores: list[Path], model_folder: Path) -> None:
    seen = next(path for path in stores if path.stem in learned(model_folder))

    assert not run_ablation([rename(seen, "renamed")], model_folder).held_out


def test_a_learned_title_with_other_content_is_known_by_its_name(stores: list[Path], model_folder: Path) -> None:
    seen = next(path for path in stores if path.stem in learned(model_folder))
    reverse_shots(seen)

    assert not run_ablation([seen], model_folder).held_out


def test_another_name_and_other_content_make_a_held_out_title(stores: list[Path], model_folder: Path) -> None:
    seen = next(path for path in stores if path.stem in learned(model_folder))
    stranger = rename(seen, "stranger")
    reverse_shots(stranger)

    found = run_ablation([stranger], model_folder)

    assert (found.held_out, found.titles) == (True, ("stranger",))


def test_another_cut_of_a_learned_film_is_known_by_the_media_file(stores: list[Path], model_folder: Path) -> None:
    seen = next(path for path in stores if path.stem in learned(model_folder))
    other_cut = rename(seen, "other-cut")
    reverse_shots(other_cut)

    assert "other-cut" not in run_ablation([*stores, other_cut], model_folder).titles


def test_without_a_learned_title_there_is_no_mean_vector_and_no_skill_over_it(
    stores: list[Path], model_folder: Path
) -> None:
    unseen = [path for path in stores if path.stem not in learned(model_folder)]

    found = run_ablation(unseen, model_folder)

    assert [row.name for row in found.rows] == [name for name in ROWS if name != "mean vector"]
    assert {row.skill_over_mean for row in found.rows} == {None}


def test_nothing_is_told_of_a_modality_that_no_measured_title_has(stores: list[Path], model_folder: Path) -> None:
    silent = rename(stores[0], "silent")
    reverse_shots(silent)  # or it would be known by its content

    def put(contents: Contents | None) -> Contents:
        fused = contents.groups["fused"]
        column = [block.name for block in fused.blocks].index("audio")
        block = fused.blocks[column]
        vectors, present = fused.vectors.copy(), fused.present.copy()
        vectors[:, block.start : block.stop], present[:, column] = 0, False
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return contents.with_group("fused", replace(fused, vectors=vectors, present=present))

    update_store(silent, put)

    found = run_ablation([silent], model_folder)

    told = [row.name for row in found.rows]
    assert {"video flat", "text flat", "trained, video zeroed"} <= set(told)
    assert not [name for name in told if "audio" in name]
    assert "None of these shots has audio: nothing is told of what hangs on that." in table(found)


def test_titles_that_were_fused_otherwise_are_refused(stores: list[Path], model_folder: Path) -> None:
    fuse_title(stores[0], normalize="per-modality", overwrite=True)

    with pytest.raises(StaleError, match="normalize is per-modality, not none"):
        run_ablation(stores[:1], model_folder)


def test_a_folder_that_holds_no_model_is_refused(stores: list[Path], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is not a model folder"):
        run_ablation(stores, tmp_path / "nothing")
