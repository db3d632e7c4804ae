"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from embeddings_server import KEY, EmbeddingsServer, serve_embeddings

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.fuse import fuse_encodings, fuse_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.read import Contents
from mediafm_cli.store.schema import Boundaries, Cues, Embedding, Encoding, Shots, Source
from mediafm_cli.synthetic import SyntheticTitle, write_catalogue
from mediafm_cli.train.catalogue import open_catalogue
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.loop import pretrain


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips with hand-checked cuts; not part of the project, so absent from a plain clone."""
    folder = Path(os.environ.get("MEDIAFM_TEST_MEDIA", Path(__file__).parents[2] / "shared" / "media"))
    if not (folder / "cuts.json").is_file():
        pytest.skip(f"no real clips at {folder} (set MEDIAFM_TEST_MEDIA to a folder with cuts.json)")
    return folder


def small_contents(n: int = 5, title_id: str = "film") -> Contents:
    """A whole valid store: two modalities, fused, embedded, every group fresh."""
    edges = np.arange(n + 1)
    random = np.random.default_rng(n)
    contents = Contents(title_id, {})
    streams = [{"index": 0, "kind": "video", "codec": "h264"}]
    source = Source(
        "film.mp4", "../film.mp4", 1234, "ab" * 32, 1.5 * n, streams, {"synopsis": "A kitchen. Später: Regen."}
    )
    shots = Shots(
        edges[:-1] * 1.5,
        edges[1:] * 1.5,
        edges[:-1] * 36,
        edges[1:] * 36,
        edges[:-1] * 36,
        edges[1:] * 36,
        np.array(["", "Guten Tag, Ärger!", *[""] * (n - 2)][:n], dtype=object),
        segmenter="content",
        options={"min_shot_s": 0.2},
        fingerprint={"version": "1"},
        time_base="1/24",
        video_stream=0,
        audio_stream=1,
        captions="sidecar:film.srt",
        notes=[],
        made_from={"source/media": source.fingerprint},
    )
    contents = contents.with_group("source", source).with_group("shots", shots)
    boundaries = Boundaries(
        np.array(["start", "gradual", *["cut"] * (n - 2)][:n], dtype=object),
        np.array([0.0, *[1.5] * (n - 1)]),
        edges[:-1] * 36 - 8 * (edges[:-1] == 1),
        edges[:-1] * 36 + 8 * (edges[:-1] == 1),
        edges[:-1] * 1.5 - (edges[:-1] == 1) / 3,
        edges[:-1] * 1.5 + (edges[:-1] == 1) / 3,
        made_from=parts_sha256(contents, ["shots/timing"]),
    )
    cues = Cues(
        np.array([1.6, 2.0]),
        np.array([2.9, 2.5]),
        np.array(["Guten Tag, Ärger!", "[Tür schlägt]"], dtype=object),
        np.array([False, True]),
        made_from={"source/media": source.fingerprint},
    )
    contents = contents.with_group("boundaries", boundaries).with_group("cues", cues)
    for modality, width, part in (("video", 6, "shots/timing"), ("text", 4, "shots/text")):
        present = np.ones(n, bool) if modality == "video" else shots.text != ""
        vectors = random.standard_normal((n, width)).astype(np.float32) * present[:, None]
        encoding = Encoding(
            vectors,
            present,
            np.ones(n, bool),
            modality=modality,
            encoder=f"{modality}.test",
            options={"size": width},
            fingerprint={"version": "1"},
            complete=True,
            versions={"numpy": "2"},
            made_from=parts_sha256(contents, [part]),
        )
        contents = contents.with_group(f"encodings/{modality}", encoding)
    fused = fuse_encodings(contents, ["video", "text"])
    contents = contents.with_group("fused", fused)
    embedding = Embedding(
        random.standard_normal((n, 10)).astype(np.float32),
        random.standard_normal(8).astype(np.float32),
        model="cd" * 32,
        layer="output",
        window=512,
        overlap=128,
        versions={"torch": "2.11"},
        made_from=parts_sha256(contents, ["fused"]),
    )
    return contents.with_group("embeddings/model", embedding)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingsServer]:
    """A server of embeddings, with its address and a key in the environment; it is never asked against its protocol."""
    with serve_embeddings() as running:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        yield running
    assert running.refused == []


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
    pretrain(catalogue.titles, config, TrainConfig(max_steps=5, batch_size=2, val_fraction=0.3), folder)
    return folder
