"""What FFmpeg attaches to a decoded picture as bytes, read by the layout of its structures."""

from __future__ import annotations

import math
import struct

from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame


def read_orientation(frame: VideoFrame) -> tuple[int, bool]:
    """Anticlockwise quarter turns that make a picture upright, and whether it is flipped left to right after them.

    The display matrix, (a b u, c d v, x y w), takes a place (x, y) in the coded picture, y downwards, to
    (a x + c y, b x + d y). One that turns by other angles is taken for the nearest quarter.
    """
    content = _read(frame, Type.DISPLAYMATRIX)
    if content is None:
        return 0, False
    a, b, _, c, d = struct.unpack_from("5i", content)
    mirrored = a * d - b * c < 0
    return round(-math.atan2(b, -a if mirrored else a) / (math.pi / 2)) % 4, mirrored


def is_dolby_vision_alone(frame: VideoFrame) -> bool:
    """Whether a picture is Dolby Vision profile 5, which has no base layer that can be shown as it is.

    Told as FFmpeg tells it: profile 0 of the reference processing, over a base in full range.
    """
    content = _read(frame, Type.DOVI_METADATA)
    if content is None:
        return False
    # AVDOVIMetadata begins with the offset of its AVDOVIRpuDataHeader, in which vdr_rpu_profile is byte 4 and
    # bl_video_full_range_flag byte 10.
    (header,) = struct.unpack_from("N", content)
    return content[header + 4] == 0 and content[header + 10] == 1


def read_closed_captions(frame: VideoFrame) -> bytes | None:
    """Closed captions that a picture carries, in triplets of ATSC A/53 part 4: see ``closed_captions``."""
    return _read(frame, Type.A53_CC)


def _read(frame: VideoFrame, kind: Type) -> bytes | None:
    """Not by ``frame.side_data``, which ties the frame to itself: then its memory, which decoders use again at once, is
    not free before the next garbage collection, some hundred pictures later.
    """
    attached = SideDataContainer(frame).get(kind)  # type: ignore[call-arg] # PyAV's stubs say something else
    return None if attached is None else bytes(attached)
