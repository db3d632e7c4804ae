"""``audio.logmel``: the mean and the spread over time of the shot's log-mel spectrum.

Per window of 25 ms, every 10 ms: power spectrum under a Hann window, scaled so that its sum is the window's mean square
(Parseval); energy in triangular bands, evenly spaced on the mel scale m = 2595 log10(1 + f / 700) (O'Shaughnessy 1987,
the HTK formula; mel bands: Davis & Mermelstein 1980); decibels above a floor. The vector is, per band,

- the mean over windows less a reference, in units of 20 dB. The reference, -52 dB - 20 log10(1 + f / 1000 Hz) at the
  band's centre f, is about what film sound has (a level, and the usual fall of 6 dB an octave above 1 kHz): without it
  every two shots would look alike for what all sound has in common;
- the standard deviation over windows less 5.6 dB, in units of 10 dB. The dB level of steady Gaussian noise in one
  spectral line has the standard deviation (10 / ln 10) π / √6 = 5.57 dB, so steady sound is at or below zero and speech
  above.

Silence is a sound like any other: every band at the floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from mediafm_cli.api import Audio, Encoder, Shot
from mediafm_cli.errors import UsageError

_RATE = 16_000
_WINDOW = 400  # 25 ms
_HOP = 160  # 10 ms
_FFT = 2048  # zero-padded, so that even the narrowest mel band holds a spectral line
_NOISE_SPREAD_DB = 10 / np.log(10) * np.pi / np.sqrt(6)
_BLOCK_WINDOWS = 2048  # bounds the memory of a shot that lasts an hour


@dataclass(frozen=True)
class AudioLogMelOptions:
    """Options of ``audio.logmel``.

    Attributes:
        n_mels: mel bands; the vectors are twice as wide.
        low_hz: lower edge of the lowest band.
        floor_db: level, per band, below which nothing is told apart; full scale is 0 dB.
    """

    n_mels: int = 64
    low_hz: float = 50.0
    floor_db: float = -90.0

    def __post_init__(self) -> None:
        if not (1 <= self.n_mels <= 128 and 0 <= self.low_hz < 4000 and self.floor_db < 0):
            raise UsageError(
                "audio.logmel cannot work with these options.",
                "n_mels must be 1 to 128, low_hz at least 0 and below 4000, floor_db below 0.",
            )


class AudioLogMel(Encoder):
    """Mean and spread of the log-mel spectrum: float32 [n, 2 × n_mels]."""

    needs = Audio(_RATE)
    Options = AudioLogMelOptions

    @property
    def dim(self) -> int:
        """Width of the vectors: means, then spreads."""
        return 2 * self.options.n_mels

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Describe the sound of each shot: float32 [len(shots), 2 × n_mels]."""
        rows = np.zeros((len(shots), self.dim), np.float32)
        for row, shot in zip(rows, shots, strict=True):
            assert shot.audio is not None  # the host fills in what the encoder needs
            row[:] = self._describe(shot.audio)
        return rows

    def fingerprint(self) -> Mapping[str, str]:
        """The version of the formulas."""
        return {"version": "1"}

    def _describe(self, audio: np.ndarray) -> np.ndarray:
        centre_hz, filters = _mel_filters(self.options.n_mels, self.options.low_hz)
        floor = 10 ** (self.options.floor_db / 10)
        level_db = np.concatenate(
            [10 * np.log10(np.maximum(power @ filters.T, floor)) for power in _power_blocks(audio)]
        )  # [windows, n_mels]
        reference_db = -52 - 20 * np.log10(1 + centre_hz / 1000)
        mean = (level_db.mean(axis=0) - reference_db) / 20
        spread = (level_db.std(axis=0) - _NOISE_SPREAD_DB) / 10
        return np.concatenate([mean, spread])


def _power_blocks(audio: np.ndarray) -> Iterator[np.ndarray]:
    """Power spectra of the windows, some at a time: float64 [windows, lines]; each row sums to the mean square."""
    if audio.size < _WINDOW:
        audio = np.pad(audio, (0, _WINDOW - audio.size))
    windows = np.lib.stride_tricks.sliding_window_view(audio, _WINDOW)[::_HOP]
    hann = np.hanning(_WINDOW + 1)[:-1]
    scale = np.full(_FFT // 2 + 1, 2 / (_FFT * np.sum(hann**2)))
    scale[[0, -1]] /= 2  # the first and last line have no mirror image
    for begin in range(0, len(windows), _BLOCK_WINDOWS):
        spectrum = np.fft.rfft(windows[begin : begin + _BLOCK_WINDOWS] * hann, _FFT)
        yield (spectrum.real**2 + spectrum.imag**2) * scale


@cache
def _mel_filters(n_mels: int, low_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Band centres in Hz [n_mels]; triangles [n_mels, lines] of peak 1, summing to 1 between the outer centres."""
    low_mel, high_mel = (2595 * np.log10(1 + hz / 700) for hz in (low_hz, _RATE / 2))
    corner_hz = 700 * (10 ** (np.linspace(low_mel, high_mel, n_mels + 2) / 2595) - 1)
    lower, centre, upper = (corner_hz[k : k + n_mels, None] for k in range(3))
    line_hz = np.arange(_FFT // 2 + 1) * _RATE / _FFT
    triangles = np.clip(np.minimum((line_hz - lower) / (centre - lower), (upper - line_hz) / (upper - centre)), 0, None)
    return centre[:, 0], triangles
