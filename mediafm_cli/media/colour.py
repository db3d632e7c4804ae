"""What the numbers of a decoded picture mean as colour, and how they become RGB as an image encoder expects it."""

from __future__ import annotations

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from mediafm_cli.errors import MediaError
from mediafm_cli.media.light import is_beyond_standard, show_on_standard
from mediafm_cli.media.side_data import is_dolby_vision_alone

# Numbers of ITU-T H.273 for the matrix between R'G'B' and what is coded.
_CONSTANT_LUMINANCE = 10
_READ = {1, 4, 5, 6, 7, 9}
_UNREAD = {
    8: "YCgCo",
    11: "Y'D'zD'x",
    12: "Y'CbCr derived from the primaries",
    13: "Y'CbCr derived from the primaries",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-R",
    17: "YCgCo-R",
}
_FULL_FROM_LIMITED = 255 << 8  # what FFmpeg's scaler makes of white, where it has to stretch to 16 bits
_LARGEST_SD = (1279, 576)  # the rule of mpv and libplacebo


def convert_to_rgb(
    frame: VideoFrame, width: int, height: int, reformatter: VideoReformatter, interpolation: Interpolation
) -> np.ndarray:
    """Scale a picture and convert it to 8-bit full-range R'G'B' of BT.709.

    The tags of the picture itself count: range, matrix, transfer and primaries, each of which may change on the way
    through a title. Where they are missing: limited range, except in pixel formats that say otherwise; BT.601 up to
    1279 × 576 pixels and BT.709 above; SDR. The small differences between the primaries of BT.601 and BT.709 are let
    be, as most players do. Transparency is ignored: the colours are those stored.

    Returns:
        uint8 [height, width, 3].

    Raises:
        MediaError: the colours are coded in a way that cannot be shown, such as Dolby Vision without a base layer; or
            FFmpeg cannot scale the pixel format.
    """
    if is_dolby_vision_alone(frame):
        raise MediaError(
            "The pictures are Dolby Vision profile 5, which has no base layer that can be shown without its decoder.",
            "Their colours would come out purple and green.",
            "Convert it to HDR10 or SDR first, with a program that decodes Dolby Vision.",
        )
    beyond = is_beyond_standard(frame.color_trc, frame.color_primaries)
    if frame.format.components[0].bits > 8:
        interpolation |= Interpolation.FULL_CHR_H_INT  # else up to 5 codes too dark; for 8 bits the cost is not worth 2
    try:
        scaled = reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="gbrp16le" if beyond else "rgb24",  # to rgb48le, FFmpeg spoils chroma at some sizes
            src_colorspace=_matrix_of(frame),
            interpolation=interpolation,
        )
    except (av.error.FFmpegError, OSError) as error:
        raise unscalable(frame, error) from error
    codes = scaled.to_ndarray()
    if _is_limited_gray(frame):
        codes = _stretch_limited(codes)
    if not beyond:
        return codes
    full = 65535 if frame.format.is_rgb or frame.color_range == ColorRange.JPEG else _FULL_FROM_LIMITED
    return show_on_standard(codes, full, frame.color_trc, frame.color_primaries)


def unscalable(frame: VideoFrame, error: av.error.FFmpegError | OSError) -> MediaError:
    """What to raise where FFmpeg does not scale a picture."""
    return MediaError(
        f"The pictures are of the pixel format {frame.format.name}, which cannot be scaled.",
        f"{error.strerror}.",
        "Convert it first: for example with ffmpeg and -pix_fmt yuv420p.",
    )


def _matrix_of(frame: VideoFrame) -> int:
    matrix = frame.colorspace
    if frame.format.is_rgb or matrix in _READ:
        return matrix
    if matrix == _CONSTANT_LUMINANCE:
        return Colorspace.BT2020  # a good approximation, and what players show
    if matrix in _UNREAD:
        raise MediaError(
            f"The colours of the pictures are coded as {_UNREAD[matrix]}, which cannot be read.",
            "",
            "Convert it to YCbCr first: for example with ffmpeg and its filter libplacebo.",
        )
    # Unspecified, reserved, or that of RGB on a picture that is not RGB.
    is_sd = frame.width <= _LARGEST_SD[0] and frame.height <= _LARGEST_SD[1]
    return Colorspace.ITU601 if is_sd else Colorspace.ITU709


def _is_limited_gray(frame: VideoFrame) -> bool:
    """Gray in limited range, which FFmpeg's scaler takes for full range."""
    is_gray = len(frame.format.components) < 3 and not frame.format.has_palette
    return is_gray and frame.color_range == ColorRange.MPEG


def _stretch_limited(codes: np.ndarray) -> np.ndarray:
    most = np.iinfo(codes.dtype).max
    levels = (np.arange(most + 1.0) / most * 255 - 16) / 219
    return np.round(np.clip(levels, 0, 1) * most).astype(codes.dtype)[codes]
