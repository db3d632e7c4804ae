"""Whether a device really decodes a title: tried on its first picture, before anything relies on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
from av.codec.hwaccel import hwdevices_available

from mediafm_cli.errors import MediaError, UsageError
from mediafm_cli.media.container import Decoding, open_media
from mediafm_cli.media.probe import require_video


def choose_decoding(path: Path, wanted: Decoding) -> tuple[Decoding, str]:
    """The way a title can be decoded, the wanted one if it works, and a sentence that says which it is.

    A device is used only if it decodes the first picture by itself; else the processor does the whole title.

    Raises:
        UsageError: FFmpeg knows no device of that name.
        MediaError: the file cannot be read, or has no video.
    """
    require_device(wanted.hwaccel)
    with open_media(path) as container:
        codec = require_video(path, container).codec_context.name
    problem = _try_first_picture(path, wanted)
    if problem:
        return replace(wanted, hwaccel=""), f"{wanted.hwaccel} cannot decode {codec} ({problem}); the processor does"
    return wanted, f"{codec} is decoded by {wanted.hwaccel}"


def require_device(name: str) -> None:
    """Raise a UsageError if FFmpeg knows no device of that name, whether this machine has one or not."""
    if name.partition(":")[0] not in hwdevices_available():
        known = ", ".join(hwdevices_available()) or "none"
        raise UsageError(f"There is no hardware decoder {name!r}.", f"FFmpeg was built with: {known}.")


def _try_first_picture(path: Path, decoding: Decoding) -> str:
    """Why the device does not decode the first picture; empty where it does."""
    try:
        with open_media(path, decoding) as container:
            stream = require_video(path, container)
            if not stream.codec_context.is_hwaccel:
                return "it has no decoder for that"
            return "" if next(container.decode(stream), None) is not None else "it gave no picture"
    except MediaError:  # the file was opened just before, so it is the device
        return "there is no such device, or no driver for it"
    except RuntimeError:  # of PyAV, where no stream of the file has a decoder there
        return "it has no decoder for that"
    except av.error.FFmpegError as error:
        return error.strerror or str(error)
