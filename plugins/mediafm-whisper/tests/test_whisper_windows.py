"""The sound of a title in windows: nothing is lost but silence, and however long it is, little is held at a time."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from made_media import LOW_HZ, RATE, as_16_bits, tone, tones, write_wav
from mediafm_whisper.windows import GAP_S, LONGEST_S, SEARCH_S, SILENCE, Window, read_windows

SILENT = 0


def noise(seconds: float, amplitude: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-amplitude, amplitude, round(seconds * RATE)).astype(np.float32)


def ends_s(windows: list[Window]) -> list[tuple[float, float]]:
    return [(window.start_s, window.start_s + window.samples.size / RATE) for window in windows]


def test_short_sound_is_one_window_of_the_same_samples(tmp_path: Path) -> None:
    sound = noise(7.03)

    (window,) = read_windows(write_wav(tmp_path / "a.wav", sound), 0, 7.03)

    assert window.start_s == 0
    np.testing.assert_allclose(
        window.samples[: sound.size], as_16_bits(sound)[: window.samples.size] / 32768, atol=1e-6
    )
    assert sound.size - window.samples.size < 10  # samples at the end that happen to be zero


def test_a_window_ends_in_the_pause_of_its_last_minute(tmp_path: Path) -> None:
    sound = noise(LONGEST_S + 100)
    sound[270 * RATE : 271 * RATE] *= 0.01
    sound[100 * RATE : 101 * RATE] = 0  # the quietest of all, but far from the end

    windows = list(read_windows(write_wav(tmp_path / "a.wav", sound), 0))

    (_, cut), (start, end) = ends_s(windows)
    assert 270 < cut < 271
    assert start == pytest.approx(cut, abs=0.01)
    assert end == pytest.approx(LONGEST_S + 100, abs=0.01)


def test_nothing_but_silence_is_lost(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    sound = noise(700) * np.repeat(random.random(70) < 0.7, 10 * RATE)
    path = write_wav(tmp_path / "a.wav", sound)

    windows = list(read_windows(path, 0))

    put_together = np.zeros(sound.size, np.float32)
    for window in windows:
        first = round(window.start_s * RATE)
        put_together[first : first + window.samples.size] += window.samples
    np.testing.assert_allclose(put_together, as_16_bits(sound) / 32768, atol=1.1 * SILENCE)
    assert max(window.samples.size for window in windows) <= LONGEST_S * RATE


def test_digital_silence_is_not_listened_to(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tones((SILENT, 90), (LOW_HZ, 10), (SILENT, 130), (LOW_HZ, 5), (SILENT, 2)))

    windows = list(read_windows(path, 0))

    np.testing.assert_allclose(ends_s(windows), [(90, 100), (230, 235)], atol=0.1)


def test_a_short_pause_is_kept(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tones((LOW_HZ, 10), (SILENT, GAP_S - 1), (LOW_HZ, 5)))

    assert len(list(read_windows(path, 0))) == 1


@pytest.mark.parametrize("seconds", [0.0, 3.0, 200.0])
def test_a_silent_title_has_no_window(seconds: float, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.full(round(seconds * RATE), SILENCE, np.float32))

    assert list(read_windows(path, 0, seconds)) == []


def test_sound_is_read_to_its_end_whatever_the_file_declares(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(LOW_HZ, 80))

    (window,) = read_windows(path, 0, duration_s=10.0)

    assert window.samples.size == pytest.approx(80 * RATE, abs=RATE / 100)


def test_memory_does_not_grow_with_the_title(tmp_path: Path) -> None:
    def measure_peak(minutes: int) -> int:
        path = write_wav(tmp_path / f"{minutes}.wav", np.tile(noise(60), minutes))
        tracemalloc.start()
        lengths = [window.samples.size / RATE for window in read_windows(path, 0)]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(lengths) == pytest.approx(60 * minutes, abs=0.1)
        assert all(LONGEST_S - SEARCH_S <= length <= LONGEST_S for length in lengths[:-1])
        return peak

    assert measure_peak(30) < 1.2 * measure_peak(15)
