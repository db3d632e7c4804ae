"""The script of a synthetic title keeps its own rules, whatever the seed."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from mediafm_cli.synthetic.script import HARD, PLAIN, Difficulty, TitlePlan, plan_title
from mediafm_cli.synthetic.vocabulary import SCENE_WORDS
from mediafm_cli.synthetic.world import draw_world

SEEDS = [0, 1, 2]


def plan(seed: int, difficulty: Difficulty = PLAIN, shots: int = 400) -> TitlePlan:
    return plan_title(draw_world(seed), 0, shots=shots, fps=24, shot_s=(1.0, 2.0), difficulty=difficulty)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_palette_is_shared_by_three_scene_types_and_a_motif_by_four_and_the_pair_by_none(seed: int) -> None:
    scene_types = draw_world(seed).scene_types

    assert Counter(Counter(kind.palette for kind in scene_types).values()) == {3: 4}
    assert Counter(Counter(kind.motif for kind in scene_types).values()) == {4: 3}
    assert len({(kind.palette, kind.motif) for kind in scene_types}) == len(scene_types) == len(SCENE_WORDS)


def test_another_seed_is_another_world_and_the_same_seed_the_same() -> None:
    assert draw_world(3) == draw_world(3)
    assert draw_world(3) != draw_world(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_shots_follow_one_another_without_gap_and_last_as_asked(seed: int) -> None:
    shots = plan(seed).shots

    assert shots[0].start_frame == 0
    for before, after in itertools.pairwise(shots):
        assert before.end_frame == after.start_frame
    lengths = [shot.end_frame - shot.start_frame for shot in shots]
    assert min(lengths) >= 24
    assert max(lengths) <= 48


@pytest.mark.parametrize("seed", SEEDS)
def test_the_camera_changes_at_every_boundary(seed: int) -> None:
    for before, after in itertools.pairwise(plan(seed).shots):
        assert before.camera != after.camera


@pytest.mark.parametrize("seed", SEEDS)
def test_set_ups_alternate_inside_a_scene(seed: int) -> None:
    shots = plan(seed).shots

    returns = [
        a.camera == c.camera
        for a, b, c in zip(shots, shots[1:], shots[2:], strict=False)
        if a.scene == b.scene == c.scene
    ]
    assert sum(returns) / len(returns) > 0.8  # shot, reverse shot, shot; a scene may be followed by one of its own kind


@pytest.mark.parametrize("seed", SEEDS)
def test_about_45_percent_of_the_shots_are_wordless_and_some_of_those_silent(seed: int) -> None:
    shots = plan(seed).shots

    # Binomial, 400 shots: three standard deviations are 0.075 and 0.058.
    assert sum(not shot.text for shot in shots) / 400 == pytest.approx(0.45, abs=0.075)
    assert sum(shot.silent for shot in shots) / 400 == pytest.approx(0.18, abs=0.058)
    assert not any(shot.silent and shot.text for shot in shots)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plain_title_has_a_hard_cut_at_every_boundary(seed: int) -> None:
    title = plan(seed)

    assert title.cuts == tuple(shot.start_frame for shot in title.shots[1:])
    assert title.transitions == title.disturbances == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_boundary_of_a_hard_title_is_a_cut_or_lies_in_one_transition(seed: int) -> None:
    title = plan(seed, HARD)

    boundaries = {shot.start_frame for shot in title.shots[1:]}
    inside = [sum(t.first <= boundary <= t.last for t in title.transitions) for boundary in boundaries]
    assert set(inside) == {0, 1}
    assert boundaries - set(title.cuts) == {b for b in boundaries for t in title.transitions if t.first <= b <= t.last}
    assert {t.kind for t in title.transitions} == {"dissolve", "fade"}
    for before, after in itertools.pairwise(title.transitions):
        assert before.last < after.first


@pytest.mark.parametrize("seed", SEEDS)
def test_disturbances_keep_clear_of_every_boundary_and_transition(seed: int) -> None:
    title = plan(seed, HARD)

    changes = [(cut, cut) for cut in title.cuts] + [(t.first, t.last) for t in title.transitions]
    assert {d.kind for d in title.disturbances} == {"flash", "occlusion"}
    for disturbance in title.disturbances:
        assert all(disturbance.last + 5 < first or last + 5 < disturbance.first for first, last in changes)


def test_metadata_names_the_scenes_in_order_of_appearance() -> None:
    world = draw_world(0)
    title = plan_title(world, 0, shots=30, fps=24, shot_s=(1.0, 2.0))

    appeared = list(dict.fromkeys(world.scene_types[shot.scene].name for shot in title.shots))
    assert list(title.tags) == appeared
    assert all(f"At the {name}," in title.synopsis for name in appeared)


def test_titles_of_one_catalogue_differ() -> None:
    world = draw_world(0)

    one, two = (plan_title(world, number, shots=30, fps=24, shot_s=(1.0, 2.0)) for number in (0, 1))

    assert one.shots != two.shots
