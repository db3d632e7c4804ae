"""Which subtitle files are a film's, and which of them is taken."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mediafm_cli.media.sidecars import find_sidecars


def find(folder: Path, files: Sequence[str], language: str = "") -> tuple[list[str], list[str]]:
    """Names of the sidecars of film.mp4 in a folder with these files, and notes."""
    for name in ("film.mp4", *files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    notes: list[str] = []
    found = find_sidecars(folder / "film.mp4", language.split(",") if language else [], notes)
    assert all(path == folder / name for name, path in found)
    return [name for name, _ in found], notes


@pytest.mark.parametrize(
    "name",
    [
        "Subs/film.srt",
        "subs/film.en.srt",
        "Subtitles/film.srt",
        "subtitles/Film.English.vtt",
        "Subs/film/2_English.srt",
        "Subs/film/English.srt",
        "Subs/film/2_English SDH.srt",
    ],
)
@pytest.mark.parametrize("language", ["", "en"])
def test_a_folder_beside_the_film_is_searched(tmp_path: Path, name: str, language: str) -> None:
    assert find(tmp_path, [name], language) == ([name], [])


def test_what_is_nearest_to_the_film_comes_first(tmp_path: Path) -> None:
    files = ["Subs/film/10_French.srt", "Subs/film/2_English.srt", "Subs/film.srt", "film.en.srt", "film.srt"]

    assert find(tmp_path, files)[0] == files[::-1]


def test_the_language_comes_before_the_place(tmp_path: Path) -> None:
    files = ["film.de.srt", "Subs/film/3_French.srt", "Subs/film/2_English.srt"]

    found, notes = find(tmp_path, files, "en,fr")

    assert found == ["Subs/film/2_English.srt", "Subs/film/3_French.srt"]
    assert notes == ["film.de.srt is not in the language en or fr"]


def test_forced_captions_come_last(tmp_path: Path) -> None:
    files = ["Subs/film/1_English_forced.srt", "Subs/film/2_English.srt", "film.en.forced.srt"]

    assert find(tmp_path, files, "en")[0] == [files[1], files[2], files[0]]


@pytest.mark.parametrize(
    "files",
    [
        ["film.two.mp4", "film.two.srt"],
        ["film.two.mp4", "Subs/film.two.en.srt"],
        ["film.two.mkv", "film.two.srt", "Subs/film.two.en.srt"],
        ["film2.mp4", "film2.srt", "Subs/film2.srt", "Subs/film2/2_English.srt"],
        ["Subs/other/2_English.srt", "Subs/other.srt", "other/film.srt"],
        ["Subs/film/deeper/2_English.srt", "Subs/film/cover.jpg", "Subs/readme.srt"],
    ],
)
def test_the_captions_of_another_film_are_left_to_it(tmp_path: Path, files: list[str]) -> None:
    assert find(tmp_path, files) == ([], [])


def test_a_file_that_does_not_say_of_which_film_it_is_is_said(tmp_path: Path) -> None:
    found, notes = find(tmp_path, ["Subs/2_English.srt", "Subs/3_French.srt"])

    assert found == []
    assert notes == ["Subs/2_English.srt does not say of which film it is; give it, or one beside it, with --subtitles"]


def test_pictures_of_text_in_a_folder_are_said(tmp_path: Path) -> None:
    found, notes = find(tmp_path, ["Subs/film/2_English.sup"])

    assert found == []
    assert notes == ["Subs/film/2_English.sup holds pictures, not text, and was passed over; give a text file"]


@pytest.mark.parametrize(
    ("language", "first"),
    [
        ("pt-BR", "film.pt-BR.srt"),
        ("pt_br", "film.pt-BR.srt"),
        ("por-PT", "film.pt_PT.srt"),
        ("pt", "film.por.srt"),
        ("pt-AO", "film.por.srt"),
        ("es-419,en", "film.es-ES.srt"),
        ("fr-CA,en", "film.en-GB.srt"),
        ("no", "film.nob.srt"),
    ],
)
def test_the_exact_region_is_preferred(tmp_path: Path, language: str, first: str) -> None:
    files = ["film.en-GB.srt", "film.es-ES.srt", "film.pt-BR.srt", "film.pt_PT.srt", "film.por.srt", "film.nob.srt"]

    assert find(tmp_path, files, language)[0][0] == first


def test_a_folder_that_cannot_be_listed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:
        if folder.name == "Subs":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)

    found, notes = find(tmp_path, ["film.srt", "Subs/film.srt"])

    assert found == ["film.srt"]
    assert notes == [f"{tmp_path / 'Subs'} was not searched for captions (Permission denied)"]
