"""``search``: the shots nearest to a shot, a picture or a sentence, in one kind of vector, by the cosine.

Exact, over any number of shots: one title is in memory at a time.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mediafm_cli.errors import StoreError, UsageError
from mediafm_cli.evaluate.neighbours import nearest_rows
from mediafm_cli.stages.export import require_one
from mediafm_cli.stages.spaces import OneSpace, read_vectors, rows_of
from mediafm_cli.store.read import open_store
from mediafm_cli.store.schema import METADATA, Encoding, kind_at

FLAT, FUSED = "flat", "fused"
LIKE = re.compile(r"(?P<title>.+?)(?::(?P<shot>\d{1,9})|@(?P<time_s>\d+(?:\.\d*)?))", re.DOTALL)


@dataclass(frozen=True)
class ShotPlace:
    """One shot of one title.

    Attributes:
        store: of the title. ``shot``: its number, from 0.
    """

    store: Path
    shot: int


@dataclass(frozen=True)
class Hit:
    """One shot that was found.

    Attributes:
        store: that holds its title. ``title_id``, ``shot``: which it is; numbered from 0.
        start_s, end_s: seconds on the title's clock, end exclusive.
        text: its captions, joined by newlines; empty where there are none.
        cosine: to what was asked for; 1 is the same direction.
    """

    store: Path
    title_id: str
    shot: int
    start_s: float
    end_s: float
    text: str
    cosine: float


@dataclass(frozen=True)
class Titles:
    """Stores among whose shots is searched, in their order, as they were when they were scanned.

    Attributes:
        ids: store → id of its title.
        digests: store → the hash of each of its groups, by place.
    """

    ids: Mapping[Path, str]
    digests: Mapping[Path, Mapping[str, str]]


def scan_titles(stores: Sequence[Path]) -> Titles:
    """What titles there are, and what they hold; no vector is read.

    Raises:
        StoreError: a store is not valid.
        UsageError: two stores hold titles of one id.
    """
    ids: dict[Path, str] = {}
    digests: dict[Path, dict[str, str]] = {}
    owners: dict[str, Path] = {}
    for path in stores:
        with open_store(path) as store:
            ids[path] = store.title_id
            digests[path] = {place: store.digest(place) for place in store.places}
        require_one(owners, path, ids[path])
    return Titles(ids, digests)


def choose_place(titles: Titles, named: str | None, *, default: str | None = None) -> str:
    """The group in which to search.

    Args:
        named: ``flat`` (the fused vectors), a modality, the name of embeddings, or the group itself, such as
            ``encodings/video``. ``None`` for ``default``; without one, the embeddings where all stores together have
            those of one name, else the fused vectors.

    Raises:
        UsageError: none of the stores has it, or it has one vector a title, or the name is that of two groups.
    """
    there = dict.fromkeys(place for digests in titles.digests.values() for place in digests)
    embeddings = [place for place in there if place.startswith("embeddings/")]
    if named is None:
        return default or (embeddings[0] if len(embeddings) == 1 else FUSED)
    wanted = FUSED if named == FLAT else named
    fitting = [place for place in (wanted, f"encodings/{wanted}", f"embeddings/{wanted}") if place in there]
    kinds = {place: kind_at(place) for place in there}
    searchable = [place for place, kind in kinds.items() if kind and kind.place in ("encodings", FUSED, "embeddings")]
    fitting = [place for place in fitting if place in searchable and place != f"encodings/{METADATA}"]
    if len(fitting) > 1:
        raise UsageError(f"--in {named} can be {' or '.join(fitting)}.", hint="Say which of them.")
    if not fitting:
        if wanted in (METADATA, f"encodings/{METADATA}"):
            raise UsageError(f"--in {named} has no vectors of shots.", "Metadata is of the title as a whole.")
        names = [FLAT if place == FUSED else place.partition("/")[2] for place in searchable]
        known = ", ".join(name for name in dict.fromkeys(names) if name != METADATA) or "none"
        raise UsageError(f"{_none_has(titles)} vectors called {named!r}.", f"There are: {known}.")
    return fitting[0]


def find_shot(titles: Titles, like: str) -> ShotPlace:
    """The shot that ``TITLE:NUMBER`` or ``TITLE@SECONDS`` names; a title is its id or the name of its store.

    Raises:
        UsageError: it is written otherwise; there is no such title or shot; the title can be two.
    """
    parsed = LIKE.fullmatch(like)
    if parsed is None:
        hint = "Write TITLE:NUMBER or TITLE@SECONDS, such as film:12 or film@63.5."
        raise UsageError(f"{like!r} names no shot.", hint=hint)
    path = _find_title(titles, parsed["title"])
    with open_store(path) as store:
        shots = store.shots
    count, start_s, end_s = len(shots.start_s), float(shots.start_s[0]), float(shots.end_s[-1])
    if parsed["shot"] is not None:
        shot = int(parsed["shot"])
        if shot >= count:
            raise UsageError(f"{parsed['title']!r} has no shot {shot}.", f"Its shots are 0 to {count - 1}.")
        return ShotPlace(path, shot)
    time_s = float(parsed["time_s"])
    if not start_s <= time_s < end_s:
        why = f"The title goes from {start_s:.3f} s to {end_s:.3f} s."
        raise UsageError(f"{parsed['title']!r} has no shot at {time_s} s.", why)
    return ShotPlace(path, int(np.searchsorted(shots.start_s, time_s, side="right")) - 1)


def vector_of(place: str, at: ShotPlace) -> np.ndarray:
    """The vector of one shot: float32 [d].

    Raises:
        StoreError: its store has no such vectors, or the shot lacks the modality.
        StaleError: they are stale.
    """
    with open_store(at.store) as store:
        vector = rows_of(read_vectors(store, place))[at.shot]
    if not vector.any():
        raise StoreError(f"Shot {at.shot} of {at.store} has nothing in {place}.", "So no other shot is nearer to it.")
    return vector


def search(
    titles: Titles,
    place: str,
    query: np.ndarray,
    *,
    count: int = 10,
    left_out: Mapping[Path, int | None] | None = None,
    among: Mapping[Path, np.ndarray] | None = None,
) -> list[Hit]:
    """The shots whose vectors at ``place`` are nearest to ``query``, the nearest first.

    Of shots that are equally near, the first in the order of the stores comes first. Shots without the modality are
    never found.

    Args:
        query: [d], not zero.
        count: hits, at most.
        left_out: of these stores, a shot that is not to be found; None for the whole title.
        among: the shots of each store that alone may be found; None for all of all.

    Raises:
        StoreError: a store is not valid, or has no such vectors.
        StaleError: they are stale, or of two encoders, layouts or models.
        UsageError: the vectors are of another width than ``query``.
    """
    stores = [path for path in titles.ids if among is None or path in among]
    sizes: list[int] = []

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        space = OneSpace(place)
        for path in stores:
            with open_store(path) as store:
                group = read_vectors(store, place)
            space.admit(path, group)
            vectors = rows_of(group)
            if vectors.shape[1] != len(query):
                what = f"{path} has {place} of {vectors.shape[1]} numbers."
                raise UsageError(what, f"What it is searched for has {len(query)}.")
            may_be_found = group.present.copy() if isinstance(group, Encoding) else np.ones(len(vectors), bool)
            if among is not None:
                may_be_found &= np.isin(np.arange(len(vectors)), among[path])
            if path in (left_out or {}):
                shot = (left_out or {})[path]
                may_be_found[slice(None) if shot is None else shot] = False
            sizes.append(len(vectors))
            yield vectors, may_be_found

    rows, cosines = nearest_rows(query, parts(), count)
    return _describe(stores, sizes, rows, cosines)


def _describe(stores: Sequence[Path], sizes: Sequence[int], rows: np.ndarray, cosines: np.ndarray) -> list[Hit]:
    """What rows, numbered through all titles, are."""
    ends = np.cumsum(sizes)
    of_store = np.searchsorted(ends, rows, side="right")
    hits: dict[int, Hit] = {}
    for number in np.unique(of_store).tolist():
        with open_store(stores[number]) as store:
            title_id, shots = store.title_id, store.shots
        for rank in np.flatnonzero(of_store == number).tolist():
            shot = int(rows[rank] - (ends[number] - sizes[number]))
            start_s, end_s = float(shots.start_s[shot]), float(shots.end_s[shot])
            cosine = float(cosines[rank])
            hits[rank] = Hit(stores[number], title_id, shot, start_s, end_s, shots.text[shot], cosine)
    return [hits[rank] for rank in range(len(rows))]


def _find_title(titles: Titles, title: str) -> Path:
    owners: dict[str, set[Path]] = {}
    for path, title_id in titles.ids.items():
        for name in (title_id, path.stem, path.name):
            owners.setdefault(name, set()).add(path)
    named = sorted(owners.get(title, ()))
    if not named:
        close = difflib.get_close_matches(title, owners, n=1)
        why = f"{_none_has(titles)} this id or name."
        raise UsageError(f"There is no title {title!r}.", why, f"Did you mean {close[0]!r}?" if close else "")
    if len(named) > 1:
        raise UsageError(f"{title!r} can be {' or '.join(map(str, named))}.", hint="Name its title id, or its store.")
    return named[0]


def _none_has(titles: Titles) -> str:
    several = len(titles.ids) > 1
    return f"None of the {len(titles.ids)} stores has" if several else "The store does not have"
