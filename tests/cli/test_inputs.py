"""What a command works on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typed_commands import Mediafm

from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle


def worked_on(mediafm: Mediafm, *inputs: object, stdin: str = "") -> list[str]:
    """Names of the stores that a command took, in order."""
    typed = mediafm("fuse", *inputs, "--json", "-q", stdin=stdin)
    assert typed.code == 0, typed.err
    return [Path(json.loads(line)["store"]).name for line in typed.out.splitlines()]


def test_order_is_kept_and_what_is_named_twice_is_done_once(mediafm: Mediafm, stores: list[Path]) -> None:
    one, two, three = stores

    assert worked_on(mediafm, three, one, three, "-", stdin=f"{two}\n{one}\n") == [three.name, one.name, two.name]


def test_a_folder_means_its_stores_by_name_and_nothing_else_in_it(mediafm: Mediafm, stores: list[Path]) -> None:
    folder = stores[0].parent
    (folder / "notes.txt").write_text("no store")
    (folder / ".hidden.h5").write_text("no store")

    assert worked_on(mediafm, folder) == sorted(store.name for store in stores)


def test_a_glob_that_the_shell_left_alone_is_expanded(mediafm: Mediafm, stores: list[Path]) -> None:
    assert worked_on(mediafm, stores[0].parent / "title_00[12].h5") == ["title_001.h5", "title_002.h5"]


def test_a_name_with_brackets_is_itself_before_it_is_a_glob(mediafm: Mediafm, stores: list[Path]) -> None:
    strange = stores[0].rename(stores[0].with_name("film[1].h5"))

    assert worked_on(mediafm, strange) == ["film[1].h5"]


def test_a_folder_of_media_becomes_one_store_a_title(
    mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    typed = mediafm("segment", films[0].path.parent, "-o", tmp_path / "new" / "stores")

    assert [Path(line).name for line in typed.out.splitlines()] == [f"{film.path.stem}.h5" for film in films]


def test_a_single_title_may_name_its_store(mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path) -> None:
    typed = mediafm("segment", films[0].path, "-o", tmp_path / "mine.h5", "--metadata", films[0].metadata)

    assert typed.out == f"{tmp_path / 'mine.h5'}\n"
    with open_store(tmp_path / "mine.h5") as store:
        assert store.source.metadata == json.loads(films[0].metadata.read_text("utf-8"))


def test_titles_of_one_name_in_two_folders_are_refused_before_any_work(
    mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    twin = shutil.copy(films[0].path, tmp_path / "other")

    typed = mediafm("segment", films[0].path, twin, "-o", tmp_path / "stores")

    assert typed.code == 2
    assert f"{films[0].path} and {twin} would both become" in typed.err
    assert "Rename one of them, or give it alone with another -o." in typed.err
    assert not (tmp_path / "stores").exists()


def test_subfolders_are_not_searched_and_that_is_said(mediafm: Mediafm, stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "my films").mkdir()
    shutil.move(stores[0].parent, tmp_path / "my films" / "stores")

    typed = mediafm("fuse", tmp_path / "my films")

    assert typed.code == 2
    assert f"Its subfolders are not searched; name them: '{tmp_path}/my films'/*/" in " ".join(typed.err.split())
    assert worked_on(mediafm, f"{tmp_path}/my films/*/") == sorted(store.name for store in stores)


def test_of_a_folder_with_none_nothing_is_suggested(mediafm: Mediafm, tmp_path: Path) -> None:
    assert "subfolders" not in mediafm("fuse", tmp_path).err


def test_an_output_that_is_a_file_is_refused(mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()

    typed = mediafm("segment", films[0].path, "-o", tmp_path / "film.mp4")

    assert typed.code == 2
    said = f"{tmp_path}/film.mp4 is a file. → Give -o a folder, or for a single title a name that ends in .h5."
    assert said in " ".join(typed.err.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--min-shot", "5", "--max-shot", "2"], "Give --max-shot 10 or more, or --min-shot 1 or less."),
        (["--min-shot", "2", "--max-shot", "3.9"], "--max-shot 3.9 is less than twice --min-shot 2."),
        (["--language", "englisch"], "'englisch' is no language. → Did you mean en?"),
        (["--opt", "contrast=500"], "contrast is 500.0; it must be from 0 to 1."),
        (["--opt", "contrast=-5"], "contrast is -5.0; it must be from 0 to 1."),
        (["--opt", "ratio=0.9"], "ratio is 0.9; it must be 1 or more"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    options: list[str], said: str, mediafm: Mediafm, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    typed = mediafm("segment", films[0].path, "-o", tmp_path / "stores", *options)

    assert typed.code == 2
    assert said in " ".join(typed.err.split())
    assert not (tmp_path / "stores").exists()
