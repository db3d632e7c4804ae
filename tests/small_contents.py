"""A small store of which every group is there and fresh."""

from __future__ import annotations

import numpy as np

from mediafm_cli.stages.fuse import fuse_encodings
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.read import Contents
from mediafm_cli.store.schema import Boundaries, Cues, Embedding, Encoding, Shots, Source


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
