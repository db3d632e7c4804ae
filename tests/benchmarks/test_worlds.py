"""Synthetic worlds: the same for the same seed, shaped like encodings, and never telling a label by accident."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import chance
from worlds import MODALITIES, RECALL_SHOTS, SCENES, WORLDS, SyntheticEncodings, World, draw_parts, draw_titles

from mediafm_cli.evaluate.probes.probing import probe

TITLES = 60
PROBED = 40  # titles that a probe learns from


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


@pytest.fixture(scope="module")
def titles(world: World) -> list[SyntheticEncodings]:
    return draw_titles(world, TITLES, seed=5)


def probe_titles(titles: list[SyntheticEncodings], features: list[np.ndarray], labels: str) -> float:
    own = [getattr(title, labels) for title in titles]
    return probe(features[:PROBED], own[:PROBED], features[PROBED:], own[PROBED:])


def assert_same(one: SyntheticEncodings, other: SyntheticEncodings) -> None:
    assert one.title_id == other.title_id
    for name in ("video", "audio", "text", "present", "start_s", "end_s", "scene", "camera", "recall"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_title_is_the_same_however_it_is_drawn(world: World) -> None:
    for one, other in zip(draw_titles(world, 5, seed=3)[2:], draw_titles(world, 3, seed=3, first=2), strict=True):
        assert_same(one, other)


def test_another_seed_is_another_world(world: World) -> None:
    one, other = draw_parts(world, 1)[0].scene, draw_parts(world, 2)[0].scene
    cosines = np.sum(one * other, axis=1) / world.video.scene**2
    assert np.abs(cosines).max() < 0.6  # unrelated directions of 64 dimensions: a deviation of 1/8


def test_shapes_and_types(world: World, titles: list[SyntheticEncodings]) -> None:
    for title in titles:
        n = len(title.scene)
        assert world.shots[0] <= n <= world.shots[1]
        for name in MODALITIES:
            assert getattr(title, name).shape == (n, world.width)
            assert getattr(title, name).dtype == np.float32
        assert title.present.shape == (n, 3)
        assert title.start_s.dtype == title.end_s.dtype == np.float64
        assert {len(title.start_s), len(title.end_s), len(title.camera), len(title.recall)} == {n}


def test_rows_have_length_one_and_absent_ones_are_zeros(titles: list[SyntheticEncodings]) -> None:
    for title in titles:
        for name, there in zip(MODALITIES, title.present.T, strict=True):
            np.testing.assert_allclose(np.linalg.norm(getattr(title, name), axis=1), there, atol=1e-6)


def test_text_alone_is_missing_and_as_often_as_the_world_says(world: World, titles: list[SyntheticEncodings]) -> None:
    present = np.concatenate([title.present for title in titles])
    assert present[:, :2].all()
    assert 1 - present[:, 2].mean() == pytest.approx(world.text_missing, abs=0.03)  # about 6,000 shots


def test_shots_follow_one_another_and_last_as_long_as_the_world_says(
    world: World, titles: list[SyntheticEncodings]
) -> None:
    lengths = np.concatenate([title.end_s - title.start_s for title in titles])
    assert lengths.min() > 0
    assert lengths.mean() == pytest.approx(world.shot_s, rel=0.05)
    assert np.log(lengths).std() == pytest.approx(world.shot_spread, rel=0.05)
    for title in titles:
        np.testing.assert_array_equal(title.start_s[1:], title.end_s[:-1])


def test_every_label_occurs_about_equally_often(world: World) -> None:
    titles = draw_titles(world, 400, seed=8)
    for name, kinds in (("scene", 12), ("camera", 4), ("recall", 6)):
        labels = np.concatenate([getattr(title, name) for title in titles])
        counts = np.bincount(labels[labels >= 0], minlength=kinds)
        assert len(counts) == kinds
        np.testing.assert_allclose(counts / counts.mean(), 1.0, atol=0.3)


def test_an_object_is_shown_long_before_it_is_asked_for_and_not_near(titles: list[SyntheticEncodings]) -> None:
    asked = 0
    for title in titles:
        shown = np.flatnonzero(title.hidden.shown >= 0)
        for shot in np.flatnonzero(title.recall >= 0):
            before = shown[shown <= shot]
            assert np.abs(shown - shot).min() >= RECALL_SHOTS  # a model reads both ways
            assert title.hidden.source[shot] == before[-1]
            assert title.hidden.shown[before[-1]] == title.recall[shot]
            assert title.hidden.called[shot]
            asked += 1
    assert asked > TITLES


def test_calls_show_the_object_again_as_often_as_the_world_says(world: World, titles: list[SyntheticEncodings]) -> None:
    shown = np.concatenate([title.hidden.shown >= 0 for title in titles])
    called = np.concatenate([title.hidden.called for title in titles])
    recall = np.concatenate([title.recall >= 0 for title in titles])
    np.testing.assert_array_equal(called, recall | (called & shown))
    assert 0.1 < (called & shown).sum() / called.sum() <= world.payoff + 0.05


def test_who_is_in_frame_moves_the_picture_most_and_the_scene_least(
    world: World, titles: list[SyntheticEncodings]
) -> None:
    video = np.concatenate([title.video for title in titles])

    def share(kinds: np.ndarray) -> float:
        means = np.stack([video[kinds == kind].mean(axis=0) for kind in range(kinds.max() + 1)])
        return float(np.var(means[kinds], axis=0).sum() / np.var(video, axis=0).sum())

    who = share(np.concatenate([title.hidden.who for title in titles]))
    camera = share(np.concatenate([title.camera for title in titles]))
    scene = share(np.concatenate([title.scene for title in titles]))
    assert who > camera > 3 * scene


def test_characters_alternate_within_a_scene(world: World, titles: list[SyntheticEncodings]) -> None:
    changes = []
    for title in titles:
        for part in np.unique(title.hidden.part):
            who = title.hidden.who[title.hidden.part == part]
            assert len(np.unique(who)) <= 2
            changes.append(who[1:] != who[:-1])
    assert np.concatenate(changes).mean() == pytest.approx(world.alternate, abs=0.04)


def test_the_camera_shows_in_one_shot(titles: list[SyntheticEncodings]) -> None:
    assert probe_titles(titles, [title.flat for title in titles], "camera") > 0.98


def test_a_cue_does_not_tell_which_object_is_back(world: World) -> None:
    titles = draw_titles(world, 6 * TITLES, seed=6)
    learn, ask = titles[: 5 * TITLES], titles[5 * TITLES :]
    features = [[title.flat for title in some] for some in (learn, ask)]
    own = [[title.recall for title in some] for some in (learn, ask)]
    assert probe(features[0], own[0], features[1], own[1]) == pytest.approx(chance(own[1]), abs=0.06)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_world_that_depends_on_one_modality_tells_nothing_in_the_others(modality: str) -> None:
    world = WORLDS["interleaved"].depending_on(modality)
    titles = draw_titles(world, TITLES, seed=7)
    others = [name for name in MODALITIES if name != modality]
    told = probe_titles(titles, [getattr(title, modality) for title in titles], "scene")
    untold = probe_titles(titles, [np.hstack([getattr(title, name) for name in others]) for title in titles], "scene")
    assert untold < 1 / SCENES + 0.05
    assert told > untold + 0.2


def test_a_long_title_is_longer_than_a_window(world: World) -> None:
    assert len(draw_titles(world.long(), 1, seed=1)[0].scene) > 512


def test_a_genre_has_types_of_its_own_and_is_what_is_known_of_a_title() -> None:
    titles = draw_titles(WORLDS["interleaved"].with_genres(4), 120, seed=5)
    types = [{int(scene) // 3 for scene in title.scene} for title in titles]

    assert {len(of_title) for of_title in types} == {1}
    genre = [np.full(1, of_title.pop()) for of_title in types]
    known = [title.metadata[None] for title in titles]
    assert probe(known[:80], genre[:80], known[80:], genre[80:]) > 0.99
    np.testing.assert_allclose(np.linalg.norm(np.concatenate(known), axis=1), 1, rtol=1e-6)


def test_without_genres_nothing_is_known_of_a_title(titles: list[SyntheticEncodings]) -> None:
    assert {title.metadata for title in titles} == {None}


def test_a_drifting_world_has_no_genres() -> None:
    with pytest.raises(ValueError, match="it has no genres"):
        WORLDS["drifting"].with_genres()


def test_parts_that_a_modality_does_not_have_are_refused() -> None:
    world = WORLDS["interleaved"]
    with pytest.raises(ValueError, match="camera is a part of video alone"):
        replace(world, audio=replace(world.audio, camera=0.5))
    with pytest.raises(ValueError, match="set crosscut=0"):
        replace(world, drift=0.1)
