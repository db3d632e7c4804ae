"""The titles of a catalogue, read from stores. Fused vectors stay in the files and are mapped into memory.

Every store is verified once, and refused by name where it is not fused, stale, or fused otherwise than the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mediafm_cli.errors import StaleError, StoreError, UsageError, command
from mediafm_cli.model.title import Layout, MetadataSource, Title
from mediafm_cli.store.freshness import encode_command, encoder_sha256, require_fresh
from mediafm_cli.store.read import Store, open_store
from mediafm_cli.store.schema import METADATA


@dataclass(frozen=True)
class Catalogue:
    """Titles that can be learned from together: all of one layout."""

    layout: Layout
    titles: tuple[Title, ...]


def open_catalogue(paths: Sequence[Path]) -> Catalogue:
    """Open the fused vectors and title metadata of ``paths``.

    Raises:
        StoreError: a store is not valid or not fused.
        StaleError: a store is stale, or its vectors cannot be compared with the first one's.
        UsageError: two stores hold titles of one id.
    """
    opened = [open_title(path) for path in paths]
    layout = next((found for found, _ in opened if found.metadata), opened[0][0])
    owners: dict[str, Path] = {}
    for path, (found, title) in zip(paths, opened, strict=True):
        differences = "; ".join(layout.differences(found))
        if differences:
            raise StaleError(
                f"{path} is not fused like the other titles.",
                f"In it {differences}.",
                f"Encode it as the others and then: {command('mediafm', 'fuse', path, '--overwrite')}",
            )
        other = owners.setdefault(title.title_id, path)
        if other != path:
            raise UsageError(f"{other} and {path} both hold the title {title.title_id!r}.", hint="Leave one out.")
    return Catalogue(layout, tuple(title for _, title in opened))


def open_title(path: Path) -> tuple[Layout, Title]:
    """One title, and the layout of its vectors; everything that is used is verified."""
    with open_store(path) as store:
        fused = store.fused
        repair = command("mediafm", "fuse", path, "--overwrite")
        require_fresh(store, "fused", fused.made_from, repair)
        for place in fused.made_from:
            encoding = store.encoding(place.removeprefix("encodings/"))
            encode = f"{encode_command(path, encoding)} --overwrite"
            require_fresh(store, place, encoding.made_from, f"{encode} && {repair}")
        metadata, source = _read_metadata(store)
        layout = Layout(fused.blocks, fused.normalize, fused.missing, source)
        vectors = store.map_array("fused", "vectors")
        fingerprint = store.digest("fused") + (store.digest(f"encodings/{METADATA}") if metadata is not None else "")
        return layout, Title(store.title_id, vectors, fused.present, metadata, fingerprint)


def _read_metadata(store: Store) -> tuple[np.ndarray | None, MetadataSource | None]:
    if f"encodings/{METADATA}" not in store:
        return None, None
    encoding = store.encoding(METADATA)
    repair = encode_command(store.path, encoding)
    if not encoding.complete:
        raise StoreError(f"{store.path}: encodings/{METADATA} is not complete.", hint=f"Finish it: {repair}")
    require_fresh(store, f"encodings/{METADATA}", encoding.made_from, f"{repair} --overwrite")
    source = MetadataSource(encoding.vectors.shape[1], encoding.encoder, encoder_sha256(encoding))
    return (encoding.vectors[0] if encoding.present[0] else None), source
