"""Frame rates, and the time codes that count frames at them.

Source: SMPTE ST 12-1 (time code, drop frames).
"""

from __future__ import annotations

import re
from fractions import Fraction

_NTSC = Fraction(1000, 1001)
_NEAR = Fraction(1, 5000)  # 24 and 24000/1001 are 1/1000 apart
_MAX_RATE = 1000
_RATE = re.compile(r"\d{1,6}(?:\.\d{1,9}|/\d{1,6})?", re.ASCII)
_TIMECODE = re.compile(r"(\d{1,3})[:;]([0-5]\d)[:;]([0-5]\d)(?:(\.\d+)|[:;](\d{2,3}))", re.ASCII)


def parse_rate(text: str) -> Fraction:
    """Read a frame rate such as ``24``, ``23.976`` or ``30000/1001``.

    Raises:
        ValueError: it is none.
    """
    numerator, _, denominator = text.partition("/")
    is_rate = _RATE.fullmatch(text) and Fraction(denominator or 1) > 0
    rate = Fraction(numerator) / Fraction(denominator or 1) if is_rate else Fraction(0)
    if not 0 < rate <= _MAX_RATE:
        raise ValueError(f"rate is {text!r}; it must be frames a second, such as 24, 23.976 or 30000/1001")
    return snap_rate(rate)


def snap_rate(rate: Fraction | float) -> Fraction:
    """The whole or NTSC rate that is meant: 23.976 is 24000/1001. Any other rate stays as it is.

    Raises:
        ValueError: it is not more than 0, or not finite.
    """
    exact = Fraction(rate) if rate < float("inf") else Fraction(0)
    if exact <= 0:
        raise ValueError(f"{rate} frames a second is no frame rate")
    for meant in (Fraction(round(exact)), round(exact / _NTSC) * _NTSC):
        if abs(exact - meant) < _NEAR * meant:
            return meant
    return exact


def parse_timecode(text: str, rate: Fraction | None, *, drop: bool = False) -> Fraction:
    """Seconds that a time code stands for: ``01:02:03.456``, or with frames ``01:02:03:04`` or ``01:02:03;04``.

    Args:
        rate: frames a second; the first form needs none.
        drop: count in drop frames, as a ``;`` between any of its parts says too.

    Raises:
        ValueError: it is none, or none at this rate.
    """
    match = _TIMECODE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} is no time code, such as 00:01:02.345 or 00:01:02:12")
    hours, minutes, seconds = (int(part) for part in match.group(1, 2, 3))
    whole_s = (hours * 60 + minutes) * 60 + seconds
    if match[4]:
        return whole_s + Fraction(f"0{match[4]}")
    if rate is None:
        raise ValueError(f"{text.strip()} counts frames, and the title's frame rate is not known; give --opt rate=24")
    counted = round(rate / _NTSC) if rate.denominator == 1001 else round(rate)
    if rate not in (counted, counted * _NTSC):
        raise ValueError(f"a time code cannot count {float(rate):.3f} frames a second; give the list's with --opt rate")
    frame = int(match[5])
    if frame >= counted:
        raise ValueError(f"{text.strip()} counts to frame {frame}, but there are {counted} a second")
    dropped = _count_dropped(text.strip(), whole_s, frame, rate, counted) if drop or ";" in text else 0
    return (whole_s * counted + frame - dropped) / rate


def _count_dropped(text: str, whole_s: int, frame: int, rate: Fraction, counted: int) -> int:
    """How many frame numbers are left out before this one: 2 of 30 in each minute but every tenth."""
    if counted % 30 or rate == counted:
        hint = "give another with --opt rate, such as 30000/1001"
        raise ValueError(f"{text} counts drop frames, which there are none of at {float(rate):.3f} a second; {hint}")
    each = counted // 15
    minutes, second = divmod(whole_s, 60)
    if frame < each and second == 0 and minutes % 10:
        raise ValueError(f"{text} is one of the frame numbers that drop frames leave out")
    return each * (minutes - minutes // 10)
