"""Clips: a list that is read strictly, and vectors pooled over the shots that each clip overlaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_titles import SHOT_S, make_model, make_store

from mediafm_cli.errors import UsageError
from mediafm_cli.model.context import embed_title
from mediafm_cli.model.folder import load_model, model_fingerprint
from mediafm_cli.stages.embed import EmbedSettings, embed_store
from mediafm_cli.stages.export import Rows
from mediafm_cli.stages.pool import Clip, find_clips, pool_clips, read_clips
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.read import open_store
from mediafm_cli.train.catalogue import open_title

SETTINGS = EmbedSettings("model")


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Titles of 12 and 5 shots of 1.5 s; the second one is not called like its store."""
    stores = [make_store(tmp_path, "one", 12), make_store(tmp_path, "two", 5)]
    return [stores[0], stores[1].rename(tmp_path / "film.h5")]


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "clips.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# --- the list ---------------------------------------------------------------------------------------------------------


def test_other_columns_in_any_order_are_kept_as_they_were_read(tmp_path: Path) -> None:
    path = write(tmp_path, 'tone,end_s,title,start_s,note\nsad,6,film,1.5,"a, ""b"""\n\n,7.25,Ärger,3e0, \n')

    assert read_clips(path) == [
        Clip(2, "film", 1.5, 6.0, {"tone": "sad", "note": 'a, "b"'}),
        Clip(4, "Ärger", 3.0, 7.25, {"tone": "", "note": " "}),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_line_ending_make_no_difference(ending: str, mark: bytes, tmp_path: Path) -> None:
    text = ending.join(["title,start_s,end_s", "film,0,1.5", "film,2,3"])

    assert read_clips(write(tmp_path, mark + text.encode())) == [Clip(2, "film", 0, 1.5), Clip(3, "film", 2, 3)]


def test_a_line_after_a_value_of_several_lines_is_numbered_as_an_editor_does(tmp_path: Path) -> None:
    path = write(tmp_path, 'title,start_s,end_s,note\nfilm,0,1,"two\nlines\u2028"\nfilm,x,1,\n')

    with pytest.raises(UsageError, match=r"clips\.csv, line 4: start_s is 'x'"):
        read_clips(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"clips\.csv has no column title\. The first line names none"),
        ("film,0,1\n", r"has no column title\. The first line names film, 0, 1\. Begin it with: title,start_s,end_s"),
        ("title;start_s;end_s\n", r"has no column title\. The first line names title;start_s;end_s"),
        ("title,start_s,end\n", r"has no column end_s"),
        ("title,start_s,end_s,title\n", r"has 2 columns called 'title'"),
        ("title,start_s,end_s,x,x\n", r"has 2 columns called 'x'"),
        ("title,start_s,end_s,flat\n", r"has a column 'flat'\. The clips' vectors are called so"),
        ("title,start_s,end_s\n", r"lists no clip"),
        ("title,start_s,end_s\nfilm,0\n", r"line 2: it has 2 values\. The first line names 3 columns"),
        ("title,start_s,end_s\n\nfilm,0,1,2\n", r"line 3: it has 4 values"),
        ("title,start_s,end_s\nfilm,0,1\nfilm,00:01,2\n", r"line 3: start_s is '00:01', which is no number of seconds"),
        ("title,start_s,end_s\nfilm,0,\n", r"line 2: end_s is '', which is no number"),
        ("title,start_s,end_s\nfilm,0,nan\n", r"line 2: end_s is 'nan', which is no number"),
        ("title,start_s,end_s\nfilm,0,inf\n", r"line 2: end_s is 'inf', which is no number"),
        ("title,start_s,end_s\nfilm,2,1\n", r"line 2: the clip ends at 1\.0 s and starts at 2\.0 s"),
        ("title,start_s,end_s\nfilm,2,2\n", r"line 2: the clip ends at 2\.0 s"),
        ('title,start_s,end_s\nfilm,2,3\n"film,2,2\n', r"line 3: unexpected end of data"),
        (b"title,start_s,end_s\n\xe4,0,1\n", r"clips\.csv is not in UTF-8\. Byte 20 is not"),
    ],
)
def test_a_list_that_is_not_right_is_refused_with_the_line(text: str | bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        read_clips(write(tmp_path, text))


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"clips\.csv cannot be read\. No such file"):
        read_clips(tmp_path / "clips.csv")


# --- its titles -------------------------------------------------------------------------------------------------------


def test_a_title_is_named_by_its_id_or_by_its_store(stores: list[Path]) -> None:
    clips = [Clip(2, "film", 0, 1), Clip(3, "one", 0, 1), Clip(4, "two", 0, 1)]

    assert find_clips(clips, stores, Path("clips.csv")) == {stores[1]: [0, 2], stores[0]: [1]}


@pytest.mark.parametrize(
    ("clip", "why"),
    [
        (Clip(7, "three", 0, 1), r"clips\.csv, line 7: there is no title 'three'\. None of the 2 stores has this"),
        (
            Clip(7, "two", -0.1, 1),
            r"line 7: the clip from -0\.1 s to 1 s is outside 'two'\. .* to 7\.500 s",
        ),
        (Clip(7, "two", 7, 7.6), r"line 7: the clip from 7 s to 7\.6 s is outside 'two'"),
        (Clip(7, "two", 7.5, 7.54), r"line 7: the clip from 7\.5 s to 7\.54 s is outside"),
    ],
)
def test_a_clip_that_is_in_no_title_is_refused_with_its_line(clip: Clip, why: str, stores: list[Path]) -> None:
    with pytest.raises(UsageError, match=why):
        find_clips([Clip(2, "one", 0, 1), clip], stores, Path("clips.csv"))


def test_a_name_that_two_titles_answer_to_is_refused(stores: list[Path], tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    other = make_store(tmp_path / "more", "film", 4)

    with pytest.raises(UsageError, match=rf"line 2: 'film' can be {stores[1]} or {other}"):
        find_clips([Clip(2, "film", 0, 1)], [*stores, other], Path("clips.csv"))


def test_an_end_that_was_rounded_up_is_taken(stores: list[Path]) -> None:
    assert find_clips([Clip(2, "two", 7, 7.55)], stores, Path("clips.csv")) == {stores[1]: [0]}


# --- its vectors ------------------------------------------------------------------------------------------------------


def pool(stores: list[Path], folder: Path, clips: list[Clip]) -> Rows:
    model = load_model(folder)
    for store in stores:
        embed_store(store, model, model_fingerprint(folder), SETTINGS)
    return pool_clips(clips, find_clips(clips, stores, Path("clips.csv")), model, SETTINGS)


def test_a_clip_is_the_mean_of_its_shots_weighted_by_the_seconds_of_overlap(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0])

    rows = pool(stores, folder, [Clip(2, "one", 2 * SHOT_S + 1.0, 4 * SHOT_S + 0.25)])

    # By hand: half a second of shot 2, all 1.5 s of shot 3, a quarter of a second of shot 4.
    with open_store(stores[0]) as store:
        embedding, flat = store.embedding("model").shots, store.fused.vectors
    title = open_title(stores[0])[1].load()
    alone = embed_title(load_model(folder), title.window(2, 5)).shots
    for column, shots in (("in_context", embedding[2:5]), ("isolated", alone), ("flat", flat[2:5])):
        one, two, three = (shot / np.linalg.norm(shot) for shot in shots)
        expected = (0.5 * one + 1.5 * two + 0.25 * three) / 2.25
        np.testing.assert_allclose(rows.vectors[column], expected[None], rtol=1e-5, atol=1e-7)
        assert rows.vectors[column].dtype == np.float32


def test_a_shot_in_which_nothing_is_present_adds_nothing(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0])
    with open_store(stores[0]) as store:
        fused = store.fused
    vectors, present = fused.vectors.copy(), fused.present.copy()
    vectors[1], present[1] = 0, False
    empty = replace(fused, vectors=vectors, present=present)
    update_store(stores[0], lambda contents: contents.with_group("fused", empty))

    rows = pool(stores, folder, [Clip(2, "one", 0, 2 * SHOT_S), Clip(3, "one", SHOT_S, 2 * SHOT_S)])

    np.testing.assert_allclose(rows.vectors["flat"], [vectors[0] / 2, 0 * vectors[0]], rtol=1e-6)
    assert np.isfinite(rows.vectors["in_context"]).all()


def test_in_context_is_not_isolated_unless_the_clip_is_the_whole_title(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0])

    rows = pool(stores, folder, [Clip(2, "two", 0, 5 * SHOT_S), Clip(3, "two", 0, 2 * SHOT_S)])

    in_context, isolated = rows.vectors["in_context"], rows.vectors["isolated"]
    np.testing.assert_array_equal(in_context[0], isolated[0])
    assert np.abs(in_context[1] - isolated[1]).max() > 1e-4


def test_clips_keep_the_order_of_the_list_and_what_it_says(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0])
    clips = [
        Clip(2, "film", 0, 1, {"tone": "sad"}),
        Clip(3, "one", 0, 1, {"tone": ""}),
        Clip(4, "two", 3, 7, {"tone": "Ärger"}),
    ]

    rows = pool(stores, folder, clips)
    by_itself = [pool(stores, folder, [clip]) for clip in clips]

    assert rows.index == [
        {"title": "two", "start_s": 0, "end_s": 1, "tone": "sad"},
        {"title": "one", "start_s": 0, "end_s": 1, "tone": ""},
        {"title": "two", "start_s": 3, "end_s": 7, "tone": "Ärger"},
    ]
    for column, vectors in rows.vectors.items():
        np.testing.assert_array_equal(vectors, np.concatenate([one.vectors[column] for one in by_itself]))


def test_a_clip_longer_than_the_model_is_isolated_in_windows(stores: list[Path], tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", stores[0], max_shots=4)

    rows = pool(stores, folder, [Clip(2, "one", 0, 10 * SHOT_S)])

    title = open_title(stores[0])[1].load()
    alone = embed_title(load_model(folder), title.window(0, 10)).shots
    expected = (alone / np.linalg.norm(alone, axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(rows.vectors["isolated"][0], expected, rtol=1e-4, atol=1e-6)
