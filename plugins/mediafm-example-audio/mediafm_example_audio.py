"""``audio.example``: the shape of the spectrum and the pitch classes of a shot's sound; mean and spread over time.

Per window of 128 ms under a Hann window, from its power spectrum p(f), f in Hz:

- level         10 log10 of the mean square, in units of 20 dB around -40 dB
- centroid      c = Σ f p / Σ p, in octaves from 1 kHz
- bandwidth     sqrt(Σ (f - c)² p / Σ p), in octaves from 1 kHz
- roll-off      the frequency below which 85 % of the energy lies, in octaves from 1 kHz
- flatness      10 log10 of geometric over arithmetic mean, in units of 20 dB around -20 dB
- crossings     sign changes a second, in octaves from 1 kHz
- chroma [12]   energy from 130 Hz to 4 kHz by pitch class (A = 440 Hz first), square root of the share, less that of an
                even spread; nothing in silence

Sources: Peeters 2004, "A large set of audio features for sound description", IRCAM (all but the last);
Fujishima 1999, "Realtime chord recognition of musical sound", ICMC (chroma).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mediafm_cli.api import Audio, Encoder, Shot

RATE = 16_000
WINDOW = 2048
FLOOR = 1e-9  # power of what counts as silence: -90 dB


@dataclass(frozen=True)
class SpectralShapeOptions:
    """Options of ``audio.example``.

    Attributes:
        hop: samples from one window to the next.
    """

    hop: int = 1024


class SpectralShape(Encoder):
    """Level, centroid, bandwidth, roll-off, flatness, crossings and chroma: float32 [n, 36], 18 means, 18 spreads."""

    needs = Audio(RATE)
    Options = SpectralShapeOptions

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return 36

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Describe the sound of each shot: float32 [len(shots), 36]."""
        rows = np.zeros((len(shots), self.dim), np.float32)
        for row, shot in zip(rows, shots, strict=True):
            assert shot.audio is not None  # the host fills in what the encoder needs
            features = describe_windows(shot.audio, self.options.hop)  # [windows, 18]
            row[:] = np.concatenate([features.mean(axis=0), features.std(axis=0)])
        return rows

    def fingerprint(self) -> Mapping[str, str]:
        """The version of the formulas."""
        return {"version": "1"}


def describe_windows(audio: np.ndarray, hop: int) -> np.ndarray:
    """The features of each window: float64 [windows, 18]."""
    padded = np.pad(audio, (0, max(0, WINDOW - audio.size)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), axis=1)) ** 2 + FLOOR  # [windows, lines]
    hz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    share = power / power.sum(axis=1, keepdims=True)

    level = 10 * np.log10(np.mean(windows**2, axis=1) + FLOOR)
    centroid = share @ hz
    bandwidth = np.sqrt(np.sum((hz - centroid[:, None]) ** 2 * share, axis=1))
    rolloff = hz[np.argmax(np.cumsum(share, axis=1) >= 0.85, axis=1)]
    flatness = 10 * np.log10(np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1))
    crossings = np.sum(np.diff(np.signbit(windows), axis=1), axis=1) * RATE / WINDOW
    shape = [(level + 40) / 20, *(octaves(x) for x in (centroid, bandwidth, rolloff)), (flatness + 20) / 20]
    return np.column_stack([*shape, octaves(crossings), chroma(power - FLOOR, hz)])


def octaves(hz: np.ndarray) -> np.ndarray:
    """Octaves from 1 kHz; what is below 20 Hz counts as 20 Hz."""
    return np.log2(np.maximum(hz, 20.0) / 1000)


def chroma(power: np.ndarray, hz: np.ndarray) -> np.ndarray:
    """Root of each pitch class's share of the energy, less that of an even spread: [windows, 12], zero in silence."""
    heard = (hz >= 130) & (hz <= 4000)
    pitch_class = np.round(12 * np.log2(hz[heard] / 440)).astype(int) % 12
    energy = power[:, heard] @ np.eye(12)[pitch_class]  # [windows, 12]
    total = energy.sum(axis=1, keepdims=True)
    return np.where(total > FLOOR, np.sqrt(energy / np.maximum(total, FLOOR)) - np.sqrt(1 / 12), 0.0)
