"""An ablation as text, JSON, CSV and a plot; and its answers in words."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from mediafm_cli.evaluate.ablation.ablate import Ablation
from mediafm_cli.evaluate.ablation.comparison import Row
from mediafm_cli.evaluate.ablation.dependence import Dependence
from mediafm_cli.evaluate.ablation.masked import Scores
from mediafm_cli.evaluate.ablation.probes import WHOLE, ProbeRecord
from mediafm_cli.evaluate.ablation.results import describe, records, table, write_results
from mediafm_cli.evaluate.bootstrap import Interval
from mediafm_cli.evaluate.probes.results import SHARED_TRAINING

NAN = float("nan")


def about(value: float, half: float = 0.05) -> Interval:
    return Interval(value, value - half, value + 2 * half, 0.95)


def alone(value: float) -> Interval:
    """Of a single title."""
    return Interval(value, NAN, NAN, 0.95)


SCORES = Scores(0.5, {"video": 0.6, "audio": None}, 0.25, 0.4, 60, 12)
CELLS = {"cosine": about(0.5), "cos video": about(0.6), "MRR": about(0.4)}
ENERGY = {"video": 0.9, "audio": 0.1}
ROWS = (
    Row("window mean ±2", "baseline", SCORES, 0.1, None, {**CELLS, "cosine": about(0.412)}),
    Row("trained", "trained", SCORES, 0.2, 0.3, CELLS, ENERGY, {"cosine": about(0.088), "MRR": about(-0.01)}),
    Row(
        "trained, audio zeroed",
        "intervention",
        SCORES,
        cells=CELLS,
        energy={"video": 1.0, "audio": 0.0},
        over_best={"cosine": about(0.01)},
        changed_from="trained",
        change={"cosine": about(-0.3)},
    ),
)
FOUND = Dependence("predicting", "the cosine", {"video": about(0.3), "audio": about(0.1)}, about(0.2))
ABLATION = Ablation(
    model="ab" * 32,
    steps=7,
    seed=3,
    titles=tuple(f"title-{number}" for number in range(12)),
    held_out=True,
    chosen_by=5,
    modalities=("video", "audio"),
    rows=ROWS,
    chance_top1=0.2,
    chance_mrr=0.35,
    level=0.95,
    best={"cosine": "window mean ±2", "MRR": "window mean ±2"},
    dependences=(FOUND,),
)
RETRAINED = replace(
    ABLATION,
    retrained=(
        Row("reference", "retrained", cells={"mean cosine": about(0.5)}, energy=ENERGY),
        Row(
            "audio-x10",
            "retrained",
            cells={"mean cosine": about(0.4)},
            energy={"video": 0.02, "audio": 0.98},
            changed_from="reference",
            change={"mean cosine": about(-0.1)},
            seeds=(-0.08, -0.12),
        ),
    ),
)
PROBED = replace(
    ABLATION,
    best={**ABLATION.best, "AP macro": "all flat"},
    probes=(
        Row("all flat", "baseline", cells={"AP macro": about(0.6)}),
        Row(WHOLE, "trained", cells={"AP macro": about(0.8)}, over_best={"AP macro": about(0.2)}),
    ),
    probed=ProbeRecord("multiclass", "scene", ("day", "night"), ("'dusk'",), 50, ("a", "b"), 1, {"AP macro": 0.5}),
)


def single_title() -> Ablation:
    def bare(row: Row) -> Row:
        parts = {name: {key: alone(one.value) for key, one in getattr(row, name).items()} for name in
                 ("cells", "over_best", "change")}  # fmt: skip
        return replace(row, scores=replace(row.scores, titles=1), **parts)

    lone = Dependence("predicting", "the cosine", {"video": alone(0.3), "audio": alone(0.1)}, alone(0.2))
    return replace(ABLATION, rows=tuple(map(bare, ABLATION.rows)), titles=("one",), dependences=(lone,))


def said(ablation: Ablation) -> str:
    return " ".join(table(ablation).split())


# --- the table --------------------------------------------------------------------------------------------------------


def test_of_a_single_title_no_difference_is_said_to_include_zero() -> None:
    assert "includes 0" not in said(single_title())


def test_a_figure_has_the_larger_half_of_its_interval_and_the_best_baseline_its_mark() -> None:
    lines = table(ABLATION).splitlines()

    assert lines[0].split() == ["predicting", "hidden", "shots", "cosine", "MRR"]
    assert lines[1].split() == ["window", "mean", "±2", "0.412*", "±.100", "0.400*", "±.100"]
    assert lines[2].split() == ["trained", "0.500", "±.100", "0.400", "±.100"]


def test_columns_are_aligned() -> None:
    first, *rows = (line for line in table(ABLATION).split("\n\n")[0].splitlines())

    assert len({len(line) for line in rows}) == 1
    assert first.endswith("MRR")


def test_each_modality_has_a_column_where_any_row_has_it() -> None:
    assert table(ABLATION).split("\n\n")[1].splitlines()[0].split() == ["by", "modality", "cos", "video"]


def test_changes_are_shown_with_their_intervals_and_those_that_include_zero_are_said_to() -> None:
    changes = table(ABLATION).split("\n\n")[2]

    assert changes.splitlines()[0].split("  ")[-1].strip() == "energy video audio"
    assert "over best baseline" in changes
    assert "cosine, over trained" in changes
    (zeroed,) = (line for line in changes.splitlines() if line.startswith("trained, audio zeroed"))
    assert "+0.010 [-0.040, +0.110], includes 0" in zeroed
    assert "-0.300 [-0.350, -0.200] " in zeroed
    assert zeroed.endswith("100% 0%")


def test_changes_of_each_modality_are_shown_too() -> None:
    zeroed = replace(ROWS[2], change={**ROWS[2].change, "cos video": about(-0.02), "cos audio": about(-0.4)})
    changes = table(replace(ABLATION, rows=(*ROWS[:2], zeroed))).split("\n\n")[3].splitlines()

    heading, line = changes
    assert heading.split("  ")[0] == "shown something else, by modality"
    assert "cos video, over trained" in heading
    assert line.startswith("trained, audio zeroed")
    assert "-0.020 [-0.070, +0.080], includes 0" in line
    assert "-0.400 [-0.450, -0.300]" in line


def test_the_model_that_sees_each_shot_alone_stands_beside_the_model() -> None:
    alone = replace(ROWS[1], name="trained, isolated", kind="intervention", changed_from="trained")
    first, second, *_ = table(replace(ABLATION, rows=(*ROWS, alone))).split("\n\n")

    assert any(line.startswith("trained, isolated") for line in first.splitlines())
    assert any(line.startswith("trained, isolated") for line in second.splitlines())


def test_titles_fused_with_normalisation_are_said_to_know_no_loudness() -> None:
    assert "no modality is louder than another" in said(replace(ABLATION, normalize="per-modality"))
    assert "no modality is louder than another" not in said(ABLATION)


def test_few_seeds_are_said_to_be_few() -> None:
    assert "by seed; 2 are few, 5 would do." in said(RETRAINED)
    many = replace(RETRAINED.retrained[1], seeds=(-0.08,) * 5)
    assert "by seed." in said(replace(RETRAINED, retrained=(RETRAINED.retrained[0], many)))


def test_the_table_says_whether_context_helps() -> None:
    assert (
        "Does context help? Yes: cosine of trained, over the best baseline, window mean ±2: +0.088 [+0.038, +0.188]. "
        "Does context help? These titles cannot tell: MRR of trained, over the best baseline, window mean ±2: "
        "-0.010 [-0.060, +0.090], includes 0."
    ) in said(ABLATION)


@pytest.mark.parametrize(
    ("over", "verdict"),
    [
        (Interval(-0.2, -0.3, -0.1, 0.95), "No"),
        (Interval(-0.2, -0.5, 0.1, 0.95), "These titles cannot tell"),
        (alone(-0.2), "A single title cannot tell"),
    ],
)
def test_the_table_says_where_context_does_not_help_or_nobody_can_tell(over: Interval, verdict: str) -> None:
    rows = [replace(row, over_best={"cosine": over}) if row.kind == "trained" else row for row in ROWS]

    assert f"Does context help? {verdict}: cosine of trained, " in said(replace(ABLATION, rows=tuple(rows)))


def test_the_table_says_on_what_it_was_measured() -> None:
    assert "60 shots of 12 titles that the model never learned from;" in said(ABLATION)
    assert "By 5 of them the step that was kept was chosen" in said(ABLATION)
    assert "was chosen" not in said(replace(ABLATION, chosen_by=0))
    assert "A guess: top-1 0.200, MRR 0.350." in said(ABLATION)
    assert "THAT THE MODEL LEARNED FROM" in said(replace(ABLATION, held_out=False))


def test_few_titles_are_said_to_be_few() -> None:
    many = replace(ROWS[0], scores=replace(SCORES, titles=30))

    assert "12 titles are few: intervals are widened, and below 30 not to be trusted." in said(ABLATION)
    assert "are few" not in said(replace(ABLATION, rows=(many, *ROWS[1:])))


def test_of_a_single_title_no_interval_is_shown_and_that_is_said() -> None:
    text = table(single_title())

    assert "±." not in text
    assert "[" not in text
    assert "nan" not in text
    assert "A single title: there are no intervals, and no difference can be told from chance." in said(single_title())


def test_what_was_retrained_is_shown_beside_the_reference_and_by_seed() -> None:
    (line,) = (line for line in table(RETRAINED).splitlines() if line.startswith("audio-x10"))

    assert line.split() == ["audio-x10", "0.400", "±.100", "-0.100", "[-0.150,", "+0.000],", "includes", "0",
                            "-0.080", "-0.120", "2%", "98%"]  # fmt: skip
    assert "mean cosine, over reference" in table(RETRAINED)
    assert "none of which is measured" in said(RETRAINED)


def test_intervals_of_what_was_retrained_are_said_to_be_over_titles_alone() -> None:
    assert "Their intervals are over titles alone" in table(RETRAINED)
    assert "over titles alone" not in table(ABLATION)


def test_probes_are_shown_with_what_they_were_asked() -> None:
    assert "all flat 0.600* ±.100" in said(PROBED)
    assert f"AP macro of {WHOLE}, over the best baseline, all flat: +0.200 [+0.150, +0.300]." in said(PROBED)
    assert "Probes: 50 clips of 2 titles in 2 classes, split by title. A guess: AP macro 0.500." in said(PROBED)
    assert "The model was trained on 1 of these 2 titles, without labels." in said(PROBED)
    assert "Left out, since they are too rare or too common to be learned: 'dusk'." in said(PROBED)
    assert "2 titles are few to probe: below 30, intervals are not to be trusted." in said(PROBED)
    assert SHARED_TRAINING in said(PROBED)
    assert "What a task depends on may be another" not in said(PROBED)
    assert "What a task depends on may be another" in said(ABLATION)


# --- which modality ---------------------------------------------------------------------------------------------------


def test_the_modality_that_stands_out_is_named_with_its_lead() -> None:
    assert describe(FOUND) == (
        "Which modality does predicting depend on? video: without video, the cosine falls by 0.300 [0.250, 0.400], "
        "0.200 [0.150, 0.300] more than without audio."
    )


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            replace(FOUND, lead=about(0.01)),
            "None stands out: without video, the cosine falls by 0.300 [0.250, 0.400], 0.010 [-0.040, 0.110] more than "
            "without audio, and the lead includes zero.",
        ),
        (
            replace(FOUND, costs={"video": about(0.01), "audio": about(-0.3)}),
            "None stands out: without video, the cosine falls by 0.010 [-0.040, 0.110], 0.200 [0.150, 0.300] more than "
            "without audio, and that includes zero.",
        ),
        (
            replace(FOUND, costs={"video": about(-0.02), "audio": about(-0.3)}),
            "None: the cosine rises whichever is left out, least without video: +0.020 [-0.080, +0.070].",
        ),
        (
            replace(FOUND, costs={"video": alone(0.3), "audio": alone(0.1)}, lead=alone(0.2)),
            "A single title cannot tell: without video, the cosine falls by 0.300, 0.200 more than without audio.",
        ),
    ],
)
def test_where_none_stands_out_it_is_said_why(found: Dependence, sentence: str) -> None:
    assert describe(found) == f"Which modality does predicting depend on? {sentence}"


# --- files ------------------------------------------------------------------------------------------------------------


def test_json_has_every_row_with_its_intervals(tmp_path: Path) -> None:
    paths = write_results(RETRAINED, tmp_path / "new" / "folder")

    record = json.loads(paths[0].read_text("utf-8"))
    assert (record["schema"], record["version"]) == ("mediafm.ablation", 2)
    assert [row["name"] for row in record["rows"]] == [row.name for row in ROWS]
    assert record["rows"][1]["cells"]["cosine"] == {"value": 0.5, "low": 0.45, "high": 0.6, "level": 0.95}
    assert record["rows"][1]["scores"]["cosine"] == 0.5
    assert record["retrained"][1]["seeds"] == [-0.08, -0.12]
    assert record["dependences"][0]["modality"] == "video"


def test_json_has_null_where_there_is_no_interval(tmp_path: Path) -> None:
    (path, *_) = write_results(single_title(), tmp_path)

    record = json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
    assert record["rows"][1]["cells"]["cosine"] == {"value": 0.5, "low": None, "high": None, "level": 0.95}
    assert [json.loads(json.dumps(fields, allow_nan=False)) for _, fields in records(single_title())]


def test_csv_has_a_line_a_row_and_empty_cells_where_a_thing_does_not_apply(tmp_path: Path) -> None:
    lines = {line["row"]: line for line in csv.DictReader(write_results(RETRAINED, tmp_path)[1].open(newline=""))}

    assert list(lines) == [*(row.name for row in ROWS), "reference", "audio-x10"]
    zeroed, retrained = lines["trained, audio zeroed"], lines["audio-x10"]
    assert (zeroed["cosine"], zeroed["cosine low"], zeroed["cosine high"]) == ("0.5", "0.45", "0.6")
    assert (zeroed["change cosine"], zeroed["changed_from"], zeroed["energy audio"]) == ("-0.3", "trained", "0.0")
    assert (zeroed["shots"], zeroed["held_out"], zeroed["mean cosine"]) == ("60", "True", "")
    assert (retrained["mean cosine"], retrained["cosine"], retrained["shots"]) == ("0.4", "", "")


def test_records_are_the_rows_and_then_the_answers_and_on_what_they_were_measured() -> None:
    found = list(records(RETRAINED))

    assert [schema for schema, _ in found] == ["ablation.row"] * 5 + ["ablation.dependence", "ablation.total"]
    assert found[1][1]["name"] == "trained"
    assert found[1][1]["held_out"] is True
    assert found[-2][1]["modality"] == "video"
    total = found[-1][1]
    assert (total["best"], total["model"], total["probed"]) == (RETRAINED.best, RETRAINED.model, None)
    assert not {"rows", "retrained", "dependences"} & set(total)


def test_a_row_of_probes_is_held_out_where_the_model_learned_from_none_of_the_titles_that_are_labelled() -> None:
    def held_out(ablation: Ablation) -> list[bool]:
        return [fields["held_out"] for schema, fields in records(ablation) if schema == "ablation.row"]

    assert PROBED.probed is not None
    apart = replace(PROBED, probed=replace(PROBED.probed, learned=0))
    plain = len(PROBED.rows)
    assert held_out(PROBED) == [True] * plain + [False] * len(PROBED.probes)
    assert held_out(apart) == [True] * (plain + len(PROBED.probes))


@pytest.mark.parametrize(
    "ablation", [ABLATION, single_title(), RETRAINED, PROBED], ids=["plain", "one title", "retrained", "probed"]
)
def test_the_plot_is_a_picture_in_which_every_kind_of_row_has_its_colour(ablation: Ablation, tmp_path: Path) -> None:
    pixels = matplotlib.image.imread(write_results(ablation, tmp_path)[2])

    colours = {
        tuple(colour) for colour in np.unique((pixels[..., :3] * 255).round().astype(int).reshape(-1, 3), axis=0)
    }
    assert {(138, 154, 168), (194, 87, 26), (230, 179, 145)} <= colours
    assert ((92, 122, 58) in colours) == bool(ablation.retrained)
