"""Presets: which encoder stands for a modality where none is named."""

from __future__ import annotations

import pytest

from mediafm_cli.config import OFFLINE, PRESETS, encoder_of, find_preset
from mediafm_cli.errors import UsageError
from mediafm_cli.registry import ENCODERS, pick


def test_the_offline_preset_names_built_in_encoders_in_the_order_of_fusion() -> None:
    preset = find_preset("offline")

    assert list(preset.encoders) == ["video", "audio", "text"]
    assert {pick(ENCODERS, name).distribution for name in preset.encoders.values()} == {"mediafm-cli"}


@pytest.mark.parametrize("name", PRESETS)
def test_each_encoder_of_a_preset_is_of_the_modality_it_stands_for(name: str) -> None:
    encoders = find_preset(name).encoders

    assert [encoder.partition(".")[0] for encoder in encoders.values()] == list(encoders)


def test_metadata_is_encoded_as_text() -> None:
    assert encoder_of(OFFLINE, "metadata") == encoder_of(OFFLINE, "text") == "text.hashed"


def test_an_unknown_preset_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError) as raised:
        find_preset("ofline")

    assert raised.value.what == "There is no preset 'ofline'."
    assert "offline" in raised.value.why


def test_a_modality_without_an_encoder_is_answered_with_how_to_name_one() -> None:
    with pytest.raises(UsageError) as raised:
        encoder_of(OFFLINE, "depth")

    assert raised.value.what == "The preset offline has no encoder for 'depth'; it has video, audio, text, metadata."
    assert raised.value.hint == "Name one: mediafm encode --modality depth --encoder NAME"
