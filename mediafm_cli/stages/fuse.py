"""``fuse``: the encodings of a title, in a named order, become one vector a shot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mediafm_cli.errors import StaleError, StoreError, UsageError, command
from mediafm_cli.model.fusion import MISSING, NORMALIZE, Normalize, fuse_shots
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import (
    encode_command,
    encoder_sha256,
    fuse_command,
    parts_sha256,
    require_fresh,
    stale_parts,
)
from mediafm_cli.store.read import Contents, Store, open_store
from mediafm_cli.store.schema import METADATA, Block, Encoding, Fused

ORDER = ("video", "audio", "text")
"""MediaFM's order; other modalities follow by name."""

LOUD = 0.9
"""A modality that holds more of the energy than this, in shots that have others too, drowns them."""


def fuse_title(
    path: Path,
    *,
    modalities: Sequence[str] = (),
    normalize: Normalize = "none",
    overwrite: bool = False,
    dry_run: bool = False,
) -> Outcome:
    """Fuse ``modalities``, or all that are encoded, of one title.

    Raises:
        StoreError: an encoding is missing or not complete.
        StaleError: an encoding is stale, or the store has vectors fused otherwise.
    """
    if normalize not in NORMALIZE:
        raise UsageError(f"--normalize is {normalize!r}.", f"It can be: {', '.join(NORMALIZE)}.")
    with open_store(path) as store:
        names = _ordered(store, modalities)
        _require_ready(store, names)
        fused = fuse_encodings(store.contents(), names, normalize)
        there = "fused" in store and not overwrite
        if there:
            _require_same(store, store.fused, fused)
    there_at_all = np.any(fused.present, axis=0).tolist()
    shares = ", ".join(
        f"{block.name} {share:.1%}" if is_there else f"{block.name} absent"
        for block, share, is_there in zip(fused.blocks, fused.energy_share, there_at_all, strict=True)
    )
    summary = f"{fused.vectors.shape[1]} numbers, energy: {shares}"
    notes = tuple(_warnings(fused))
    if there:
        return Outcome(path, "unchanged", summary, notes)
    if dry_run:
        return Outcome(path, "planned", summary, notes)

    def put(contents: Contents | None) -> Contents:
        if contents is None or stale_parts(contents, fused.made_from):
            raise StaleError(f"{path} changed while it was being fused.", hint="Run the command again.")
        return contents.with_group("fused", fused)

    update_store(path, put)
    return Outcome(path, "written", summary, notes)


def _ordered(store: Store, modalities: Sequence[str]) -> list[str]:
    if METADATA in modalities:
        raise UsageError("metadata cannot be fused.", "It belongs to the title, not to a shot; pretrain reads it.")
    if len(set(modalities)) < len(modalities):
        raise UsageError("A modality is named twice.", f"Given: {', '.join(modalities)}.")
    names = list(modalities) or sorted(store.modalities, key=lambda name: (*[name != known for known in ORDER], name))
    if not names:
        raise StoreError(
            f"{store.path} has no encodings.",
            hint=f"Make one: {command('mediafm', 'encode', store.path, '--modality', 'video')}",
        )
    return names


def fuse_encodings(contents: Contents, names: Sequence[str], normalize: Normalize = "none") -> Fused:
    """Fuse encodings that are known to be complete and fresh."""
    encodings = [contents.encoding(name) for name in names]
    shots = fuse_shots([e.vectors for e in encodings], [e.present for e in encodings], normalize)
    return Fused(
        shots.vectors,
        shots.present,
        blocks=_blocks(encodings),
        missing=MISSING,
        normalize=normalize,
        energy_share=[float(share) for share in shots.energy_share],
        made_from=parts_sha256(contents, [f"encodings/{name}" for name in names]),
    )


def _require_ready(store: Store, names: Sequence[str]) -> None:
    for name in names:
        encoding = store.encoding(name)
        repair = encode_command(store.path, encoding)
        if not encoding.complete:
            done = f"{int(encoding.done.sum())} of {len(encoding.done)} shots are done."
            raise StoreError(f"{store.path}: encodings/{name} is not complete.", done, f"Finish it: {repair}")
        require_fresh(store, f"encodings/{name}", encoding.made_from, f"{repair} --overwrite")


def _blocks(encodings: Sequence[Encoding]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for encoding in encodings:
        start = blocks[-1].stop if blocks else 0
        stop = start + encoding.vectors.shape[1]
        blocks.append(Block(encoding.modality, start, stop, encoding.encoder, encoder_sha256(encoding)))
    return tuple(blocks)


def _require_same(store: Store, there: Fused, wanted: Fused) -> None:
    if (there.blocks, there.missing, there.normalize) != (wanted.blocks, wanted.missing, wanted.normalize):
        raise StaleError(
            f"{store.path} has fused vectors already, and they are not the same.",
            f"They were fused from {_described(there)}; now it is {_described(wanted)}.",
            "Replace them by adding --overwrite.",
        )
    require_fresh(store, "fused", there.made_from, fuse_command(store.path, there.blocks, there.normalize))


def _described(fused: Fused) -> str:
    blocks = [f"{block.name} ({block.encoder} {block.fingerprint[:8]})" for block in fused.blocks]
    return f"{' + '.join(blocks)}, normalize {fused.normalize}"


def _warnings(fused: Fused) -> list[str]:
    empty = int((~fused.present.any(axis=1)).sum())
    return _drowned(fused) + [f"{empty} shots have nothing in any modality; their vectors are zero"] * bool(empty)


def _drowned(fused: Fused) -> list[str]:
    """A modality that drowns those which are there beside it; where each has the same say, none does."""
    energy = fused.vectors[fused.present.sum(axis=1) > 1].astype(np.float64) ** 2  # rows of norm 1
    if fused.normalize == "per-modality" or not energy.any():
        return []
    shares = {block.name: float(energy[:, block.start : block.stop].sum() / energy.sum()) for block in fused.blocks}
    return [
        f"{name} holds {share:.1%} of the energy where others are present, and drowns them; "
        "give each modality the same say with --normalize per-modality"
        for name, share in shares.items()
        if share > LOUD
    ]
