"""Closed captions of broadcasts and discs (CEA-608), which lie in the pictures or in a stream of their own."""

from __future__ import annotations

from typing import cast

import av
from av.codec.context import CodecContext
from av.packet import Packet
from av.subtitles.codeccontext import SubtitleCodecContext

from mediafm_cli.media.container import MICROSECONDS
from mediafm_cli.media.subtitles import read_dialogues

_VALID, _KIND = 0b100, 0b011  # bits of the first byte of a triplet
_FIRST_FIELD = 0
_ERASE = b"\xfc\x94\x2c"  # "erase displayed memory" in the first field
_SAME_MOMENT_S = 0.01


class ClosedCaptions:
    """Decodes CC1, the main captions, from what a pass over the film meets.

    Attributes:
        timed: (start_s, end_s, text) of the captions that have ended. Of ones that roll up, what is new in each.

    Source:
        ANSI/CTA-608-E; ATSC A/53 part 4 table 6.9 for the triplets: flags and two bytes of content.
    """

    def __init__(self) -> None:
        self.timed: list[tuple[float, float, str]] = []
        self._decoder = cast("SubtitleCodecContext", CodecContext.create("cc_dec", "r"))
        self._decoder.options = {"pkt_timebase": f"1/{MICROSECONDS}"}
        self._before: tuple[float, list[str]] = (0.0, [])  # end and lines of the last one

    def take(self, time_s: float, triplets: bytes) -> None:
        """Decode what belongs to a time, in seconds from the start of the title; times do not decrease."""
        for at in range(0, len(triplets) - 2, 3):
            triplet = triplets[at : at + 3]
            if triplet[0] & _VALID and triplet[0] & _KIND == _FIRST_FIELD and (triplet[1] | triplet[2]) & 0x7F:
                self._decode(time_s, triplet)  # the rest: other languages and programme data, CEA-708, or nothing

    def end(self, time_s: float) -> None:
        """End the caption that is still shown at the end of the title."""
        self._decode(time_s, _ERASE)

    def _decode(self, time_s: float, triplet: bytes) -> None:
        packet = Packet(triplet)
        packet.pts = round(time_s * MICROSECONDS)
        try:
            shown = self._decoder.decode2(packet)
        except av.error.FFmpegError:
            return  # a damaged caption is one less
        if shown is None:
            return
        start_s = shown.pts / MICROSECONDS
        lines = [line for text in read_dialogues(shown) for line in text.splitlines()]
        end_before_s, before = self._before
        repeated = _overlap(before, lines) if abs(start_s - end_before_s) < _SAME_MOMENT_S else 0
        self._before = (time_s, lines)
        self.timed.append((start_s, time_s, "\n".join(lines[repeated:])))


def _overlap(before: list[str], lines: list[str]) -> int:
    """How many of the first lines were the last ones before; what is wholly the same is said again."""
    return next((count for count in range(len(lines) - 1, 0, -1) if before[-count:] == lines[:count]), 0)
