"""Whether a cue tells of a sound, as captions for the hard of hearing do, and not of what is said."""

from __future__ import annotations

import re

_BRACKETED = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|【[^【】]*】|［[^［］]*］|（[^（）]*）", re.DOTALL)
_SUNG = re.compile(r"[♪♫♬][^♪♫♬]*(?:[♪♫♬]|$)|^\s*#[^#]*#\s*$", re.DOTALL | re.MULTILINE)
_SPEAKER = re.compile(r"^\s*(?:[-–—‐>]+|[^\W\d_][\w .'-]{0,30}:)?\s*$", re.MULTILINE)


def is_sound(text: str) -> bool:
    """Whether nothing is left of a cue without what stands in brackets or between notes.

    ``[door slams]``, ``- (LAUGHTER)``, ``ANN: [sobs]``, ``♪ la la ♪`` and ``# la la #`` are sounds; a cue that has
    words beside them, such as ``(he laughs) Come in``, is speech.
    """
    rest = _SUNG.sub("", _BRACKETED.sub("", text))
    return rest != text and not _SPEAKER.sub("", rest).strip()
