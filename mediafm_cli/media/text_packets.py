"""The text of caption packets, and of those that are not UTF-8, which FFmpeg refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import av
from av.packet import Packet
from av.subtitles.codeccontext import SubtitleCodecContext

from mediafm_cli.media.subtitles import read_dialogues
from mediafm_cli.media.text_encoding import decode_marked, decode_pieces, is_utf8

_PREFIXED = "mov_text"  # MP4 writes the length before the text, and styles behind it
_LENGTH_BYTES = 2


@dataclass(frozen=True)
class UnreadText:
    """A packet that FFmpeg did not decode.

    Attributes:
        start_s, end_s: of its cue. ``codec``: FFmpeg's name of its decoder. ``data``: its text, as it is coded.
    """

    start_s: float
    end_s: float
    codec: str
    data: bytes


def read_packet(packet: Packet) -> list[str]:
    """The texts of a packet of a text stream.

    Raises:
        av.error.FFmpegError: it is damaged, or not in UTF-8.
    """
    return _decode(cast("SubtitleCodecContext", packet.stream.codec_context), packet)


def set_aside(packet: Packet, start_s: float, end_s: float) -> UnreadText:
    """A packet that did not decode, to be read by ``read_unread``."""
    codec, data = packet.stream.codec_context.name, bytes(packet)
    if codec == _PREFIXED:
        data = data[_LENGTH_BYTES:][: int.from_bytes(data[:_LENGTH_BYTES], "big")]
    return UnreadText(start_s, end_s, codec, data)


def read_unread(
    name: str, unread: Sequence[UnreadText], proper: int, encoding: str | None = None, language: str | None = None
) -> tuple[list[tuple[float, float, str]], list[str]]:
    """Read the packets of a stream that did not decode, if they are in another encoding than UTF-8.

    What is marked as UTF-16 is read as that. The rest is damaged, and lost, where at least as many cues are proper:
    one alone may be in another encoding and look like UTF-8, as a short word of Chinese may.

    Args:
        name: of the stream, for the notes.
        proper: how many cues of the stream did decode, with letters beyond ASCII.
        encoding: as the user says; ``None`` finds it out. ``language``: of the stream, which narrows the guess.

    Returns:
        (start_s, end_s, text) of each cue, and notes: which encoding was taken, and how many cues are lost.
    """
    marked: list[tuple[UnreadText, str]] = []
    foreign: list[UnreadText] = []
    for packet in unread:
        text = decode_marked(packet.data)
        if text is not None:
            marked.append((packet, text))
        elif not is_utf8(packet.data):
            foreign.append(packet)
    if proper >= len(foreign):
        foreign = []
    lost = len(unread) - len(marked) - len(foreign)
    texts, notes = decode_pieces(name, [packet.data for packet in foreign], encoding, language)
    timed: list[tuple[float, float, str]] = []
    for packet, text in [*marked, *zip(foreign, texts, strict=True)]:
        try:
            timed += [(packet.start_s, packet.end_s, cue) for cue in _decode_again(packet.codec, text)]
        except av.error.FFmpegError:
            lost += 1
    return timed, [*notes, f"{name} has damaged captions, which were left out: {lost}"] if lost else notes


def _decode_again(codec: str, text: str) -> list[str]:
    data = text.encode()
    if codec == _PREFIXED:
        data = data[: 256**_LENGTH_BYTES - 1]
        data = len(data).to_bytes(_LENGTH_BYTES, "big") + data
    return _decode(cast("SubtitleCodecContext", av.CodecContext.create(codec, "r")), Packet(data))


def _decode(decoder: SubtitleCodecContext, packet: Packet) -> list[str]:
    shown = decoder.decode2(packet)
    return [] if shown is None else read_dialogues(shown)
