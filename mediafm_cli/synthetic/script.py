"""The script of one synthetic title: which shots, where each begins to the frame, what is said and what disturbs.

A title is a sequence of scenes. Inside a scene two camera set-ups alternate (shot, reverse shot); some scenes are
cross-cut with another. A pure function of the world and the title's number; nothing is drawn or written here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mediafm_cli.synthetic.vocabulary import SENTENCES
from mediafm_cli.synthetic.world import World


@dataclass(frozen=True)
class Difficulty:
    """What makes a title hard to segment.

    Attributes:
        dissolves, fades: share of the boundaries that are gradual; the rest are hard cuts.
        flashes, occlusions: share of the shots with a flash of 1 to 3 frames, or with something passing the lens.
        noise: standard deviation of the picture noise in grey levels of 255.
    """

    dissolves: float = 0.0
    fades: float = 0.0
    flashes: float = 0.0
    occlusions: float = 0.0
    noise: float = 2.0


PLAIN = Difficulty()
HARD = Difficulty(dissolves=0.15, fades=0.1, flashes=0.2, occlusions=0.2, noise=4.0)


@dataclass(frozen=True)
class ShotPlan:
    """One shot. ``end_frame`` is exclusive; scene, camera and member are numbers in the world's lists.

    Attributes:
        text: what is said, or empty.
        silent: nothing but room tone is heard. A shot with ``text`` is never silent.
        light: factor on the brightness of the set.
        seed: of all that is drawn and heard in this shot only.
    """

    start_frame: int
    end_frame: int
    scene: int
    camera: int
    member: int
    text: str
    silent: bool
    light: float
    seed: int


@dataclass(frozen=True)
class Transition:
    """A gradual change from a shot to the next: ``"dissolve"`` or ``"fade"`` (through black). Both frames inclusive."""

    kind: str
    first: int
    last: int


@dataclass(frozen=True)
class Disturbance:
    """What looks like a boundary and is none: ``"flash"`` or ``"occlusion"``. Both frames inclusive."""

    kind: str
    first: int
    last: int


@dataclass(frozen=True)
class TitlePlan:
    """All that happens in one title."""

    number: int
    title: str
    synopsis: str
    tags: tuple[str, ...]
    shots: tuple[ShotPlan, ...]
    transitions: tuple[Transition, ...]
    disturbances: tuple[Disturbance, ...]
    noise: float

    @property
    def frames(self) -> int:
        """Number of frames of the title."""
        return self.shots[-1].end_frame

    @property
    def cuts(self) -> tuple[int, ...]:
        """First frame of each shot that follows a hard cut."""
        starts = (shot.start_frame for shot in self.shots[1:])
        return tuple(start for start in starts if not any(t.first <= start <= t.last for t in self.transitions))


_SPOKEN = 0.55
_OWN_WORDS = 0.35
_SILENT_OF_UNSPOKEN = 0.4
_CROSS_CUT = 0.25
_SCENES_OF_A_TITLE = 5
_CLEAR_FRAMES = 6  # a disturbance keeps this far from any boundary, so that the truth is not a matter of taste


@dataclass
class _Scene:
    """A scene under way: its place, and the two set-ups with who is in them."""

    kind: int
    cameras: tuple[int, int]
    members: tuple[int, int]
    turn: int = 0


def plan_title(
    world: World, number: int, *, shots: int, fps: int, shot_s: tuple[float, float], difficulty: Difficulty = PLAIN
) -> TitlePlan:
    """Write the script of title ``number`` of the world.

    Args:
        world: the catalogue's world.
        number: any number from 0; titles of different numbers are independent.
        shots: number of shots.
        fps: frames per second.
        shot_s: shortest and longest shot in seconds.
        difficulty: see ``Difficulty``.
    """
    rng = np.random.default_rng([world.seed, 1, number])
    order = _order_scenes(rng, world, shots)
    lengths = rng.integers(round(shot_s[0] * fps), round(shot_s[1] * fps) + 1, size=shots)
    ends = np.cumsum(lengths)
    planned: list[ShotPlan] = []
    for scene, length, end in zip(order, lengths, ends, strict=True):
        previous_camera = planned[-1].camera if planned else -1
        if scene.cameras[scene.turn] == previous_camera:  # cutting between two equal pictures would be no cut
            scene.turn = 1 - scene.turn
        spoken = rng.random() < _SPOKEN
        planned.append(
            ShotPlan(
                start_frame=int(end - length),
                end_frame=int(end),
                scene=scene.kind,
                camera=scene.cameras[scene.turn],
                member=scene.members[scene.turn],
                text=_draw_sentence(rng, world, scene.kind) if spoken else "",
                silent=bool(not spoken and rng.random() < _SILENT_OF_UNSPOKEN),
                light=float(rng.uniform(0.8, 1.2)),
                seed=int(rng.integers(2**31)),
            )
        )
        scene.turn = 1 - scene.turn
    transitions = _draw_transitions(rng, planned, difficulty)
    kinds = list(dict.fromkeys(shot.scene for shot in planned))
    return TitlePlan(
        number=number,
        title=f"{world.scene_types[kinds[0]].name.capitalize()}, part {number + 1}",
        synopsis=" ".join(_describe(rng, world, kind) for kind in kinds),
        tags=tuple(world.scene_types[kind].name for kind in kinds),
        shots=tuple(planned),
        transitions=transitions,
        disturbances=_draw_disturbances(rng, planned, transitions, difficulty),
        noise=difficulty.noise,
    )


def _order_scenes(rng: np.random.Generator, world: World, shots: int) -> list[_Scene]:
    """The scene of each shot; the same object where the same scene goes on."""
    kinds = rng.permutation(len(world.scene_types))[:_SCENES_OF_A_TITLE]
    order: list[_Scene] = []
    visit = 0
    while len(order) < shots:
        scene, other = (_open_scene(rng, world, int(kinds[(visit + k) % kinds.size])) for k in range(2))
        if rng.random() < _CROSS_CUT:
            for run in range(6):
                order += [(scene, other)[run % 2]] * int(rng.integers(1, 4))
            visit += 2
        else:
            order += [scene] * int(rng.integers(6, 13))
            visit += 1
    return order[:shots]


def _open_scene(rng: np.random.Generator, world: World, kind: int) -> _Scene:
    camera_a, camera_b = (int(c) for c in rng.permutation(len(world.cameras))[:2])
    member_a, member_b = (int(m) for m in rng.permutation(len(world.cast))[:2])
    return _Scene(kind, (camera_a, camera_b), (member_a, member_b))


def _draw_sentence(rng: np.random.Generator, world: World, kind: int) -> str:
    """A sentence about this place or, word by word, about another: one line does not settle where we are."""
    spoken = []
    for _ in range(2):
        about = kind if rng.random() < _OWN_WORDS else rng.integers(len(world.scene_types))
        words = world.scene_types[about].words
        spoken.append(words[rng.integers(len(words))])
    return SENTENCES[rng.integers(len(SENTENCES))].format(*spoken)


def _describe(rng: np.random.Generator, world: World, kind: int) -> str:
    scene_type = world.scene_types[kind]
    first, second = (scene_type.words[k] for k in rng.permutation(len(scene_type.words))[:2])
    return f"At the {scene_type.name}, all turns on the {first} and the {second}."


def _draw_transitions(
    rng: np.random.Generator, shots: list[ShotPlan], difficulty: Difficulty
) -> tuple[Transition, ...]:
    transitions = []
    for before, after in itertools.pairwise(shots):
        draw = rng.random()
        frames = int(rng.integers(12, 25))
        shortest = min(before.end_frame - before.start_frame, after.end_frame - after.start_frame)
        frames = min(frames, shortest - 4)  # leaves every shot some frames of its own
        first = after.start_frame - frames // 2
        if draw < difficulty.dissolves:
            transitions.append(Transition("dissolve", first, first + frames - 1))
        elif draw < difficulty.dissolves + difficulty.fades:
            transitions.append(Transition("fade", first, first + frames - 1))
    return tuple(transitions)


def _draw_disturbances(
    rng: np.random.Generator, shots: list[ShotPlan], transitions: tuple[Transition, ...], difficulty: Difficulty
) -> tuple[Disturbance, ...]:
    disturbances = []
    for shot in shots:
        draw = rng.random()
        kind = "flash" if draw < difficulty.flashes else "occlusion"
        frames = int(rng.integers(1, 4) if kind == "flash" else rng.integers(8, 15))
        begin = max([shot.start_frame, *(t.last + 1 for t in transitions if t.first <= shot.start_frame <= t.last)])
        end = min([shot.end_frame, *(t.first for t in transitions if t.first <= shot.end_frame <= t.last)])
        room = end - begin - 2 * _CLEAR_FRAMES - frames
        if draw < difficulty.flashes + difficulty.occlusions and room >= 0:
            first = begin + _CLEAR_FRAMES + int(rng.integers(room + 1))
            disturbances.append(Disturbance(kind, first, first + frames - 1))
    return tuple(disturbances)
