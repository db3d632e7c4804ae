"""``segment``: a media file becomes a store of its shots, their text, and what is known of the source."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_cli.errors import MediaError, StaleError
from mediafm_cli.media.captions import assign_cues, find_captions
from mediafm_cli.media.container import open_media
from mediafm_cli.media.probe import MediaInfo, probe, require_video
from mediafm_cli.media.shots import MIN_SHOT_S, cut_into_shots
from mediafm_cli.options import options_as_json, parse_options
from mediafm_cli.registry import blame, load_segmenter
from mediafm_cli.stages.metadata import read_metadata
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress, ignore_progress
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import require_fresh, stale_parts
from mediafm_cli.store.raw import canonical_json
from mediafm_cli.store.read import Contents, read_contents
from mediafm_cli.store.schema import Embedding, Encoding, Fused, Shots, Source


@dataclass(frozen=True)
class SegmentSettings:
    """How titles are segmented.

    Attributes:
        segmenter: name of a segmenter plugin. ``options``: its options, as ``key=value``.
        min_shot_s: shots shorter than this many seconds join the shot before.
        subtitles: a subtitle file instead of what lies beside or inside the media file.
        language: language of the subtitles to prefer, such as ``en``.
        metadata: file with what is known of the title: ``.json`` or text.
    """

    segmenter: str = "content"
    options: Sequence[str] = ()
    min_shot_s: float = MIN_SHOT_S
    subtitles: Path | None = None
    language: str | None = None
    metadata: Path | None = None


def segment_title(
    media: Path,
    store: Path,
    settings: SegmentSettings | None = None,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: OnProgress = ignore_progress,
) -> Outcome:
    """Cut one title into shots and commit it to ``store``.

    A store that is there already is left alone where it says the same, and refused where it says something else, unless
    ``overwrite``: then what was made from parts that stay the same is kept, and the rest is dropped.

    Raises:
        MediaError: the file is no media, has no picture, or cannot be read.
        StaleError: the store was made from another file, or with other settings.
    """
    settings = settings or SegmentSettings()
    loaded = load_segmenter(settings.segmenter)
    kind, described = loaded.plugin, loaded.found.described
    options = parse_options(kind.Options, settings.options)
    with blame(described, "to start"):
        segmenter = kind(options)
        fingerprint = dict(segmenter.fingerprint())
    info = probe(media)
    with open_media(media) as container:
        video_stream = require_video(media, container).index
    source = _source(media, store, info, read_metadata(settings.metadata) if settings.metadata else {})
    captions = find_captions(media, info, settings.subtitles, settings.language)
    recorded = {**options_as_json(segmenter.options), "min_shot_s": settings.min_shot_s}
    if store.exists() and not overwrite:
        before = read_contents(store)
        shots = _require_same(before, source, settings.segmenter, recorded, fingerprint, store)
        text = assign_cues(captions.cues, shots.start_s.tolist(), shots.end_s.tolist())
        if list(shots.text) != text:
            raise _refused(store, "the text of its shots is not that of the subtitles found now")
        return Outcome(store, "unchanged", f"shots: {len(text)}, there already")
    if dry_run:
        return Outcome(store, "planned", f"{media} would be cut into shots by {settings.segmenter}", captions.notes)

    def watch(frames: int, time_s: float) -> None:
        progress(Progress(time_s, info.duration_s, "s"))

    with blame(described, f"on {media}"):
        cut = cut_into_shots(media, segmenter, min_shot_s=settings.min_shot_s, progress=watch)
    notes = (*[cut.report.describe()] * (not cut.report.is_whole), *captions.notes)
    shots = Shots(
        cut.start_s,
        cut.end_s,
        cut.start_pts,
        cut.end_pts,
        cut.start_frame,
        cut.end_frame,
        np.array(assign_cues(captions.cues, cut.start_s.tolist(), cut.end_s.tolist()), dtype=object),
        segmenter=settings.segmenter,
        options=recorded,
        fingerprint=fingerprint,
        time_base=cut.time_base,
        video_stream=video_stream,
        audio_stream=-1 if info.audio_index is None else info.audio_index,
        captions=captions.source,
        notes=list(notes),
        made_from={"source/media": source.fingerprint},
    )
    dropped: list[str] = []

    def put(before: Contents | None) -> Contents:
        if before and not overwrite:
            raise StaleError(
                f"{store} is there already.", "Another process wrote it meanwhile.", "Run the command again."
            )
        after = Contents(media.stem, {"source": source, "shots": shots})
        for place, group in before.groups.items() if before else ():
            if isinstance(group, Encoding | Fused | Embedding):
                if stale_parts(after, group.made_from):
                    dropped.append(place)
                else:
                    after = after.with_group(place, group)
        return after

    store.parent.mkdir(parents=True, exist_ok=True)
    update_store(store, put)
    if dropped:
        notes = (*notes, f"dropped, because the shots changed: {', '.join(dropped)}")
    spoken = sum(bool(text) for text in shots.text)
    return Outcome(store, "written", f"shots: {len(shots.start_s)}, {spoken} with text", notes)


def _source(media: Path, store: Path, info: MediaInfo, metadata: dict[str, Any]) -> Source:
    for text in (media.name, str(media)):
        if not text.isprintable():
            raise MediaError(f"{text!r} has a character in its name that a store cannot keep.", hint="Rename the file.")
    relative = os.path.relpath(media.resolve(), store.parent.resolve())
    streams = [dataclasses.asdict(stream) for stream in info.streams]
    path = Path(relative).as_posix()
    return Source(media.name, path, info.size, info.fingerprint, info.duration_s, streams, metadata)


def _require_same(
    before: Contents, source: Source, segmenter: str, options: dict[str, Any], fingerprint: dict[str, str], store: Path
) -> Shots:
    """The shots that are there, if they are what this run would make."""
    there, shots = before.groups.get("source"), before.groups.get("shots")
    if not isinstance(there, Source) or not isinstance(shots, Shots):
        raise _refused(store, "it has no shots")
    if there.fingerprint != source.fingerprint:
        raise _refused(store, f"it was made from another file, {there.name}")
    require_fresh(before, "shots", shots.made_from, "mediafm segment with --overwrite")
    if (shots.segmenter, dict(shots.options), dict(shots.fingerprint)) != (segmenter, options, fingerprint):
        raise _refused(store, f"it was segmented by {shots.segmenter} with {canonical_json(shots.options)}")
    if there.metadata != source.metadata:
        raise _refused(store, "its title metadata is not that given now")
    return shots


def _refused(store: Path, why: str) -> StaleError:
    hint = "Replace it with --overwrite, or choose another folder with -o."
    return StaleError(f"{store} is there already.", f"{why[:1].upper()}{why[1:]}.", hint)
