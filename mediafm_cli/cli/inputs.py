"""What a command works on: files, folders, globs and ``-``, in the order given, without duplicates."""

from __future__ import annotations

import glob
import shlex
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from mediafm_cli.errors import UsageError

STORE_SUFFIXES = (".h5",)


def find_inputs(given: Sequence[str], suffixes: tuple[str, ...], *, nul: bool = False) -> list[Path]:
    """Expand what was given on the command line; of a folder, the files with one of ``suffixes``, sorted by name.

    The folders in a folder are not searched.

    Raises:
        UsageError: a path is not there, a folder or glob holds nothing, or nothing was given at all.
    """
    paths: dict[Path, None] = {}
    for item in given:
        found = _from_stdin(nul) if item == "-" else [item]
        for name in found:
            paths.update(dict.fromkeys(_expand(name, suffixes)))
    if not paths:
        raise UsageError(
            "There is nothing to do.", "No path was given." if list(given) != ["-"] else "stdin was empty."
        )
    return list(paths)


def store_paths(titles: Sequence[Path], output: Path) -> dict[Path, Path]:
    """The store of each title: ``<title>.h5`` in the folder ``output``, or ``output`` itself if it ends in ``.h5``.

    Raises:
        UsageError: two titles would share a store, or ``output`` is a file of another kind.
    """
    if output.suffix == ".h5" and not output.is_dir():
        if len(titles) > 1:
            raise UsageError(f"{len(titles)} titles cannot share the store {output}.", hint="Give a folder with -o.")
        return {titles[0]: output}
    if output.exists() and not output.is_dir():
        raise UsageError(
            f"{output} is a file.", hint="Give -o a folder, or for a single title a name that ends in .h5."
        )
    stores = {title: output / f"{title.stem}.h5" for title in titles}
    owners: dict[Path, Path] = {}
    for title, store in stores.items():
        other = owners.setdefault(store, title)
        if other != title:
            hint = "Rename one of them, or give it alone with another -o."
            raise UsageError(f"{other} and {title} would both become {store}.", hint=hint)
    return stores


def refuse_for_many(**options: Path | None) -> None:
    """Raise a UsageError if an option that belongs to a single title was given with several."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"--{name} belongs to one title, and several were given.", hint="Give one title at a time."
            )


def require_folder(folder: Path | None) -> None:
    """Raise a UsageError if a folder of media files that was named is none."""
    if folder is not None and not folder.is_dir():
        what = f"{folder} is a file." if folder.is_file() else f"There is no folder {folder}."
        raise UsageError(what, hint="Name the folder of the media files with --media.")


def _from_stdin(nul: bool) -> list[str]:
    return [name for name in sys.stdin.read().split("\0" if nul else "\n") if name]


def _expand(name: str, suffixes: tuple[str, ...]) -> Iterable[Path]:
    path = Path(name)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))
        if not found:
            folders = any(p.is_dir() and not p.name.startswith(".") for p in path.iterdir())
            hint = f"Its subfolders are not searched; name them: {shlex.quote(str(path))}/*/" * folders
            raise UsageError(f"The folder {name} has no file that ends in {' '.join(suffixes)}.", hint=hint)
        return found
    if path.exists() or not glob.has_magic(name):
        if not path.exists():
            raise UsageError(f"There is no {name}.")
        return [path]
    matches = sorted(glob.glob(name, recursive=True))
    if not matches:
        raise UsageError(f"Nothing matches {name}.")
    return chain.from_iterable(_expand(match, suffixes) for match in matches)
