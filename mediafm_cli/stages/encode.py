"""``encode``: one modality of a title's shots becomes vectors, by whichever encoder was named.

Finished shots are committed at intervals; running it again does what is left. Batches are cut at the same shots whether
a run was interrupted or not, so that both end with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import numpy as np

from mediafm_cli.api import Audio, Frames, Shot, Text
from mediafm_cli.errors import MediaError, StaleError, command
from mediafm_cli.media.audio import read_spans
from mediafm_cli.media.fingerprint import fingerprint_file
from mediafm_cli.media.frames import sample_frames
from mediafm_cli.options import options_as_json
from mediafm_cli.stages.host import EncoderHost
from mediafm_cli.stages.metadata import metadata_text
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress, ignore_progress
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256, require_fresh, stale_parts
from mediafm_cli.store.raw import to_raw
from mediafm_cli.store.read import Contents, Store, open_store
from mediafm_cli.store.schema import METADATA, Encoding, Shots, Source

RECORDED_PACKAGES = ("mediafm-cli", "numpy", "av")


@dataclass(frozen=True)
class EncodeSettings:
    """How a modality is encoded.

    Attributes:
        modality: name of the modality; ``metadata`` encodes the title's metadata, one row, for [GLOBAL].
        batch_size: shots handed to the encoder at once.
        commit_every_s: seconds after which the shots done so far are committed.
        media: folder in which to look for the media files first.
    """

    modality: str
    batch_size: int = 32
    commit_every_s: float = 30.0
    media: Path | None = None


def encode_title(
    path: Path,
    host: EncoderHost,
    settings: EncodeSettings,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: OnProgress = ignore_progress,
) -> Outcome:
    """Encode what is not done yet of one modality of one title.

    Raises:
        StaleError: the store has this modality by another encoder, other options, or other shots.
        MediaError: the media file is gone, or is not the one that was segmented.
        PluginError: the encoder failed.
    """
    place = f"encodings/{settings.modality}"
    with open_store(path) as store:
        source, shots = store.source, store.shots
        require_fresh(store, "shots", shots.made_from, command("mediafm", "segment", "FILM", "-o", path, "--overwrite"))
        blank = _blank(store, host, settings.modality)
        there = store.encoding(settings.modality) if place in store and not overwrite else None
        if there:
            _require_same(store, there, blank)
    encoding = there or blank
    if encoding.complete:
        return Outcome(path, "unchanged", f"{settings.modality} is complete already")
    left = int((~encoding.done).sum())
    media = path if isinstance(host.encoder.needs, Text) else find_media(path, source, settings.media)
    if dry_run:
        return Outcome(path, "planned", f"{left} of {len(encoding.done)} rows would be encoded by {host.name}")

    digest = to_raw(place, there).sha256() if there else None
    last = time.monotonic()
    for rows, batch in _batches(media, source, shots, host, encoding, settings):
        if batch:
            present = [shot.index for shot in batch]
            encoding.vectors[present] = host.encode(batch)
            encoding.present[present] = True
        encoding.done[rows] = True
        progress(Progress(int(encoding.done.sum()), len(encoding.done), "shots"))
        if not encoding.done.all() and time.monotonic() - last >= settings.commit_every_s:
            digest = _commit(path, place, encoding, digest, overwrite)
            last = time.monotonic()
    encoding = replace(encoding, complete=True)
    _commit(path, place, encoding, digest, overwrite)
    found = int(encoding.present.sum())
    unit = "row" if settings.modality == METADATA else "shots"
    resumed = f", {len(encoding.done) - left} from before" if left < len(encoding.done) else ""
    summary = f"{settings.modality}: {found} of {len(encoding.done)} {unit} present, {host.dim} numbers{resumed}"
    return Outcome(path, "written", summary)


def find_media(store: Path, source: Source, folder: Path | None = None) -> Path:
    """The media file that a store was made from: in ``folder``, where it was, or beside the store.

    Raises:
        MediaError: it is in none of these places, or it has changed.
    """
    candidates = [folder / source.name] if folder else []
    candidates += [store.parent / source.path, store.parent / source.name]
    for candidate in candidates:
        if candidate.is_file():
            if candidate.stat().st_size == source.size and fingerprint_file(candidate) == source.fingerprint:
                return candidate
            raise MediaError(
                f"{candidate} is not the file that {store} was segmented from.",
                "Its size or content differs.",
                f"Segment it again: {command('mediafm', 'segment', candidate, '-o', store, '--overwrite')}",
            )
    raise MediaError(
        f"The media file of {store}, {source.name}, was not found.",
        f"Looked at: {', '.join(map(str, candidates))}.",
        "Name its folder with --media FOLDER",
    )


def _blank(store: Store, host: EncoderHost, modality: str) -> Encoding:
    """The encoding with nothing done, and every field that says what makes it."""
    n = 1 if modality == METADATA else len(store.shots.start_s)
    needs_text = isinstance(host.encoder.needs, Text)
    part = "source/metadata" if modality == METADATA else "shots/text" if needs_text else "shots/timing"
    return Encoding(
        np.zeros((n, host.dim), np.float32),
        np.zeros(n, bool),
        np.zeros(n, bool),
        modality=modality,
        encoder=host.name,
        options=options_as_json(host.encoder.options),
        fingerprint=host.fingerprint,
        complete=False,
        versions={package: version(package) for package in RECORDED_PACKAGES},
        made_from=parts_sha256(store, [part]),
    )


def _require_same(store: Store, there: Encoding, wanted: Encoding) -> None:
    name = f"encodings/{there.modality}"
    if there.encoder != wanted.encoder:
        why = f"It was made by {there.encoder}, not {wanted.encoder}."
    elif dict(there.options) != dict(wanted.options):
        why = f"It was made with the options {dict(there.options)}, not {dict(wanted.options)}."
    elif dict(there.fingerprint) != dict(wanted.fingerprint) or there.vectors.shape != wanted.vectors.shape:
        why = f"{there.encoder} has changed since: {dict(there.fingerprint)} is now {dict(wanted.fingerprint)}."
    elif stale_parts(store, there.made_from) or dict(there.made_from) != dict(wanted.made_from):
        why = f"It was made from {', '.join(there.made_from)}, which changed since."
    else:
        return
    what = f"{store.path} has {name} already, and it is not the same."
    raise StaleError(what, why, "Replace it by adding --overwrite.")


def _batches(
    media: Path, source: Source, shots: Shots, host: EncoderHost, encoding: Encoding, settings: EncodeSettings
) -> Iterator[tuple[np.ndarray, list[Shot]]]:
    """The rows of each batch that is not done, and those of its shots that have the modality."""
    size = settings.batch_size
    waiting = [batch for batch in range(0, len(encoding.done), size) if not encoding.done[batch : batch + size].all()]
    rows = np.concatenate([np.arange(batch, min(batch + size, len(encoding.done))) for batch in waiting])
    if settings.modality == METADATA:
        shot = Shot(0, 0.0, source.duration_s or float(shots.end_s[-1]), text=metadata_text(source.metadata))
        inputs = iter([(0, shot if shot.text else None)])
    else:
        inputs = _inputs(media, shots, rows, host)
    for _, group in groupby(inputs, key=lambda item: item[0] // size):
        numbered = list(group)
        yield np.array([row for row, _ in numbered]), [shot for _, shot in numbered if shot is not None]


def _inputs(media: Path, shots: Shots, rows: np.ndarray, host: EncoderHost) -> Iterator[tuple[int, Shot | None]]:
    """Each of ``rows`` with its shot as the encoder needs it; None where the shot lacks the modality."""

    bare = [Shot(int(row), float(shots.start_s[row]), float(shots.end_s[row])) for row in rows]
    match host.encoder.needs:
        case Text():
            for shot in bare:
                text = str(shots.text[shot.index])
                yield shot.index, replace(shot, text=text) if text.strip() else None
        case Frames() as needs:
            spans = [(int(shots.start_pts[row]), int(shots.end_pts[row])) for row in rows]
            for position, frames in sample_frames(media, spans, needs, shots.video_stream):
                shot = bare[position]
                yield shot.index, None if frames is None else replace(shot, frames=frames)
        case Audio(rate=rate) if shots.audio_stream >= 0:
            spans_s = [(shot.start_s, shot.end_s) for shot in bare]
            for position, audio in read_spans(media, spans_s, rate, shots.audio_stream):
                shot = bare[position]
                yield shot.index, None if audio is None else replace(shot, audio=audio)
        case Audio():
            yield from ((shot.index, None) for shot in bare)


def _commit(path: Path, place: str, encoding: Encoding, digest: str | None, overwrite: bool) -> str:
    """Put ``encoding`` where the group with ``digest`` is, unless that or what it was made from changed; its digest."""

    def put(contents: Contents | None) -> Contents:
        if contents is None:
            raise StaleError(f"{path} is gone.", "It was removed while it was being encoded.")
        changed = stale_parts(contents, encoding.made_from)
        if changed:
            why = f"Changed: {', '.join(changed)}."
            raise StaleError(f"{path} changed while it was being encoded.", why, "Run the command again.")
        there = contents.digest(place) if place in contents.groups else None
        if there != digest and not (overwrite and digest is None):
            what = f"{path}: another process encodes {encoding.modality} at the same time."
            raise StaleError(what, hint="Wait for it to end, and run the command again.")
        return contents.with_group(place, encoding)

    return update_store(path, put).digest(place)
