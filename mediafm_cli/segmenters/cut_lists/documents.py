"""Cuts from JSON: lists that people checked, of one title or of many, and the truth beside synthetic films."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mediafm_cli.segmenters.cut_lists.entries import CutList, Entry, check_entries, refuse

_MAX_DEPTH = 200
_MAX_NUMBER = 1 << 52
_SHAPES = (
    'Known are {"hard_cuts": [frames], "gradual": [{"first": …, "last": …}]}, {"cuts_s": [seconds]}, and a list: '
    "[58, 76] of frames, where all are whole, or [2.5, 4.0] of seconds."
)


def read_document(path: Path, text: str, name: str) -> CutList:
    """Read the cuts of the title called ``name``.

    Shapes of one title:

    - ``{"hard_cuts": [frame, …], "gradual": [{"first": frame, "last": frame, "kind": …}, …], "frames": count}``, each
      key optional but one of the first two; ``last`` is inclusive. A ``fade_in…`` that comes first opens the title and
      a ``fade_out…`` that comes last closes it: neither is a boundary between two shots.
    - ``{"cuts_s": [seconds, …]}``.
    - ``[frame, …]`` where all are whole numbers, ``[seconds, …]`` where one has a decimal point.

    Many titles: ``{"clips": {name: any of these, …}}``, each name with or without the suffix of the media file.

    Raises:
        UsageError: it is no JSON of these shapes, or does not hold this title.
    """
    document = load_json(path, text)
    if isinstance(document, dict) and "clips" in document:
        key = _find_title(path, document["clips"], name)
        return _read_title(path, document["clips"][key], f" of {key}")
    return _read_title(path, document, "")


def load_json(path: Path, text: str) -> Any:
    """What JSON says, if it is no deeper than anything of this kind is.

    Raises:
        UsageError: it is no JSON, or too deep.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise _too_deep(path) from error
    except json.JSONDecodeError as error:
        raise refuse(path, f"line {error.lineno}", f"it is not valid JSON ({error.msg})") from error
    except ValueError as error:
        raise refuse(path, "", f"It is not valid JSON ({error})") from error
    level, depth = [document], 0
    while level:
        if depth > _MAX_DEPTH:
            raise _too_deep(path)
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        depth += 1
    return document


def _children(node: Any) -> Sequence[Any]:
    return list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else ()


def _too_deep(path: Path) -> Exception:
    return refuse(path, "", f"It nests more than {_MAX_DEPTH} levels deep")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _find_title(path: Path, clips: Any, name: str) -> str:
    if not isinstance(clips, dict):
        raise refuse(path, "clips", "it must be an object, with a key for each title")
    if name in clips:
        return name
    found = [key for key in clips if Path(key).stem == name and "#" not in Path(key).suffix]
    if len(found) > 1:
        hint = f"Call the one that is meant {name}."
        raise refuse(path, "clips", f"{' and '.join(found)} are both called {name}", hint)
    if not found:
        raise refuse(path, "clips", f"there is no title called {name}", "Its keys are the names of media files.")
    return str(found[0])


def _read_title(path: Path, title: Any, of: str) -> CutList:
    """``of`` names the title in errors, where the file holds several."""
    if isinstance(title, list):
        is_frames = all(isinstance(number, int) for number in title)
        entries = check_entries(path, _read_numbers(path, title, "", of, whole=is_frames))
        return CutList(path, entries, "frames" if is_frames else "seconds")
    if not isinstance(title, dict) or not title.keys() & {"hard_cuts", "gradual", "cuts_s"}:
        raise refuse(path, "", f"It holds no cuts{of}", _SHAPES)
    if not title.keys() & {"hard_cuts", "gradual"}:
        seconds = _read_numbers(path, title["cuts_s"], "cuts_s ", of, whole=False)
        return CutList(path, check_entries(path, seconds), "seconds")
    fades: dict[str, str] = {}
    cuts = check_entries(path, _read_numbers(path, title.get("hard_cuts", []), "hard_cuts ", of, whole=True))
    gradual = check_entries(path, _read_gradual(path, title.get("gradual", []), of, fades))
    merged = check_entries(path, sorted((*cuts, *gradual), key=_by_first))
    count = title.get("frames")
    frames = None if count is None else int(_read_number(path, count, f"frames{of}", whole=True))
    return CutList(path, _leave_out_fades(merged, fades), "frames", frames=frames)


def _by_first(entry: Entry) -> float:
    return entry.first


def _read_numbers(path: Path, numbers: Any, name: str, of: str, *, whole: bool) -> Iterator[Entry]:
    if not isinstance(numbers, list):
        raise refuse(path, f"{name.strip()}{of}", "it must be a list of numbers", _SHAPES)
    for place, number in enumerate(numbers, 1):
        where = f"{name}entry {place}{of}"
        value = _read_number(path, number, where, whole=whole)
        yield Entry(where, value, value)


def _read_gradual(path: Path, transitions: Any, of: str, fades: dict[str, str]) -> Iterator[Entry]:
    """The transitions; ``fades`` is told the kinds of those that are fades in or out, by their place in the file."""
    if not isinstance(transitions, list):
        raise refuse(path, f"gradual{of}", "it must be a list of objects")
    for place, transition in enumerate(transitions, 1):
        where = f"gradual entry {place}{of}"
        if not isinstance(transition, dict) or not transition.keys() >= {"first", "last"}:
            raise refuse(path, where, "it must be an object with first and last, both frames")
        first, last = (_read_number(path, transition[edge], where, whole=True) for edge in ("first", "last"))
        kind = str(transition.get("kind", ""))
        if kind.startswith(("fade_in", "fade_out")):
            fades[where] = kind
        yield Entry(where, first, last, "gradual")


def _leave_out_fades(entries: tuple[Entry, ...], fades: Mapping[str, str]) -> tuple[Entry, ...]:
    """Without the fade that opens the title and the one that closes it."""
    opens = bool(entries) and fades.get(entries[0].where, "").startswith("fade_in")
    closes = bool(entries) and fades.get(entries[-1].where, "").startswith("fade_out")
    return entries[opens : len(entries) - closes]


def _read_number(path: Path, number: Any, where: str, *, whole: bool) -> float:
    if isinstance(number, bool) or not isinstance(number, int if whole else int | float):
        wanted = "the number of a frame" if whole else "a number"
        raise refuse(path, where, f"{json.dumps(number)[:40]} is not {wanted}", _SHAPES)
    if isinstance(number, int) and abs(number) > _MAX_NUMBER:
        raise refuse(path, where, "no title is as long as that")
    return float(number)
