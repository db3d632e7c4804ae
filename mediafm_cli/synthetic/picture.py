"""Draws the frames of a synthetic title: a moving camera over a painted set, things that drift, and a figure in front.

What costs time is drawn once per shot (the set, larger than the picture so that the camera can move over it, and the
sprites); a frame is then a crop, a few stamps and noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mediafm_cli.synthetic.script import Disturbance, ShotPlan, TitlePlan, Transition
from mediafm_cli.synthetic.world import Colour, Palette, World

_MARGIN = 1 / 8  # of the picture, on each side: how far the camera may move
_FLASH = 150.0  # grey levels added
_OCCLUDER = (18.0, 16.0, 20.0)
_NOISE_TILES = 4


@dataclass(frozen=True, eq=False)
class _Sprite:
    """Something stamped on the picture: colours float32 [h, w, 3], where it is bool [h, w, 1], and how it moves."""

    rgb: np.ndarray
    mask: np.ndarray
    centre: tuple[float, float]  # of the picture's width and height
    sway: tuple[float, float]
    period_frames: float
    phase: float


@dataclass(frozen=True, eq=False)
class _Stage:
    """All of one shot that does not change from frame to frame."""

    start_frame: int
    size: tuple[int, int]
    backdrop: np.ndarray  # float32 [height + 2 margins, width + 2 margins, 3]
    sprites: tuple[_Sprite, ...]
    pan_period_frames: float
    pan_phase: float
    pan_reach: tuple[float, float]


def draw_frames(world: World, plan: TitlePlan, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Draw every frame of the title in order: uint8 [height, width, 3], RGB.

    Args:
        world: the world the plan was made in.
        plan: the title's script.
        size: width and height in pixels.
    """
    width, height = size
    noise = (
        np.random.default_rng([world.seed, 2, plan.number])
        .normal(0, plan.noise, (_NOISE_TILES, height, width, 1))
        .astype(np.float32)
    )
    before: _Stage | None = None
    current: _Stage | None = _build_stage(world, plan.shots[0], size)
    for shot, following in itertools.zip_longest(plan.shots, plan.shots[1:]):
        after = _build_stage(world, following, size) if following else None
        stages = [stage for stage in (before, current, after) if stage is not None]
        for frame in range(shot.start_frame, shot.end_frame):
            picture = _draw_moment(frame, plan, shot, stages)
            picture += noise[frame % _NOISE_TILES]
            yield np.clip(picture, 0, 255).astype(np.uint8)
        before, current = current, after


def _draw_moment(frame: int, plan: TitlePlan, shot: ShotPlan, stages: list[_Stage]) -> np.ndarray:
    """The picture at ``frame`` before noise, transitions and disturbances included."""
    transition = next((t for t in plan.transitions if t.first <= frame <= t.last), None)
    if transition is None:
        stage = next(stage for stage in stages if stage.start_frame == shot.start_frame)
        picture = _draw_stage(stage, frame)
    else:
        before, after = _sides(transition, stages)
        picture = _blend(transition, frame, before, after)
    for disturbance in plan.disturbances:
        if disturbance.first <= frame <= disturbance.last:
            _disturb(picture, disturbance, frame)
    return picture


def _sides(transition: Transition, stages: list[_Stage]) -> tuple[_Stage, _Stage]:
    after = next(stage for stage in stages if transition.first <= stage.start_frame <= transition.last)
    return stages[stages.index(after) - 1], after


def _blend(transition: Transition, frame: int, before: _Stage, after: _Stage) -> np.ndarray:
    share = (frame - transition.first + 1) / (transition.last - transition.first + 2)  # of the new shot, 0 to 1
    if transition.kind == "dissolve":
        return (1 - share) * _draw_stage(before, frame) + share * _draw_stage(after, frame)
    stage = before if share < 0.5 else after
    return abs(1 - 2 * share) * _draw_stage(stage, frame)


def _disturb(picture: np.ndarray, disturbance: Disturbance, frame: int) -> None:
    if disturbance.kind == "flash":
        picture += _FLASH
        return
    # A dark pillar 0.8 of the picture wide passes from left to right.
    width = picture.shape[1]
    progress = (frame - disturbance.first + 1) / (disturbance.last - disturbance.first + 2)
    left = round((1.8 * progress - 0.8) * width)
    picture[:, max(0, left) : max(0, left + round(0.8 * width))] = _OCCLUDER


# --- one shot ---------------------------------------------------------------------------------------------------------


def _build_stage(world: World, shot: ShotPlan, size: tuple[int, int]) -> _Stage:
    rng = np.random.default_rng([shot.seed, 0])
    height = size[1]
    palette = world.palettes[world.scene_types[shot.scene].palette]
    camera = world.cameras[shot.camera]
    drifting = [_draw_drifter(rng, palette, height, shot.light) for _ in range(3)]
    return _Stage(
        start_frame=shot.start_frame,
        size=size,
        backdrop=_paint_backdrop(rng, palette, camera.tilt_rad, size) * np.float32(shot.light),
        sprites=(*drifting, _draw_figure(rng, world, shot, height)),
        pan_period_frames=float(rng.uniform(60, 160)),
        pan_phase=float(rng.uniform(0, 2 * np.pi)),
        pan_reach=(float(rng.uniform(0.1, 0.9)), float(rng.uniform(0, 0.4))),
    )


def _paint_backdrop(rng: np.random.Generator, palette: Palette, tilt_rad: float, size: tuple[int, int]) -> np.ndarray:
    margin_x, margin_y = _margins(size)
    width, height = size[0] + 2 * margin_x, size[1] + 2 * margin_y
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    across = 1 / (1 + np.exp(-4 * (np.cos(tilt_rad) * y + np.sin(tilt_rad) * x)))
    backdrop = (1 - across)[..., None] * np.array(palette.far) + across[..., None] * np.array(palette.near)
    for _ in range(5):  # furniture
        centre_x, centre_y = rng.uniform(-0.9, 0.9, 2)
        half_x, half_y = rng.uniform(0.06, 0.22, 2)
        there = (np.abs(x - centre_x) < half_x) & (np.abs(y - centre_y) < half_y)
        backdrop[there] = np.array(palette.accent) * rng.uniform(0.5, 1.1)
    return (backdrop + 10 * _draw_texture(rng, height, width)[..., None]).astype(np.float32)


def _draw_texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Blotches a few pixels wide, zero mean: float [height, width]."""
    cell = 6
    coarse = rng.normal(0, 1, (-(-height // cell), -(-width // cell)))
    return np.repeat(np.repeat(coarse, cell, axis=0), cell, axis=1)[:height, :width]


def _draw_drifter(rng: np.random.Generator, palette: Palette, height: int, light: float) -> _Sprite:
    side = max(4, round(height * rng.uniform(0.08, 0.16)))
    colour = tuple(channel * light * rng.uniform(0.7, 1.2) for channel in palette.accent)
    return _Sprite(
        *_ellipses(side, side, [(0.5, 0.5, 0.5, 0.5, colour)]),
        centre=(float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.1, 0.6))),
        sway=(float(rng.uniform(0.05, 0.25)), float(rng.uniform(0.02, 0.15))),
        period_frames=float(rng.uniform(30, 90)),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )


def _draw_figure(rng: np.random.Generator, world: World, shot: ShotPlan, height: int) -> _Sprite:
    camera, member = world.cameras[shot.camera], world.cast[shot.member]
    tall = max(8, round(height * camera.figure))
    wide = max(8, round(tall * 0.9))
    face = tuple(channel * shot.light for channel in member.face)
    clothes = tuple(channel * shot.light for channel in member.clothes)
    return _Sprite(
        *_ellipses(tall, wide, [(0.5, 0.85, 0.5, 0.42, clothes), (0.5, 0.27, 0.24, 0.27, face)]),
        centre=((camera.x + 1) / 2, (camera.y + 1) / 2),
        sway=(0.03, 0.01),
        period_frames=float(rng.uniform(20, 50)),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )


def _ellipses(
    tall: int, wide: int, parts: list[tuple[float, float, float, float, tuple[float, ...] | Colour]]
) -> tuple[np.ndarray, np.ndarray]:
    """Paint ellipses, the last in front: centre x and y, half width and height (shares of the sprite), colour."""
    y, x = np.meshgrid((np.arange(tall) + 0.5) / tall, (np.arange(wide) + 0.5) / wide, indexing="ij")
    rgb = np.zeros((tall, wide, 3), np.float32)
    mask = np.zeros((tall, wide, 1), bool)
    for centre_x, centre_y, half_x, half_y, colour in parts:
        inside = ((x - centre_x) / half_x) ** 2 + ((y - centre_y) / half_y) ** 2 <= 1
        rgb[inside] = colour
        mask[inside] = True
    return rgb, mask


def _draw_stage(stage: _Stage, frame: int) -> np.ndarray:
    width, height = stage.size
    margin_x, margin_y = _margins(stage.size)
    angle = stage.pan_phase + 2 * np.pi * frame / stage.pan_period_frames
    left = round(margin_x * (1 + stage.pan_reach[0] * np.sin(angle)))
    top = round(margin_y * (1 + stage.pan_reach[1] * np.cos(angle)))
    picture = stage.backdrop[top : top + height, left : left + width].copy()
    for sprite in stage.sprites:
        turn = sprite.phase + 2 * np.pi * frame / sprite.period_frames
        _stamp(
            picture,
            sprite,
            round((sprite.centre[0] + sprite.sway[0] * np.sin(turn)) * width),
            round((sprite.centre[1] + sprite.sway[1] * np.cos(turn)) * height),
        )
    return picture


def _stamp(picture: np.ndarray, sprite: _Sprite, centre_x: int, centre_y: int) -> None:
    height, width = picture.shape[:2]
    tall, wide = sprite.mask.shape[:2]
    top, left = centre_y - tall // 2, centre_x - wide // 2
    rows = slice(max(0, -top), max(0, min(tall, height - top)))
    columns = slice(max(0, -left), max(0, min(wide, width - left)))
    mask = sprite.mask[rows, columns]
    if mask.size:
        target = picture[max(0, top) :, max(0, left) :][: mask.shape[0], : mask.shape[1]]
        np.copyto(target, sprite.rgb[rows, columns], where=mask)


def _margins(size: tuple[int, int]) -> tuple[int, int]:
    return max(1, round(size[0] * _MARGIN)), max(1, round(size[1] * _MARGIN))
