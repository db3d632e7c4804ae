"""``score``: hold the boundaries in stores against the true ones, and draw what was mistaken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

import numpy as np

from mediafm_cli.errors import MediaError, StaleError, UsageError, command
from mediafm_cli.evaluate.boundaries.agreement import CUT, GRADUAL, Found, Mistake, score_boundaries
from mediafm_cli.evaluate.boundaries.results import describe_found, describe_true
from mediafm_cli.evaluate.boundaries.totals import TitleScore
from mediafm_cli.evaluate.boundaries.truth import Span, TitleTruth, open_truth
from mediafm_cli.evaluate.writing import format_time
from mediafm_cli.media.strips import read_strips
from mediafm_cli.model.atomic import write_atomically
from mediafm_cli.report.contact_sheet import BOX, Mark, Still, draw_sheet
from mediafm_cli.stages.material import find_media
from mediafm_cli.stages.outcome import OnProgress, Progress, ignore_progress
from mediafm_cli.store.freshness import require_fresh
from mediafm_cli.store.read import Store, open_store

BEFORE, AFTER = 6, 5
"""Frames shown before a cut, and after the first frame of the new shot."""

_SHOWN = 12  # frames of a gradual transition
_OTHER_FILE = "Give the truth of this very file: another cut, rate or encoding of a film has other frame numbers."
_NAME_LENGTH = 50  # of a title in a file name: 255 bytes hold four times as many


@dataclass(frozen=True)
class Scored:
    """The titles that were scored, and, as ``MEDIA (STORE)``, those that the truth does not tell of."""

    titles: tuple[TitleScore, ...]
    without_truth: tuple[str, ...] = ()


def score_stores(stores: Sequence[Path], truth: Path) -> Scored:
    """Score every title of which the truth is known.

    Raises:
        UsageError: no title has a truth, the truth is of another file, or it is no truth.
        StoreError: a store is not valid, or its boundaries are stale.
    """
    files = open_truth(truth)
    if len(stores) > 1 and not files.is_of_many:
        raise UsageError(
            f"{truth} holds the truth about one title, and {len(stores)} stores were given.",
            hint="Give one store, or a folder of such files.",
        )
    scored: list[TitleScore] = []
    without: list[str] = []
    of_media: dict[str, Path] = {}
    for path in stores:
        with open_store(path) as store:
            found = files.of_title(store.title_id, store.source.name, store.shots.video_stream)
            if found is None:
                without.append(f"{store.source.name} ({path})")
                continue
            title, first = _score_title(store, found), of_media.setdefault(store.source.fingerprint, path)
        if first != path:
            title = replace(title, notes=(*title.notes, f"it is of the same film as {first}, and both are counted"))
        scored.append(title)
    if not scored:
        looked = "by the name of the media file" if files.content else "for TITLE.truth.json and TITLE.json"
        raise UsageError(
            f"There is no truth about {', '.join(without)}.",
            f"{truth} was searched {looked}.",
            "Add it, or give other stores.",
        )
    return Scored(tuple(scored), tuple(without))


def _score_title(store: Store, found: TitleTruth) -> TitleScore:
    shots = store.shots
    frames = int(shots.end_frame[-1])
    if found.truth.frames not in (None, frames):
        raise UsageError(
            f"{found.origin} is the truth of another file than {store.path} was made from.",
            f"It speaks of {found.truth.frames} frames, and the store has {frames}.",
            _OTHER_FILE,
        )
    beyond = [span for span in (*found.truth.hard_cuts, *found.truth.gradual) if span.last >= frames]
    if beyond:
        raise UsageError(
            f"{found.origin} is the truth of another file than {store.path} was made from.",
            f"It names frame {beyond[0].last}, and the store has {frames} frames.",
            _OTHER_FILE,
        )
    boundaries, notes = _read_found(store)
    score = score_boundaries(boundaries, found.truth)
    edges = [*shots.start_frame.tolist(), frames]
    edges_s = [*shots.start_s.tolist(), float(shots.end_s[-1])]
    times_s = np.interp([mistake.frame for mistake in score.mistakes], edges, edges_s)
    if found.passed_over:
        names = ", ".join(found.passed_over)
        notes.append(f"scored by its video stream {shots.video_stream}, and not by the truth about others: {names}")
    return TitleScore(
        store.title_id, store.path, store.source.name, frames, score, tuple(times_s.tolist()), tuple(notes)
    )


def _read_found(store: Store) -> tuple[list[Found], list[str]]:
    """The boundaries that the segmenter found; where a shot was only divided for its length is none."""
    if "boundaries" not in store:
        again = command("mediafm", "segment", store.source.name, "-o", store.path, "--overwrite")
        return (
            [Found(Span(CUT, frame, frame)) for frame in store.shots.start_frame[1:].tolist()],
            [f"it does not say of what kind its boundaries are: each counts as a hard cut. {again} would tell"],
        )
    group = store.boundaries
    require_fresh(store, "boundaries", group.made_from, "mediafm segment with --overwrite")
    columns = (group.kind, group.first_frame.tolist(), group.last_frame.tolist(), group.score.tolist())
    return [
        Found(Span(kind, first, last), score)
        for kind, first, last, score in zip(*columns, strict=True)
        if kind in (CUT, GRADUAL)
    ], []


# --- contact sheets ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheets:
    """The contact sheets of one title: place among its mistakes → file; and why there are fewer than were asked for."""

    paths: Mapping[int, Path]
    note: str = ""


def name_sheets(titles: Sequence[TitleScore], limit: int) -> list[dict[int, str]]:
    """Names for the first ``limit`` sheets: for each title, the place among its mistakes → the file name."""
    used: set[str] = set()
    named: list[dict[int, str]] = []
    for title in titles:
        names: dict[int, str] = {}
        for place, mistake in list(enumerate(title.score.mistakes))[: limit - len(used)]:
            stem = f"{title.title_id[:_NAME_LENGTH]}-{mistake.frame:06}-{mistake.kind.replace(' ', '-')}"
            numbered = (f"{stem}-{number}.png" for number in count(2))
            names[place] = next(name for name in chain([f"{stem}.png"], numbered) if name not in used)
            used.add(names[place])
        named.append(names)
    return named


def write_sheets(
    title: TitleScore,
    names: Mapping[int, str],
    folder: Path,
    media_folder: Path | None = None,
    progress: OnProgress = ignore_progress,
) -> Sheets:
    """Draw mistakes of one title as PNG files in ``folder``, which is there, in one pass over the media file.

    A media file that is not there, was replaced, or does not decode so far, makes a note: the score stands without it.
    """
    places = sorted(names)
    strips = [choose_frames(title.score.mistakes[place], title.frames) for place in places]
    last = max((strip[-1] for strip in strips), default=-1)
    paths: dict[int, Path] = {}
    try:
        with open_store(title.store) as store:
            media, stream = find_media(title.store, store.source, store.shots, media_folder), store.shots.video_stream
        read = read_strips(media, stream, strips, BOX, lambda done: progress(Progress(done, last + 1, "frames")))
        for number, frames in read:
            place = places[number]
            stills = [Still(one.frame, f"{one.frame} · {format_time(one.time_s)}", one.rgb) for one in frames]
            path = folder / names[place]
            write_atomically(path, _draw(title, place, stills))
            paths[place] = path
    except (MediaError, StaleError) as error:
        return Sheets(paths, f"not drawn: {len(names) - len(paths)} of {len(names)} contact sheets. {error}")
    return Sheets(paths)


def choose_frames(mistake: Mistake, frames: int) -> list[int]:
    """Which frames show a mistake in a title of so many: every one around a cut; of a gradual transition some.

    These lie evenly from before its first to after its last frame, and hold the first and last frame of what is true
    and of what was found.
    """
    spans = mistake.spans
    first, last = min(span.first for span in spans), max(span.last for span in spans)
    if all(span.kind == CUT for span in spans):
        return list(range(max(0, first - BEFORE), min(frames, last + AFTER + 1)))
    beside = max(3, (last - first) // 6)
    begin, end = max(0, first - beside), min(frames - 1, last + beside)
    chosen = set(np.linspace(begin, end, _SHOWN).round().astype(int).tolist())
    edges = {edge for span in spans for edge in (span.first, span.last)}
    for edge in sorted(edges - chosen):
        nearest = min(chosen - edges - {begin, end}, key=lambda frame: abs(frame - edge))
        chosen = chosen - {nearest} | {edge}
    return sorted(chosen)


def _draw(title: TitleScore, place: int, stills: Sequence[Still]) -> bytes:
    mistake = title.score.mistakes[place]
    true, found = mistake.true, mistake.found
    during = f" · during: {mistake.during}" if mistake.during else ""
    return draw_sheet(
        f"{mistake.kind} at frame {mistake.frame}",
        f"{title.media}{during}",
        stills,
        _mark(true, describe_true(true)) if true else None,
        _mark(found.span, describe_found(found)) if found else None,
    )


def _mark(span: Span, line: str) -> Mark:
    return Mark(span.kind.replace("_", " "), span.first, span.last, line, span.kind == CUT)
