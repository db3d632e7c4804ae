"""Whether a store holds what segmenting the same title again would make, and if not, in what it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm_cli.api import Segmenter
from mediafm_cli.errors import StaleError
from mediafm_cli.media.captions import CaptionSource, assign_cues
from mediafm_cli.media.text_encoding import require_encoding
from mediafm_cli.options import compared_options, options_as_json
from mediafm_cli.store.freshness import require_fresh
from mediafm_cli.store.read import Contents
from mediafm_cli.store.schema import Shots, Source

_RULES = {"min_shot_s": "--min-shot", "max_shot_s": "--max-shot"}
_SHORT = 60


@dataclass(frozen=True)
class ChosenSegmenter:
    """A segmenter ready to start, and what a store records of it."""

    segmenter: Segmenter
    name: str
    described: str
    options: dict[str, Any]
    fingerprint: dict[str, str]


def require_same(before: Contents, source: Source, chosen: ChosenSegmenter, store: Path) -> Shots:
    """The shots that are there, if they are what this run would make.

    Raises:
        StaleError: they are not; says why.
    """
    there, shots = before.groups.get("source"), before.groups.get("shots")
    if not isinstance(there, Source) or not isinstance(shots, Shots):
        raise _refused(store, "It has no shots.")
    if there.fingerprint != source.fingerprint:
        if there.path == source.path:
            raise _refused(store, f"It was made from {there.name}, which has changed since.")
        raise _refused(store, f"It was made from another file, {(store.parent / there.path).resolve()}.")
    require_fresh(before, "shots", shots.made_from, "mediafm segment with --overwrite")
    different = _differences(shots, chosen)
    if different:
        raise _refused(store, f"It was segmented with other settings: {'; '.join(different)}.")
    different = _changed(there.metadata, source.metadata)
    if different:
        raise _refused(
            store, f"Its title metadata is not that given now; different: {', '.join(map(_short, different))}."
        )
    return shots


def _differences(shots: Shots, chosen: ChosenSegmenter) -> list[str]:
    """What the shots that are there were made with and this run would not, each as ``name was → is``."""

    def made_with(segmenter: str, options: Mapping[str, Any], fingerprint: Mapping[str, str]) -> dict[str, Any]:
        return {"--segmenter": segmenter, **options, **{f"its {key}": value for key, value in fingerprint.items()}}

    was = made_with(shots.segmenter, shots.options, shots.fingerprint)
    now = made_with(chosen.name, chosen.options, chosen.fingerprint)
    given = chosen.segmenter.options
    ignored = options_as_json(given).keys() - compared_options(given)
    now |= {key: was[key] for key in ignored & was.keys()}
    if shots.segmenter != chosen.name:  # whose options are not comparable
        was, now = ({key: of[key] for key in ("--segmenter", *_RULES) if key in of} for of in (was, now))
    return [
        f"{_RULES.get(key) or _short(key)} {_short(was.get(key, 'unset'))} → {_short(now.get(key, 'unset'))}"
        for key in _changed(was, now)
    ]


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ, and those that only one of them has."""
    return [key for key in {**was, **now} if key not in was or key not in now or was[key] != now[key]]


def _short(value: object) -> str:
    """What a store says, on a terminal: neither a whole hash nor what would steer it."""
    text = str(value)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= _SHORT else f"{text[:12]}…"


def require_same_text(shots: Shots, found: CaptionSource, store: Path) -> None:
    """Raise a StaleError where the text of the shots is not that of the captions that were found now."""
    if found.names_inside:  # the film is the same one; only its letters may be taken for others
        is_same = shots.captions in found.names_inside
        if is_same:
            _require_same_encoding(shots, found, store)
    else:
        cues = found.captions().cues
        is_same = list(shots.text) == assign_cues(cues, shots.start_s.tolist(), shots.end_s.tolist())
    if is_same:
        return
    if shots.captions == found.name:
        why = "which has changed since, or is read in another encoding"
        raise _refused(store, f"Its text was read from {found.name}, {why}.")
    now = " or ".join(found.names_inside) or found.name
    raise _refused(store, f"The source of its text is another now: {_short(shots.captions)} → {now}.")


def _require_same_encoding(shots: Shots, found: CaptionSource, store: Path) -> None:
    """Raise a StaleError where an encoding is named now, and a text stream that needs one was read in another."""
    was = found.encoding_noted(shots.notes)
    if was and found.encoding and was != require_encoding(found.encoding):
        change = f"--subtitle-encoding {_short(was)} → {found.encoding}"
        raise _refused(store, f"It was segmented with other settings: {change}.")


def _refused(store: Path, why: str) -> StaleError:
    hint = "Replace it with --overwrite, or choose another folder with -o."
    return StaleError(f"{store} is there already.", why, hint)
