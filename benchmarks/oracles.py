"""What a reader who knows how a world was made can tell of its labels: from one shot, from the title, from everything.

A vector is a Gaussian scaled to length 1. Its density at the unit vector u, for a mean m and a deviation s in each of d
dimensions, is exp(-|m|² / 2s²) ∫ r^(d-1) exp(-r²/2 + r t) dr with t = u·m / s, up to a constant (the projected normal
distribution: Presnell et al. 1998, JASA 93(443)). So the posteriors are exact, but for what their functions name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from scipy.special import softmax
from scipy.stats import norm
from worlds import MODALITIES, OBJECTS, SCENES, Parts, SyntheticEncodings, World, draw_parts, object_part

from mediafm_cli.evaluate.neighbours import window_means
from mediafm_cli.evaluate.probes.metrics import macro_average_precision
from mediafm_cli.evaluate.probes.probing import probe

Titles = Sequence[SyntheticEncodings]
CELLS = 6  # of the ring, per scene type, where the world drifts


def one_shot(world: World, seed: int, titles: Titles) -> list[np.ndarray]:
    """Posterior of the scene's type given the shot's own vectors, float64 [n, 12] for each title.

    Exact, but that it is told where an object is shown or called, which says nothing of the scene; where the world
    drifts, exact up to a grid of ``CELLS`` cells per type.
    """
    everything = _all_evidence(world, seed, titles)
    return [_by_type(softmax(evidence, axis=1), _types(world)) for evidence in everything]


def in_context(world: World, seed: int, titles: Titles) -> list[np.ndarray]:
    """Posterior of the scene's type given the whole title, float64 [n, 12] for each title: a lower bound of the best.

    Forward-backward, exact for the process of the scenes (passages, cross-cuts, walks), over ``one_shot``'s evidence.
    It does not use that cast and ambience last for a scene, which tell more of which shots belong together.
    """
    start, step = _process(world)
    place = _place(world)
    everything = _all_evidence(world, seed, titles)
    return [_by_type(_smooth(start, step, evidence[:, place]), _types(world)[place]) for evidence in everything]


def told(world: World, seed: int, titles: Titles) -> list[np.ndarray]:
    """Posterior of the scene's type for a reader who is told all else, float64 [n, 12] for each title: an upper bound.

    It is told each shot's scene (not its type), camera, cast and ambience. Exact; where the world drifts it is not told
    the path, and exact up to the grid.
    """
    everything = _all_evidence(world, seed, titles, told=True)
    if world.drift:
        start, step = _process(world)
        return [_by_type(_smooth(start, step, evidence), _types(world)) for evidence in everything]
    posteriors = []
    for title, evidence in zip(titles, everything, strict=True):
        scenes = np.zeros((title.hidden.part.max() + 1, SCENES))
        np.add.at(scenes, title.hidden.part, evidence)
        posteriors.append(softmax(scenes, axis=1)[title.hidden.part])
    return posteriors


def remembering(world: World, seed: int, titles: Titles) -> list[np.ndarray]:
    """Posterior of the object that is back, by a reader who knows which shot showed it, float64 [n, 6] for each title.

    Exact given that shot's vectors in the modality that shows it. Rows without a ``recall`` label hold zeros.
    """
    modality = MODALITIES.index(world.object_in)
    parts = draw_parts(world, seed)[modality]
    posteriors = []
    for title in titles:
        posterior = np.zeros((len(title.recall), OBJECTS))
        for shot in np.flatnonzero(title.recall >= 0):
            row = getattr(title, world.object_in)[title.hidden.source[shot], None]
            evidence = [
                _log_sum(_density(world, modality, parts, row, parts.object[None, kind]).ravel(), 0)
                for kind in range(OBJECTS)
            ]
            posterior[shot] = softmax(evidence)
        posteriors.append(posterior)
    return posteriors


def chance(labels: Sequence[np.ndarray], rankings: int = 200) -> float:
    """Mean macro average precision of random scores: where few shots have a label, above the share of a class.

    Args:
        labels: int [n], one a title, below 0 where a shot has none.
    """
    draws = np.random.default_rng(0)
    kinds = int(np.concatenate(labels).max()) + 1
    scored = [[draws.random((len(title), kinds)) for title in labels] for _ in range(rankings)]
    return float(np.mean([macro_average_precision(scores, labels) for scores in scored]))


def describe_world(world: World, seed: int, train: Titles, test: Titles) -> Iterator[tuple[str, float]]:
    """Each row's name and its macro average precision on the test titles."""
    scenes = [title.scene for title in train], [title.scene for title in test]

    def flat(labels: str, train_rows: list[np.ndarray], test_rows: list[np.ndarray]) -> float:
        own = [[getattr(title, labels) for title in titles] for titles in (train, test)]
        return probe(train_rows, own[0], test_rows, own[1])

    for modality in MODALITIES:
        rows = [[getattr(title, modality) for title in titles] for titles in (train, test)]
        yield f"scene: flat, {modality}", flat("scene", *rows)
    whole = [[title.flat for title in titles] for titles in (train, test)]
    near = [[window_means(title.flat, 2) for title in titles] for titles in (train, test)]
    yield "scene: flat, all", flat("scene", *whole)
    yield "scene: window mean ±2", flat("scene", *near)
    yield "scene: oracle, one shot", macro_average_precision(one_shot(world, seed, test), scenes[1])
    yield "scene: oracle, context (lower bound)", macro_average_precision(in_context(world, seed, test), scenes[1])
    yield "scene: oracle, told all else (upper bound)", macro_average_precision(told(world, seed, test), scenes[1])
    yield "camera: flat, all", flat("camera", *whole)
    labels = [title.recall for title in test]
    yield "recall: chance", chance(labels)
    yield "recall: flat, all", flat("recall", *whole)
    yield "recall: window mean ±2", flat("recall", *near)
    yield "recall: perfect reader", macro_average_precision(remembering(world, seed, test), labels)


def _all_evidence(world: World, seed: int, titles: Titles, told: bool = False) -> Iterator[np.ndarray]:
    """Log density of each shot's vectors at each place on the ring, up to a constant a shot, [n, places]."""
    parts = draw_parts(world, seed)
    for title in titles:
        yield _evidence(world, parts, title, told)


def _evidence(world: World, parts: Sequence[Parts], title: SyntheticEncodings, told: bool) -> np.ndarray:
    hidden = title.hidden
    total = np.zeros((1, 1, 1))
    for modality, own in enumerate(parts):
        rows = getattr(title, MODALITIES[modality])
        base = object_part(own, hidden)
        if told:
            base = base + own.camera[title.camera] + own.who[hidden.who] + own.ambience[hidden.ambience]
        density = _density(world, modality, own, rows, base, told)
        total = total + np.where(title.present[:, modality, None, None], density, 0.0)
    return _log_sum(total, 2)


def _density(
    world: World, modality: int, parts: Parts, rows: np.ndarray, base: np.ndarray, told: bool = False
) -> np.ndarray:
    """Log density of rows [n, d], up to a constant, by place and who is in frame, [n, places, cast or 1].

    Camera and ambience are summed out; ``base`` [n, d] is known. Told: so is everything but the place.
    """
    look = world.looks[modality]
    spread = look.noise / world.width**0.5
    place = parts.at(_places(world))
    nothing = np.zeros((1, world.width))
    who = parts.who if look.who and not told else nothing
    own = parts.camera if look.camera else parts.ambience if look.ambience else nothing
    own = nothing if told else own
    means = place[:, None, None] + who[:, None] + own  # (places, cast, cameras or ambiences, d)
    shape = means.shape[:3]
    means = means.reshape(-1, world.width)
    along = (rows @ means.T + np.sum(rows * base, axis=1)[:, None]) / spread
    square = np.sum(means**2, axis=1) + 2 * base @ means.T + np.sum(base**2, axis=1)[:, None]
    lattice, values = _radial(world.width, math.ceil(np.abs(along).max()))
    density = np.interp(along, lattice, values) - square / (2 * spread**2)
    return _log_sum(density.reshape(len(rows), *shape), 3)


@cache
def _radial(d: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """log ∫ r^(d-1) exp(-r²/2 + r t) dr over r > 0, at a lattice of t from -most to most; both [m]."""
    step = 0.02  # interpolation errs by 5e-5 at most: the second derivative, a variance of r, is below 1
    along = np.linspace(-most, most, round(2 * most / step) + 1)
    radius = np.arange(step / 2, most + d**0.5 + 12, step)
    exponent = (d - 1) * np.log(radius) - radius**2 / 2 + np.log(step)
    return along, np.array([_log_sum(exponent + t * radius, 0) for t in along])


def _places(world: World) -> np.ndarray:
    """Positions on the ring at which densities are taken: the types, or the middles of the cells, [places]."""
    return (np.arange(SCENES * CELLS) + 0.5) / CELLS if world.drift else np.arange(SCENES, dtype=float)


def _place(world: World) -> np.ndarray:
    """The place of each state of ``_process``, int [states]."""
    if world.drift:
        return np.arange(SCENES * CELLS)
    return np.concatenate([np.arange(SCENES), np.repeat(np.arange(SCENES), SCENES)])


def _process(world: World) -> tuple[np.ndarray, np.ndarray]:
    """The scenes as a Markov chain: start [states], and the step from a state (row) to the next [states, states].

    Where the world drifts, a state is a cell of the ring. Else it is a type alone, or the type on screen and that of
    the scene it is cross-cut with.
    """
    if world.drift:
        places = _places(world)
        away = places - places[0]
        half = 0.5 / CELLS
        turns = away + SCENES * np.arange(-2, 3)[:, None]
        walk = (norm.cdf((turns + half) / world.drift) - norm.cdf((turns - half) / world.drift)).sum(axis=0)
        kernel = (1 - world.jump) * walk + world.jump / len(places)
        step = np.stack([np.roll(kernel, shift) for shift in range(len(places))])
        return np.full(len(places), 1 / len(places)), step
    alone = np.full(SCENES, (1 - world.crosscut) / SCENES)
    start = np.concatenate([alone, np.full(SCENES**2, world.crosscut / SCENES**2)])
    other = SCENES + np.arange(SCENES**2).reshape(SCENES, SCENES).T.ravel()
    stay = np.eye(len(start))
    stay[SCENES:] *= 1 - world.switch
    stay[np.arange(SCENES, len(start)), other] += world.switch
    return start, (1 - 1 / world.passage) * stay + start / world.passage


def _smooth(start: np.ndarray, step: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Forward-backward: the posterior of each state given all shots, [n, states]."""
    likelihood = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    ahead = np.empty_like(likelihood)
    belief = start
    for shot, given in enumerate(likelihood):
        belief = (belief @ step if shot else belief) * given
        ahead[shot] = belief = belief / belief.sum()
    back = np.ones(len(start))
    posterior = np.empty_like(ahead)
    for shot in reversed(range(len(likelihood))):
        posterior[shot] = ahead[shot] * back / (ahead[shot] @ back)
        back = step @ (likelihood[shot] * back)
        back /= back.sum()
    return posterior


def _types(world: World) -> np.ndarray:
    """The scene's type at each of ``_places``, int [places]."""
    return np.round(_places(world)).astype(int) % SCENES


def _by_type(posterior: np.ndarray, types: np.ndarray) -> np.ndarray:
    """A posterior [n, k] over what has these types, int [k], summed by type, [n, 12]."""
    return posterior @ np.eye(SCENES)[types]


def _log_sum(logarithms: np.ndarray, axis: int) -> np.ndarray:
    """log Σ exp over one axis; half the time of SciPy's, which most of an oracle's time goes to."""
    most = logarithms.max(axis=axis, keepdims=True)
    return np.log(np.exp(logarithms - most).sum(axis=axis)) + most.squeeze(axis)
