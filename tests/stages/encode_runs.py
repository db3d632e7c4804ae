"""Runs of ``encode``, interrupted and not, and an encoder as somebody develops one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import open_store, read_contents
from mediafm_cli.store.schema import Encoding
from mediafm_cli.synthetic import SyntheticTitle

MINE = """
import numpy as np
from mediafm_cli.api import Encoder, Frames


class Mine(Encoder):
    needs = Frames(1, 32)
    dim = 3
    calls = 0

    def encode(self, shots):
        self.calls += 1
        vectors = np.stack([shot.frames.mean(axis=(0, 1, 2)) for shot in shots]).astype(np.float32)
        {encode}

    {rest}
"""


def write_encoder(folder: Path, encode: str = "return vectors", rest: str = "") -> str:
    """Write an encoder to a file, as somebody develops one; what to name it with ``--encoder``.

    Args:
        encode: how its ``encode`` ends, after ``vectors``, the mean colours, are computed.
        rest: one more line of the class.
    """
    (folder / "mine.py").write_text(MINE.format(encode=encode, rest=rest))
    return f"{folder / 'mine.py'}:Mine"


class InterruptedRunError(Exception):
    """Stands for whatever ends a process between two batches."""


def on_batch(number: int, act: Callable[[], object]) -> OnProgress:
    """Watch an encoding, and act when the batch of this number, from 1, is done; it is not committed yet."""
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == number:
            act()

    return watch


def interrupt() -> None:
    raise InterruptedRunError


def without_encodings(stores: list[Path], films: list[SyntheticTitle]) -> Path:
    """The first film beside its store, which has shots and nothing else."""
    shutil.copy(films[0].path, stores[0].parent)
    made = {place for place in read_contents(stores[0]).groups if place not in ("source", "shots")}
    update_store(stores[0], lambda contents: contents.without(made))
    return stores[0]


def encode(
    store: Path, modality: str, encoder: str | None = None, *, options: tuple[str, ...] = (), **arguments: Any
) -> Outcome:
    """Two shots a batch, each batch committed, unless said otherwise."""
    names = {"batch_size": 2, "commit_every_s": 0.0, "media": None}
    settings = EncodeSettings(modality, **{name: arguments.pop(name, value) for name, value in names.items()})
    with make_host(modality, encoder, options, preset="offline") as host:
        return encode_title(store, host, settings, **arguments)


def uninterrupted(store: Path, modality: str, encoder: str | None = None) -> bytes:
    """The store after a whole run; it is left as it was."""
    before = store.read_bytes()
    encode(store, modality, encoder)
    whole = store.read_bytes()
    store.write_bytes(before)
    return whole


def read_encoding(store: Path, modality: str) -> Encoding:
    with open_store(store) as found:
        return found.encoding(modality)
