"""The one place that opens media.

FFmpeg follows what a file says: a playlist, a list of other files, a ``subfile:`` or ``http:`` address inside a name.
So a title is opened by absolute path with the ``file:`` protocol only, by a demuxer from a list of containers that hold
their own streams, with a bound on the size of a picture.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition, Stream

from mediafm_cli.errors import MediaError

MAX_PIXELS = 8192 * 8192
"""The largest picture that is decoded; 8K is half of it."""

# Containers and elementary streams that hold their own data. Left out on purpose: concat, hls, dash, imf, image
# sequences, subtitle files, devices and everything else that names another file or address.
_FORMATS = (
    "mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,asf,ogg,mxf,gxf,nut,rm,wtv,dv,ivf,obu,av1,h264,hevc,vvc,m4v,"
    "vc1,yuv4mpegpipe,wav,w64,flac,mp3,aac,ac3,eac3,dts,dtshd,truehd,caf,aiff,au,amr,ape,tta,wv,mpc,mpc8,tak"
)
# PyAV before 19 refuses a file with a tag that is not UTF-8, unless told what 19 always does.
_LENIENT: dict[str, Any] = {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
MICROSECONDS = 1_000_000
_SUPPORTED = (
    "Supported are MP4, MOV, MKV, WebM, MPEG-TS, AVI and the other usual video and audio containers. "
    "Where one of these was cut off while it was copied, copy it again."
)


@dataclass(frozen=True)
class Decoding:
    """With what pictures are decoded.

    Attributes:
        threads: of the processor, where it decodes; 0 for as many as there are cores. A device takes one.
        hwaccel: FFmpeg's name of a device, such as ``"cuda"`` or ``"cuda:1"``; empty for the processor. There is no
            falling back here: see ``hardware.choose_decoding``.
    """

    threads: int = 0
    hwaccel: str = ""


PROCESSOR = Decoding()

GLANCE = Decoding(threads=1)
"""For a header and a first picture: with each thread more, a picture more is decoded before it comes."""


def open_media(path: Path, decoding: Decoding = PROCESSOR) -> InputContainer:
    """Open a local media file for reading; use it as a context manager.

    Raises:
        MediaError: the path is missing, not a regular file, empty, not permitted, or not media.
    """
    _check_regular_file(path)
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS, "max_pixels": str(MAX_PIXELS)}
    try:
        container = av.open(
            f"file:{os.path.abspath(path)}", mode="r", options=options, hwaccel=_hwaccel(decoding), **_LENIENT
        )
    except av.error.PermissionError as error:
        raise _no_permission(path) from error
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"{path} is not a media file that can be read.", _reason(error), _SUPPORTED) from error
    _prepare_video(container, decoding)
    return container


def is_cover_art(stream: Stream) -> bool:
    """Whether a video stream is an attached picture, which is not film."""
    return bool(stream.disposition & Disposition.attached_pic)


def exact(ratio: Any) -> Fraction | None:
    """A rate, time base or aspect ratio as PyAV gives it; ``None`` where it is not set.

    Up to PyAV 18 these are fractions; from 19 on they are 32-bit ratios, which round, and are falsy where not set.
    """
    return Fraction(ratio.numerator, ratio.denominator) if ratio else None


def origin_s(container: InputContainer) -> Fraction:
    """Start of the title on the container's clock, in seconds; time 0 for pictures, sound and captions alike."""
    if container.start_time is not None:
        return Fraction(container.start_time, MICROSECONDS)
    starts = [
        stream.start_time * time_base
        for stream in container.streams
        if stream.start_time is not None and (time_base := exact(stream.time_base))
    ]
    return min(starts, default=Fraction(0))


def _check_regular_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MediaError(f"{path} does not exist.", "", "Check the name and the folder.") from error
    except PermissionError as error:
        raise _no_permission(path) from error
    except (OSError, ValueError) as error:
        raise MediaError(f"{path} cannot be read.", str(error), "Check the name and the folder.") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{path} is a folder, not a media file.", "", "Name the files in it.")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(
            f"{path} is not a regular file.", "Pipes and devices are not read.", "Save it to a file first."
        )
    if status.st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes).", "", "Copy or download it again.")
    if not os.access(path, os.R_OK):
        raise _no_permission(path)


def _no_permission(path: Path) -> MediaError:
    return MediaError(f"{path} cannot be read.", "Permission denied.", f"Try: chmod u+r '{path}'")


def _reason(error: Exception) -> str:
    if isinstance(error, av.error.ArgumentError):
        return "It is a playlist, a list of other files, or a kind of file that holds no film or sound of its own."
    if isinstance(error, av.error.InvalidDataError):
        return "No container format was recognised, or its header is damaged or cut off."
    return str(error)


def _hwaccel(decoding: Decoding) -> HWAccel | None:
    if not decoding.hwaccel:
        return None
    kind, _, device = decoding.hwaccel.partition(":")
    return HWAccel(kind, device or None, allow_software_fallback=False)


def _prepare_video(container: InputContainer, decoding: Decoding) -> None:
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            stream.codec_context.thread_type = "AUTO"  # the default gains nothing from a second core
            # Each thread takes a surface of the device; NVIDIA's decoder has 32, reference pictures included.
            stream.codec_context.thread_count = 1 if decoding.hwaccel else decoding.threads
