"""Small pictures of shots, each within a number of bytes, so that a page of a thousand shots can still be sent."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

LARGEST_SIDE = 320
"""Pixels of the longer side of a picture where there is room."""

MOST_BYTES = 14_000
"""Of one picture, however few there are."""

ALL_BYTES = 6_000_000
"""Of all pictures of a page together, before base64 makes them a third longer."""

_LADDER = ((320, 74), (280, 68), (240, 64), (200, 60), (160, 56), (128, 50), (96, 45), (64, 40))
"""Longer side and JPEG quality, the best first."""


def bytes_a_picture(pictures: int) -> int:
    """How large each of so many pictures may be."""
    return min(MOST_BYTES, ALL_BYTES // max(1, pictures))


def encode_picture(rgb: np.ndarray, most: int) -> bytes | None:
    """The largest JPEG of at most ``most`` bytes; None where not even the smallest is.

    Args:
        rgb: uint8 [h, w, 3].
    """
    picture = Image.fromarray(rgb)
    for side, quality in _LADDER:
        scale = min(1.0, side / max(picture.size))
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        out = io.BytesIO()
        picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3).save(out, "jpeg", quality=quality, optimize=True)
        if out.tell() <= most:
            return out.getvalue()
    return None
