"""Waveform and level of a page, of tones whose level is known."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm_cli.report.sound import PARTS, RATE, divide, measure_sound

TONE = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)


def test_a_full_tone_is_three_decibels_below_full_scale() -> None:
    """The root mean square of a sine is 1 / √2 of its peak: 20 log10(1/√2) = −3.01 dB."""
    sound = measure_sound([(0, TONE), (1, 0.1 * TONE)], 2, 2.0)

    assert sound is not None
    np.testing.assert_allclose(sound.level_db, [-3.0103, -23.0103], atol=0.01)
    np.testing.assert_allclose(sound.high, [1, 0.1], atol=0.01)
    np.testing.assert_allclose(sound.low, [-1, -0.1], atol=0.01)
    assert sound.part_s == 1.0


def test_silence_and_gaps_have_no_level() -> None:
    sound = measure_sound([(0, None), (1, np.zeros(80, np.float32)), (2, TONE)], 3, 3.0)

    assert sound is not None
    assert np.isneginf(sound.level_db[:2]).all()


def test_where_no_part_has_sound_there_is_none() -> None:
    assert measure_sound([(0, None), (1, None)], 2, 2.0) is None


@pytest.mark.parametrize("end_s", [0.01, 1.0, 7200.0])
def test_a_title_is_divided_without_a_gap(end_s: float) -> None:
    parts = divide(end_s)

    assert 1 <= len(parts) <= PARTS
    assert (parts[0][0], parts[-1][1]) == (0.0, end_s)
    assert [start for start, _ in parts[1:]] == [end for _, end in parts[:-1]]
