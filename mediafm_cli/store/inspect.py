"""What a store holds and what is wrong with it, for people: ``mediafm info`` and ``mediafm check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mediafm_cli.errors import MediaError, StaleError, StoreError
from mediafm_cli.media.fingerprint import fingerprint_file
from mediafm_cli.store.freshness import segment_command, stale_parts
from mediafm_cli.store.read import Store, open_store
from mediafm_cli.store.schema import (
    BOUNDARIES,
    METADATA,
    Boundaries,
    Cues,
    Embedding,
    Encoding,
    Fused,
    Group,
    Shots,
    Source,
)


@dataclass(frozen=True)
class GroupInfo:
    """One group of a store.

    Attributes:
        place: such as ``encodings/video``.
        complete: nothing is left to do. ``stale``: the parts it was made from that changed since.
        made_by: the segmenter, encoder or model.
        summary: the rest in a line.
        notes: what was said when it was made: damage, captions passed over.
    """

    place: str
    complete: bool
    stale: tuple[str, ...]
    made_by: str
    summary: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoreInfo:
    """One store: its title and its groups, in the order of the format."""

    path: Path
    title_id: str
    created_by: str
    groups: tuple[GroupInfo, ...]


def describe_store(path: Path) -> StoreInfo:
    """Read and verify a store, and say what is in it.

    Raises:
        StoreError: it is not valid.
    """
    with open_store(path) as store:
        contents = store.contents()
        groups = tuple(_describe(store, place, group) for place, group in contents.groups.items())
        return StoreInfo(path, store.title_id, store.created_by, groups)


def check_store(path: Path, media_folder: Path | None = None) -> list[StoreError]:
    """Every fault of a store: one for each group that is damaged or stale; none where it is valid.

    The source is stale where the media file, as far as ``find_source`` finds it, is no longer the same.
    """
    try:
        with open_store(path) as store:
            faults = [_fault(lambda: store.title_id)]
            faults += [_fault(partial(_check, store, place, media_folder)) for place in store.places]
            return [fault for fault in faults if fault]
    except StoreError as fault:
        return [fault]


def find_source(store: Store, folder: Path | None = None) -> Path | None:
    """A store's media file, changed or not; None where it is in none of its places."""
    if "source" not in store:
        return None
    return next((media for media in source_places(store.path, store.source, folder) if media.is_file()), None)


def source_places(store: Path, source: Source, folder: Path | None = None) -> list[Path]:
    """Where a store's media file may lie, the likeliest first: in ``folder``, where it was, beside the store."""
    named = [folder / source.name] if folder else []
    return [*named, store.parent / source.path, store.parent / source.name]


def _fault(read: Callable[[], object]) -> StoreError | None:
    try:
        read()
    except StoreError as fault:
        return fault
    return None


def _check(store: Store, place: str, media_folder: Path | None) -> None:
    group = store.read(place)
    if isinstance(group, Source):
        _check_source(store, media_folder)
    stale = stale_parts(store, _made_from(group))
    if stale:
        raise StoreError(
            f"{store.path}: {place} is stale.", f"It was made from {', '.join(stale)}, which changed since."
        )


def _check_source(store: Store, folder: Path | None) -> None:
    media = find_source(store, folder)
    try:
        changed = media is not None and fingerprint_file(media) != store.source.fingerprint
    except MediaError as error:
        raise StoreError(f"{store.path} cannot be compared with its media file.", str(error)) from error
    if media and changed:
        again = f"Segment it again: {segment_command(store.path, store.shots, media)}" if "shots" in store else ""
        raise StaleError(f"{store.path}: source is stale.", f"{media} has changed since it was segmented.", again)


def _made_from(group: Group) -> dict[str, str]:
    return dict(getattr(group, "made_from", {}))


def _describe(store: Store, place: str, group: Group) -> GroupInfo:
    complete = group.complete if isinstance(group, Encoding) else True
    notes = tuple(group.notes) if isinstance(group, Shots) else ()
    stale = tuple(stale_parts(store, _made_from(group)))
    return GroupInfo(place, complete, stale, _made_by(group), _summary(place, group), notes)


def _made_by(group: Group) -> str:
    match group:
        case Shots():
            return group.segmenter
        case Encoding():
            return group.encoder
        case Embedding():
            return f"model {group.model[:12]}"
    return ""


def _summary(place: str, group: Group) -> str:
    match group:
        case Source():
            duration = "duration unknown" if group.duration_s is None else f"{group.duration_s:.2f} s"
            known = f", metadata: {', '.join(group.metadata)}" if group.metadata else ""
            return f"{group.name}, {group.size:,} bytes, {duration}{known}"
        case Shots():
            spoken = sum(bool(text) for text in group.text)
            source = f" from {group.captions}" if spoken else ""
            return f"{len(group.text)} to {group.end_s[-1]:.2f} s, {spoken} with text{source}"
        case Boundaries():
            counts = Counter(group.kind[1:].tolist())
            return ", ".join(f"{counts[kind]} {kind}" for kind in BOUNDARIES if counts[kind]) or "none"
        case Cues():
            return f"{len(group.text)} cues, {int(group.sound.sum())} of them sounds"
        case Encoding():
            n, width = group.vectors.shape
            unit = "title" if place == f"encodings/{METADATA}" else "shots"
            return f"{int(group.done.sum())} of {n} {unit} done, {int(group.present.sum())} present, {width} numbers"
        case Fused():
            blocks = " + ".join(f"{block.name} {block.stop - block.start}" for block in group.blocks)
            return f"{group.vectors.shape[1]} numbers = {blocks}, normalize {group.normalize}"
        case Embedding():
            widths = f"{group.shots.shape[1]} numbers a shot, {len(group.title)} for the title"
            return f"{widths}, layer {group.layer}, window {group.window}, overlap {group.overlap}"
    return ""
