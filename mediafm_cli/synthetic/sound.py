"""Synthesises the sound of a synthetic title: the place's melody and noise bed, and a voice where one speaks."""

from __future__ import annotations

import numpy as np

from mediafm_cli.synthetic.script import ShotPlan
from mediafm_cli.synthetic.world import Member, Motif, World

SAMPLE_RATE = 24_000  # samples per second; every usual whole frame rate divides it, so a cut falls on a sample

_ROOM_TONE = 0.0005
_BED_LEVEL = 0.03
_MELODY_LEVEL = 0.10
_VOICE_LEVEL = 0.25
_SYLLABLES_PER_S = 4.0
_DUCKED = 0.05  # what a voice leaves of the music under it


def draw_sound(world: World, shot: ShotPlan, fps: int) -> np.ndarray:
    """Synthesise one shot, which changes at its first sample and not before.

    Returns:
        float32 [samples], mono, at ``SAMPLE_RATE``; the shots of a title join without a gap.
    """
    first, end = (round(frame * SAMPLE_RATE / fps) for frame in (shot.start_frame, shot.end_frame))
    time_s = np.arange(first, end) / SAMPLE_RATE
    rng = np.random.default_rng([shot.seed, 1])
    sound = _ROOM_TONE * rng.standard_normal(time_s.size)
    if not shot.silent:
        motif = world.motifs[world.scene_types[shot.scene].motif]
        gain = rng.uniform(0.5, 1.5) * (_DUCKED if shot.text else 1.0)
        sound += gain * (_MELODY_LEVEL * _melody(motif, time_s) + _BED_LEVEL * _noise_bed(rng, motif, time_s.size))
    if shot.text:
        sound += _VOICE_LEVEL * _voice(rng, world.cast[shot.member], time_s)
    return np.clip(sound, -0.98, 0.98).astype(np.float32)


def _melody(motif: Motif, time_s: np.ndarray) -> np.ndarray:
    """The melody runs on through the title; a shot hears the part that falls into it. About unit RMS."""
    note = (time_s / motif.note_s).astype(int) % len(motif.notes_hz)
    pitch_hz = np.array(motif.notes_hz)[note]
    since_onset_s = time_s % motif.note_s
    tone = np.zeros(time_s.size)
    for harmonic, amplitude in enumerate(motif.partials, start=1):
        tone += amplitude * np.sin(2 * np.pi * harmonic * pitch_hz * since_onset_s)
    tone *= np.exp(-2 * since_onset_s / motif.note_s)  # plucked
    return tone / np.sqrt(0.25 * np.sum(np.square(motif.partials)))


def _noise_bed(rng: np.random.Generator, motif: Motif, samples: int) -> np.ndarray:
    """White noise through a Gaussian band, one octave wide, on a logarithmic frequency axis. Unit RMS."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency_hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(frequency_hz, 1.0) / motif.bed_hz)
    band = np.fft.irfft(spectrum * np.exp(-0.5 * (octaves / 0.5) ** 2), samples)
    return band / np.sqrt(np.mean(band**2))


def _voice(rng: np.random.Generator, member: Member, time_s: np.ndarray) -> np.ndarray:
    """Vowels without words: harmonics under two formants that change with each syllable. About unit RMS."""
    since_start_s = time_s - time_s[0]
    syllable = (since_start_s * _SYLLABLES_PER_S).astype(int)
    formants_hz = rng.uniform((300, 900), (800, 2400), (syllable[-1] + 1, 2))[syllable]  # [samples, 2]
    voice = np.zeros(time_s.size)
    for harmonic in range(1, 17):
        frequency_hz = harmonic * member.voice_hz
        level = np.exp(-0.5 * ((frequency_hz - formants_hz) / 200) ** 2).sum(axis=1)
        voice += level * np.sin(2 * np.pi * frequency_hz * since_start_s)
    voice *= np.sin(np.pi * ((since_start_s * _SYLLABLES_PER_S) % 1)) ** 2
    return voice / np.sqrt(np.mean(voice**2) + 1e-9)
