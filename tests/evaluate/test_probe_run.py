"""Probing labelled clips: what is planted is found, noise is not, and no title is on both sides."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from probe_stores import SHOTS, PlantedTitle, kind_of, plant_titles, write_clips
from small_titles import make_model

from mediafm_cli.errors import StaleError, UsageError
from mediafm_cli.evaluate.probes.features import FeatureRow
from mediafm_cli.evaluate.probes.labels import Labels
from mediafm_cli.evaluate.probes.probe import Probed, probe_rows, run_probe
from mediafm_cli.evaluate.probes.probing import Task
from mediafm_cli.evaluate.probes.results import records, table, write_results
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import open_store

FLAT_ROWS = [
    "video flat",
    "text flat",
    "all flat",
    *(f"{beside}window mean ±{reach}" for reach in (2, 4) for beside in ("", "flat + ")),
]
CONTEXTUAL = ["trained, in context", "flat + trained, in context", "trained, isolated", "flat + trained, isolated"]
MODEL_ROWS = ["untrained", "flat + untrained", "shuffled", "flat + shuffled", *CONTEXTUAL]

LABELS: dict[Task, Callable[[PlantedTitle, int], object]] = {
    "multiclass": kind_of,
    "multilabel": lambda title, shot: "|".join(["film"] * (shot % 2) + [kind_of(title, shot)]),
    "ranking": lambda title, shot: title.kinds[shot] + 10 * int(title.title_id[-2:]),
    "retrieval": kind_of,
}
CHANCE = {"multiclass": 1 / 3, "retrieval": 1 / 4}


@pytest.fixture(scope="module")
def titles(tmp_path_factory: pytest.TempPathFactory) -> list[PlantedTitle]:
    """Read, never changed."""
    return plant_titles(tmp_path_factory.mktemp("planted"), 10)


@pytest.fixture(scope="module")
def clips(titles: list[PlantedTitle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("lists") / "clips.csv", titles, kind_of)


@pytest.fixture(scope="module")
def model(titles: list[PlantedTitle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "model", titles[0].store)


@pytest.fixture(scope="module")
def probed(titles: list[PlantedTitle], clips: Path, model: Path) -> Probed:
    return run_probe([title.store for title in titles], clips, "multiclass", model)


def stores(titles: list[PlantedTitle]) -> list[Path]:
    return [title.store for title in titles]


def values(probed: Probed, measure: str) -> dict[str, float]:
    return {row.name: row.cells[measure].value for row in probed.rows}


# --- what is found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "measure"),
    [("multiclass", "ap_macro"), ("multilabel", "ap_micro"), ("ranking", "kendall_tau"), ("retrieval", "ap_at_ratio")],
)
def test_what_video_tells_is_found_in_video(
    task: Task, measure: str, titles: list[PlantedTitle], tmp_path: Path
) -> None:
    clips = write_clips(tmp_path / "clips.csv", titles, LABELS[task])

    found = run_probe(stores(titles), clips, task)

    figures = values(found, measure)
    assert list(figures) == FLAT_ROWS
    assert figures["video flat"] > 0.75
    assert figures["video flat"] > figures["text flat"] + 0.3
    assert found.best[measure] in ("video flat", "all flat", "flat + window mean ±2", "flat + window mean ±4")
    assert len(set(found.folds)) == (10 if task == "ranking" else 5)


@pytest.mark.parametrize(("task", "measure"), [("multiclass", "ap_macro"), ("retrieval", "ap_at_ratio")])
def test_noise_is_at_chance(task: Task, measure: str, tmp_path: Path) -> None:
    titles = plant_titles(tmp_path / "stores", 20, noise=1e3, seed=3)
    clips = write_clips(tmp_path / "clips.csv", titles, LABELS[task])

    found = run_probe(stores(titles), clips, task)

    assert found.chance[measure] == pytest.approx(CHANCE[task])
    for row in found.rows:
        assert row.cells[measure].value == pytest.approx(CHANCE[task], abs=0.1)


@pytest.mark.parametrize("task", ["multiclass", "ranking"])
def test_a_title_of_which_nothing_is_asked_counts_for_none(
    task: Task, titles: list[PlantedTitle], tmp_path: Path
) -> None:
    """Its class is rare, or its clips cannot be put in order."""
    asked = titles[:8]
    unasked = [title.title_id for title in titles[8:]]
    every = LABELS[task]

    def label(title: PlantedTitle, shot: int) -> object:
        nothing = f"only in {title.title_id}" if task == "multiclass" else 1
        return nothing if title.title_id in unasked else every(title, shot)

    found = run_probe(stores(titles), write_clips(tmp_path / "all.csv", titles, label), task)

    alone = run_probe(stores(asked), write_clips(tmp_path / "asked.csv", asked, every), task)
    assert found.titles == alone.titles == tuple(title.title_id for title in asked)
    assert (found.clips, found.folds, found.classes) == (alone.clips, alone.folds, alone.classes)
    assert [row.cells for row in found.rows] == [row.cells for row in alone.rows]
    rare = [f"'only in {title}', in 1 title" for title in unasked]
    assert list(found.left_out) == (rare if task == "multiclass" else [])


def test_labels_drawn_anew_for_each_title_are_not_read_from_what_tells_the_title(tmp_path: Path) -> None:
    """Each title is one point: a probe that had seen a title would know the one class of all of its clips."""
    titles = [f"title-{number:02}" for number in range(30)]
    draws = np.random.default_rng(4)
    points = [np.repeat(draws.normal(size=(1, 40)), 8, axis=0) for _ in titles]
    kinds = [np.full(8, number % 2) for number in range(30)]

    found = probe_rows([FeatureRow("points", points)], Labels("multiclass", ("a", "b"), kinds), titles)

    assert found.rows[0].cells["ap_macro"].value == pytest.approx(0.5, abs=0.15)


def test_every_row_of_a_model_is_probed_and_only_the_trained_ones_are_set_against_the_best_baseline(
    probed: Probed,
) -> None:
    assert [row.name for row in probed.rows] == FLAT_ROWS + MODEL_ROWS
    assert [row.name for row in probed.rows if row.over_best] == CONTEXTUAL
    figures = values(probed, "ap_macro")
    best = max(row.cells["ap_macro"].value for row in probed.rows if row.baseline)
    assert figures[probed.best["ap_macro"]] == best
    for row in probed.rows[-4:]:
        assert row.over_best["ap_macro"].value == pytest.approx(row.cells["ap_macro"].value - best)
        assert row.over_best["ap_macro"].low <= row.over_best["ap_macro"].value <= row.over_best["ap_macro"].high
    assert (probed.clips, len(probed.titles), probed.classes) == (10 * SHOTS, 10, ("calm", "loud", "sad"))


def test_neither_the_order_of_stores_nor_that_of_clips_matters(
    titles: list[PlantedTitle], clips: Path, tmp_path: Path
) -> None:
    head, *lines = clips.read_text().splitlines()
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("\n".join([head, *np.random.default_rng(5).permutation(lines)]) + "\n")

    one = run_probe(stores(titles), clips, "multiclass", folds=3)
    other = run_probe(stores(titles)[::-1], mixed, "multiclass", folds=3)

    assert other == one


def test_folds_are_never_more_than_titles_and_clips_choose_the_titles(
    titles: list[PlantedTitle], tmp_path: Path
) -> None:
    clips = write_clips(tmp_path / "clips.csv", titles[:4], kind_of)

    found = run_probe(stores(titles), clips, "multiclass", folds=9)

    assert found.titles == tuple(title.title_id for title in titles[:4])
    assert sorted(found.folds) == [0, 1, 2, 3]


# --- what is refused --------------------------------------------------------------------------------------------------


def rename(title: PlantedTitle, title_id: str, folder: Path) -> PlantedTitle:
    path = folder / f"{title_id}.h5"
    with open_store(title.store) as store:
        contents = store.contents()
    update_store(path, lambda _: replace(contents, title_id=title_id))
    return PlantedTitle(title_id, path, title.kinds)


def test_one_title_under_two_ids_is_refused(titles: list[PlantedTitle], tmp_path: Path) -> None:
    both = [*titles, rename(titles[2], "stranger", tmp_path)]
    clips = write_clips(tmp_path / "clips.csv", both, kind_of)

    with pytest.raises(UsageError, match=r"'stranger' and 'title-02' are one title under two ids\. Their shots are"):
        run_probe(stores(both), clips, "multiclass")


def test_one_film_encoded_twice_is_refused(titles: list[PlantedTitle], tmp_path: Path) -> None:
    again = rename(titles[2], "stranger", tmp_path)

    def reverse(contents: object) -> object:
        fused = contents.groups["fused"]  # type: ignore[attr-defined]
        return contents.with_group("fused", replace(fused, vectors=fused.vectors[::-1], present=fused.present[::-1]))  # type: ignore[attr-defined]

    update_store(again.store, reverse)  # type: ignore[arg-type]
    both = [*titles, again]

    with pytest.raises(UsageError, match=r"one title under two ids\. Their media files are the same"):
        run_probe(stores(both), write_clips(tmp_path / "clips.csv", both, kind_of), "multiclass")


def test_one_title_in_two_stores_is_refused(titles: list[PlantedTitle], clips: Path, tmp_path: Path) -> None:
    copy = shutil.copy(titles[0].store, tmp_path)

    with pytest.raises(UsageError, match="both hold the title 'title-00'"):
        run_probe([*stores(titles), Path(copy)], clips, "multiclass")


def test_too_few_titles_are_refused(titles: list[PlantedTitle], tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips.csv", titles[:2], kind_of)

    with pytest.raises(UsageError, match=r"takes clips of 3 titles at least\. The list names 2"):
        run_probe(stores(titles), clips, "multiclass")


def test_a_model_of_other_titles_is_refused(
    titles: list[PlantedTitle], clips: Path, model: Path, tmp_path: Path
) -> None:
    others = [Path(shutil.copy(store, tmp_path)) for store in stores(titles)]
    for store in others:
        fuse_title(store, normalize="per-modality", overwrite=True)

    with pytest.raises(StaleError, match="normalize is per-modality"):
        run_probe(others, clips, "multiclass", model)


# --- results ----------------------------------------------------------------------------------------------------------


def test_the_table_says_what_was_measured_and_whether_a_difference_includes_zero(probed: Probed) -> None:
    text = table(probed)

    lines = text.splitlines()
    assert lines[0].split() == ["AP", "macro", "AP", "micro"]
    assert [line.split("  ")[0].removesuffix(" *") for line in lines[1:16]] == FLAT_ROWS + MODEL_ROWS
    assert any(" *" in line for line in lines[1:16])
    assert f"AP macro, over the best baseline, {probed.best['ap_macro']}:" in lines
    including = sum(row.over_best[measure].includes_zero for row in probed.rows[-4:] for measure in probed.best)
    assert text.count(", includes zero") == including
    assert "120 clips of 10 titles in 3 classes; linear probes in 5 folds, split by title." in lines
    assert "AP: average precision; macro: the mean over classes; micro: of all classes ranked together." in lines
    assert "A guess: AP macro 0.333, AP micro 0.333. *: the best baseline." in lines
    assert lines[-1] == "10 titles are few: intervals are widened, and below 30 not to be trusted."


def test_a_class_that_is_left_out_is_named(titles: list[PlantedTitle], tmp_path: Path) -> None:
    def label(title: PlantedTitle, shot: int) -> str:
        return "rare" if (title.title_id, shot) in (("title-00", 0), ("title-01", 0)) else kind_of(title, shot)

    found = run_probe(stores(titles), write_clips(tmp_path / "clips.csv", titles, label), "multiclass")

    assert (found.classes, found.left_out) == (("calm", "loud", "sad"), ("'rare', in 2 titles",))
    assert found.clips == 10 * SHOTS - 2
    assert "Left out, since they are too rare or too common to be learned: 'rare', in 2 titles." in table(found)


def test_results_are_written_as_json_csv_and_png(probed: Probed, tmp_path: Path) -> None:
    paths = write_results(probed, tmp_path / "new" / "folder")

    assert [path.name for path in paths] == ["results.json", "results.csv", "results.png"]
    record = json.loads(paths[0].read_text("utf-8"))
    assert (record["schema"], record["version"], record["task"]) == ("mediafm.probe", 1, "multiclass")
    last = record["rows"][-1]
    assert set(last) == {"name", "baseline", "width", "cells", "over_best"}
    assert last["cells"]["ap_macro"] == {
        "value": probed.rows[-1].cells["ap_macro"].value,
        "low": probed.rows[-1].cells["ap_macro"].low,
        "high": probed.rows[-1].cells["ap_macro"].high,
        "level": 0.95,
    }
    lines = list(csv.DictReader(paths[1].read_text("utf-8").splitlines()))
    assert [line["row"] for line in lines] == FLAT_ROWS + MODEL_ROWS
    assert float(lines[-1]["over_best_ap_macro_low"]) == probed.rows[-1].over_best["ap_macro"].low
    assert lines[0]["over_best_ap_macro"] == ""
    # The signature of PNG, https://www.w3.org/TR/png-3/#5PNG-file-signature
    assert paths[2].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_records_are_the_rows_and_what_they_have_in_common(probed: Probed) -> None:
    *rows, (schema, total) = records(probed)

    assert {name for name, _ in rows} == {"probe.row"}
    assert [fields["name"] for _, fields in rows] == FLAT_ROWS + MODEL_ROWS
    assert schema == "probe.total"
    assert set(total) == {
        *("task", "classes", "left_out", "clips", "titles", "folds"),
        *("seed", "level", "model", "learned", "chance", "best"),
    }
