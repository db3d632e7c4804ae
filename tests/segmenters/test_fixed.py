"""The segmenter ``fixed``: boundaries by time alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mediafm_cli.api import Thumbnail
from mediafm_cli.errors import UsageError
from mediafm_cli.options import parse_options
from mediafm_cli.segmenters.fixed import FixedSegmenter
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle
from mediafm_cli.testing import assert_segmenter

NOTHING = np.zeros((0, 0, 3), np.uint8)
RATES = [Fraction(24), Fraction(25), Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)]


def detect(times_s: Sequence[float], every_s: float) -> list[int]:
    segmenter = FixedSegmenter(FixedSegmenter.Options(every_s))
    frames = (Thumbnail(number, time_s, NOTHING) for number, time_s in enumerate(times_s))
    return [boundary.frame for boundary in segmenter.detect(frames)]


def test_it_keeps_what_a_segmenter_promises() -> None:
    assert_segmenter(FixedSegmenter)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("every_s", [5.0, 1.001, 0.7, 1 / 3])
def test_a_boundary_is_the_first_frame_at_or_after_each_multiple(rate: Fraction, every_s: float) -> None:
    count = 2000
    exact = Fraction(str(every_s))

    found = detect([float(number / rate) for number in range(count)], every_s)

    # Frame k is shown at k / rate, so that the first at or after n × every is k = ⌈n × every × rate⌉.
    frames = (math.ceil(multiple * exact * rate) for multiple in range(1, count))
    assert found == [frame for frame in frames if frame < count]


def test_multiples_are_exact_where_floats_are_not() -> None:
    assert 3 * 0.1 > 0.3

    assert detect([number / 30 for number in range(3000)], 0.1) == list(range(3, 3000, 3))


def test_frames_that_come_at_any_time_are_judged_by_that_time() -> None:
    times_s = [0.0, 0.9, 1.9, 2.0, 2.1, 3.99, 4.01, 6.5, 6.6]

    assert detect(times_s, 2.0) == [3, 6, 7]


def test_a_frame_that_stays_on_for_several_multiples_makes_one_boundary() -> None:
    assert detect([0.0, 0.5, 9.0, 9.5, 10.0], 2.0) == [2, 4]


def test_a_film_that_starts_after_its_sound_has_no_boundary_at_its_start() -> None:
    assert detect([7.0, 7.5, 8.0, 9.0, 10.0], 2.0) == [2, 4]


@pytest.mark.parametrize("value", ["0", "-1"])
def test_other_lengths_are_refused(value: str) -> None:
    with pytest.raises(UsageError, match=r"every_s is .*; it must be more than 0 seconds"):
        parse_options(FixedSegmenter.Options, [f"every_s={value}"])


def test_the_stored_shots_last_as_long_as_was_asked_for(films: list[SyntheticTitle], tmp_path: Path) -> None:
    film = films[0]

    segment_title(film.path, tmp_path / "film.h5", SegmentSettings("fixed", ["every_s=2"]))

    with open_store(tmp_path / "film.h5") as store:
        starts = store.shots.start_frame.tolist()
    assert starts == list(range(0, film.frames, 2 * film.fps))
