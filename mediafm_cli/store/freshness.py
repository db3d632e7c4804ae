"""Staleness: each group records the hash of every part that it was made from; a part that changed since makes it stale.

A part is a whole group (``"encodings/video"``, ``"fused"``) or, of the first two groups, what one stage reads of it:
``"source/metadata"``, ``"shots/timing"`` and ``"shots/text"``. So new subtitles leave the video encoding fresh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mediafm_cli.errors import StaleError, command
from mediafm_cli.store.raw import Attribute, Raw, canonical_json, to_raw
from mediafm_cli.store.read import Contents, Store
from mediafm_cli.store.schema import Block, Encoding, Group, Shots, Source

TIMING = ("start_pts", "end_pts")


def part_sha256(store: Store | Contents, part: str) -> str | None:
    """Hash of one part as it is now; None where it is not there.

    Parts: ``source/media``, ``source/metadata``, ``shots/timing``, ``shots/text``, and the place of any later group.
    """
    group, _, name = part.partition("/")
    if group not in ("source", "shots"):
        present = store.groups if isinstance(store, Contents) else store.places
        return store.digest(part) if part in present else None
    source, shots = _group(store, "source"), _group(store, "shots")
    if not isinstance(source, Source) or not isinstance(shots, Shots):
        return None
    if name == "media":
        return source.fingerprint
    if name == "metadata":
        return hashlib.sha256(canonical_json(source.metadata).encode()).hexdigest()
    arrays = to_raw("shots", shots).arrays
    if name == "text":
        return Raw("shots/text", {}, {"text": arrays["text"]}).sha256()
    streams: dict[str, Attribute] = {
        "video": shots.video_stream,
        "audio": shots.audio_stream,
        "time_base": shots.time_base,
    }
    streams["media"] = source.fingerprint
    return Raw("shots/timing", streams, {name: arrays[name] for name in TIMING}).sha256()


def parts_sha256(store: Store | Contents, parts: Iterable[str]) -> dict[str, str]:
    """Hashes of the parts that are there: what a group made from them records as ``made_from``."""
    return {part: digest for part in parts if (digest := part_sha256(store, part)) is not None}


def stale_parts(store: Store | Contents, made_from: Mapping[str, str]) -> list[str]:
    """The parts of ``made_from`` that have changed, or are gone."""
    return [part for part, digest in made_from.items() if part_sha256(store, part) != digest]


def require_fresh(store: Store | Contents, place: str, made_from: Mapping[str, str], repair: str) -> None:
    """Refuse to use ``place`` where a part that it was made from has changed.

    Raises:
        StaleError: names the part, and the command that repairs it.
    """
    stale = stale_parts(store, made_from)
    if stale:
        name = store.path if isinstance(store, Store) else store.title_id
        raise StaleError(
            f"{name}: {place} is stale.",
            f"It was made from {', '.join(stale)}, which changed since.",
            f"Make it again with: {repair}",
        )


def segment_command(path: Path, shots: Shots, media: Path) -> str:
    """What to type to cut ``media`` anew as it was; subtitles that were named have to be named again."""
    words: list[object] = ["--segmenter", shots.segmenter]
    for name, value in shots.options.items():
        rule = {"min_shot_s": "--min-shot", "max_shot_s": "--max-shot"}.get(name)
        words += [rule, value] if rule else ["--opt", f"{name}={value}"]
    return command("mediafm", "segment", media, "-o", path, *words, "--overwrite")


def encode_command(path: Path, encoding: Encoding) -> str:
    """What to type to make ``encoding`` again, or to finish it."""
    options = [word for key, value in encoding.options.items() for word in ("--opt", f"{key}={value}")]
    named = ["--modality", encoding.modality, "--encoder", encoding.encoder]
    return command("mediafm", "encode", path, *named, *options)


def fuse_command(path: Path, blocks: Sequence[Block], normalize: str) -> str:
    """What to type to fuse the modalities of ``blocks`` anew."""
    named = [word for block in blocks for word in ("--modality", block.name)]
    named += [] if normalize == "none" else ["--normalize", normalize]
    return command("mediafm", "fuse", path, *named, "--overwrite")


def encoder_sha256(encoding: Encoding) -> str:
    """Hash of the encoder, its options and its weights: two encodings that share it can be compared."""
    made_by = {"encoder": encoding.encoder, "options": encoding.options, "fingerprint": encoding.fingerprint}
    return hashlib.sha256(canonical_json(made_by).encode()).hexdigest()


def _group(store: Store | Contents, place: str) -> Group | None:
    if isinstance(store, Contents):
        return store.groups.get(place)
    return getattr(store, place) if place in store else None
