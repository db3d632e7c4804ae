"""The channels of closed captions: which of CC1 to CC4 a pair of bytes belongs to, and which of them is read."""

from __future__ import annotations

from mediafm_cli.media.closed_captions import ClosedCaptions

_VALID, _KIND = 0b100, 0b011  # bits of the first byte of a triplet
_SECOND_FIELD, _DATA_708, _START_708 = 1, 2, 3  # kinds; 0 is the first field of CEA-608
_FIRST_FIELD = 0xFC  # first byte of a triplet
_SIZE_708 = 0x1F  # bits of the head of a block
_SECOND = 0x08  # bit of a control code that belongs to the second channel of its field
_MISCELLANEOUS = 0x14  # control codes, 0x15 in the second field
_TEXT = (0x2A, 0x2B)  # what follows is no captions, but pages of text
_CAPTIONS = (0x20, 0x25, 0x26, 0x27, 0x29, 0x2F)  # what follows is captions again
_ERASE = (0x2C, 0x2E)  # for captions even among text


class CaptionChannels:
    """Sorts what is sent with the pictures into channels, and decodes the first one that has captions.

    CC1 holds the captions in the language of the film, as a rule; CC3 another language. A channel is decoded as long as
    none before it has shown captions.

    Attributes:
        has_708: whether captions of CEA-708 were sent, which are not decoded.

    Source:
        ANSI/CTA-608-E for fields, channels, control codes and programme data; ANSI/CTA-708-E for packets and their
        blocks; ATSC A/53 part 4 table 6.9 for the triplets.
    """

    def __init__(self) -> None:
        self.has_708 = False
        self._decoders: dict[int, ClosedCaptions] = {}
        self._last = 4  # channel that is decoded
        self._current: list[int | None] = [1, None]  # channel of each field whose letters follow
        self._in_text: set[int] = set()

    @property
    def channel(self) -> int | None:
        """The first channel that has captions."""
        return min((channel for channel, decoder in self._decoders.items() if _has_text(decoder)), default=None)

    @property
    def timed(self) -> list[tuple[float, float, str]]:
        """(start_s, end_s, text) of that channel's captions; see ``ClosedCaptions``."""
        return [] if self.channel is None else self._decoders[self.channel].timed

    def take(self, time_s: float, triplets: bytes) -> None:
        """Take in what belongs to a time, in seconds from the start of the title; times do not decrease."""
        for head, first, second in zip(triplets[::3], triplets[1::3], triplets[2::3], strict=False):
            kind = head & _KIND
            if kind == _DATA_708 or not head & _VALID or not (first | second) & 0x7F:
                continue
            if kind == _START_708:
                self.has_708 |= bool(second & _SIZE_708)
            else:
                self._sort(time_s, kind, first, second)

    def end(self, time_s: float) -> None:
        """End the captions that are still shown at the end of the title."""
        for decoder in self._decoders.values():
            decoder.end(time_s)

    def _sort(self, time_s: float, field: int, first: int, second: int) -> None:
        """Decode a pair of bytes, coded as CC1 would be, if it is of a channel that is decoded."""
        if not _is_odd(second):
            return  # damaged, and no decoder takes it
        code = first & 0x7F
        is_control = _is_odd(first) and 0x10 <= code < 0x20
        if is_control:
            self._current[field] = 1 + 2 * field + bool(code & _SECOND)
            if code & _SECOND:
                first ^= _SECOND | 0x80  # and its parity
        elif field == _SECOND_FIELD and _is_odd(first) and 0 < code < 0x10:
            self._current[field] = None  # programme data, up to the next control code
        channel = self._current[field]
        if channel is None or self._is_text(channel, is_control, first & 0x7F, second & 0x7F) or channel > self._last:
            return
        decoder = self._decoders.setdefault(channel, ClosedCaptions())
        decoder.take(time_s, bytes([_FIRST_FIELD, first, second]))
        if channel < self._last and _has_text(decoder):
            self._last = channel

    def _is_text(self, channel: int, is_control: bool, code: int, which: int) -> bool:
        """Whether a pair belongs to a page of text and not to captions."""
        if is_control and code & ~1 == _MISCELLANEOUS:
            if which in _TEXT:
                self._in_text.add(channel)
            elif which in _CAPTIONS:
                self._in_text.discard(channel)
            elif which in _ERASE:
                return False
        return channel in self._in_text


def _has_text(decoder: ClosedCaptions) -> bool:
    return any(text for *_, text in decoder.timed)


def _is_odd(byte: int) -> bool:
    return byte.bit_count() % 2 == 1
