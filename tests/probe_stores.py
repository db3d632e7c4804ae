"""Fused stores of shots whose labels can be read from their vectors, or not; and the list of their clips."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from small_contents import small_contents

from mediafm_cli.stages.fuse import fuse_encodings
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256
from mediafm_cli.store.schema import Encoding, Shots, Source

SHOT_S = 1.5
SHOTS = 12
KINDS = ("calm", "loud", "sad")


@dataclass(frozen=True, eq=False)
class PlantedTitle:
    """A title whose shots are of three kinds, int [SHOTS]; every shot is a clip."""

    title_id: str
    store: Path
    kinds: np.ndarray


def plant_titles(folder: Path, count: int, *, noise: float = 0.3, seed: int = 0) -> list[PlantedTitle]:
    """Titles whose video tells of the kind of each shot, and whose text tells nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_plant(folder, f"title-{number:02}", noise, seed) for number in range(count)]


def write_clips(
    path: Path, titles: Sequence[PlantedTitle], label: Callable[[PlantedTitle, int], object], column: str = "label"
) -> Path:
    """A clip a shot; ``label``: of a title and the number of its shot."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "start_s", "end_s", column])
        for title in titles:
            for shot in range(SHOTS):
                writer.writerow([title.title_id, shot * SHOT_S, (shot + 1) * SHOT_S, label(title, shot)])
    return path


def kind_of(title: PlantedTitle, shot: int) -> str:
    return KINDS[title.kinds[shot]]


def _plant(folder: Path, title_id: str, noise: float, seed: int) -> PlantedTitle:
    draws = np.random.default_rng([seed, *title_id.encode()])
    kinds = draws.permutation(np.arange(SHOTS) % len(KINDS))
    contents = small_contents(SHOTS, title_id).without({"embeddings/model", "fused", "boundaries", "cues"})
    source, shots = contents.groups["source"], contents.groups["shots"]
    assert isinstance(source, Source)
    assert isinstance(shots, Shots)
    media = hashlib.sha256(title_id.encode()).hexdigest()
    contents = contents.with_group("source", replace(source, fingerprint=media))
    contents = contents.with_group("shots", replace(shots, made_from={"source/media": media}))
    told = np.eye(6)[kinds] + noise * draws.normal(size=(SHOTS, 6))
    for modality, vectors in (("video", told), ("text", draws.normal(size=(SHOTS, 4)))):
        encoding = contents.encoding(modality)
        planted: Encoding = replace(
            encoding,
            vectors=vectors.astype(np.float32),
            present=np.ones(SHOTS, bool),
            made_from=parts_sha256(contents, ["shots/timing"]),
        )
        contents = contents.with_group(f"encodings/{modality}", planted)
    contents = contents.with_group("fused", fuse_encodings(contents, ["video", "text"]))
    path = folder / f"{title_id}.h5"
    update_store(path, lambda _: contents)
    return PlantedTitle(title_id, path, kinds)
