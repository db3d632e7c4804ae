"""``audio.logmel`` against the mel formula and the statistics of noise, both written anew here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mediafm_cli.api import Audio, Shot
from mediafm_cli.encoders.audio_logmel import AudioLogMel, AudioLogMelOptions
from mediafm_cli.errors import UsageError
from mediafm_cli.testing import assert_encoder

RATE = 16_000
BANDS = 64


def encode(audio: np.ndarray) -> np.ndarray:
    return AudioLogMel().encode([Shot(0, 0.0, 1.0, audio=audio.astype(np.float32))])[0]


def tone(hz: float, amplitude: float = 0.5, samples: int = RATE) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)


def mel(hz: float) -> float:
    """HTK's formula in its other form, 1127 ln(1 + f / 700)."""
    return 1127 * math.log(1 + hz / 700)


def centre_hz(band: int) -> float:
    at = mel(50) + (band + 1) * (mel(8000) - mel(50)) / (BANDS + 1)
    return 700 * (math.exp(at / 1127) - 1)


def level_db(vector: np.ndarray, band: int) -> float:
    """Undo the documented scaling of one mean."""
    return 20 * float(vector[band]) - 52 - 20 * math.log10(1 + centre_hz(band) / 1000)


def test_keeps_the_contract_of_an_encoder() -> None:
    assert_encoder(AudioLogMel)
    assert_encoder(AudioLogMel, AudioLogMelOptions(n_mels=20, low_hz=0.0))


def test_asks_for_sound_at_16_khz_and_is_two_numbers_a_band_wide() -> None:
    assert AudioLogMel().needs == Audio(RATE)
    assert AudioLogMel(AudioLogMelOptions(n_mels=40)).dim == 80


@pytest.mark.parametrize("band", [3, 20, 40, 60])
def test_a_tone_at_the_centre_of_a_band_is_loudest_there_at_its_own_level(band: int) -> None:
    vector = encode(tone(centre_hz(band), amplitude=0.1))

    levels_db = [level_db(vector, k) for k in range(BANDS)]
    assert int(np.argmax(levels_db)) == band
    # A sine of amplitude 0.1 has a mean square of -23 dB; its band and the next ones hold nearly all of it.
    around = sum(10 ** (level / 10) for level in levels_db[max(0, band - 3) : band + 4])
    assert 10 * math.log10(around) == pytest.approx(-23.01, abs=0.2)


def test_ten_times_the_amplitude_is_twenty_decibels_more() -> None:
    quiet, loud = encode(tone(1000, 0.05)), encode(tone(1000, 0.5))

    band = int(np.argmax(loud[:BANDS]))
    assert loud[band] - quiet[band] == pytest.approx(1.0, abs=1e-4)  # in units of 20 dB


def test_silence_is_the_floor_in_every_band_and_does_not_vary() -> None:
    vector = encode(np.zeros(RATE))

    for band in range(BANDS):
        assert level_db(vector, band) == pytest.approx(-90, abs=1e-3)
    # The documented reference for spread: steady Gaussian noise in one line, (10 / ln 10) π / √6 dB.
    np.testing.assert_allclose(vector[BANDS:], -(10 / math.log(10)) * math.pi / math.sqrt(6) / 10, rtol=1e-5)


def test_the_power_of_white_noise_is_shared_by_bandwidth() -> None:
    vector = encode(np.random.default_rng(0).normal(0, 0.1, 20 * RATE))

    # -20 dB over 0 to 8 kHz; a triangle has the area of half its base. The mean of a band's decibels lies below the
    # decibels of its mean, by less the more lines it holds; 1 dB covers that in the upper bands.
    for band in (40, 50, 60):
        width_hz = (centre_hz(band + 1) - centre_hz(band - 1)) / 2
        assert level_db(vector, band) == pytest.approx(-20 + 10 * math.log10(width_hz / 8000), abs=1.0)


def test_sound_that_comes_and_goes_spreads_more_than_steady_sound() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    pulsing = noise * (np.arange(RATE) // (RATE // 8) % 2)

    assert encode(noise)[BANDS:].max() < 0.1 < encode(pulsing)[BANDS:].min()


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 401, 559, 560])
def test_very_short_sound_gives_a_finite_vector(samples: int) -> None:
    assert np.isfinite(encode(tone(1000, samples=samples))).all()


def test_a_long_shot_is_the_same_as_its_repeated_second() -> None:
    second = tone(500) + 0.01 * tone(3000)  # whole periods: every window of a longer tone is a window of one second

    np.testing.assert_allclose(encode(np.tile(second, 30)), encode(second), atol=1e-3)


def test_unlike_sounds_are_not_all_alike() -> None:
    low, high, noise = (
        encode(tone(150, 0.1)),
        encode(tone(4000, 0.1)),
        encode(0.05 * np.random.default_rng(0).normal(size=RATE)),
    )

    unit = [vector / np.linalg.norm(vector) for vector in (low, high, noise)]
    assert max(unit[0] @ unit[1], unit[0] @ unit[2], unit[1] @ unit[2]) < 0.95


@pytest.mark.parametrize(("field", "value"), [("n_mels", 0), ("n_mels", 129), ("low_hz", 4000.0), ("floor_db", 0.0)])
def test_refuses_options_out_of_range(field: str, value: float) -> None:
    with pytest.raises(UsageError, match="n_mels must be 1 to 128"):
        AudioLogMelOptions(**{field: value})


@pytest.mark.parametrize("n_mels", [64, 128])
def test_every_band_hears_something_of_white_noise(n_mels: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)

    vector = AudioLogMel(AudioLogMelOptions(n_mels=n_mels)).encode([Shot(0, 0.0, 1.0, audio=noise)])[0]

    assert vector[n_mels:].min() > -0.5  # an empty band would not vary at all: -0.557
