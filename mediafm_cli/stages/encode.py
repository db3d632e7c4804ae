"""``encode``: one modality of a title's shots becomes vectors, by whichever encoder was named.

Finished shots are committed at intervals; running it again does what is left. Batches are cut at the same shots whether
a run was interrupted or not, so that both end with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import numpy as np

from mediafm_cli.api import Text
from mediafm_cli.errors import StaleError, command
from mediafm_cli.media.kept_frames import QUALITY
from mediafm_cli.options import compared_options, options_as_json
from mediafm_cli.stages.host import EncoderHost
from mediafm_cli.stages.material import Material, gather_material
from mediafm_cli.stages.outcome import OnProgress, Outcome, Progress, ignore_progress
from mediafm_cli.stages.prefetch import prefetch
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256, require_fresh, stale_parts
from mediafm_cli.store.raw import to_raw
from mediafm_cli.store.read import Contents, Store, open_store
from mediafm_cli.store.schema import METADATA, Encoding

RECORDED_PACKAGES = ("mediafm-cli", "numpy", "av")


@dataclass(frozen=True)
class EncodeSettings:
    """How a modality is encoded.

    Attributes:
        modality: name of the modality; ``metadata`` encodes the title's metadata, one row, for [GLOBAL].
        batch_size: shots handed to the encoder at once; ``None`` leaves it to the encoder.
        commit_every_s: seconds after which the shots done so far are committed; ``None`` leaves it to the encoder.
        media: folder in which to look for the media files first.
    """

    modality: str
    batch_size: int | None = None
    commit_every_s: float | None = None
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
        StaleError: the store has this modality by another encoder, other options, or other shots; or the media file is
            not the one that was segmented.
        MediaError: the media file is gone.
        FailedOnTitleError: the encoder failed on this title.
        PluginError: the encoder cannot be loaded, or breaks its contract.
    """
    place = f"encodings/{settings.modality}"
    with open_store(path) as store:
        source, shots = store.source, store.shots
        require_fresh(store, "shots", shots.made_from, command("mediafm", "segment", "FILM", "-o", path, "--overwrite"))
        there = store.encoding(settings.modality) if place in store else None
        if dry_run and (there is None or overwrite):  # neither weights nor their hash are needed for a plan
            with gather_material(
                path, source, shots, settings.modality, host.encoder.needs, settings.media
            ) as material:
                return _plan(path, material, host, np.zeros(len(material.bare), bool))
        blank = _blank(store, host, settings.modality)
        if there:
            differs = _difference(store, there, blank, compared_options(host.encoder.options))
            if differs and not overwrite:
                what = f"{path} has {place} already, and it is not the same."
                raise StaleError(what, differs, "Replace it by adding --overwrite.")
            if overwrite and (differs or there.complete):
                there = None  # else it is the same work, interrupted, and goes on
    encoding = there or blank
    if encoding.complete:
        return Outcome(path, "unchanged", f"{settings.modality} is complete already")
    before = int(encoding.done.sum())
    digest = to_raw(place, there).sha256() if there else None
    commit_every_s = host.encoder.commit_every_s if settings.commit_every_s is None else settings.commit_every_s
    with gather_material(path, source, shots, settings.modality, host.encoder.needs, settings.media) as material:
        if dry_run:
            return _plan(path, material, host, encoding.done)
        if material.kept is not None and not material.kept.is_exact:
            encoding = replace(encoding, versions={**encoding.versions, "kept-frames": f"jpeg-{QUALITY}"})
        last = time.monotonic()
        for rows in _encode_rows(material, host, encoding, settings.batch_size or host.encoder.batch_size):
            encoding.done[rows] = True
            progress(Progress(int(encoding.done.sum()), len(encoding.done), "shots", before))
            if not encoding.done.all() and time.monotonic() - last >= commit_every_s:
                digest = _commit(path, place, encoding, digest, overwrite)
                last = time.monotonic()
    encoding = replace(encoding, complete=True)
    _commit(path, place, encoding, digest, overwrite)
    found = int(encoding.present.sum())
    unit = "row" if settings.modality == METADATA else "shots"
    resumed = f", {before} from before" if before else ""
    summary = f"{settings.modality}: {found} of {len(encoding.done)} {unit} present, {host.dim} numbers{resumed}"
    return Outcome(path, "written", summary)


def _plan(path: Path, material: Material, host: EncoderHost, done: np.ndarray) -> Outcome:
    left, spoken = int((~done).sum()), ""
    if material.texts is not None:
        host.plan([shot for _, shot in material.read(done) if shot is not None])
        spoken = f", {sum(map(material.has_text, np.flatnonzero(~done).tolist()))} with text"
    return Outcome(path, "planned", f"{left} of {len(done)} rows would be encoded by {host.name}{spoken}")


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
        versions={package: version(package) for package in (*RECORDED_PACKAGES, *host.encoder.packages)},
        made_from=parts_sha256(store, [part]),
    )


def _difference(store: Store, there: Encoding, wanted: Encoding, compared: Sequence[str]) -> str:
    """In what the encoding that is there differs from the one that is wanted; empty where it is the same."""
    options, wanted_options = ({key: of.options.get(key) for key in compared} for of in (there, wanted))
    if there.encoder != wanted.encoder:
        return f"It was made by {there.encoder}, not {wanted.encoder}."
    if options != wanted_options or there.options.keys() != wanted.options.keys():
        return f"It was made with the options {dict(there.options)}, not {dict(wanted.options)}."
    if dict(there.fingerprint) != dict(wanted.fingerprint) or there.vectors.shape != wanted.vectors.shape:
        return f"{there.encoder} has changed since: {dict(there.fingerprint)} is now {dict(wanted.fingerprint)}."
    if stale_parts(store, there.made_from) or dict(there.made_from) != dict(wanted.made_from):
        return f"It was made from {', '.join(there.made_from)}, which changed since."
    return ""


def _encode_rows(material: Material, host: EncoderHost, encoding: Encoding, size: int) -> Iterator[np.ndarray]:
    """Encode the rows that are not done, some at a time, while the next are read; the rows of each time."""
    if material.may_hold(encoding.done):
        host.load()
    read = prefetch(material.read(encoding.done), lambda item: (item[0], item[1] and host.prepare(item[1])), ahead=size)
    with closing(read):
        for _, group in groupby(read, key=lambda item: item[0] // size):
            batch = list(group)
            present = [shot for _, shot in batch if shot is not None]
            for rows, vectors in host.encode(present) if present else ():
                encoding.vectors[rows], encoding.present[rows] = vectors, True
                yield np.array(rows)
            others = np.array([row for row, shot in batch if shot is None], dtype=int)
            first = material.first_alike[others]
            encoding.vectors[others], encoding.present[others] = encoding.vectors[first], encoding.present[first]
            if len(others):
                yield others


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
