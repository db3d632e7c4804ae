"""Subtitle files that lie beside a film, or in a folder beside it, and are named after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mediafm_cli.media.languages import language_distance, words_of_name
from mediafm_cli.media.subtitles import PARSERS
from mediafm_cli.media.suffixes import FILM_SUFFIXES

BITMAP_SUFFIXES = (".sup", ".idx")
_FOLDERS = ("subs", "subtitles")
_NUMBERED = re.compile(r"(\d+)_")  # as players and rippers number the streams of a film: 2_English.srt
_NAMELESS = 3


def find_sidecars(path: Path, wanted: Sequence[str], notes: list[str]) -> list[tuple[str, Path]]:
    """A film's subtitle files, the best first: of the first language wanted, beside it, named as plainly as it is.

    Looked for are ``film.srt``, ``film.en.vtt``, ``film.English.srt`` and the like, beside the film and in ``Subs`` or
    ``Subtitles`` there, and ``Subs/film/2_English.srt``. What is named after another film, as ``film.two.srt`` is
    beside ``film.two.mp4``, is left to that one. Forced captions, which are few, come last.

    Args:
        wanted: languages, the best first; empty takes any.
        notes: is added what was passed over, and why.

    Returns:
        Names, from the film's folder on, and paths.
    """
    folder = path.absolute().parent
    found: list[tuple[bool, int, int, bool, int, str, Path]] = []
    nameless: list[str] = []
    for place, file, tagged in _list_named(path, notes):
        name = file.relative_to(folder).as_posix()
        if place == _NAMELESS:
            nameless.append(name)
            continue
        if file.suffix.lower() in BITMAP_SUFFIXES:
            notes.append(f"{name} holds pictures, not text, and was passed over; give a text file")
            continue
        rank = rank_language([word for word in words_of_name(tagged) if not word.isdecimal()], wanted)
        if rank is None:
            notes.append(f"{name} is not in the language {' or '.join(wanted)}")
        else:
            number = _NUMBERED.match(tagged)
            order = int(number[1]) if number else 0
            found.append(("forced" in tagged, rank, place, bool(tagged), order, name, file))
    if nameless and not found:
        notes.append(f"{nameless[0]} does not say of which film it is; give it, or one beside it, with --subtitles")
    return [(name, file) for *_, name, file in sorted(found)]


def rank_language(tags: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Place among the languages wanted, the nearest region first; after them what has no tag.

    Returns:
        The lower the better; ``None`` for another language.
    """
    if not wanted:
        return 0
    for place, language in enumerate(wanted):
        near = [distance for tag in tags if (distance := language_distance(tag, language)) is not None]
        if near:
            return 3 * place + min(near)
    return None if tags else 3 * len(wanted)


def _list_named(path: Path, notes: list[str]) -> Iterator[tuple[int, Path, str]]:
    """Captions that may be the film's: how far away they lie, the file, and what its name says beside."""
    beside = _list_folder(path.absolute().parent, notes)
    film = path.stem.lower()
    others = [file.stem.lower() for file in beside if file.suffix.lower() in (path.suffix.lower(), *FILM_SUFFIXES)]
    others = [f"{other}." for other in others if other.startswith(f"{film}.")]
    folders = [folder for folder in beside if folder.name.lower() in _FOLDERS and folder.is_dir()]
    inside = [file for folder in folders for file in _list_folder(folder, notes)]
    for place, files in enumerate([beside, inside]):
        for file in filter(_is_captions, files):
            name = file.name.lower()
            if name.startswith(f"{film}.") and not name.startswith(tuple(others)):
                yield place, file, file.stem.lower()[len(film) + 1 :]
            elif place and _NUMBERED.match(name):
                yield _NAMELESS, file, name
    for folder in inside:
        if folder.name.lower() == film and folder.is_dir():
            yield from ((2, file, file.stem.lower()) for file in filter(_is_captions, _list_folder(folder, notes)))


def _is_captions(file: Path) -> bool:
    return file.suffix.lower() in (*PARSERS, *BITMAP_SUFFIXES) and file.is_file()


def _list_folder(folder: Path, notes: list[str]) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        notes.append(f"{folder} was not searched for captions ({error.strerror})")
        return []
