"""The encoders around models, through the stage: batches change nothing but speed, and what is stored is compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from encode_runs import read_encoding, without_encodings
from tiny_checkpoints import write_bert, write_open_clip, write_speech_model

from mediafm_cli.errors import StaleError
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.synthetic import SyntheticTitle

ENCODERS = {"video": "video.open-clip", "audio": "audio.wav2vec2", "text": "text.transformers"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    write_open_clip(folder / "video")
    write_speech_model(folder / "audio")
    write_bert(folder / "text")
    return folder


@pytest.fixture
def store(stores: list[Path], films: list[SyntheticTitle]) -> Path:
    return without_encodings(stores, films)


def encode(store: Path, modality: str, model: Path, batch_size: int | None = None, **arguments: bool) -> Outcome:
    with make_host(modality, ENCODERS[modality], [f"model={model}"], preset="mediafm") as host:
        return encode_title(store, host, EncodeSettings(modality, batch_size), **arguments)


@pytest.mark.parametrize("modality", ENCODERS)
def test_the_batch_size_changes_nothing_but_speed(modality: str, store: Path, checkpoints: Path) -> None:
    vectors = []
    for batch_size in (None, 1, 4):
        encode(store, modality, checkpoints / modality, batch_size, overwrite=True)
        vectors.append(read_encoding(store, modality).vectors)

    assert vectors[0].any()
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-5)
    np.testing.assert_allclose(vectors[2], vectors[0], atol=1e-5)


@pytest.mark.parametrize("modality", ENCODERS)
def test_the_same_weights_in_another_place_are_finished_work(
    modality: str, store: Path, checkpoints: Path, tmp_path: Path
) -> None:
    shutil.copytree(checkpoints / modality, tmp_path / "moved")
    encode(store, modality, checkpoints / modality)

    assert encode(store, modality, tmp_path / "moved").status == "unchanged"


def test_other_weights_are_refused_until_overwrite_is_said(store: Path, checkpoints: Path, tmp_path: Path) -> None:
    other = write_open_clip(tmp_path / "other", seed=1)
    encode(store, "video", checkpoints / "video")

    with pytest.raises(StaleError, match=r"video\.open-clip has changed since.*weights_sha256"):
        encode(store, "video", other)

    assert encode(store, "video", other, overwrite=True).status == "written"
