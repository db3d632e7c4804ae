"""Sound against the sine waves that were written."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from media_clips import panning_pictures, write_film, write_sound

from mediafm_cli.errors import MediaError
from mediafm_cli.media.audio import read_spans

RATE = 16_000
TONE = 440.0


def sine(seconds: float, rate: int, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * TONE * np.arange(int(seconds * rate)) / rate)


def gain_of(samples: np.ndarray, start_s: float) -> float:
    """Amplitude of the tone in phase with time 0 of the title, by least squares."""
    wave = np.sin(2 * np.pi * TONE * (start_s + np.arange(len(samples)) / RATE))
    return float(samples @ wave / (wave @ wave))


@pytest.mark.parametrize(
    ("layout", "amplitudes", "expected"),
    [
        ("mono", [0.5], 0.5),
        ("stereo", [0.5, 0.5], 0.5),
        ("stereo", [0.5, 0.0], 0.25),
        # ITU-R BS.775: front left and right by 0.7071, centre by 1, no LFE, surrounds by 0.5; scaled to sum to 1.
        ("5.1", [0.5, 0, 0, 0, 0, 0], 0.5 * 0.70711 / 3.41421),
        ("5.1", [0, 0, 0.5, 0, 0, 0], 0.5 / 3.41421),
        ("5.1", [0, 0, 0, 0.5, 0, 0], 0.0),
        ("5.1", [0, 0, 0, 0, 0.5, 0], 0.5 * 0.5 / 3.41421),
        ("5.1", [0.5] * 6, 0.5),
    ],
)
@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000])
def test_channels_are_mixed_and_resampled(
    tmp_path: Path, layout: str, amplitudes: list[float], expected: float, rate: int
) -> None:
    channels = np.stack([sine(3, rate, amplitude) for amplitude in amplitudes])
    sound = write_sound(tmp_path / "sound.wav", channels, rate=rate, layout=layout, codec="pcm_s16le")

    spans = dict(read_spans(sound, [(0.5, 1.5), (1.5, 2.25)], RATE, 0))

    for number, start_s, length in ((0, 0.5, RATE), (1, 1.5, RATE * 3 // 4)):
        wave = np.sin(2 * np.pi * TONE * (start_s + np.arange(length) / RATE))
        assert spans[number].dtype == np.float32
        np.testing.assert_allclose(spans[number], expected * wave, atol=2e-3)


def test_spans_that_tile_the_title_lose_no_sample(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.wav", sine(2, RATE)[None], rate=RATE, layout="mono", codec="pcm_s16le")
    edges = [0, 0.1234, 0.777, 1.5001, 2.0]

    parts = [samples for _, samples in read_spans(sound, list(itertools.pairwise(edges)), RATE, 0)]

    np.testing.assert_allclose(np.concatenate(parts), sine(2, RATE), atol=1e-4)


def test_the_end_of_the_resampler_is_heard(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.wav", sine(2, 48_000)[None], rate=48_000, layout="mono", codec="pcm_s16le")

    ((_, samples),) = read_spans(sound, [(1.9, 2.0)], RATE, 0)

    assert np.abs(samples[-32:]).max() > 0.3


def test_a_span_covered_in_part_is_silent_elsewhere_and_one_beyond_is_none(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.wav", sine(2, RATE)[None], rate=RATE, layout="mono", codec="pcm_s16le")

    spans = dict(read_spans(sound, [(1.5, 2.5), (2.5, 3.0), (3.0, 4.0)], RATE, 0))

    assert gain_of(spans[0][: RATE // 2], 1.5) == pytest.approx(0.5, abs=1e-3)
    assert not spans[0][RATE // 2 :].any()
    assert (spans[1], spans[2]) == (None, None)


def test_sound_that_starts_late_keeps_its_place(tmp_path: Path) -> None:
    film = write_film(tmp_path / "late.mkv", panning_pictures(75), sine(2, RATE), video_start_s=0.0, audio_start_s=1.0)

    spans = dict(read_spans(film, [(0.0, 0.5), (0.5, 1.5), (1.5, 2.5)], RATE, 1))

    assert spans[0] is None
    assert not spans[1][: RATE // 2 - 20].any()
    assert gain_of(spans[1][RATE // 2 :], 0.0) == pytest.approx(0.5, abs=0.01)
    assert gain_of(spans[2], 0.5) == pytest.approx(0.5, abs=0.01)


def test_sound_after_a_gap_keeps_its_place(tmp_path: Path) -> None:
    sound = write_sound(
        tmp_path / "s.mka", sine(4, RATE)[None], rate=RATE, layout="mono", codec="flac", lost_s=(1.0, 2.5)
    )

    spans = dict(read_spans(sound, [(0.2, 0.8), (1.2, 2.3), (3.0, 3.9)], RATE, 0))

    assert gain_of(spans[0], 0.2) == pytest.approx(0.5, abs=0.01)
    assert spans[1] is None
    assert gain_of(spans[2], 3.0) == pytest.approx(0.5, abs=0.01)


def test_lossy_sound_inside_real_films_is_found(media: Path) -> None:
    for name, index in (("bbb_480p_30s.mp4", 1), ("nasa_13013.mp4", 4), ("bbb_0_30_vp8.webm", 1), ("jfk.flac", 0)):
        ((_, samples),) = read_spans(media / name, [(2.0, 5.0)], RATE, index)
        assert samples.shape == (3 * RATE,), name
        assert 0.001 < np.abs(samples).max() <= 1.0, name


@pytest.mark.parametrize("spans", [[(1, 2), (0, 1)], [(0, 2), (1, 1.5)], [(1, 0.5)]])
def test_spans_out_of_order_are_refused(tmp_path: Path, spans: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        list(read_spans(tmp_path / "any.wav", spans, RATE, 0))


def test_a_span_too_long_for_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="a shot of"):
        list(read_spans(tmp_path / "any.wav", [(0, 1e9)], RATE, 0))


def test_a_stream_that_is_not_sound_is_refused(media: Path) -> None:
    with pytest.raises(MediaError, match="no audio stream number 0"):
        list(read_spans(media / "mov_bbb_4s.mp4", [(0, 1)], RATE, 0))
