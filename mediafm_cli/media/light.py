"""HDR and wide-gamut signals shown on a standard display: code values to light, tone mapping, and back to code values.

The formulas are here, and not left to FFmpeg, because what PyAV offers of them cuts highlights off at white, builds a
table for seconds, and works at the full size of a picture, at more than ten times the cost of doing it at the size that
is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

WHITE = 203.0
"""Light of SDR's white in cd/m²: HDR reference white (BT.2408 §2.1)."""

PEAK = 1000.0
"""The brightest light told apart in HDR, in cd/m²: the nominal peak of HLG displays and of most PQ masters."""

_GAMMA = 2.4  # of SDR displays (BT.1886), whichever of the SDR transfers a camera used
_STEPS = 1 << 16
_BAND = 128  # rows at a time, which bounds the memory of large pictures

# x, y of red, green, blue and white (BT.709, BT.2020, SMPTE EG 432-1).
_D65 = (0.3127, 0.3290)
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
_WIDE = {
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
_HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)


def is_beyond_standard(transfer: int, primaries: int) -> bool:
    """Whether a signal is HDR (PQ, HLG) or of a wide gamut (BT.2020, Display P3), and needs ``show_on_standard``."""
    return transfer in _HDR or primaries in _WIDE


def show_on_standard(codes: np.ndarray, full: int, transfer: int, primaries: int) -> np.ndarray:
    """Turn R'G'B' of an HDR or wide-gamut signal into R'G'B' for a BT.709 display.

    Light up to about half of white keeps its value exactly; above, up to 1000 cd/m², it is rolled off by the curve of
    BT.2390. Colours outside BT.709 are clipped to it.

    Args:
        codes: uint16 [h, w, 3], full range.
        full: the code of a signal of 1.
        transfer, primaries: their numbers in ITU-T H.273. HDR without primaries is taken for BT.2020.

    Returns:
        uint8 [h, w, 3], full range.

    Source:
        ITU-R BT.2100-2 tables 4 and 5 (PQ, HLG), BT.2390-8 §5.4.1 (EETF, per channel), BT.1886 (gamma 2.4).
    """
    is_hdr = transfer in _HDR
    if is_hdr and primaries == ColorPrimaries.UNSPECIFIED:
        primaries = ColorPrimaries.BT2020
    to_bt709 = _matrix_to_bt709(primaries)
    peak = PEAK if is_hdr else WHITE
    shown = _shown(peak)
    picture = np.empty(codes.shape, np.uint8)
    for top in range(0, len(codes), _BAND):
        light = _to_light(codes[top : top + _BAND], full, transfer) @ to_bt709.T  # [band, w, 3]
        picture[top : top + _BAND] = shown[_place(light, peak)]
    return picture


def _to_light(codes: np.ndarray, full: int, transfer: int) -> np.ndarray:
    """Light of the display in cd/m², float32."""
    if transfer == ColorTrc.SMPTE2084:
        return _table_of(_pq_to_light, full)[codes]
    if transfer == ColorTrc.ARIB_STD_B67:
        scene = _table_of(_hlg_to_scene, full)[codes]
        luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        return PEAK * luminance[..., None] ** np.float32(0.2) * scene  # the OOTF at 1000 cd/m² has a gamma of 1.2
    return _table_of(_sdr_to_light, full)[codes]


@lru_cache(maxsize=6)
def _table_of(decode: Callable[[np.ndarray], np.ndarray], full: int) -> np.ndarray:
    return decode(np.minimum(np.arange(_STEPS) / full, 1)).astype(np.float32)


def _pq_to_light(signal: np.ndarray) -> np.ndarray:
    """PQ's EOTF: signal of 0 to 1 to cd/m²."""
    root = signal ** (4096 / 2523 / 128)
    share = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return 10_000 * share ** (16384 / 2610)


def _light_to_pq(light: np.ndarray | float) -> np.ndarray:
    """PQ's inverse EOTF: cd/m² to signal of 0 to 1."""
    root = (np.asarray(light) / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 4096 * 128)


def _hlg_to_scene(signal: np.ndarray) -> np.ndarray:
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _sdr_to_light(signal: np.ndarray) -> np.ndarray:
    return WHITE * signal**_GAMMA


def _place(light: np.ndarray, peak: float) -> np.ndarray:
    """Where a light stands in the table of ``_shown``, whose steps are even in the fourth root of light."""
    root = np.sqrt(np.sqrt(np.clip(light * np.float32(1 / peak), 0, 1)))
    return (root * np.float32(_STEPS - 1) + np.float32(0.5)).astype(np.uint16)


@lru_cache(maxsize=2)
def _shown(peak: float) -> np.ndarray:
    """uint8 code value of each light up to ``peak``."""
    light = peak * (np.arange(_STEPS) / (_STEPS - 1)) ** 4
    signal = np.clip(_roll_off(light, peak) / WHITE, 0, 1) ** (1 / _GAMMA)
    return np.round(255 * signal).astype(np.uint8)


def _roll_off(light: np.ndarray, peak: float) -> np.ndarray:
    """BT.2390's EETF from a display of ``peak`` to one of white, both with a black of 0."""
    most = _light_to_pq(WHITE) / _light_to_pq(peak)
    level = _light_to_pq(light) / _light_to_pq(peak)
    knee = 1.5 * most - 0.5
    t = np.maximum(level - knee, 0) / max(1 - knee, 1e-9)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return np.where(level < knee, light, _pq_to_light(spline * _light_to_pq(peak)))


@lru_cache(maxsize=4)
def _matrix_to_bt709(primaries: int) -> np.ndarray:
    wide = _WIDE.get(ColorPrimaries(primaries), _BT709) if primaries in _WIDE else _BT709
    return (np.linalg.inv(_rgb_to_xyz(_BT709)) @ _rgb_to_xyz(wide)).astype(np.float32)


def _rgb_to_xyz(chromaticities: Sequence[tuple[float, float]]) -> np.ndarray:
    """SMPTE RP 177: the columns are the primaries, as bright as makes them add up to white."""
    xyz = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in chromaticities]).T  # [3, 4]
    return xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])
