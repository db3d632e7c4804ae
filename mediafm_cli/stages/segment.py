"""``segment``: a media file becomes a store of its shots, their text, and what is known of the source."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_cli.api import Frames, Title
from mediafm_cli.errors import MediaError, StaleError, counted
from mediafm_cli.media.captions import Captions, Cue, StreamCues, assign_cues, choose_captions
from mediafm_cli.media.container import PROCESSOR, Decoding, open_media
from mediafm_cli.media.hardware import choose_decoding
from mediafm_cli.media.probe import MediaInfo, probe, require_video
from mediafm_cli.media.shots import DEFAULT_RULES, ShotList, ShotRules, cut_into_shots
from mediafm_cli.options import options_as_json, parse_options
from mediafm_cli.registry import blame, blame_on_title, load_segmenter
from mediafm_cli.stages.keep import Collector, keep_later
from mediafm_cli.stages.metadata import read_metadata
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress, ignore_progress
from mediafm_cli.stages.segmented import ChosenSegmenter, require_same, require_same_text
from mediafm_cli.store.commit import require_writable, update_store
from mediafm_cli.store.freshness import parts_sha256, stale_parts
from mediafm_cli.store.read import Contents, read_contents
from mediafm_cli.store.schema import Boundaries, Cues, Embedding, Encoding, Fused, Shots, Source

_LONG_S = 60.0  # of a shot: few takes last longer, and a title in which no cut was found mostly does
_GIVEN = "import"  # the segmenter whose cuts somebody gave on purpose


@dataclass(frozen=True)
class SegmentSettings:
    """How titles are segmented.

    Attributes:
        segmenter: name of a segmenter plugin. ``options``: its options, as ``key=value``.
        rules: which boundaries make shots.
        subtitles: a subtitle file instead of what lies beside or inside the media file.
        language: languages of the subtitles to prefer, such as ``en`` or ``pt,es``.
        subtitle_encoding: of subtitles that are not UTF-8, such as ``cp1251``; ``None`` finds it out.
        metadata: file with what is known of the title: ``.json`` or text.
        keep_frames: frames of each shot to keep beside the store for ``encode``, and the sound with them, if the shots
            are found in this run; ``None`` keeps neither.
        decoding: threads and hardware.
    """

    segmenter: str = "content"
    options: Sequence[str] = ()
    rules: ShotRules = DEFAULT_RULES
    subtitles: Path | None = None
    language: str | None = None
    subtitle_encoding: str | None = None
    metadata: Path | None = None
    keep_frames: Frames | None = None
    decoding: Decoding = PROCESSOR


@dataclass(frozen=True)
class SegmentOutcome(Outcome):
    """What ``segment`` says of one title.

    Attributes:
        decoded_by: the device or ``processor`` that decoded it for its shots; empty where they were not sought.
        lost: packets and pictures that it lost.
    """

    decoded_by: str = ""
    lost: int = 0


def segment_title(
    media: Path,
    store: Path,
    settings: SegmentSettings | None = None,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: OnProgress = ignore_progress,
) -> SegmentOutcome:
    """Cut one title into shots and commit it to ``store``.

    A store that is there already is left alone where it says the same, and refused where it says something else, unless
    ``overwrite``: then what was made from parts that stay the same is kept, and the rest is dropped.

    Where pictures are lost on a device, the processor decodes the title once more: what it loses too is damage.

    Raises:
        MediaError: the file is no media, has no picture, or cannot be read.
        StaleError: the store was made from another file, or with other settings; says which.
        StoreError: the store is damaged; ``overwrite`` replaces no such one.
        FailedOnTitleError: the segmenter failed on this title, or is wrong about it.
        PluginError: the segmenter cannot be found, loaded or started.
        UnavailableError: the store's folder cannot be written.
    """
    settings = settings or SegmentSettings()
    on_processor = replace(settings, decoding=replace(settings.decoding, hwaccel=""))
    needs = settings.keep_frames
    info = probe(media)
    if dry_run or info.video is None:
        with open_media(media) as container:
            require_video(media, container)
    chosen = _load(settings, media, info)
    source = _source(media, store, info, read_metadata(settings.metadata) if settings.metadata else {})
    source_of_text = choose_captions(media, info, settings.subtitles, settings.language, settings.subtitle_encoding)
    there = read_contents(store) if store.exists() else None  # one that is not valid is refused before the work
    if there and not overwrite:
        shots = require_same(there, source, chosen, store)
        require_same_text(shots, source_of_text, store)
        summary = f"shots: {len(shots.text)}, there already"
        kept = ""
        if needs and not dry_run:
            kept = keep_later(media, store, source.fingerprint, shots, needs, on_processor.decoding)
        if kept:
            return SegmentOutcome(store, "written", f"{summary}; {kept}")
        return SegmentOutcome(store, "unchanged", summary)
    if dry_run:
        return SegmentOutcome(
            store, "planned", f"{media} would be cut into shots by {settings.segmenter}", source_of_text.notes
        )
    decoding, path_taken = settings.decoding, ""
    if decoding.hwaccel:
        decoding, path_taken = choose_decoding(media, decoding)

    def watch(frames: int, time_s: float) -> None:
        progress(Progress(time_s, info.duration_s, "s"))

    require_writable(store)
    collecting = (
        Collector(media, store, source.fingerprint, needs, info.audio_index, on_processor.decoding)
        if needs
        else nullcontext()
    )
    with collecting as collector:
        streamed = StreamCues(info.start_s)
        listen = {} if source_of_text.stream is None else {source_of_text.stream: streamed.take}
        if collector and collector.sound and info.audio_index is not None:
            listen[info.audio_index] = collector.sound.take
        with blame_on_title(chosen.described, f"on {media}"):
            cut = cut_into_shots(
                media,
                chosen.segmenter,
                settings.rules,
                decoding=decoding,
                frames=collector.asked if collector else None,
                listen=listen,
                look=None if source_of_text.pictures is None else streamed.see,
                progress=watch,
            )
        lost = cut.report.damaged
        once_more = bool(lost and decoding.hwaccel)
        if not once_more:
            streamed.end(cut.report.end_s)
            captions = source_of_text.captions(streamed)
            uncut = _describe_uncut(cut, settings) or _describe_left_out(cut, settings)
            notes = tuple(filter(None, (_describe_damage(cut), uncut, *captions.notes)))
            shots = _make_shots(cut, captions, source, chosen, info, notes)
            dropped = _commit(store, media, source, shots, cut, captions, overwrite)
            kept = collector.finish(shots) if collector else ""
    if once_more:
        outcome = segment_title(media, store, on_processor, overwrite=overwrite, progress=progress)
        if lost <= outcome.lost:
            return outcome
        by_device = counted(lost - outcome.lost, "picture")
        why = f"{decoding.hwaccel} lost {by_device}, so the processor decoded it once more"
        return replace(outcome, notes=(*outcome.notes, why))
    if dropped:
        notes = (*notes, f"dropped, because the shots changed: {', '.join(dropped)}")
    spoken = sum(bool(text) for text in shots.text)
    done = [f"shots: {len(shots.start_s)}, {spoken} with text"]
    done.append(kept)
    if decoding.hwaccel:
        done.append(path_taken)
    elif path_taken:  # it is not what was asked for
        notes = (*notes, path_taken)
    decoded_by = decoding.hwaccel or "processor"
    return SegmentOutcome(store, "written", "; ".join(filter(None, done)), notes, decoded_by, lost)


def _load(settings: SegmentSettings, media: Path, info: MediaInfo) -> ChosenSegmenter:
    loaded = load_segmenter(settings.segmenter)
    kind, described = loaded.plugin, loaded.found.described
    options = parse_options(kind.Options, settings.options)
    rate = info.video.frame_rate if info.video else None
    with blame(described, "to start"):
        segmenter = kind(options)
    with blame_on_title(described, f"on {media}"):
        segmenter.begin(Title(media.stem, Fraction(rate) if rate else None, info.duration_s))
        fingerprint = dict(segmenter.fingerprint())
    recorded = {**options_as_json(segmenter.options), "min_shot_s": settings.rules.min_shot_s}
    if settings.rules.max_shot_s is not None:
        recorded["max_shot_s"] = settings.rules.max_shot_s
    return ChosenSegmenter(segmenter, settings.segmenter, described, recorded, fingerprint)


def _describe_damage(cut: ShotList) -> str:
    return "" if cut.report.is_whole else cut.report.describe()


def _describe_uncut(cut: ShotList, settings: SegmentSettings) -> str:
    """Why a long title has no boundary that was found; empty where it has one, or is not long."""
    length_s = float(cut.end_s[-1] - cut.start_s[0])
    if length_s < _LONG_S or _count_found_edges(cut):
        return ""
    why = f"{settings.segmenter} found none"
    if cut.found:
        why = f"--min-shot {settings.rules.min_shot_s:g} left out all that {settings.segmenter} found: {cut.found}"
    parts = f"; --max-shot split it into {len(cut)}" if len(cut) > 1 else ""
    return f"no boundary of shots in {length_s:.0f} s: {why}{parts}"


def _describe_left_out(cut: ShotList, settings: SegmentSettings) -> str:
    """How many of the cuts that somebody gave on purpose make no shot; empty where all do."""
    left_out = cut.found - _count_found_edges(cut)
    if settings.segmenter.rpartition(":")[2] != _GIVEN or not left_out:
        return ""
    return f"--min-shot {settings.rules.min_shot_s:g} left out {left_out} of {counted(cut.found, 'cut')}"


def _count_found_edges(cut: ShotList) -> int:
    return sum(boundary.kind not in ("start", "split") for boundary in cut.boundaries)


def _make_shots(
    cut: ShotList, captions: Captions, source: Source, chosen: ChosenSegmenter, info: MediaInfo, notes: Sequence[str]
) -> Shots:
    return Shots(
        cut.start_s,
        cut.end_s,
        cut.start_pts,
        cut.end_pts,
        cut.start_frame,
        cut.end_frame,
        np.array(assign_cues(captions.cues, cut.start_s.tolist(), cut.end_s.tolist()), dtype=object),
        segmenter=chosen.name,
        options=chosen.options,
        fingerprint=chosen.fingerprint,
        time_base=cut.time_base,
        video_stream=cut.stream_index,
        audio_stream=-1 if info.audio_index is None else info.audio_index,
        captions=captions.source,
        notes=list(notes),
        made_from={"source/media": source.fingerprint},
    )


def _commit(
    store: Path, media: Path, source: Source, shots: Shots, cut: ShotList, captions: Captions, overwrite: bool
) -> list[str]:
    """Put the shots into the store; the groups that had to go, because they were made from what is no more."""
    dropped: list[str] = []

    def put(before: Contents | None) -> Contents:
        if before and not overwrite:
            raise StaleError(
                f"{store} is there already.", "Another process wrote it meanwhile.", "Run the command again."
            )
        after = Contents(media.stem, {"source": source, "shots": shots})
        after = after.with_group("boundaries", _make_boundaries(cut, parts_sha256(after, ["shots/timing"])))
        if captions.cues:
            after = after.with_group("cues", _make_cues(captions.cues, source))
        for place, group in before.groups.items() if before else ():
            if isinstance(group, Encoding | Fused | Embedding):
                if stale_parts(after, group.made_from):
                    dropped.append(place)
                else:
                    after = after.with_group(place, group)
        return after

    update_store(store, put)
    return dropped


def _make_boundaries(cut: ShotList, made_from: dict[str, str]) -> Boundaries:
    return Boundaries(
        kind=np.array([boundary.kind for boundary in cut.boundaries], dtype=object),
        score=np.array([boundary.score for boundary in cut.boundaries]),
        first_frame=np.array([boundary.first for boundary in cut.boundaries]),
        last_frame=np.array([boundary.last for boundary in cut.boundaries]),
        first_s=cut.first_s,
        last_s=cut.last_s,
        made_from=made_from,
    )


def _make_cues(cues: Sequence[Cue], source: Source) -> Cues:
    return Cues(
        start_s=np.array([cue.start_s for cue in cues]),
        end_s=np.array([cue.end_s for cue in cues]),
        text=np.array([cue.text for cue in cues], dtype=object),
        sound=np.array([cue.sound for cue in cues]),
        made_from={"source/media": source.fingerprint},
    )


def _source(media: Path, store: Path, info: MediaInfo, metadata: dict[str, Any]) -> Source:
    for text in (media.name, str(media)):
        if not text.isprintable():
            raise MediaError(f"{text!r} has a character in its name that a store cannot keep.", hint="Rename the file.")
    relative = os.path.relpath(media.resolve(), store.parent.resolve())
    streams = [dataclasses.asdict(stream) for stream in info.streams]
    path = Path(relative).as_posix()
    return Source(media.name, path, info.size, info.fingerprint, info.duration_s, streams, metadata)
