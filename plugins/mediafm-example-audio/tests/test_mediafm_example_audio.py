"""The example encoder keeps the contract, and its numbers are those of the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from mediafm_example_audio import RATE, SpectralShape, SpectralShapeOptions

from mediafm_cli.api import Shot
from mediafm_cli.testing import assert_encoder

LEVEL, CENTROID, BANDWIDTH, ROLLOFF, FLATNESS, CROSSINGS, CHROMA = 0, 1, 2, 3, 4, 5, slice(6, 18)


def encode(audio: np.ndarray) -> np.ndarray:
    return SpectralShape().encode([Shot(0, 0.0, 1.0, audio=audio.astype(np.float32))])[0]


def tone(hz: float, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)


def test_keeps_the_contract_of_an_encoder() -> None:
    assert_encoder(SpectralShape)
    assert_encoder(SpectralShape, SpectralShapeOptions(hop=512))


@pytest.mark.parametrize("hz", [250.0, 1000.0, 4000.0])
def test_a_tone_has_its_frequency_as_centroid_rolloff_and_crossings(hz: float) -> None:
    vector = encode(tone(hz))

    expected_octaves = np.log2(hz / 1000)
    assert vector[CENTROID] == pytest.approx(expected_octaves, abs=0.02)
    assert vector[ROLLOFF] == pytest.approx(expected_octaves, abs=0.05)
    # A sine crosses zero twice in each period.
    assert vector[CROSSINGS] == pytest.approx(expected_octaves + 1, abs=0.02)


def test_the_level_of_a_sine_is_3_db_below_its_amplitude() -> None:
    vector = encode(tone(1000, amplitude=0.1))

    assert vector[LEVEL] == pytest.approx((-20 - 3.01 + 40) / 20, abs=0.005)


def test_white_noise_has_the_moments_of_a_flat_spectrum() -> None:
    vector = encode(np.random.default_rng(0).normal(0, 0.1, 4 * RATE))

    # Uniform on 0 to 8 kHz: mean 4 kHz, standard deviation 8 kHz / √12.
    assert vector[CENTROID] == pytest.approx(np.log2(4.0), abs=0.03)
    assert vector[BANDWIDTH] == pytest.approx(np.log2(8 / np.sqrt(12)), abs=0.03)
    # A line's power is exponentially distributed: geometric over arithmetic mean is exp(-γ), -2.51 dB.
    assert vector[FLATNESS] == pytest.approx((-10 * np.euler_gamma / np.log(10) + 20) / 20, abs=0.01)


@pytest.mark.parametrize(("hz", "pitch_class"), [(440.0, 0), (880.0, 0), (523.25, 3), (659.26, 7)])
def test_a_note_fills_its_pitch_class(hz: float, pitch_class: int) -> None:
    chroma = encode(tone(hz))[CHROMA]

    assert np.argmax(chroma) == pitch_class


def test_silence_is_finite_has_no_pitch_and_no_spread() -> None:
    vector = encode(np.zeros(RATE))

    assert vector[LEVEL] == pytest.approx((-90 + 40) / 20, abs=1e-4)
    np.testing.assert_array_equal(vector[CHROMA], 0)
    np.testing.assert_allclose(vector[18:], 0, atol=1e-6)
