"""``score``: what is read of stores, what is refused, and what the contact sheets show."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mediafm_cli.errors import StaleError, UsageError
from mediafm_cli.evaluate.boundaries.agreement import Counts, Found, Mistake
from mediafm_cli.evaluate.boundaries.totals import TitleScore, add_up
from mediafm_cli.evaluate.boundaries.truth import Span
from mediafm_cli.media.container import open_media
from mediafm_cli.media.display import Picture, read_display
from mediafm_cli.report.contact_sheet import Mark, place_pictures
from mediafm_cli.stages.score import choose_frames, name_sheets, score_stores, write_sheets
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import Contents
from mediafm_cli.synthetic import SyntheticTitle


@pytest.fixture
def store(contents: Contents, tmp_path: Path) -> Path:
    """Five shots of 36 frames; a gradual transition 28–44, then cuts at 72, 108 and 144."""
    path = tmp_path / "film.h5"
    update_store(path, lambda before: contents)
    return path


def write_truth(folder: Path, cuts: list[int], gradual: list[tuple[int, int]], **more: object) -> Path:
    spans = [{"kind": "dissolve", "first": first, "last": last} for first, last in gradual]
    path = folder / "cuts.json"
    path.write_text(json.dumps({"hard_cuts": cuts, "gradual": spans, **more}))
    return path


def score_titles(stores: list[Path], truth: Path) -> tuple[TitleScore, ...]:
    """The titles that are scored, none of them without a truth."""
    scored = score_stores(stores, truth)
    assert scored.without_truth == ()
    return scored.titles


def change(store: Path, place: str, **fields: object) -> None:
    def put(before: Contents | None) -> Contents:
        assert before is not None
        return before.with_group(place, replace(before.groups[place], **fields))

    update_store(store, put)


def test_boundaries_of_a_store_are_held_against_the_truth(store: Path, tmp_path: Path) -> None:
    (title,) = score_titles([store], write_truth(tmp_path, [72, 109, 150], [(30, 40)], frames=180))

    assert title.score.hard == {0: Counts(3, 3, 1), 1: Counts(3, 3, 2), 2: Counts(3, 3, 2)}
    assert title.score.gradual == dict.fromkeys((0, 1, 2), Counts(1, 1, 1))
    assert title.score.ious == (11 / 17,)
    assert title.score.mistakes[0] == Mistake("shifted cut", Span("cut", 109, 109), Found(Span("cut", 108, 108), 1.5))
    assert title.times_s == pytest.approx([109 / 24, 144 / 24, 150 / 24])
    assert (title.media, title.frames, title.notes) == ("film.mp4", 180, ())


def test_a_shot_that_was_divided_for_its_length_is_not_scored(store: Path, tmp_path: Path) -> None:
    change(store, "boundaries", kind=np.array(["start", "gradual", "cut", "split", "cut"], dtype=object))

    (title,) = score_titles([store], write_truth(tmp_path, [72, 144], [(30, 40)]))

    assert (title.score.hard[0], title.score.any_kind) == (Counts(2, 2, 2), Counts(3, 3, 3))
    assert title.score.mistakes == ()


def test_without_boundaries_each_shot_begins_with_a_cut_and_that_is_said(store: Path, tmp_path: Path) -> None:
    update_store(store, lambda before: before.without({"boundaries"}))  # type: ignore[union-attr]

    (title,) = score_titles([store], write_truth(tmp_path, [36, 72, 108, 144], []))

    assert title.score.hard[0] == Counts(4, 4, 4)
    assert title.notes == (
        "it does not say of what kind its boundaries are: each counts as a hard cut. "
        f"mediafm segment film.mp4 -o {store} --overwrite would tell",
    )


def test_boundaries_of_other_shots_are_refused(store: Path, tmp_path: Path) -> None:
    change(store, "boundaries", made_from={"shots/timing": "0" * 64})

    with pytest.raises(StaleError, match="boundaries is stale"):
        score_stores([store], write_truth(tmp_path, [], []))


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ({"frames": 181}, "It speaks of 181 frames, and the store has 180."),
        ({"cuts": [180]}, "It names frame 180, and the store has 180 frames."),
    ],
)
def test_the_truth_of_another_file_is_refused(truth: dict, said: str, store: Path, tmp_path: Path) -> None:
    path = write_truth(tmp_path, truth.pop("cuts", []), [], **truth)

    with pytest.raises(UsageError) as caught:
        score_stores([store], path)

    assert caught.value.what == f"{path} is the truth of another file than {store} was made from."
    assert caught.value.why == said
    assert caught.value.hint.startswith("Give the truth of this very file")


def test_where_no_title_has_a_truth_they_are_named(store: Path, tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()

    with pytest.raises(UsageError) as caught:
        score_stores([store], tmp_path / "truth")

    assert caught.value.what == f"There is no truth about film.mp4 ({store})."
    assert caught.value.why == f"{tmp_path / 'truth'} was searched for TITLE.truth.json and TITLE.json."


def test_a_film_that_is_scored_twice_is_said(store: Path, tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    write_truth(tmp_path / "truth", [72], []).rename(tmp_path / "truth" / "film.json")
    other = shutil.copy(store, tmp_path / "other.h5")

    first, second = score_titles([store, other], tmp_path / "truth")

    assert first.notes == ()
    assert second.notes == (f"it is of the same film as {store}, and both are counted",)


def test_the_truth_about_one_title_is_not_for_two(store: Path, tmp_path: Path) -> None:
    other = shutil.copy(store, tmp_path / "other.h5")

    with pytest.raises(UsageError, match="holds the truth about one title, and 2 stores were given"):
        score_stores([store, other], write_truth(tmp_path, [], []))


def test_the_stream_that_was_read_decides_which_truth_is_taken(store: Path, tmp_path: Path) -> None:
    change(store, "shots", video_stream=3)
    change(store, "boundaries", made_from={})
    clips = {"film.mp4": {"hard_cuts": [72], "gradual": []}, "film.mp4#stream0": {"hard_cuts": [1], "gradual": []}}
    path = tmp_path / "cuts.json"
    path.write_text(json.dumps({"clips": clips}))

    (title,) = score_titles([store], path)

    assert title.score.hard[0] == Counts(1, 3, 1)
    assert title.notes == ("scored by its video stream 3, and not by the truth about others: film.mp4#stream0",)


def test_synthetic_films_are_scored_by_the_truth_beside_them(
    films: list[SyntheticTitle], fused_stores: list[Path]
) -> None:
    totals = add_up(score_titles(fused_stores, films[0].truth.parent))

    assert totals.rows[0].counts.true == sum(len(film.cuts) for film in films)
    assert totals.rows[0].counts.f1 == 1.0


def test_real_films_are_scored_and_the_opening_fade_is_not_asked_for(media: Path, tmp_path: Path) -> None:
    names = ("nasa_13013.mp4", "mov_bbb_4s.mp4")
    stores = [
        segment_title(media / name, tmp_path / f"{Path(name).stem}.h5", SegmentSettings()).store for name in names
    ]

    totals = add_up(score_titles(stores, media / "cuts.json"))

    assert [row.counts.true for row in totals.rows] == [2, 2, 2, 1, 1, 1, 3]
    assert totals.rows[2].counts.f1 == 1.0
    assert [row.counts for row in totals.rows[3:6]] == [Counts(1, 1, 1)] * 3


# --- contact sheets ---------------------------------------------------------------------------------------------------


def test_all_frames_around_a_cut_are_shown_within_the_film() -> None:
    missed, shifted = Mistake("missed cut", Span("cut", 3, 3), None), Found(Span("cut", 49, 49))

    assert choose_frames(missed, 50) == list(range(9))
    assert choose_frames(Mistake("shifted cut", Span("cut", 47, 47), shifted), 50) == list(range(41, 50))
    assert choose_frames(replace(missed, true=Span("cut", 20, 20)), 50) == list(range(14, 26))


@pytest.mark.parametrize(("first", "last"), [(100, 160), (100, 104), (2, 240), (100, 100)])
def test_a_gradual_transition_is_shown_from_before_to_after_with_its_ends(first: int, last: int) -> None:
    found = Found(Span("gradual", first + 1, last + 7))

    shown = choose_frames(Mistake("false gradual", Span("dissolve", first, last), found), 250)

    assert shown == sorted(set(shown))
    assert len(shown) <= 12
    assert {first, last, first + 1, last + 7} <= set(shown)
    assert shown[0] < first
    assert shown[-1] > last + 7
    assert set(shown) <= set(range(250))


def scored_film(films: list[SyntheticTitle], folder: Path, *, beside: int) -> tuple:
    """The first film with a truth whose second cut is off by ``beside`` frames."""
    store = segment_title(films[0].path, folder / "film.h5").store
    cuts = list(films[0].cuts)
    cuts[1] += beside
    (title,) = score_titles([store], write_truth(folder, cuts, []))
    return title, cuts


def test_a_sheet_shows_the_very_frames(films: list[SyntheticTitle], tmp_path: Path) -> None:
    title, cuts = scored_film(films, tmp_path, beside=2)
    (names,) = name_sheets([title], 50)

    sheets = write_sheets(title, names, tmp_path)

    path = tmp_path / f"title_000-{cuts[1]:06}-shifted-cut.png"
    assert (dict(sheets.paths), sheets.note) == ({0: path}, "")
    numbers = list(range(cuts[1] - 8, cuts[1] + 6))
    with open_media(films[0].path) as container:
        picture = Picture(read_display(container, container.streams.video[0]), 348)
    with av.open(str(films[0].path)) as container:
        decoded = [picture.render(frame) for frame in container.decode(video=0)]
    marks = [Mark("cut", cuts[1] - off, cuts[1] - off, "", True) for off in (0, 2)]
    sheet = np.asarray(Image.open(path))
    for number, (left, top) in zip(numbers, place_pictures(numbers, (348, 196), *marks), strict=True):
        np.testing.assert_array_equal(sheet[top : top + 196, left : left + 348], decoded[number])


def test_missing_media_is_a_note(films: list[SyntheticTitle], tmp_path: Path) -> None:
    title, _ = scored_film(films, tmp_path, beside=2)
    change(title.store, "source", name="gone.mp4", path="gone.mp4")
    (names,) = name_sheets([title], 50)

    sheets = write_sheets(title, names, tmp_path)

    assert sheets.paths == {}
    assert sheets.note.startswith("not drawn: 1 of 1 contact sheets. The media file of")
    assert sheets.note.endswith("Name its folder with --media FOLDER")


def test_sheets_end_at_the_limit_and_no_two_have_one_name(store: Path, tmp_path: Path) -> None:
    (title,) = score_titles([store], write_truth(tmp_path, [10, 20, 30], [], frames=180))

    named = name_sheets([title, title, title], 11)

    assert [len(names) for names in named] == [6, 5, 0]
    assert named[0][0] == "film-000010-missed-cut.png"
    assert named[1][0] == "film-000010-missed-cut-2.png"
    assert len({name for names in named for name in names.values()}) == 11


def test_names_of_sheets_are_short_enough_for_any_file_system(store: Path, tmp_path: Path) -> None:
    (title,) = score_titles([store], write_truth(tmp_path, [10], []))

    named = name_sheets([replace(title, title_id="夜" * 250)], 50)

    assert max(len(name.encode()) for name in named[0].values()) <= 255
