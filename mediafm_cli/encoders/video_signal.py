"""``video.signal``: what a picture's colours, edges and motion say, without any learned weights.

Four blocks, each scaled to at most unit length, so that no block outweighs the others and none is a constant offset:

1. *Layout* [41]: the picture area-averaged to 8 × 8 in Y'CbCr (BT.601), then a 2-D DCT of each plane, lowest
   frequencies in zigzag order (21 of Y', 10 of Cb and of Cr). Source: the Color Layout Descriptor of MPEG-7, ISO/IEC
   15938-3:2002, 8.6; here the planes are taken around mid-grey, and not quantised.
2. *Colour* [32]: a histogram of hue weighted by chroma (24 bins) and one of Y' (8 bins), linearly interpolated between
   bins; the square root (Hellinger map; Arandjelović & Zisserman 2012), less the root of an even spread.
3. *Edges* [144]: on 4 × 4 cells, gradient magnitude by orientation (8 bins over 180°, interpolated), square root, less
   the cell's mean over orientations: Dalal & Triggs 2005 without blocks; and how much each cell's edges exceed the
   picture's mean.
4. *Motion* [16]: on 4 × 4 cells, the mean |ΔY'| between one sampled frame and the next, square root. Zero where nothing
   moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mediafm_cli.api import Encoder, Frames, Shot
from mediafm_cli.errors import UsageError

_GRID = 8
_CELLS = 4
_HUES = 24
_LUMAS = 8
_ORIENTATIONS = 8
_ZIGZAG_KEPT = (21, 10, 10)  # coefficients kept of Y', Cb, Cr
_BT601 = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)


@dataclass(frozen=True)
class VideoSignalOptions:
    """Options of ``video.signal``.

    Attributes:
        frames: frames sampled per shot; with one there is no motion to see.
        max_side: pixels of the longer side.
    """

    frames: int = 4
    max_side: int = 160

    def __post_init__(self) -> None:
        if self.frames < 1 or self.max_side < 8:
            raise UsageError("video.signal needs frames of at least 1 and max_side of at least 8.")


class VideoSignal(Encoder):
    """Colour and spatial layout, edges and motion: float32 [n, 233]."""

    needs = Frames()
    Options = VideoSignalOptions

    def __init__(self, options: Any = None, *, device: str = "cpu") -> None:
        super().__init__(options, device=device)
        self.needs = Frames(self.options.frames, self.options.max_side)

    @property
    def dim(self) -> int:
        """Width of the vectors: the sum of the four blocks."""
        return sum(_ZIGZAG_KEPT) + _HUES + _LUMAS + _CELLS * _CELLS * (_ORIENTATIONS + 2)

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Describe the frames of each shot: float32 [len(shots), 233]."""
        rows = np.zeros((len(shots), self.dim), np.float32)
        for row, shot in zip(rows, shots, strict=True):
            assert shot.frames is not None  # the host fills in what the encoder needs
            row[:] = _describe(shot.frames)
        return rows

    def fingerprint(self) -> Mapping[str, str]:
        """The version of the formulas."""
        return {"version": "1"}


def _describe(frames: np.ndarray) -> np.ndarray:
    """Describe one shot, uint8 [k, h, w, 3] → float64 [233]."""
    ycc = (frames.astype(np.float32) / 255) @ _BT601.T  # Y' 0 to 1, Cb and Cr -0.5 to 0.5
    blocks = (
        _unit(_layout(ycc), floor=0.5),
        _unit(_colour(frames, ycc[..., 0]), floor=0.2),
        _unit(_edges(ycc[..., 0]), floor=0.2),
        _unit(_motion(ycc[..., 0]), floor=2.0),
    )
    return np.concatenate(blocks)


def _unit(block: np.ndarray, *, floor: float) -> np.ndarray:
    """Scale to unit length, but what is shorter than ``floor`` stays shorter: noise is not blown up."""
    return block / max(float(np.linalg.norm(block)), floor)


# --- the four blocks --------------------------------------------------------------------------------------------------


def _layout(ycc: np.ndarray) -> np.ndarray:
    thumbnail = _pool(ycc.mean(axis=0), _GRID)  # [8, 8, 3]
    thumbnail = thumbnail - np.array([0.5, 0.0, 0.0])
    dct = _dct_matrix(_GRID)
    coefficients = np.einsum("ui,ijc,vj->cuv", dct, thumbnail, dct)  # [3, 8, 8]
    rows, columns = _zigzag(_GRID)
    return np.concatenate([plane[rows, columns][:kept] for plane, kept in zip(coefficients, _ZIGZAG_KEPT, strict=True)])


def _colour(frames: np.ndarray, luma: np.ndarray) -> np.ndarray:
    rgb = frames.reshape(-1, 3).astype(np.float32) / 255
    high = rgb.max(axis=1)
    chroma = high - rgb.min(axis=1)
    red, green, blue = rgb.T
    sixth = np.select(  # of the colour circle, Smith 1978
        [high == red, high == green], [green - blue, blue - red], red - green
    ) / np.maximum(chroma, 1e-6) + np.select([high == red, high == green], [0.0, 2.0], 4.0)
    hues = _histogram(sixth / 6 * _HUES, chroma, _HUES, wraps=True)
    lumas = _histogram(luma.reshape(-1) * (_LUMAS - 1), np.ones(luma.size), _LUMAS, wraps=False)
    # Less what the same chroma or light spread evenly would give: two pictures share no offset.
    return np.concatenate([np.sqrt(hues) - np.sqrt(hues.sum() / _HUES), np.sqrt(lumas) - np.sqrt(lumas.sum() / _LUMAS)])


def _edges(luma: np.ndarray) -> np.ndarray:
    if min(luma.shape[1:]) < 2:
        return np.zeros(_CELLS * _CELLS * (_ORIENTATIONS + 1))  # a line has no gradient across it
    down, across = np.gradient(luma, axis=(1, 2))  # [k, h, w]
    magnitude = np.hypot(down, across)
    place = (np.arctan2(down, across) % np.pi) / np.pi * _ORIENTATIONS
    lower = np.floor(place)
    share = place - lower
    lower = lower.astype(np.intp) % _ORIENTATIONS
    by_orientation = np.zeros((*luma.shape[1:], _ORIENTATIONS), np.float32)
    for orientation in range(_ORIENTATIONS):
        weight = np.where(lower == orientation, 1 - share, 0) + np.where(
            (lower + 1) % _ORIENTATIONS == orientation, share, 0
        )
        by_orientation[..., orientation] = (weight * magnitude).mean(axis=0)
    cells = np.sqrt(_pool(by_orientation, _CELLS))  # [4, 4, 8]
    strength = np.sqrt(_pool(magnitude.mean(axis=0)[..., None], _CELLS))  # [4, 4, 1]
    contrast = cells - cells.mean(axis=2, keepdims=True)
    return np.concatenate([contrast.reshape(-1), (strength - strength.mean()).reshape(-1)])


def _motion(luma: np.ndarray) -> np.ndarray:
    if len(luma) < 2:
        return np.zeros(_CELLS * _CELLS)
    change = np.abs(np.diff(luma, axis=0)).mean(axis=0)
    return np.sqrt(_pool(change[..., None], _CELLS)).reshape(-1)


# --- tools ------------------------------------------------------------------------------------------------------------


def _pool(picture: np.ndarray, cells: int) -> np.ndarray:
    """Average over equal cells, pixels at a border shared by area: [h, w, c] → [cells, cells, c], for any h and w."""
    height, width = picture.shape[:2]
    return np.einsum(
        "ah,hwc,bw->abc", _area_weights(height, cells), picture, _area_weights(width, cells), optimize=True
    )


@cache
def _area_weights(pixels: int, cells: int) -> np.ndarray:
    """Share of each pixel in the mean of each cell: [cells, pixels], rows sum to 1."""
    cell_edges = np.arange(cells + 1) / cells * pixels
    begin, end = cell_edges[:-1, None], cell_edges[1:, None]
    pixel = np.arange(pixels)[None, :]
    overlap = np.clip(np.minimum(end, pixel + 1) - np.maximum(begin, pixel), 0, None)
    return overlap * cells / pixels


@cache
def _dct_matrix(size: int) -> np.ndarray:
    """The orthonormal DCT-II: [size, size], row u is frequency u."""
    frequency, place = np.arange(size)[:, None], np.arange(size)[None, :]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (place + 0.5) * frequency / size)
    matrix[0] /= np.sqrt(2)
    return matrix


@cache
def _zigzag(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a square in JPEG's zigzag order."""
    order = sorted(
        ((row, column) for row in range(size) for column in range(size)),
        key=lambda at: (at[0] + at[1], at[0] if (at[0] + at[1]) % 2 else at[1]),
    )
    rows, columns = zip(*order, strict=True)
    return np.array(rows), np.array(columns)


def _histogram(place: np.ndarray, weight: np.ndarray, bins: int, *, wraps: bool) -> np.ndarray:
    """Histogram, each value shared between its two nearest bins, over the number of values: float64 [bins]."""
    lower = np.floor(place)
    share = place - lower
    lower = lower.astype(np.intp)
    upper = lower + 1
    lower, upper = (lower % bins, upper % bins) if wraps else (lower.clip(0, bins - 1), upper.clip(0, bins - 1))
    counts = np.bincount(lower, weight * (1 - share), bins) + np.bincount(upper, weight * share, bins)
    return counts / place.size
