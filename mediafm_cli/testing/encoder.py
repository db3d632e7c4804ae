"""What an encoder promises. A probe gets two encoders of the same options and some shots."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mediafm_cli.api import Encoder, Needs, Shot
from mediafm_cli.testing.check import Check, assert_all, check_options, expect, run_check
from mediafm_cli.testing.examples import example_shots
from mediafm_cli.testing.isolation import check_import

_TOLERANCE = 1e-5  # of the largest number in the vectors: batches may add up in another order, and no more than that


def encoder_checks(encoder_class: type[Encoder], options: Any = None, *, device: str = "cpu") -> list[Check]:
    """Check an encoder. Loads it twice, and runs it on a handful of small shots.

    Args:
        encoder_class: the class, not an instance.
        options: an instance of its ``Options``; its defaults otherwise.
        device: as for the encoder.

    Returns:
        One ``Check`` per promise, in a fixed order; those that an earlier failure makes impossible are left out.
    """
    checks = [run_check("is an Encoder that says what it needs", partial(_check_class, encoder_class))]
    if not checks[0].passed:
        return checks
    checks += [run_check(name, partial(check, encoder_class)) for name, check in _CLASS_CHECKS]
    encoders: list[Encoder] = []

    def load_two() -> None:
        for _ in range(2):
            encoders.append(encoder_class(options, device=device))
            dim_before = encoders[-1].dim
            encoders[-1].preflight()
            encoders[-1].load()
            expect(
                isinstance(dim_before, int) and dim_before > 0 and dim_before == encoders[-1].dim,
                f"dim is {dim_before!r} before load and {encoders[-1].dim!r} after",
            )

    def close_all() -> None:
        for encoder in encoders:
            encoder.close()

    checks.append(run_check("loads, and its dim is known before", load_two))
    if checks[-1].passed:
        raw = example_shots(encoders[0].needs)
        checks.append(run_check("prepare leaves a shot as it was", partial(_check_prepare, encoders[0], raw)))
        shots = [encoders[0].prepare(shot) for shot in raw] if checks[-1].passed else raw
        checks += [run_check(name, partial(probe, encoders[0], encoders[1], shots)) for name, probe in _PROBES]
    checks.append(run_check("closes", close_all))
    return checks


def assert_encoder(encoder_class: type[Encoder], options: Any = None, *, device: str = "cpu") -> None:
    """Run ``encoder_checks``.

    Raises:
        AssertionError: a check failed; the message lists those that did.
    """
    assert_all(encoder_class, encoder_checks(encoder_class, options, device=device))


def _check_class(encoder_class: type[Encoder]) -> None:
    expect(
        inspect.isclass(encoder_class) and issubclass(encoder_class, Encoder),
        "it is no subclass of mediafm_cli.api.Encoder",
    )
    missing = sorted(encoder_class.__abstractmethods__)
    expect(not missing, f"it does not define {', '.join(missing)}")
    needs = getattr(encoder_class, "needs", None)
    expect(isinstance(needs, Needs), f"needs is {needs!r}, not an instance of Frames, Audio or Text")


def _check_prepare(encoder: Encoder, shots: Sequence[Shot]) -> None:
    for shot in shots:
        handed = copy.deepcopy(shot)
        prepared = encoder.prepare(handed)
        expect(isinstance(prepared, Shot), f"prepare returns {type(prepared).__name__}, not a Shot")
        expect(
            (prepared.index, prepared.start_s, prepared.end_s) == (shot.index, shot.start_s, shot.end_s), "it moves it"
        )
        _expect_untouched("prepare", shot, handed)


def _check_split(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    parts = [shot.index for part in encoder.split(shots) for shot in part]
    expect(parts == [shot.index for shot in shots], f"the shots {parts} are in the parts")


def _check_fingerprint(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    before = encoder.fingerprint()
    expect(isinstance(before, Mapping) and len(before) > 0, f"fingerprint() is {before!r}, not a mapping with entries")
    strings = all(isinstance(key, str) and isinstance(value, str) for key, value in before.items())
    expect(strings, f"fingerprint() holds what is no string: {before!r}")
    encoder.encode(shots)
    expect(dict(before) == dict(encoder.fingerprint()), "fingerprint() changes after encode")
    expect(dict(before) == dict(other.fingerprint()), "two encoders of the same options have two fingerprints")


def _check_empty(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    vectors = encoder.encode([])
    _expect_vectors(vectors, (0, encoder.dim))


def _check_shape(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    _expect_vectors(encoder.encode(shots), (len(shots), encoder.dim))


def _check_finite(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    bad = [index for index, row in enumerate(encoder.encode(shots)) if not np.isfinite(row).all()]
    expect(not bad, f"NaN or infinity for {', '.join(_describe(shots[index]) for index in bad)}")


def _check_alone(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    _expect_same(encoder.encode(shots), np.concatenate([encoder.encode([shot]) for shot in shots]), shots)


def _check_order(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    _expect_same(encoder.encode(shots), encoder.encode(shots[::-1])[::-1], shots)


def _check_deterministic(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    first = encoder.encode(shots)
    _expect_same(first, encoder.encode(shots), shots)
    _expect_same(first, other.encode(shots), shots)


def _check_told_apart(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    vectors = encoder.encode(shots)
    expect(bool(np.any(vectors != vectors[0])), "every shot has the same vector")


def _check_input(encoder: Encoder, other: Encoder, shots: Sequence[Shot]) -> None:
    handed = copy.deepcopy(shots)
    encoder.encode(handed)
    for shot, after in zip(shots, handed, strict=True):
        _expect_untouched("encode", shot, after)


_CLASS_CHECKS: tuple[tuple[str, Callable[[type[Encoder]], None]], ...] = (
    ("Options is a frozen dataclass with a default for each field", check_options),
    ("importing and making it loads no model library and opens no connection", check_import),
)

_PROBES: tuple[tuple[str, Callable[[Encoder, Encoder, Sequence[Shot]], None]], ...] = (
    ("fingerprint is stable, str to str", _check_fingerprint),
    ("no shots give (0, dim)", _check_empty),
    ("vectors are float32 [n, dim]", _check_shape),
    ("vectors are finite", _check_finite),
    ("same alone and in a batch", _check_alone),
    ("row i is shot i", _check_order),
    ("same every time", _check_deterministic),
    ("different shots have different vectors", _check_told_apart),
    ("split keeps each shot, in order", _check_split),
    ("the input is left as it was", _check_input),
)


def _expect_vectors(vectors: object, shape: tuple[int, int]) -> None:
    expect(isinstance(vectors, np.ndarray), f"encode returns {type(vectors).__name__}, not numpy.ndarray")
    assert isinstance(vectors, np.ndarray)
    expect(vectors.dtype == np.float32, f"the dtype is {vectors.dtype}, not float32")
    expect(vectors.shape == shape, f"the shape is {vectors.shape}, not {shape}")


def _expect_same(one: np.ndarray, two: np.ndarray, shots: Sequence[Shot]) -> None:
    expect(one.shape == two.shape, f"the shapes are {one.shape} and {two.shape}")
    if np.array_equal(one, two):
        return
    apart = np.abs(one.astype(np.float64) - two)
    worst = int(np.argmax(apart.max(axis=1)))
    bound = _TOLERANCE * max(1.0, float(np.abs(one).max()))
    expect(bool(apart[worst].max() <= bound), f"{_describe(shots[worst])} differs by {apart[worst].max():.2g}")


def _expect_untouched(by: str, shot: Shot, after: Shot) -> None:
    kept = all(np.array_equal(array, _arrays(after)[name]) for name, array in _arrays(shot).items())
    expect(kept, f"{by} changed {_describe(shot)}")


def _arrays(shot: Shot) -> dict[str, np.ndarray]:
    return {name: array for name in ("frames", "audio") if (array := getattr(shot, name)) is not None}


def _describe(shot: Shot) -> str:
    if shot.text is not None:
        return f"the shot with the text {shot.text[:30]!r}"
    return ", ".join(f"the shot with {name} of shape {array.shape}" for name, array in _arrays(shot).items())
