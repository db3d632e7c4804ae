"""Files of true shot boundaries: their reading, and what is wrong with them.

One JSON file for many titles (``clips``, by the name of the media file), one for a single title, or a folder with one a
title. Frames count from 0; a hard cut is the first frame of the new shot; ``first`` and ``last`` are inclusive.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediafm_cli.errors import UsageError
from mediafm_cli.segmenters.cut_lists.documents import load_json
from mediafm_cli.segmenters.cut_lists.reading import decode, read_bounded

MAX_BYTES = 64 << 20
"""Largest file that is read; a transition takes about 50 bytes."""

_STREAM = "#stream"
_MAX_FRAME = 1 << 52
_OPENS, _ENDS = "fade_in", "fade_out"
_SHAPE = 'Write {"hard_cuts": [frame, …], "gradual": [{"kind": "dissolve", "first": frame, "last": frame}, …]}.'


@dataclass(frozen=True)
class Span:
    """What happens from frame ``first`` to frame ``last``, inclusive; of a cut both are the first frame of the shot."""

    kind: str
    first: int
    last: int

    def overlaps(self, other: Span) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Truth:
    """What is true of one title.

    Attributes:
        hard_cuts: of kind ``cut``, in order.
        gradual: the gradual transitions between two shots, in order.
        ambiguous: places about which people differ.
        misleading: what looks like a boundary and is none: the file's ``hard_negatives``, and each gradual that has no
            shot on one side, which is a ``fade_in…`` before the first boundary or a ``fade_out…`` after the last.
        frames: length of the title; ``None`` where the file does not say.
    """

    hard_cuts: tuple[Span, ...]
    gradual: tuple[Span, ...]
    ambiguous: tuple[Span, ...]
    misleading: tuple[Span, ...]
    frames: int | None


@dataclass(frozen=True)
class TitleTruth:
    """The truth about a title, the file and key where it stands, and the keys that are of other streams of its file."""

    truth: Truth
    origin: str
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class TruthFiles:
    """Where true boundaries are looked up: a parsed file, or a folder of files."""

    path: Path
    content: Mapping[str, Any] | None

    def of_title(self, title_id: str, media_name: str, video_stream: int) -> TitleTruth | None:
        """The truth about one title; ``None`` where there is none.

        Args:
            title_id: in a folder, the name of the file before ``.truth.json`` or ``.json``, the former first.
            media_name: in a file of many titles, the key.
            video_stream: that was read; a key ``<media_name>#stream<number>`` goes before the plain one.

        Raises:
            UsageError: what stands there is no truth.
        """
        if self.content is None:
            named = (self.path / f"{title_id}{suffix}" for suffix in (".truth.json", ".json"))
            found = next((path for path in named if path.is_file()), None)
            return TitleTruth(parse_truth(_read_json(found), str(found)), str(found)) if found else None
        if not self.is_of_many:
            return TitleTruth(parse_truth(self.content, str(self.path)), str(self.path))
        clips = self.content["clips"]
        wanted = f"{media_name}{_STREAM}{video_stream}"
        key = wanted if wanted in clips else media_name
        if key not in clips:
            return None
        others = tuple(name for name in clips if name.startswith(f"{media_name}{_STREAM}") and name != key)
        origin = f"{self.path}: {key}"
        return TitleTruth(parse_truth(clips[key], origin), origin, others)

    @property
    def is_of_many(self) -> bool:
        """Whether it can hold the truth about more than one title."""
        return self.content is None or "clips" in self.content


def open_truth(path: Path) -> TruthFiles:
    """Find out what ``path`` is.

    Raises:
        UsageError: it cannot be read, or is neither a folder nor a file of true boundaries.
    """
    if path.is_dir():
        return TruthFiles(path, None)
    content = _read_json(path)
    if "clips" not in content and "hard_cuts" not in content:
        raise UsageError(f"{path} holds no true boundaries.", "It has neither clips nor hard_cuts.", _SHAPE)
    if not isinstance(content.get("clips", {}), dict):
        raise UsageError(
            f"{path}: clips is no object.", hint='Write {"clips": {"film.mp4": {"hard_cuts": […], "gradual": […]}}}.'
        )
    return TruthFiles(path, content)


def parse_truth(content: Any, origin: str) -> Truth:
    """Check the truth about one title; keys that are not known here are left alone.

    Args:
        content: an object as JSON holds it.
        origin: named in errors.

    Raises:
        UsageError: a frame is no number, out of order, or beyond the end; something that must be there is not.
    """
    if not isinstance(content, dict):
        raise UsageError(f"{origin}: the truth about a title is an object.", hint=_SHAPE)
    frames = content.get("frames")
    if frames is not None and not _is_frame(frames):
        raise UsageError(f"{origin}: frames is {_shown(frames)}.", "It is the number of frames of the title.")
    for name in ("hard_cuts", "gradual"):
        if name not in content:
            raise UsageError(f"{origin} has no {name}.", f"Without it, every one found would be false. {_SHAPE}")
    cuts = list(_read_spans(content, "hard_cuts", "cut", frames, origin))
    if any(cut.kind != "cut" or cut.first != cut.last for cut in cuts):
        raise UsageError(f"{origin}: hard_cuts holds more than frame numbers.", hint=_SHAPE)
    if cuts and cuts[0].first == 0:
        raise UsageError(f"{origin}: hard_cuts names frame 0.", "No shot comes before it.", "Leave it out.")
    gradual = list(_read_spans(content, "gradual", "gradual", frames, origin))
    if any(span.kind == "cut" for span in gradual):
        raise UsageError(f"{origin}: gradual holds a cut.", hint=_SHAPE)
    hidden = next((cut for cut in cuts if any(span.first < cut.first <= span.last for span in gradual)), None)
    if hidden:
        raise UsageError(
            f"{origin}: frame {hidden.first} is both a hard cut and inside a gradual transition.",
            hint="Leave one of them out, or call the place ambiguous.",
        )
    between = [span for span in gradual if not _has_one_side(span, [*cuts, *gradual])]
    return Truth(
        tuple(cuts),
        tuple(between),
        tuple(_read_spans(content, "ambiguous", "ambiguous", frames, origin)),
        (
            *_read_spans(content, "hard_negatives", "hard negative", frames, origin),
            *(span for span in gradual if span not in between),
        ),
        frames,
    )


def _has_one_side(span: Span, boundaries: Collection[Span]) -> bool:
    """Whether a fade leads out of or into nothing but black: such a one opens or ends the film."""
    if span.kind.startswith(_OPENS):
        return all(other.first >= span.first for other in boundaries)
    return span.kind.startswith(_ENDS) and all(other.last <= span.last for other in boundaries)


def _read_spans(content: Mapping[str, Any], name: str, kind: str, frames: int | None, origin: str) -> Iterator[Span]:
    """The entries of one list: frame numbers, or objects with first and last and perhaps a kind."""
    entries = content.get(name, [])
    if not isinstance(entries, list):
        raise UsageError(f"{origin}: {name} is no list.", hint=_SHAPE)
    before = -1
    for number, entry in enumerate(entries, 1):
        place = f"{origin}: {name}, entry {number}"
        ends = [entry, entry] if _is_frame(entry) else []
        if isinstance(entry, dict):
            ends = [entry.get("first"), entry.get("last")]
        if len(ends) != 2 or not all(map(_is_frame, ends)):
            raise UsageError(f"{place} is {_shown(entry)}.", "It needs frame numbers, from 0.", _SHAPE)
        first, last = ends
        if first > last:
            raise UsageError(f"{place} ends before it begins.", f"first is {first}, last is {last}.")
        if frames is not None and last >= frames:
            raise UsageError(f"{place} lies beyond the end.", f"Frame {last} is not among the {frames} frames.")
        if name in ("hard_cuts", "gradual") and first <= before:
            raise UsageError(f"{place} is out of order.", f"Frame {first} comes after {before}; none comes twice.")
        before = last
        yield Span(_read_kind(entry.get("kind", kind), place) if isinstance(entry, dict) else kind, first, last)


def _read_kind(kind: Any, place: str) -> str:
    if not (isinstance(kind, str) and kind and kind.isprintable()):
        raise UsageError(f"{place} is of the kind {_shown(kind)}.", 'A kind is a word or two, such as "dissolve".')
    return kind


def _is_frame(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_FRAME


def _read_json(path: Path) -> dict[str, Any]:
    content = load_json(path, decode(path, read_bounded(path, MAX_BYTES)))
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds a JSON {type(content).__name__}.", hint=_SHAPE)
    return content


def _shown(value: Any) -> str:
    """As JSON has it, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
