"""Closed captions of several channels: which is read, and that none is mixed with another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

import pytest
from caption_clips import ERASE, NOTHING, name_programme, page, pop_on, roll_up, to_second_channel, triplet

from mediafm_cli.media.caption_channels import CaptionChannels

Pairs = Sequence[tuple[int, int]]


def take(first_field: Pairs = (), second_field: Pairs = ()) -> CaptionChannels:
    """What comes of pictures, 25 a second, that carry a pair of each field."""
    channels = CaptionChannels()
    for number, (first, second) in enumerate(zip_longest(first_field, second_field, fillvalue=NOTHING)):
        channels.take(number / 25, triplet(first) + triplet(second, kind=1))
    channels.end(60.0)
    return channels


def texts(channels: CaptionChannels) -> list[str]:
    return [text for *_, text in channels.timed]


HELLO = [*pop_on("Hello there"), *ERASE]
HOLA = [*pop_on("Hola amigo"), *ERASE]


def test_two_channels_of_a_field_are_not_mixed() -> None:
    channels = take([*HELLO, *to_second_channel(HOLA)] * 2)

    assert (channels.channel, texts(channels)) == (1, ["Hello there"] * 2)


def test_a_channel_that_interrupts_another_leaves_it_whole() -> None:
    loading, shown = pop_on("Hello there")[:8], pop_on("Hello there")[8:]
    resume = pop_on("")[:2]

    channels = take([*loading, *to_second_channel(HOLA), *resume, *shown, *ERASE])

    assert (channels.channel, texts(channels)) == (1, ["Hello there"])


@pytest.mark.parametrize(
    ("first_field", "second_field", "channel"),
    [
        (HELLO, HOLA, 1),
        (to_second_channel(HELLO), HOLA, 2),
        ((), HELLO, 3),
        (ERASE * 3, HELLO, 3),
        ((), to_second_channel(HELLO), 4),
    ],
)
def test_the_first_channel_that_has_captions_is_read(first_field: Pairs, second_field: Pairs, channel: int) -> None:
    channels = take(first_field, second_field)

    assert (channels.channel, texts(channels)) == (channel, ["Hello there"])


def test_a_first_channel_that_begins_late_is_read_all_the_same() -> None:
    channels = take([*[NOTHING] * 40, *HELLO], HOLA)

    assert (channels.channel, texts(channels)) == (1, ["Hello there"])


def test_commands_of_the_second_field_have_a_code_of_their_own() -> None:
    """CTA-608-E has encoders send 0x15 and 0x1D there, where the first field has 0x14 and 0x1C."""
    own = [(first + 1 if first == 0x14 and second < 0x40 else first, second) for first, second in HELLO]

    for channel, pairs in ((3, own), (4, to_second_channel(own))):
        channels = take((), pairs)
        assert (channels.channel, texts(channels)) == (channel, ["Hello there"])


def test_programme_data_among_captions_is_none_of_them() -> None:
    lines = [*roll_up("one"), *name_programme("The storm"), *roll_up("two"), *ERASE]

    channels = take((), lines)

    assert texts(channels) == ["one", "two"]


@pytest.mark.parametrize("to_channel", [list, to_second_channel], ids=["T1", "T2"])
def test_pages_of_text_are_no_captions(to_channel: Callable[[Pairs], Pairs]) -> None:
    link = to_channel(page("<http://example.org>[t:p]"))

    alone, among = take(link), take([*HELLO, *link, *HELLO])

    assert (alone.channel, texts(alone)) == (None, [])
    assert texts(among) == ["Hello there"] * 2
