"""Synthetic catalogues drawn straight as encodings, with labels that only context can tell: no media, no encoder.

    python benchmarks/worlds.py                     # each world's difficulty, by flat probes and by oracles
    python benchmarks/worlds.py --world dialogue --seeds 7

A world is tuned on the oracles alone (``oracles.py``), before any model is trained on it. Notable choices:

- a shot's vector is a sum of parts (scene, camera, who is in frame, ambience, object) and noise, scaled to length 1:
  a mixture of projected Gaussians, whose posterior can be computed exactly
- the scene is a small part of a shot; who is in frame is a large one, alternates, and says nothing of the scene's type
- what a title shares (cast and ambience of a scene) tells which shots belong together, never which type they are
- an object is shown once and called back at least ``RECALL_SHOTS`` later, by a cue that does not say which object it
  was; where the call is a payoff the object shows again, so that predicting a masked payoff takes remembering
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Modality = Literal["video", "audio", "text"]
MODALITIES: tuple[Modality, ...] = ("video", "audio", "text")
SCENES = 12
CAMERAS = 4
OBJECTS = 6
RECALL_SHOTS = 25
METADATA_NOISE = 0.5
"""Its expected length, beside a genre's of 1."""


@dataclass(frozen=True)
class Look:
    """Length of each part of one modality's vectors, before they are scaled to length 1.

    Attributes:
        scene: the type of the scene.
        noise: drawn anew for each shot; its expected length, over all dimensions.
        who: the character in frame, or who speaks; the same one in every modality.
        camera: the kind of camera; in video alone.
        ambience: the sound of a scene's place; in audio alone.
    """

    scene: float
    noise: float
    who: float = 0.0
    camera: float = 0.0
    ambience: float = 0.0


@dataclass(frozen=True)
class World:
    """The parameters from which titles are drawn.

    Attributes:
        name: begins the ids of its titles.
        video, audio, text: see ``Look``.
        passage: mean shots of a passage (geometric): one scene, or two that are cross-cut.
        crosscut: share of passages that are cross-cut; 0 in a drifting world.
        switch: probability that a cross-cut goes to its other scene, at each shot.
        alternate: probability that a scene goes to its other character, at each of its shots.
        drift: 0 where a passage's scenes have types of their own. Above 0, the type follows a walk on a ring of the
            types, of this standard deviation a shot (in types), whatever the passages: they hold the cast alone.
        jump: probability that a drifting title starts elsewhere on the ring, at each shot.
        cast, ambiences: how many characters and ambiences a world has.
        text_missing: share of shots without text.
        object: length of the part that tells which object is shown. ``object_in``: the modality that shows it.
        cue: length of the part, in video and audio, that tells that the object is back.
        payoff: probability that a call shows the object again, unless the title ends sooner; the others are reminders,
            which ``recall`` asks about.
        shots: fewest and most shots of a title.
        genres: 0, or how many genres titles have. Then the types of a title's scenes are its genre's alone, which share
            out the types among them, and what is known of the title says which genre it is.
        shot_s: mean seconds of a shot (log-normal). ``shot_spread``: standard deviation of their logarithm.
        width: numbers in a vector, of each modality.
    """

    name: str
    video: Look
    audio: Look
    text: Look
    passage: float
    crosscut: float
    switch: float
    alternate: float
    drift: float = 0.0
    jump: float = 0.0
    cast: int = 12
    ambiences: int = 6
    text_missing: float = 0.45
    object: float = 0.8
    object_in: Modality = "video"
    cue: float = 0.6
    payoff: float = 0.4
    shots: tuple[int, int] = (40, 160)
    genres: int = 0
    shot_s: float = 4.0
    shot_spread: float = 0.6
    width: int = 64

    def __post_init__(self) -> None:
        if self.audio.camera or self.text.camera or self.video.ambience or self.text.ambience:
            raise ValueError("camera is a part of video alone, and ambience of audio alone")
        if self.drift and self.crosscut:
            raise ValueError("a drifting world is not cross-cut: set crosscut=0")
        if self.drift and self.genres:
            raise ValueError("a drifting world comes through all types of scenes: it has no genres")

    @property
    def looks(self) -> tuple[Look, Look, Look]:
        """In the order of ``MODALITIES``."""
        return self.video, self.audio, self.text

    def depending_on(self, modality: Modality) -> World:
        """The scene and the object in one modality alone, with the evidence that all three had together.

        It is the same on average over shots; of text, it is gathered in the shots that have any. The
        others keep cast, camera, ambience and cue: they may still tell which shots belong together.
        """
        shares = (1.0, 1.0, 1.0 - self.text_missing)
        evidence = sum(share * (look.scene / look.noise) ** 2 for share, look in zip(shares, self.looks, strict=True))
        chosen = MODALITIES.index(modality)
        scene = [0.0, 0.0, 0.0]
        scene[chosen] = self.looks[chosen].noise * (evidence / shares[chosen]) ** 0.5
        video, audio, text = (replace(look, scene=length) for look, length in zip(self.looks, scene, strict=True))
        return replace(self, name=f"{self.name}-{modality}", video=video, audio=audio, text=text, object_in=modality)

    def with_genres(self, genres: int = 4) -> World:
        """The same, of titles that are known to be of one genre each."""
        return replace(self, name=f"{self.name}-genres", genres=genres)

    def long(self) -> World:
        """The same in titles of a film's length, which no window of 512 shots holds."""
        return replace(self, name=f"{self.name}-long", shots=(600, 1500))


WORLDS = {
    world.name: world
    for world in (
        World(
            "interleaved",
            video=Look(scene=0.105, who=0.8, camera=0.6, noise=0.6),
            audio=Look(scene=0.05, ambience=0.5, noise=0.6),
            text=Look(scene=0.14, who=0.4, noise=0.8),
            passage=8.0,
            crosscut=0.8,
            switch=0.5,
            alternate=0.8,
        ),
        World(
            "drifting",
            video=Look(scene=0.145, who=0.8, camera=0.6, noise=0.6),
            audio=Look(scene=0.08, ambience=0.4, noise=0.6),
            text=Look(scene=0.21, who=0.3, noise=0.8),
            passage=10.0,
            crosscut=0.0,
            switch=0.0,
            alternate=0.6,
            drift=0.3,
            jump=0.01,
        ),
        World(
            "dialogue",
            video=Look(scene=0.05, who=0.9, camera=0.6, noise=0.6),
            audio=Look(scene=0.03, ambience=0.8, noise=0.6),
            text=Look(scene=0.245, who=0.5, noise=0.8),
            passage=10.0,
            crosscut=0.5,
            switch=0.35,
            alternate=0.95,
        ),
    )
}


@dataclass(frozen=True)
class Hidden:
    """What a title was drawn from, for the oracles; int [n] unless said otherwise.

    Attributes:
        part: number of the scene within its title; in a drifting world, of the stretch that keeps its cast.
        position: float64 [n], on the ring of scene types, in types; a whole number where the world does not drift.
        who, ambience: which of the world's.
        shown: the object in the shot, -1 where none.
        called: bool [n], the cue that the object is back.
        source: for a shot with a ``recall`` label, the shot that showed the object; -1 elsewhere.
    """

    part: np.ndarray
    position: np.ndarray
    who: np.ndarray
    ambience: np.ndarray
    shown: np.ndarray
    called: np.ndarray
    source: np.ndarray


@dataclass(frozen=True)
class SyntheticEncodings:
    """One title of n shots.

    Attributes:
        title_id: unique in its world and seed.
        video, audio, text: float32 [n, width], rows of length 1, zeros where absent.
        present: bool [n, 3], in the order of ``MODALITIES``.
        start_s, end_s: float64 [n], seconds on the title's clock; end exclusive.
        scene: int [n], the type of the scene, 0 to 11.
        camera: int [n], the kind of camera, 0 to 3: each shot shows it by itself.
        recall: int [n], which object is back, 0 to 5, on shots that only say that it is; -1 elsewhere. It was last
            shown at least ``RECALL_SHOTS`` before, and nothing shows it again sooner than as many after.
        hidden: what the labels and vectors were drawn from; never an input of a model.
        metadata: float32 [width], of length 1, what is known of the title: its genre, and noise; None without genres.
    """

    title_id: str
    video: np.ndarray
    audio: np.ndarray
    text: np.ndarray
    present: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    scene: np.ndarray
    camera: np.ndarray
    recall: np.ndarray
    hidden: Hidden
    metadata: np.ndarray | None = None

    @property
    def flat(self) -> np.ndarray:
        """The three modalities side by side, float32 [n, 3 * width]."""
        return np.hstack([self.video, self.audio, self.text])


@dataclass(frozen=True)
class Parts:
    """The prototypes of one modality, each of the length that its ``Look`` gives it; float64 [kinds, width]."""

    scene: np.ndarray
    camera: np.ndarray
    who: np.ndarray
    ambience: np.ndarray
    object: np.ndarray
    cue: np.ndarray

    def at(self, position: np.ndarray) -> np.ndarray:
        """The scene's part at positions [p] on the ring, between two types a mixture of both, [p, width]."""
        below = np.floor(position).astype(int)
        weight = (position - below)[:, None]
        return (1 - weight) * self.scene[below % SCENES] + weight * self.scene[(below + 1) % SCENES]


def draw_parts(world: World, seed: int) -> tuple[Parts, ...]:
    """The prototypes of a world, drawn anew for each seed, in the order of ``MODALITIES``."""
    draws = np.random.default_rng([seed, 0])

    def directions(kinds: int, length: float) -> np.ndarray:
        return length * unit_rows(draws.standard_normal((kinds, world.width)))

    return tuple(
        Parts(
            scene=directions(SCENES, look.scene),
            camera=directions(CAMERAS, look.camera),
            who=directions(world.cast, look.who),
            ambience=directions(world.ambiences, look.ambience),
            object=directions(OBJECTS, world.object if modality == world.object_in else 0.0),
            cue=directions(1, 0.0 if modality == "text" else world.cue),
        )
        for modality, look in zip(MODALITIES, world.looks, strict=True)
    )


def draw_titles(world: World, count: int, seed: int, first: int = 0) -> list[SyntheticEncodings]:
    """Titles ``first`` to ``first + count`` of the world of that seed.

    A title is the same whatever ``count`` and ``first`` it is drawn by; titles of different numbers are independent.
    """
    parts = draw_parts(world, seed)
    return [_draw_title(world, parts, seed, number) for number in range(first, first + count)]


def _draw_title(world: World, parts: Sequence[Parts], seed: int, number: int) -> SyntheticEncodings:
    draws = np.random.default_rng([seed, 1, number])
    types, metadata = np.arange(SCENES), None
    if world.genres:
        genre = int(draws.integers(world.genres))
        types, metadata = np.array_split(types, world.genres)[genre], _draw_metadata(world, seed, genre, draws)
    n = int(draws.integers(*world.shots, endpoint=True))
    present = np.ones((n, 3), bool)
    present[:, 2] = draws.random(n) >= world.text_missing
    camera = draws.integers(CAMERAS, size=n)
    part, position = _draw_drift(world, n, draws) if world.drift else _draw_threads(world, n, types, draws)
    who = _draw_who(world, part, draws)
    ambience = draws.integers(world.ambiences, size=part.max() + 1)[part]
    shown, called, recall, source = _draw_object(world, present[:, MODALITIES.index(world.object_in)], draws)
    hidden = Hidden(part, position, who, ambience, shown, called, source)
    vectors = []
    for own, look, there in zip(parts, world.looks, present.T, strict=True):
        mean = own.at(position) + own.camera[camera] + own.who[who] + own.ambience[ambience] + object_part(own, hidden)
        noise = draws.standard_normal((n, world.width)) * look.noise / world.width**0.5
        vectors.append((unit_rows(mean + noise) * there[:, None]).astype(np.float32))
    logarithm = np.log(world.shot_s) - world.shot_spread**2 / 2  # so that the mean is shot_s
    end_s = np.cumsum(draws.lognormal(logarithm, world.shot_spread, n))
    return SyntheticEncodings(
        f"{world.name}-{seed}-{number:05d}",
        video=vectors[0],
        audio=vectors[1],
        text=vectors[2],
        present=present,
        start_s=np.concatenate([[0.0], end_s[:-1]]),
        end_s=end_s,
        scene=np.round(position).astype(int) % SCENES,
        camera=camera,
        recall=recall,
        hidden=hidden,
        metadata=metadata,
    )


def object_part(parts: Parts, hidden: Hidden) -> np.ndarray:
    """What the object adds to each shot, [n, width]: its own part where it is shown, the cue where it is called."""
    return np.where(hidden.shown[:, None] >= 0, parts.object[hidden.shown], 0.0) + hidden.called[:, None] * parts.cue


def _draw_metadata(world: World, seed: int, genre: int, draws: np.random.Generator) -> np.ndarray:
    genres = unit_rows(np.random.default_rng([seed, 2]).standard_normal((world.genres, world.width)))
    known = genres[genre] + draws.standard_normal(world.width) * METADATA_NOISE / world.width**0.5
    return unit_rows(known[None])[0].astype(np.float32)


def _draw_threads(world: World, n: int, types: np.ndarray, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The scene of each shot, and its type, one of ``types``, as a position on the ring."""
    part = np.zeros(n, int)
    scenes: list[int] = []
    on = drawn = 0
    for shot in range(n):
        if shot == 0 or draws.random() < 1 / world.passage:
            scenes = [drawn, drawn + 1] if draws.random() < world.crosscut else [drawn]
            drawn += len(scenes)
            on = 0
        elif len(scenes) == 2 and draws.random() < world.switch:
            on = 1 - on
        part[shot] = scenes[on]
    return part, types[draws.integers(len(types), size=drawn)][part].astype(float)


def _draw_drift(world: World, n: int, draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The stretch of each shot, and its position on the ring."""
    steps = np.where(draws.random(n) < world.jump, draws.uniform(0, SCENES, n), draws.normal(0, world.drift, n))
    position = (draws.uniform(0, SCENES) + np.cumsum(steps)) % SCENES
    return np.cumsum(draws.random(n) < 1 / world.passage), position


def _draw_who(world: World, part: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Two characters a scene, who alternate."""
    pairs = np.argsort(draws.random((part.max() + 1, world.cast)), axis=1)[:, :2]
    changes = draws.random(len(part)) < world.alternate
    side = np.zeros(len(part), int)
    for scene in np.unique(part):
        side[part == scene] = np.cumsum(changes[part == scene]) % 2
    return pairs[part, side]


def _draw_object(
    world: World, usable: np.ndarray, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Objects, one after another: shown once, then called until a payoff. All on ``usable`` shots, bool [n].

    A payoff comes as long after a reminder as the first call after the plant: what a model finds near a reminder, on
    either side, does not show the object.

    Returns:
        shown, called, recall, source: see ``Hidden`` and ``SyntheticEncodings``.
    """
    n = len(usable)
    shown, recall, source = np.full((3, n), -1)
    called = np.zeros(n, bool)

    def later(after: int, least: int) -> int:
        shot = after + least + int(draws.geometric(0.2)) - 1
        ahead = np.flatnonzero(usable[shot:])
        return shot + int(ahead[0]) if len(ahead) else n

    plant = later(0, 0)
    while plant < n:
        kind = int(draws.integers(OBJECTS))
        shown[plant] = kind
        last, paid, least = plant, False, RECALL_SHOTS
        while last < n and not paid:
            paid = draws.random() < world.payoff
            last = later(last, RECALL_SHOTS if paid else least)
            least = 1
            if last < n:
                called[last] = True
                if paid:
                    shown[last] = kind
                else:
                    recall[last], source[last] = kind, plant
        plant = later(last, 1)
    return shown, called, recall, source


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Each row scaled to length 1, [n, d]."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", action="append", choices=WORLDS, help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--train", type=int, default=120, help="titles that the probes learn from")
    parser.add_argument("--test", type=int, default=120, help="titles that everything is scored on")
    settings = parser.parse_args()
    from oracles import describe_world  # it imports this module

    print("Macro average precision on titles that no probe has seen.")
    for name in settings.world or WORLDS:
        for seed in settings.seeds:
            train = draw_titles(WORLDS[name], settings.train, seed)
            test = draw_titles(WORLDS[name], settings.test, seed, first=settings.train)
            print(f"\n{name}, seed {seed}", flush=True)
            for row, value in describe_world(WORLDS[name], seed, train, test):
                print(f"  {row:42s} {value:.3f}", flush=True)


if __name__ == "__main__":
    main()
