"""What ``pretrain`` says before it begins, where it goes on, and of settings that it cannot use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from typed_commands import Mediafm

SMALL = ("--hidden", 16, "--layers", 1, "--heads", 1, "--batch-shots", 6, "--device", "cpu")


def folder_of(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_dry_run_says_what_would_be_learned_and_leaves_no_trace(
    mediafm: Mediafm, fused_stores: list[Path], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    words = ("pretrain", *fused_stores, "-o", model, *SMALL, "--epochs", 5)

    planned, compiled = (mediafm(*words, "--dry-run", *how) for how in ((), ("--compile",)))

    assert compiled.err == planned.err.replace(
        f"pretrain: would write {model}\n",
        "pretrain: the blocks and the loss are compiled in the first steps, which take longer\n"
        f"pretrain: would write {model}\n",
    )
    assert (planned.code, planned.out) == (0, f"{model}\n")
    assert not model.exists()
    mediafm(*words)
    done = json.loads((model / "config.json").read_text())
    width, recipe = done["model"]["layout"]["blocks"][-1]["stop"], done["training"]["recipe"]
    saved = load_file(model / "model.safetensors")  # the coordinates among it are measured, and not learned
    learned = sum(values.size for name, values in saved.items() if not name.startswith("whitening."))
    assert f"pretrain: 2 titles to learn from and 1 held out, 18 shots of {width} numbers, on cpu" in planned.err
    assert "pretrain: 10 steps, 2 an epoch" in planned.err  # 2 titles of 6 shots, 6 a step
    assert f"pretrain: 1 layer of 16, {learned:,} numbers to learn, recipe {recipe}" in planned.err
    assert f"pretrain: would write {model}\n" in planned.err
    assert len((model / "metrics.jsonl").read_text().splitlines()) == 10


def test_a_dry_run_says_what_would_become_of_the_run_that_is_there(
    mediafm: Mediafm, fused_stores: list[Path], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    words = ("pretrain", *fused_stores, "-o", model, *SMALL, "--max-steps", 4)
    mediafm(*words)
    before = folder_of(model)

    refused, resumed, other, anew = (
        mediafm(*words, "--dry-run", *how) for how in ((), ("--resume",), ("--resume", "--seed", 1), ("--overwrite",))
    )

    assert refused.code == 1
    assert f"{model} is not empty." in refused.err
    assert resumed.code == 0
    assert resumed.err.endswith(f"pretrain {model}: unchanged: step 4 is done already\n")
    assert other.code == 1
    assert "Since then: --seed was 0, is 1." in other.err
    assert anew.code == 0
    assert f"pretrain: would write {model} over the run that is there\n" in anew.err
    assert folder_of(model) == before


def test_a_run_that_goes_on_says_where_and_what_another_length_changes(
    mediafm: Mediafm, fused_stores: list[Path], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    words = ("pretrain", *fused_stores, "-o", model, *SMALL, "--warmup", 0, "--resume", "--max-steps")

    first, second = mediafm(*words, 2), mediafm(*words, 6)

    assert f"pretrain {model}: will start from step 0: there is no checkpoint to go on from\n" in first.err
    # Half a cosine: at step 2 of 2 it has reached 0, at step 2 of 6 (1 + cos(π / 3)) / 2 = 75 %.
    going_on = "will go on from step 2 of 6, where 2 were planned: the learning rate is 75% of its peak there, not 0%"
    assert f"pretrain {model}: {going_on}\n" in second.err
    assert "6 steps, 2 of them before" in second.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lr", -1), "--lr is -1.0, and must be more than 0"),
        (("--muon-lr", 0), "--muon-lr is 0.0, and must be more than 0"),
        (("--val-fraction", 1), "--val-fraction is 1.0; it is a share"),
        (("--mask-ratio", 1), "--mask-ratio is 1.0; it is a share"),
        (("--hidden", 10, "--heads", 3), "3 heads do not divide --hidden 10"),
        (("--dropout", 1), "--dropout is 1.0; it is a share"),
        (("--metadata-dropout", 1), "--metadata-dropout is 1.0; it is a share"),
        (("--grad-clip", 0), "--grad-clip is 0.0, and must be more than 0"),
    ],
)
def test_settings_are_named_as_they_are_typed(
    mediafm: Mediafm, fused_stores: list[Path], tmp_path: Path, words: tuple[object, ...], said: str
) -> None:
    typed = mediafm("pretrain", *fused_stores, "-o", tmp_path / "model", *words)

    assert typed.code in (1, 2)
    assert said in typed.err
    assert not (tmp_path / "model").exists()


def test_settings_that_changed_are_named_as_they_are_typed(
    mediafm: Mediafm, fused_stores: list[Path], tmp_path: Path
) -> None:
    words = ("pretrain", *fused_stores, "-o", tmp_path / "model", *SMALL, "--max-steps", 2)
    mediafm(*words)

    typed = mediafm(*words, "--resume", "--lr", 0.5, "--no-global", "--mask-span", 2)

    assert typed.code == 1
    for change in ("--lr was 0.001, is 0.5", "--global was True, is False", "--mask-span was 1.0, is 2.0"):
        assert change in typed.err
    assert "adamw_lr" not in typed.err
