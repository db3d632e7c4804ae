"""What a segmenter promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from mediafm_cli.api import Boundary, Segmenter, Title
from mediafm_cli.testing.check import Check, assert_all, check_options, expect, run_check
from mediafm_cli.testing.examples import example_thumbnails


def segmenter_checks(segmenter_class: type[Segmenter], options: Any = None) -> list[Check]:
    """Check a segmenter on some seconds of synthetic thumbnails; arguments and result as for ``encoder_checks``."""
    return [run_check(name, partial(probe, segmenter_class, options)) for name, probe in _PROBES]


def assert_segmenter(segmenter_class: type[Segmenter], options: Any = None) -> None:
    """Run ``segmenter_checks``.

    Raises:
        AssertionError: a check failed; the message lists those that did.
    """
    assert_all(segmenter_class, segmenter_checks(segmenter_class, options))


def _begin(segmenter_class: type[Segmenter], options: Any) -> Segmenter:
    segmenter = segmenter_class(options)
    segmenter.begin(Title("example", Fraction(24), 6.0))
    return segmenter


def _check_options(segmenter_class: type[Segmenter], options: Any) -> None:
    check_options(segmenter_class)


def _check_boundaries(segmenter_class: type[Segmenter], options: Any) -> None:
    frames = example_thumbnails(segmenter_class.thumbnail_size)
    found = list(_begin(segmenter_class, options).detect(iter(frames)))
    expect(all(isinstance(b, Boundary) for b in found), "it yields what is no Boundary")
    numbers = [boundary.frame for boundary in found]
    expect(all(a < b for a, b in itertools.pairwise(numbers)), f"boundaries do not increase: {numbers}")
    for boundary in found:
        ordered = 0 <= boundary.first <= boundary.frame <= boundary.last < len(frames)
        expect(
            ordered and boundary.frame > 0, f"{boundary} does not lie within {len(frames)} frames, first ≤ frame ≤ last"
        )
        expect(boundary.kind in ("cut", "gradual"), f"the kind of {boundary} is neither cut nor gradual")


def _check_consumed(segmenter_class: type[Segmenter], options: Any) -> None:
    frames = iter(example_thumbnails(segmenter_class.thumbnail_size))
    list(_begin(segmenter_class, options).detect(frames))
    left = len(list(frames))
    expect(left == 0, f"{left} frames were not consumed")


def _check_short(segmenter_class: type[Segmenter], options: Any) -> None:
    for length in (0, 1):
        found = list(
            _begin(segmenter_class, options).detect(iter(example_thumbnails(segmenter_class.thumbnail_size)[:length]))
        )
        expect(not found, f"{length} frames have no boundary, but it found {found}")


def _check_repeats(segmenter_class: type[Segmenter], options: Any) -> None:
    frames = example_thumbnails(segmenter_class.thumbnail_size)
    segmenter = _begin(segmenter_class, options)
    runs = [list(which.detect(iter(frames))) for which in (segmenter, segmenter, _begin(segmenter_class, options))]
    expect(runs[0] == runs[1] == runs[2], f"three runs over the same frames differ: {runs}")


_PROBES: tuple[tuple[str, Callable[[type[Segmenter], Any], None]], ...] = (
    ("Options is a frozen dataclass with a default for each field", _check_options),
    ("boundaries increase and lie within the title", _check_boundaries),
    ("every frame is consumed", _check_consumed),
    ("no boundary in no frame or one", _check_short),
    ("same every time", _check_repeats),
)
