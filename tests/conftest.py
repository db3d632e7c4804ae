"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from embeddings_server import KEY, EmbeddingsServer, serve_embeddings
from hub_server import HubServer, serve_hub
from hypothesis import settings
from small_contents import small_contents

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.read import Contents
from mediafm_cli.synthetic import SyntheticTitle, write_catalogue
from mediafm_cli.train.catalogue import open_catalogue
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.loop import pretrain

settings.register_profile("any machine", deadline=None)  # a busy one is slow, and nothing is wrong with it
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips with hand-checked cuts; not part of the project, so absent from a plain clone."""
    folder = Path(os.environ.get("MEDIAFM_TEST_MEDIA", Path(__file__).parents[2] / "shared" / "media"))
    if not (folder / "cuts.json").is_file():
        pytest.skip(f"no real clips at {folder} (set MEDIAFM_TEST_MEDIA to a folder with cuts.json)")
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingsServer]:
    """A server of embeddings, with its address and a key in the environment; it is never asked against its protocol."""
    with serve_embeddings() as running:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        yield running
    assert running.refused == []


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub on this machine, in the place of the Hugging Face hub, and an empty cache."""
    with serve_hub() as server:
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


@pytest.fixture
def contents() -> Contents:
    """See ``small_contents``."""
    return small_contents()


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[SyntheticTitle]:
    """Three small films with sound, subtitles and metadata; read, never changed."""
    return write_catalogue(tmp_path_factory.mktemp("films"), titles=3, shots=6, size=(160, 90), seed=3)


@pytest.fixture(scope="session")
def fused_stores(films: list[SyntheticTitle], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The films segmented, encoded and fused by the offline preset; read, never changed."""
    folder = tmp_path_factory.mktemp("stores")
    stores = [folder / f"{film.path.stem}.h5" for film in films]
    for film, store in zip(films, stores, strict=True):
        segment_title(film.path, store, SegmentSettings(metadata=film.metadata))
        for modality in ("video", "audio", "text", "metadata"):
            with make_host(modality, preset="offline") as host:
                encode_title(store, host, EncodeSettings(modality))
        fuse_title(store)
    return stores


@pytest.fixture
def stores(fused_stores: list[Path], tmp_path: Path) -> list[Path]:
    """Copies of ``fused_stores``, for a test to change."""
    (tmp_path / "stores").mkdir()
    return [Path(shutil.copy(store, tmp_path / "stores")) for store in fused_stores]


@pytest.fixture(scope="session")
def model_folder(fused_stores: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, trained for a few steps on ``fused_stores``; read, never changed."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    catalogue = open_catalogue(fused_stores)
    config = ModelConfig(catalogue.layout, hidden=32, layers=1, heads=2)
    pretrain(catalogue.titles, config, TrainConfig(max_steps=5, batch_shots=12, val_fraction=0.3), folder)
    return folder
