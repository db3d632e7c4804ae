"""``mediafm ablate`` as it is typed: with labels, with retraining, and with options that do not go together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typed_commands import Mediafm

from mediafm_cli.errors import Terminated
from mediafm_cli.evaluate.ablation import retrain


def label_halves(path: Path, stores: list[Path]) -> Path:
    """Two clips a film of 6 shots, each with a label of its own."""
    lines = [f"{store.stem},{start},{start + 1},{name}" for store in stores for start, name in ((0, "a"), (2, "b"))]
    path.write_text("\n".join(["title,start_s,end_s,kind", *lines]))
    return path


def test_labels_are_probed_beside_the_prediction_of_hidden_shots(
    mediafm: Mediafm, fused_stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    labels = label_halves(tmp_path / "clips.csv", fused_stores)
    words = ["ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out", "--labels", labels]

    typed = mediafm(*words, "--task", "multiclass", "--column", "kind", "--json")

    found = [json.loads(line) for line in typed.out.splitlines()]
    rows = {one["name"]: one for one in found if one["schema"] == "mediafm.ablation.row"}
    assert typed.code == 0, typed.err
    assert {"trained, text zeroed", "flat + trained, in context", "flat + trained, text zeroed"} <= set(rows)
    assert set(rows["flat + trained, text zeroed"]["change"]) == {"AP macro", "AP micro"}
    answers = [one["of"] for one in found if one["schema"] == "mediafm.ablation.dependence"]
    assert answers == ["predicting hidden shots", "the kind of clips"]


def test_variants_are_trained_into_the_output_folder_and_used_again(
    mediafm: Mediafm, fused_stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    words = ["ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out", "--retrain", "--max-steps", 2]
    words += ["--only", "without-text, missing=zero", "--set", "layers=2,dropout=0"]

    first, second = mediafm(*words), mediafm(*words)

    assert first.code == second.code == 0, first.err
    names = ["reference", "without-text", "missing=zero", "layers=2+dropout=0"]
    runs = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "out" / "runs").iterdir())
    assert runs == sorted(f"{name}-seed0" for name in names)
    for name in names:
        assert f"ablate: {name}, seed 0: trained: " in first.err
        assert f"ablate: {name}, seed 0: used again: " in second.err
        assert any(line.startswith(name) for line in first.out.splitlines())
    assert second.out == first.out


def test_a_dry_run_lists_the_variants_and_trains_none(
    mediafm: Mediafm, fused_stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    words = ["ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out", "--retrain", "--max-steps", 2]
    mediafm(*words, "--only", "missing=zero")

    planned = mediafm(*words, "--dry-run", "--seeds", 2)

    lines = planned.err.splitlines()
    assert (planned.code, planned.out) == (0, "")
    assert lines[0].endswith("that the model never learned from")
    assert any(line.startswith("ablate: missing=zero, seed 0: is there already: ") for line in lines)
    assert any(line.startswith("ablate: missing=zero, seed 1: would be trained: ") for line in lines)
    assert any(line.startswith("ablate: optimizer=adamw, seed 0: would be trained: ") for line in lines)
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 2


def test_a_dry_run_refuses_what_the_run_would(
    mediafm: Mediafm, fused_stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    words = ["ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out", "--retrain", "--dry-run"]

    assert mediafm(*words, "--only", "optimiser=adamw").code == 2
    assert mediafm(*words, "--labels", tmp_path / "nowhere.csv", "--task", "multiclass").code == 2


def test_other_encoders_are_swapped_in(
    mediafm: Mediafm, fused_stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    folder = fused_stores[0].parent
    words = ["ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out", "--retrain", "--max-steps", 2]

    typed = mediafm(*words, "--swap-stores", folder)

    assert typed.code == 0, typed.err
    assert f"ablate: swap-{folder.name}, seed 0: trained: " in typed.err
    assert "without-text" not in typed.out


@pytest.mark.parametrize(("kind", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_a_signal_keeps_what_is_trained_and_says_how_to_go_on(
    mediafm: Mediafm,
    fused_stores: list[Path],
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[KeyboardInterrupt],
    code: int,
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise kind

    monkeypatch.setattr(retrain, "pretrain", interrupt)

    typed = mediafm("ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out", "--retrain")

    assert (typed.code, typed.out) == (code, "")
    assert "ablate: interrupted; the same command goes on" in typed.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "without-text"], "--only is for --retrain, which was not given."),
        (["--set", "layers=2"], "--set is for --retrain, which was not given."),
        (["--max-steps", "2"], "--max-steps is for --retrain, which was not given."),
        (["--swap-stores", "."], "--swap-stores is for --retrain, which was not given."),
        (["--seeds", "2"], "--seeds is for --retrain, which was not given."),
        (["--task", "ranking"], "--task was given without --labels."),
        (["--labels", "clips.csv"], "--labels was given without --task."),
        (["--retrain", "--only", "without-tex"], "There is no variant 'without-tex'."),
        (["--retrain", "--set", "layers"], "--set layers has no value."),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: list[str], message: str, mediafm: Mediafm, fused_stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    typed = mediafm("ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out", *words)

    assert (typed.code, typed.out) == (2, "")
    assert f"error: {message}" in typed.err
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_is_refused_before_anything_is_measured(
    mediafm: Mediafm, fused_stores: list[Path], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("a file")
    monkeypatch.setattr("mediafm_cli.evaluate.ablation.ablate.run_ablation", lambda *_, **__: pytest.fail("measured"))

    typed = mediafm("ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out")

    assert typed.code == 2
    assert f"error: {tmp_path / 'out'} is a file." in typed.err


def test_two_folders_of_one_name_cannot_both_be_swapped_in(
    mediafm: Mediafm, fused_stores: list[Path], model_folder: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / name / "stores" for name in "ab"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / fused_stores[0].name).symlink_to(fused_stores[0])
    words = ["ablate", *fused_stores, "--model", model_folder, "-o", tmp_path / "out", "--retrain"]

    typed = mediafm(*words, "--swap-stores", folders[0], "--swap-stores", folders[1])

    assert typed.code == 2
    assert "error: Two folders to swap to are called 'stores'." in typed.err
