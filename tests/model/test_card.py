"""The model card: what it says, that what it tells to type works, and that the hub can read it."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from mediafm_cli.model.card import END, START, model_card, renew_card
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import TitleRecord, TrainingRecord, read_config
from mediafm_cli.model.title import MetadataSource

RECORD = TrainingRecord(
    recipe="modality-wise",
    steps=1200,
    seed=7,
    settings={"objective": {"mask_ratio": 0.15}, "muon_lr": 0.01, "epochs": None},
    titles=(
        TitleRecord("one", 800, "", "train"),
        TitleRecord("two", 700, "", "train"),
        TitleRecord("three", 90, "", "validation"),
    ),
    versions={"torch": "2.11"},
    validation={
        "loss": 0.3,
        "cosine": {"video": 0.75, "audio": 0.65},
        "skill_over_mean": 0.25,
        "skill_over_neighbour": -0.5,
    },
)


def code_blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", card, flags=re.DOTALL)


def test_it_says_what_the_model_was_made_of(config: ModelConfig) -> None:
    card = model_card(config, RECORD)

    assert "| trained on | 2 | 1,500 |" in card
    assert "| held out | 1 | 90 |" in card
    assert "| audio | audio.a | 2 | 4 |" in card
    assert "Recipe `modality-wise`, 1,200 steps, seed 7; torch 2.11." in card
    assert "| `objective.mask_ratio` | 0.15 |" in card
    assert "| `position` | rotary |" in card
    assert "epochs" not in card


def test_results_stand_beside_the_baselines_that_their_skills_mean(config: ModelConfig) -> None:
    card = model_card(config, RECORD)

    assert "| this model | 0.3000 |  |" in card
    assert "| the mean vector of the training titles | 0.4000 | +0.250 |" in card  # 1 - 0.3 / 0.4 = 0.25
    assert (
        "| each hidden modality copied from the nearest shot that shows it | 0.2000 | -0.500 |" in card
    )  # 1 - 0.3 / 0.2 = -0.5
    assert "| video | 0.7500 |" in card


def test_a_model_that_predicts_without_fault_says_nothing_of_a_baseline_that_nobody_knows(config: ModelConfig) -> None:
    perfect = {**(RECORD.validation or {}), "loss": 0.0, "skill_over_mean": 1.0}

    card = model_card(config, replace(RECORD, validation=perfect))

    assert "| the mean vector of the training titles |  | +1.000 |" in card


def test_without_held_out_titles_it_says_so(config: ModelConfig) -> None:
    assert "was not measured" in model_card(config, replace(RECORD, validation=None))


def test_the_hub_reads_it_and_the_licence_is_left_to_its_owner(config: ModelConfig) -> None:
    card = ModelCard(model_card(config, RECORD))

    assert card.data.library_name == "mediafm"
    assert card.data.license is None
    assert str(card) == model_card(config, RECORD)
    assert ModelCard(model_card(config, RECORD, license="mit")).data.license == "mit"


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("zero", "model sees them"),
        ("null-token", "sees a learned vector"),
        ("masked", "what it sees of hidden"),
    ],
)
def test_it_says_what_the_model_sees_of_an_absent_modality(config: ModelConfig, missing: str, said: str) -> None:
    assert said in model_card(replace(config, missing=missing), RECORD)


def test_metadata_that_the_model_leaves_out_is_said(config: ModelConfig) -> None:
    described, bare = (
        replace(config, layout=replace(config.layout, metadata=metadata))
        for metadata in (MetadataSource(4, "text.a", "3"), None)
    )

    assert "--no-global" in model_card(replace(described, global_token=False), RECORD)
    assert "--no-global" not in model_card(described, RECORD)
    assert "--no-global" not in model_card(replace(bare, global_token=False), RECORD)


def test_what_its_owner_wrote_stays_when_the_model_is_another(config: ModelConfig, tmp_path: Path) -> None:
    card = model_card(config, RECORD)
    owned = card.replace("---\n", "---\nlicense: mit\n", 1).replace(START, f"Über mich.\n\n{START}") + "Thanks!\n"
    (tmp_path / "README.md").write_text(owned, "utf-8")

    assert renew_card(tmp_path, config, replace(RECORD, steps=2400))

    assert (tmp_path / "README.md").read_text("utf-8") == owned.replace("1,200 steps", "2,400 steps")
    assert "1,200 steps" in card.partition(START)[2].partition(END)[0]


def test_a_card_without_a_generated_part_is_left_alone_and_none_is_none(config: ModelConfig, tmp_path: Path) -> None:
    assert not renew_card(tmp_path, config, RECORD)
    (tmp_path / "README.md").write_bytes(b"All mine. \xff")

    assert renew_card(tmp_path, config, RECORD)
    assert (tmp_path / "README.md").read_bytes() == b"All mine. \xff"


def test_names_from_elsewhere_break_no_table_and_are_no_markup(config: ModelConfig) -> None:
    first, *others = config.layout.blocks
    hostile = replace(first, encoder="a|b\n<script>[x](y)")
    card = model_card(replace(config, layout=replace(config.layout, blocks=(hostile, *others))), RECORD)

    assert r"| video | a\|b &lt;script>\[x](y) | 1 | 8 |" in card


def test_what_it_says_to_type_works(
    model_folder: Path, stores: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stores[0].parents[1])
    stores[0].rename("stores/film.h5")
    card = (model_folder / "README.md").read_text().replace("MODEL", str(model_folder))
    (python,), (shell,) = code_blocks(card, "python"), code_blocks(card, "bash")

    exec(python, {})
    config = read_config(model_folder).model
    assert capsys.readouterr().out == f"(6, {config.layout.width}) ({config.hidden},)\n"

    words = shlex.split(shell, comments=True)
    assert words == ["mediafm", "embed", "stores/", "--model", str(model_folder)]
    assert len([line for line in python.splitlines() if line and not line.startswith("from")]) == 5
