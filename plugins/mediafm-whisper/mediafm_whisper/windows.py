"""The sound of a title in windows of some minutes that end at quiet places, with digital silence left out.

Whisper hears 30 s at a time and finds its way through longer sound by the time stamps that it writes, but that takes
the spectrogram of all of the sound at once. A window of 5 minutes keeps it to some tens of MB however long the title
is, and because a window ends where it is quietest, hardly a word is cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mediafm_cli.media.audio import read_spans

RATE = 16_000
LONGEST_S = 300
"""Longest window."""
SEARCH_S = 60
"""A window that would be longer ends at the quietest place in its last minute."""
GAP_S = 5.0
"""Digital silence at least this long ends a window, and is not listened to."""
SILENCE = 1 / 32768
"""One step of 16-bit sound: what is not louder is digital silence."""

_FRAME = RATE // 10
_QUIET_FRAMES = 5  # how long a quiet place is: a pause between two words
_BLOCK_S = 60
_AT_LEAST_S = 7 * 24 * 3600  # read on beyond the declared duration, which may be wrong; what is not there costs nothing


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of sound.

    Attributes:
        start_s: seconds from the start of the title.
        samples: float32 [samples], mono, 16 kHz; begins and ends with something that is not digital silence, to 0.1 s.
    """

    start_s: float
    samples: np.ndarray


def read_windows(path: Path, stream_index: int, duration_s: float | None = None) -> Iterator[Window]:
    """Read a title's sound once, from beginning to end; at most 6 minutes of it are held at a time.

    Args:
        stream_index: of the audio stream in the container.
        duration_s: as declared.

    Yields:
        Windows in order of time, without overlap. A title that is silent throughout has none.

    Raises:
        MediaError: the file cannot be read.
    """
    blocks = math.ceil(max(duration_s or 0, _AT_LEAST_S) / _BLOCK_S)
    spans = [(float(block * _BLOCK_S), float((block + 1) * _BLOCK_S)) for block in range(blocks)]
    start, waiting = 0, np.zeros(0, np.float32)  # what is not in a window yet, and where it begins, in samples
    for number, block in read_spans(path, spans, RATE, stream_index):
        if block is None:
            if waiting.size:
                yield _window(start, waiting)
            start, waiting = (number + 1) * _BLOCK_S * RATE, waiting[:0]
            continue
        waiting = np.concatenate([waiting, block])
        while True:
            skipped = _count_silent(waiting)
            start, waiting = start + skipped, waiting[skipped:]
            cut = _find_cut(waiting)
            if cut is None:
                break
            yield _window(start, waiting[:cut])
            start, waiting = start + cut, waiting[cut:]
    if waiting.size:
        yield _window(start, waiting)


def is_silent(samples: np.ndarray) -> bool:
    """Whether all of it is digital silence."""
    return not np.any(np.abs(samples) > SILENCE)


def _count_silent(samples: np.ndarray) -> int:
    """Samples of digital silence at the beginning, in whole frames."""
    heard = np.flatnonzero(_loudest(samples) > SILENCE)
    return int(heard[0]) * _FRAME if heard.size else samples.size


def _find_cut(samples: np.ndarray) -> int | None:
    """Where the first window ends, in samples; ``None`` where that needs more sound."""
    loudest = _loudest(samples)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loudest <= SILENCE, [False]]).astype(int)))
    for first, last in edges.reshape(-1, 2).tolist():  # runs of silent frames, end exclusive
        if last - first >= GAP_S * RATE / _FRAME and first * _FRAME <= LONGEST_S * RATE:
            return int(first) * _FRAME
    if samples.size < LONGEST_S * RATE:
        return None
    return _quietest(samples[(LONGEST_S - SEARCH_S) * RATE : LONGEST_S * RATE]) + (LONGEST_S - SEARCH_S) * RATE


def _quietest(samples: np.ndarray) -> int:
    """The middle of the half second with the least energy, in whole frames."""
    energy = np.square(samples, dtype=np.float64).reshape(-1, _FRAME).sum(axis=1)
    around = np.convolve(energy, np.ones(_QUIET_FRAMES), mode="valid")
    return (int(np.argmin(around)) + _QUIET_FRAMES // 2) * _FRAME


def _loudest(samples: np.ndarray) -> np.ndarray:
    """The peak of each frame of 0.1 s; there are only whole ones."""
    frames = samples.reshape(-1, _FRAME)
    return np.maximum(frames.max(axis=1), -frames.min(axis=1))


def _window(start: int, samples: np.ndarray) -> Window:
    """Without digital silence at the end, such as fills the last block of a title."""
    return Window(start / RATE, samples[: int(np.flatnonzero(np.abs(samples) > SILENCE)[-1]) + 1])
