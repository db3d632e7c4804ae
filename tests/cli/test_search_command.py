"""``mediafm search`` as it is typed: a table for a person, JSON Lines for a program, and what cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_titles import make_store
from tiny_checkpoints import write_open_clip
from typed_commands import Mediafm

from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stores").mkdir()
    for title_id, shots in (("a", 9), ("b", 4)):
        make_store(tmp_path / "stores", title_id, shots)
    return tmp_path / "stores"


@pytest.fixture
def poster(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (90, 160, 3), dtype=np.uint8)).save(tmp_path / "poster.jpg")
    return tmp_path / "poster.jpg"


def test_the_nearest_shots_are_a_table(mediafm: Mediafm, folder: Path) -> None:
    done = mediafm("search", folder, "--like", "a:1", "--in", "text")

    assert done.code == 0
    assert done.err.strip() == "search: 1 shot of 2 titles, in encodings/text"
    header, row = done.out.splitlines()
    assert header.split() == ["title", "shot", "from", "to", "cosine", "caption"]
    with open_store(folder / "a.h5") as one, open_store(folder / "b.h5") as two:
        left, right = (store.encoding("text").vectors[1].astype(float) for store in (one, two))
    cosine = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
    assert row.split() == ["b", "1", "0:01.500", "0:03.000", f"{cosine:.4f}", "Guten", "Tag,", "Ärger!"]


def test_where_nothing_can_be_found_it_is_said_why(mediafm: Mediafm, folder: Path) -> None:
    done = mediafm("search", folder / "a.h5", "--like", "a:1", "--in", "text")

    assert (done.code, done.out) == (0, "")
    assert "search: 0 shots of 1 title, in encodings/text" in done.err
    assert "no shot that is searched has anything in encodings/text" in done.err


def test_where_all_is_left_out_it_is_said(mediafm: Mediafm, folder: Path) -> None:
    done = mediafm("search", folder / "a.h5", "--like", "a:1", "--exclude-title")

    assert (done.code, done.out) == (0, "")
    assert "no other title is searched" in done.err


def test_json_has_a_line_for_each_shot(mediafm: Mediafm, folder: Path) -> None:
    done = mediafm("search", folder, "--like", "a@2", "--top", 3, "--json", "--quiet")

    lines = [json.loads(line) for line in done.out.splitlines()]
    assert done.err == ""
    assert [line["rank"] for line in lines] == [1, 2, 3]
    first = lines[0]
    assert (first["schema"], first["version"], first["group"]) == ("mediafm.search.hit", 1, "fused")
    assert first.keys() == {
        *("schema", "version", "rank", "store", "title_id", "shot", "start_s", "end_s", "text", "cosine", "group")
    }
    assert ("a", 1) not in [(line["title_id"], line["shot"]) for line in lines]
    assert first["cosine"] >= lines[1]["cosine"] >= lines[2]["cosine"]


def test_the_title_itself_can_be_left_out(mediafm: Mediafm, folder: Path) -> None:
    done = mediafm("search", folder, "--like", "a:1", "--exclude-title", "--json")

    assert {json.loads(line)["title_id"] for line in done.out.splitlines()} == {"b"}


def test_a_picture_and_a_sentence_are_searched_for_in_the_video(
    mediafm: Mediafm, films: list[SyntheticTitle], stores: list[Path], poster: Path, tmp_path: Path
) -> None:
    model = write_open_clip(tmp_path / "clip", vocabulary=49408)
    mediafm(
        *("encode", *stores, "--media", films[0].path.parent, "--modality", "video", "--overwrite"),
        *("--encoder", "video.open-clip", "--opt", f"model={model}", "--opt", "frames=1"),
    )

    by_image, by_text = (
        mediafm("search", *stores, *query, "--top", 2, "--json", "--device", "cpu")
        for query in (("--image", poster), ("--text", "a boat at sea"))
    )

    assert (by_image.code, by_text.code) == (0, 0)
    lines = [*by_image.out.splitlines(), *by_text.out.splitlines()]
    assert [json.loads(line)["group"] for line in lines] == ["encodings/video"] * 4


def test_a_sentence_is_searched_for_in_what_is_said(mediafm: Mediafm, stores: list[Path]) -> None:
    with open_store(stores[1]) as store:
        shot = next(number for number, text in enumerate(store.shots.text) if text)
        text = store.shots.text[shot]

    done = mediafm("search", *stores, "--text", text, "--in", "text", "--top", 1, "--json")

    found = json.loads(done.out)
    assert found["text"] == text
    assert found["cosine"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "One thing is searched for at a time."),
        (("--like", "a:1", "--text", "rain"), "One thing is searched for at a time."),
        (("--text", "rain", "--exclude-title"), "--exclude-title leaves out the title of a shot."),
        (("--like", "d:1"), "There is no title 'd'."),
        (("--like", "a:1", "--in", "audio"), "None of the 2 stores has vectors called 'audio'."),
        (("--text", "rain", "--in", "flat"), "fused can be searched for shots only."),
    ],
)
def test_what_cannot_be_asked_is_told(words: tuple[str, ...], told: str, mediafm: Mediafm, folder: Path) -> None:
    done = mediafm("search", folder, *words)

    assert done.code == 2
    assert f"error: {told}" in done.err
    assert done.out == ""


def test_a_single_store_is_no_none_of_the_1_stores(mediafm: Mediafm, folder: Path) -> None:
    title = mediafm("search", folder / "a.h5", "--like", "d:1")
    vectors = mediafm("search", folder / "a.h5", "--like", "a:1", "--in", "audio")

    assert "The store does not have this id or name." in title.err
    assert "error: The store does not have vectors called 'audio'." in vectors.err
