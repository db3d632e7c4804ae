"""Frame rates and time codes, held against OpenTimelineIO's."""

from __future__ import annotations

from fractions import Fraction

import pytest
from opentimelineio.opentime import RationalTime, to_timecode

from mediafm_cli.segmenters.cut_lists.timecodes import parse_rate, parse_timecode, snap_rate

FILM, NTSC, FAST = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)
ODD_FRAMES = [
    *range(0, 40),
    *range(1790, 1810),
    *range(3590, 3610),
    *range(17975, 17990),
    107_892,
    1_234_567,
    2_589_407,
]


@pytest.mark.parametrize("rate", [NTSC, FAST])
@pytest.mark.parametrize("frame", ODD_FRAMES)
def test_drop_frame_time_codes_are_those_of_opentimelineio(rate: Fraction, frame: int) -> None:
    text = to_timecode(RationalTime(frame, float(rate)), float(rate), drop_frame=True)

    assert ";" in text
    assert parse_timecode(text, rate) * rate == frame
    assert parse_timecode(text.replace(":", ";"), rate) * rate == frame
    assert parse_timecode(text.replace(";", ":"), rate, drop=True) * rate == frame


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(30), Fraction(60), FILM, NTSC, FAST])
@pytest.mark.parametrize("frame", [0, 23, 24, 1799, 1800, 107_892, 1_234_567])
def test_other_time_codes_are_those_of_opentimelineio(rate: Fraction, frame: int) -> None:
    text = to_timecode(RationalTime(frame, float(rate)), float(rate), drop_frame=False)

    assert parse_timecode(text, rate) * rate == frame


def test_decimals_need_no_rate() -> None:
    assert parse_timecode(" 01:02:03.456 ", None) == Fraction("3723.456")


@pytest.mark.parametrize(
    ("text", "rate", "why"),
    [
        ("00:00:01", None, "is no time code, such as 00:01:02.345"),
        ("00:60:01:00", Fraction(24), "is no time code"),
        ("-00:00:01:00", Fraction(24), "is no time code"),
        ("00:00:01:24", Fraction(24), "counts to frame 24, but there are 24 a second"),
        ("00:00:01:00", None, "the title's frame rate is not known; give --opt rate=24"),
        ("00:00:01:00", Fraction(21, 2), "a time code cannot count 10.500 frames a second"),
        ("00:00:01;00", Fraction(25), "counts drop frames, which there are none of at 25.000 a second"),
        ("00:00:01;00", Fraction(30), "give another with --opt rate, such as 30000/1001"),
        ("00:01:00;01", NTSC, "is one of the frame numbers that drop frames leave out"),
    ],
)
def test_what_is_no_time_code_is_told(text: str, rate: Fraction | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_timecode(text, rate)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", Fraction(24)),
        ("24.0", Fraction(24)),
        ("23.976", FILM),
        ("23.98", FILM),
        ("29.97", NTSC),
        ("30000/1001", NTSC),
        ("59.94", FAST),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_a_rate_is_the_one_that_is_meant(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-24", "24/0", "nan", "1e3", "24fps", "1001", "1/2/3"])
def test_what_is_no_rate_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be frames a second, such as 24, 23\.976 or 30000/1001"):
        parse_rate(text)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_in_a_file_is_more_than_nothing(rate: float) -> None:
    with pytest.raises(ValueError, match="is no frame rate"):
        snap_rate(rate)
