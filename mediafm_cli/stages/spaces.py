"""Which vectors can be compared: those of one encoder, of one fusion, or of one model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mediafm_cli.errors import StaleError, StoreError, command
from mediafm_cli.store.freshness import encode_command, encoder_sha256, fuse_command, require_fresh
from mediafm_cli.store.read import Store, open_store
from mediafm_cli.store.schema import Embedding, Encoding, Fused, Group, kind_at

Vectors = Encoding | Fused | Embedding
"""The kinds of group that hold a vector for each shot."""

_MAKERS: dict[type[Group], str] = {
    Encoding: "encoders, or of one with two options or weights",
    Fused: "layouts",
    Embedding: "models or layers",
}


class OneSpace:
    """Refuses vectors that were made otherwise than the first.

    Args:
        place: of the groups, such as ``encodings/video``.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._first: tuple[Path, object] | None = None

    def admit(self, path: Path, group: Vectors) -> None:
        """Raise a StaleError where ``group``, which ``path`` holds, cannot be compared with the first one admitted."""
        space = _space(group)
        first, its_space = self._first = self._first or (path, space)
        if space != its_space:
            what = f"{first} and {path} have {self.place} of two {_MAKERS[type(group)]}."
            with open_store(first) as store:
                repair = _repair(path, self.place, store.mapped(self.place, type(group)))
            raise StaleError(what, hint=f"Make them alike with: {repair}. Or leave some out.")


def rows_of(group: Vectors) -> np.ndarray:
    """The vector of each shot: float32 [n, d]."""
    return group.shots if isinstance(group, Embedding) else group.vectors


def read_vectors(store: Store, place: str) -> Vectors:
    """The vectors at ``place``.

    Raises:
        StoreError: they are not there, not valid, or of some of the shots only, so far.
        StaleError: what they were made from has changed since.
    """
    group = store.read(place)
    assert isinstance(group, Vectors)  # the caller names such a place
    if isinstance(group, Encoding) and not group.complete:
        done = f"{int(group.done.sum())} of {len(group.done)} shots are done."
        raise StoreError(
            f"{store.path}: {place} is not complete.", done, f"Finish it: {encode_command(store.path, group)}"
        )
    require_fresh_vectors(store, place, group)
    return group


def require_fresh_vectors(store: Store, place: str, group: Vectors) -> None:
    """Refuse what is stale, and what was made from vectors that are."""
    require_fresh(store, place, group.made_from, _repair(store.path, place, group))
    for part in group.made_from:
        kind = kind_at(part)
        made_of = store.mapped(part, kind.group) if kind else None
        if isinstance(made_of, Vectors):
            require_fresh_vectors(store, part, made_of)


def _space(group: Vectors) -> tuple[object, ...]:
    match group:
        case Encoding():
            return encoder_sha256(group), group.vectors.shape[1]
        case Fused():
            return group.blocks, group.normalize, group.missing
    return group.model, group.layer, group.shots.shape[1]


def _repair(path: Path, place: str, group: Vectors) -> str:
    """What to type to have a ``group`` like this one in the store ``path``."""
    match group:
        case Encoding():
            return f"{encode_command(path, group)} --overwrite"
        case Fused():
            return fuse_command(path, group.blocks, group.normalize)
    name = place.partition("/")[2]
    return f"{command('mediafm', 'embed', path, '--name', name)} --model MODEL --overwrite"
