"""Model folders: saved, read back, and refused where they are damaged, hostile or untrained."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mediafm_cli.errors import StaleError, TrainingError
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_title
from mediafm_cli.model.folder import (
    MAX_CONFIG_BYTES,
    TitleRecord,
    TrainingRecord,
    load_model,
    model_fingerprint,
    read_config,
    save_model,
)
from mediafm_cli.model.records import to_json
from mediafm_cli.model.title import MetadataSource, Title, require_layout
from mediafm_cli.model.transformer import MediaFM

RECORD = TrainingRecord(
    recipe="modality-wise",
    steps=3,
    seed=0,
    settings={"muon_lr": 0.001, "epochs": None},
    titles=(TitleRecord("one", 5, "", "train"), TitleRecord("two", 4, "", "validation")),
    versions={"torch": "2.11"},
    validation={"loss": 0.5, "cosine": {"video": 0.5}},
)


@pytest.fixture
def folder(tmp_path: Path, model: MediaFM) -> Path:
    save_model(tmp_path / "model", model.config, model.state_dict(), RECORD)
    return tmp_path / "model"


def edit_config(folder: Path, change: Callable[[dict], None]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_a_loaded_model_embeds_as_the_saved_one(folder: Path, model: MediaFM, make_title: Callable[..., Title]) -> None:
    loaded = load_model(folder)

    assert loaded.config == model.config
    assert not loaded.training
    assert np.array_equal(embed_title(loaded, make_title(20)).shots, embed_title(model, make_title(20)).shots)


def test_the_record_of_the_training_comes_back(folder: Path) -> None:
    record = read_config(folder).training

    assert record == RECORD
    assert record.title_ids("validation") == ("two",)


def test_a_model_folder_is_two_files_that_others_can_read(folder: Path, model: MediaFM) -> None:
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())

    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert names == set(model.state_dict())


def test_the_same_model_gives_the_same_bytes_and_another_does_not(folder: Path, model: MediaFM, tmp_path: Path) -> None:
    save_model(tmp_path / "again", model.config, model.state_dict(), RECORD)
    save_model(tmp_path / "other", model.config, MediaFM.seeded(model.config, 1).state_dict(), RECORD)

    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert model_fingerprint(tmp_path / "again") == model_fingerprint(folder)
    assert model_fingerprint(tmp_path / "other") != model_fingerprint(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"position": "learned", "missing": "zero", "global_token": False},
        {"position": "time", "missing": "masked", "projection": "per-modality", "layer": "hidden"},
        {"projection": "whitened"},
    ],
)
def test_every_option_comes_back_with_the_weights(
    config: ModelConfig, make_title: Callable[..., Title], tmp_path: Path, options: dict[str, Any]
) -> None:
    model = MediaFM.seeded(replace(config, **options), 0)
    save_model(tmp_path, model.config, model.state_dict(), RECORD)

    loaded = load_model(tmp_path)

    assert loaded.config == model.config
    assert np.array_equal(embed_title(loaded, make_title(20)).shots, embed_title(model, make_title(20)).shots)


def test_a_file_beside_the_weights_is_written_and_hashed_with_them(model: MediaFM, tmp_path: Path) -> None:
    save_model(tmp_path, model.config, model.state_dict(), RECORD, beside={"state.bin": b"more"})

    assert (tmp_path / "state.bin").read_bytes() == b"more"
    assert read_config(tmp_path).sha256["state.bin"] == hashlib.sha256(b"more").hexdigest()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(TrainingError, match=rf"is not a model folder\. It has no {name}.*mediafm pretrain"):
        load_model(folder)


def test_a_training_that_was_not_finished_is_told_from_no_model(tmp_path: Path) -> None:
    (tmp_path / "model" / "checkpoints").mkdir(parents=True)

    with pytest.raises(TrainingError, match=r"has not been finished.*with --resume"):
        load_model(tmp_path / "model")


def test_a_model_that_was_never_trained_is_refused(tmp_path: Path, model: MediaFM) -> None:
    save_model(tmp_path, model.config, model.state_dict(), replace(RECORD, steps=0))

    with pytest.raises(TrainingError, match=r"never trained.*mediafm pretrain"):
        load_model(tmp_path)


def test_weights_of_another_model_are_refused(folder: Path, model: MediaFM, tmp_path: Path) -> None:
    save_model(tmp_path / "other", model.config, MediaFM.seeded(model.config, 1).state_dict(), RECORD)
    (tmp_path / "other" / "model.safetensors").replace(folder / "model.safetensors")

    with pytest.raises(TrainingError, match="does not match the hash"):
        load_model(folder)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_every_flipped_bit_in_the_weights_is_found(folder: Path, place: float, bit: int) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[int(place * len(whole))] ^= 1 << bit
    path.write_bytes(broken)

    with pytest.raises(TrainingError, match="damaged"):
        load_model(folder)
    path.write_bytes(whole)


def test_a_config_that_was_edited_is_refused(folder: Path) -> None:
    edit_config(folder, lambda config: config["model"].update(dropout=0.3))

    with pytest.raises(TrainingError, match=r"saved with another config\.json"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda config: config.update(surprise=1), "surprise is unknown"),
        (lambda config: config["model"].pop("heads"), r"model\.heads is missing"),
        (lambda config: config["model"].update(layers="many"), r"model\.layers is 'many', not of type int"),
        (lambda config: config["model"].update(layers=True), r"model\.layers is True"),
        (lambda config: config["training"]["titles"][0].update(split="test"), r"titles\[0\]\.split is 'test'"),
        (lambda config: config.update(format_version=2), "not of format mediafm-model 1"),
        (lambda config: config["model"].update(hidden=1 << 40), "hidden is 1099511627776"),
    ],
)
def test_a_config_of_another_form_is_refused(folder: Path, change: Callable[[dict], None], why: str) -> None:
    edit_config(folder, change)

    with pytest.raises(TrainingError, match=why):
        read_config(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"format": NaN}'])
def test_a_config_that_is_no_record_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)

    with pytest.raises(TrainingError, match=r"config\.json is damaged"):
        load_model(folder)


def hostile(folder: Path, weights: dict[str, torch.Tensor], change: Callable[[dict], None] = lambda _: None) -> None:
    """Weights and config that agree on every hash, as an attacker would write them."""
    edit_config(folder, change)
    said = {"config_sha256": said_sha256(folder)}
    save_file(weights, folder / "model.safetensors", metadata=said)
    edit_config(folder, lambda config: config["sha256"].update({"model.safetensors": file_sha256(folder)}))


def said_sha256(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    return hashlib.sha256(json.dumps([config["model"], config["training"]], sort_keys=True).encode()).hexdigest()


def file_sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["predict.weight"][0, 0] = float("nan")
    hostile(folder, weights)

    with pytest.raises(TrainingError, match=r"predict\.weight is not all finite"):
        load_model(folder)


def test_a_config_that_declares_a_giant_is_refused_before_anything_is_allocated(folder: Path) -> None:
    giant = {"hidden": 16384, "layers": 256, "heads": 1}  # 3 TB of weights
    hostile(folder, load_file(folder / "model.safetensors"), lambda config: config["model"].update(giant))

    with pytest.raises(TrainingError, match="not those of the model"):
        load_model(folder)


class Bomb:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("bomb-went-off"),))


def test_pickled_weights_run_no_code(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    edit_config(folder, lambda config: config["sha256"].update({"model.safetensors": file_sha256(folder)}))

    with pytest.raises(TrainingError, match="damaged"):
        load_model(folder)
    assert not Path("bomb-went-off").exists()


def test_a_full_disk_leaves_the_old_model(folder: Path, model: MediaFM, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    before = model_fingerprint(folder)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TrainingError, match="No space left on device"):
        save_model(folder, model.config, MediaFM.seeded(model.config, 9).state_dict(), RECORD)
    monkeypatch.undo()

    assert model_fingerprint(folder) == before
    assert load_model(folder).config == model.config
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("number", "change", "why"),
    [
        (0, {"encoder": "video.b"}, r"video was made by video\.b \(1\), not video\.a \(1\)"),
        (1, {"fingerprint": "9"}, r"audio was made by audio\.a \(9\), not audio\.a \(2\)"),
        (2, {"name": "ocr"}, "the blocks are video, audio, ocr, not video, audio, text"),
        (2, {"stop": 20}, "text takes columns 12:20, not 12:18"),
    ],
)
def test_a_title_of_other_blocks_is_refused(
    config: ModelConfig, number: int, change: dict[str, object], why: str
) -> None:
    blocks = list(config.layout.blocks)
    blocks[number] = replace(blocks[number], **change)

    with pytest.raises(StaleError, match=f"film .*{why}.*mediafm pretrain"):
        require_layout(config.layout, replace(config.layout, blocks=tuple(blocks)), "film")


@pytest.mark.parametrize(
    "change", [{"normalize": "per-modality"}, {"missing": "null"}, {"metadata": MetadataSource(5, "text.b", "1")}]
)
def test_a_title_fused_otherwise_is_refused(config: ModelConfig, change: dict[str, object]) -> None:
    with pytest.raises(StaleError, match=next(iter(change))):
        require_layout(config.layout, replace(config.layout, **change), "film")


def test_a_title_without_metadata_is_no_other_layout(config: ModelConfig) -> None:
    require_layout(config.layout, replace(config.layout, metadata=None), "film")
    require_layout(replace(config.layout, metadata=None), config.layout, "film")


def test_a_title_without_shots_is_refused() -> None:
    with pytest.raises(TrainingError, match="film has no shots"):
        Title("film", np.zeros((0, 18), np.float32), np.zeros((0, 3), bool), np.zeros(0))


def test_vectors_and_presence_of_different_titles_are_refused() -> None:
    with pytest.raises(TrainingError, match="do not belong together"):
        Title("film", np.zeros((4, 18), np.float32), np.zeros((5, 3), bool), np.zeros(4))


def test_starts_of_another_title_are_refused() -> None:
    with pytest.raises(TrainingError, match="film: 5 starts for 4 shots"):
        Title("film", np.zeros((4, 18), np.float32), np.zeros((4, 3), bool), np.zeros(5))


def test_the_record_of_half_a_million_titles_can_be_read_back() -> None:
    titles = tuple(TitleRecord(f"title {number:0100d}", 9999, "0" * 128, "validation") for number in range(100))

    written = json.dumps(to_json(replace(RECORD, titles=titles)), indent=1)

    assert 5_000 * len(written) < MAX_CONFIG_BYTES
