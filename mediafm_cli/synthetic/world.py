"""The world that every title of a synthetic catalogue shares: scene types, their looks and sounds, cameras and cast.

Twelve scene types share four palettes and three motifs: each pair of the two is one scene type. So a picture leaves
three scene types open and a sound four, together they leave one, and most shots lack one or the other (silence, a voice
over the music). What a picture shows most of is the camera set-up and who is in frame, which say nothing of the scene.
Everything here is a pure function of the seed.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from mediafm_cli.synthetic.vocabulary import SCENE_WORDS

Colour = tuple[float, float, float]
"""Red, green, blue, each from 0 to 255."""


@dataclass(frozen=True)
class Palette:
    """The colours of a place: two ends of the background's gradient, and what stands and moves in it."""

    far: Colour
    near: Colour
    accent: Colour


@dataclass(frozen=True)
class Motif:
    """The sound of a place: a repeating melody in one timbre over a bed of coloured noise.

    Attributes:
        notes_hz: the melody, one pitch per note.
        note_s: length of a note in seconds.
        partials: amplitude of each harmonic, the fundamental first.
        bed_hz: centre of the noise bed, which is one octave wide.
    """

    notes_hz: tuple[float, ...]
    note_s: float
    partials: tuple[float, ...]
    bed_hz: float


@dataclass(frozen=True)
class Camera:
    """A set-up: where the figure stands (-1 to 1), how large it is (in picture heights), how the set lies."""

    x: float
    y: float
    figure: float
    tilt_rad: float


@dataclass(frozen=True)
class Member:
    """A member of the cast: colours of face and clothes, and the pitch of the voice."""

    face: Colour
    clothes: Colour
    voice_hz: float


@dataclass(frozen=True)
class SceneType:
    """A kind of place, with the words spoken there and the numbers of its palette and motif."""

    name: str
    words: tuple[str, ...]
    palette: int
    motif: int


@dataclass(frozen=True)
class World:
    """What all titles of one catalogue have in common."""

    seed: int
    scene_types: tuple[SceneType, ...]
    palettes: tuple[Palette, ...]
    motifs: tuple[Motif, ...]
    cameras: tuple[Camera, ...]
    cast: tuple[Member, ...]


CAMERAS = (
    Camera(x=-0.45, y=0.25, figure=1.10, tilt_rad=0.0),
    Camera(x=0.45, y=0.25, figure=1.10, tilt_rad=np.pi),
    Camera(x=-0.10, y=0.35, figure=1.60, tilt_rad=np.pi / 2),
    Camera(x=0.60, y=0.45, figure=0.70, tilt_rad=-np.pi / 2),
    Camera(x=-0.65, y=0.50, figure=0.65, tilt_rad=np.pi / 4),
    Camera(x=0.20, y=0.10, figure=1.35, tilt_rad=-3 * np.pi / 4),
)

_PALETTES = 4
_CAST_SIZE = 8
_PENTATONIC = (0, 2, 4, 7, 9, 12, 14, 16)  # semitones above the root; no two of them clash, so any order is a melody


def draw_world(seed: int) -> World:
    """Draw the world of a catalogue."""
    rng = np.random.default_rng([seed, 0])
    names = list(SCENE_WORDS)
    scene_types = tuple(
        SceneType(names[name], SCENE_WORDS[names[name]], palette=place % _PALETTES, motif=place // _PALETTES)
        for place, name in enumerate(rng.permutation(len(names)))
    )
    return World(
        seed=seed,
        scene_types=scene_types,
        palettes=tuple(_draw_palette(rng, place / _PALETTES) for place in range(_PALETTES)),
        motifs=tuple(_draw_motif(rng, place) for place in range(len(names) // _PALETTES)),
        cameras=CAMERAS,
        cast=tuple(_draw_member(rng, place / _CAST_SIZE) for place in range(_CAST_SIZE)),
    )


def _draw_palette(rng: np.random.Generator, hue: float) -> Palette:
    hue = hue + rng.uniform(-0.04, 0.04)
    return Palette(
        far=_colour(hue, rng.uniform(0.35, 0.6), rng.uniform(0.75, 0.9)),
        near=_colour(hue + rng.uniform(0.05, 0.12), rng.uniform(0.6, 0.9), rng.uniform(0.25, 0.4)),
        accent=_colour(hue + rng.uniform(0.4, 0.6), rng.uniform(0.6, 0.9), rng.uniform(0.6, 0.9)),
    )


def _draw_motif(rng: np.random.Generator, place: int) -> Motif:
    root_hz = 110.0 * 2 ** (place * 7 / 12)  # a fifth apart
    steps = rng.permutation(_PENTATONIC)
    harmonics = np.arange(1, 7)
    return Motif(
        notes_hz=tuple(float(root_hz * 2 ** (step / 12)) for step in steps),
        note_s=float(rng.uniform(0.15, 0.35)),
        partials=tuple(float(a) for a in harmonics ** -rng.uniform(0.6, 2.5) * rng.uniform(0.3, 1.0, harmonics.size)),
        bed_hz=float(250.0 * 2 ** rng.uniform(0, 4.5)),
    )


def _draw_member(rng: np.random.Generator, hue: float) -> Member:
    return Member(
        face=_colour(rng.uniform(0.04, 0.10), rng.uniform(0.3, 0.6), rng.uniform(0.35, 0.95)),
        clothes=_colour(hue + rng.uniform(-0.05, 0.05), rng.uniform(0.3, 0.9), rng.uniform(0.2, 0.95)),
        voice_hz=float(rng.uniform(90, 240)),
    )


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return 255 * red, 255 * green, 255 * blue
