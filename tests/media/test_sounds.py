"""Cues that tell of a sound."""

from __future__ import annotations

import pytest

from mediafm_cli.media.sounds import is_sound


@pytest.mark.parametrize(
    "text",
    [
        "[door slams]",
        "- (LAUGHTER)",
        "ANN: [sobs]",
        "[thunder]\n[rain]",
        "♪ la la ♪",
        "♪ one\ntwo ♪",
        "(door opens)\n♪ la",
        "# la la #",
        "♪",
        "【ドアの音】",
        "（笑い声）",
    ],
)
def test_nothing_but_sounds(text: str) -> None:
    assert is_sound(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hello",
        "(he laughs) Come in",
        "- [gunshot]\n- Run!",
        "- ♪ oh ♪\n- Stop",
        "It's 5 (five)",
        "#1 fan",
        "[",
        "...",
        "",
    ],
)
def test_something_is_said(text: str) -> None:
    assert not is_sound(text)
