"""Fused stores of vectors that no encoder has made, and labels of their shots, for what reads them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from worlds import MODALITIES, SyntheticEncodings

from mediafm_cli.model.title import Title
from mediafm_cli.stages.fuse import fuse_encodings
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.read import Contents
from mediafm_cli.store.schema import METADATA, Block, Encoding, Shots, Source

TICKS = 1000
"""Of a second."""

SHOT_S = 4.0
"""Of a last shot whose end is not known."""


def as_encoded(drawn: SyntheticEncodings, loud: str = "", factor: float = 1.0) -> Title:
    """The title's encodings side by side, that of ``loud`` so many times as long."""
    parts = [getattr(drawn, name) * (factor if name == loud else 1.0) for name in MODALITIES]
    vectors = np.concatenate(parts, axis=1).astype(np.float32)
    return Title(drawn.title_id, vectors, drawn.present, drawn.start_s, drawn.metadata, drawn.title_id)


def write_store(folder: Path, title: Title, blocks: tuple[Block, ...], end_s: float | None = None) -> Path:
    """``<title_id>.h5``: an encoding for each block of the title's vectors, fused, and one of what is known of it.

    Args:
        end_s: of the title.
    """
    n = len(title)
    media = hashlib.sha256(title.title_id.encode()).hexdigest()
    edges_s = np.append(title.start_s, title.start_s[-1] + SHOT_S if end_s is None else end_s)
    ticks, frames = np.round(edges_s * TICKS).astype(np.int64), np.round(edges_s * 24).astype(np.int64)
    shots = Shots(
        edges_s[:-1],
        edges_s[1:],
        ticks[:-1],
        ticks[1:],
        frames[:-1],
        frames[1:],
        np.full(n, "words", object),
        segmenter="fixed",
        options={},
        fingerprint={"version": "1"},
        time_base=f"1/{TICKS}",
        video_stream=0,
        audio_stream=1,
        captions="none",
        notes=[],
        made_from={"source/media": media},
    )
    source = Source("film.mp4", "film.mp4", 1, media, float(edges_s[-1]), [], {})
    contents = Contents(title.title_id, {"source": source, "shots": shots})
    for column, block in enumerate(blocks):
        vectors = np.ascontiguousarray(title.vectors[:, block.start : block.stop])
        encoding = _encoding(contents, block.name, vectors, title.present[:, column], "shots/timing", block)
        contents = contents.with_group(f"encodings/{block.name}", encoding)
    if title.metadata is not None:
        known = _encoding(contents, METADATA, title.metadata[None], np.ones(1, bool), "source/metadata", blocks[-1])
        contents = contents.with_group(f"encodings/{METADATA}", known)
    contents = contents.with_group("fused", fuse_encodings(contents, [block.name for block in blocks]))
    path = folder / f"{title.title_id}.h5"
    update_store(path, lambda _: contents)
    return path


def _encoding(
    contents: Contents, modality: str, vectors: np.ndarray, present: np.ndarray, part: str, made_by: Block
) -> Encoding:
    return Encoding(
        vectors,
        present,
        np.ones(len(vectors), bool),
        modality=modality,
        encoder=made_by.encoder,
        options={},
        fingerprint={"version": made_by.fingerprint},
        complete=True,
        versions={},
        made_from=parts_sha256(contents, [part]),
    )


def write_clips(path: Path, titles: Sequence[SyntheticEncodings], task: str, column: str) -> Path:
    """A clip a shot, labelled in ``column`` by its ``task``: ``scene 3``, ``camera 1``."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "start_s", "end_s", column])
        for title in titles:
            for start, end, label in zip(title.start_s, title.end_s, getattr(title, task), strict=True):
                writer.writerow([title.title_id, repr(float(start)), repr(float(end)), f"{task} {label}"])
    return path
