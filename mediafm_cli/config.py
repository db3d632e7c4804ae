"""Presets: which encoder stands for a modality where none is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mediafm_cli.errors import UsageError


@dataclass(frozen=True)
class Preset:
    """A named choice of encoders, one a modality, in the order in which they are fused."""

    name: str
    about: str
    encoders: Mapping[str, str]


MEDIAFM = Preset(
    "mediafm",
    "three pre-trained encoders of 768 numbers each, as MediaFM has them: weights from the hub, and a key for the text",
    {"video": "video.open-clip", "audio": "audio.wav2vec2", "text": "text.openai"},
)
OFFLINE = Preset(
    "offline",
    "signal-processing features: no download, no key, no GPU",
    {"video": "video.signal", "audio": "audio.logmel", "text": "text.hashed"},
)
PRESETS = {preset.name: preset for preset in (MEDIAFM, OFFLINE)}
DEFAULT_PRESET = MEDIAFM.name
METADATA_FROM = "text"
"""The modality whose encoder also encodes the title's metadata."""


def find_preset(name: str) -> Preset:
    """Raises a UsageError that lists the presets where there is none called ``name``."""
    if name not in PRESETS:
        raise UsageError(f"There is no preset {name!r}.", f"Known: {', '.join(PRESETS)}.")
    return PRESETS[name]


def encoder_of(preset: Preset, modality: str) -> str:
    """Name of the encoder that ``preset`` has for ``modality``; ``metadata`` is encoded as text."""
    name = preset.encoders.get(METADATA_FROM if modality == "metadata" else modality)
    if name is None:
        known = ", ".join([*preset.encoders, "metadata"])
        raise UsageError(
            f"The preset {preset.name} has no encoder for {modality!r}; it has {known}.",
            hint=f"Name one: mediafm encode --modality {modality} --encoder NAME",
        )
    return name
