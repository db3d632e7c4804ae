"""The encodings of subtitle files, each with words of a language that is written in it."""

from __future__ import annotations

import re

import pytest

from mediafm_cli.errors import UsageError
from mediafm_cli.media.text_encoding import decode_text

FRENCH = "Où étais-tu passé ? Je t'ai cherchée près du café, à côté de l'église."
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy, řekl starý člověk."
RUSSIAN = "Где ты была вчера вечером? Я ждал тебя у старой церкви."
GREEK = "Πού ήσουν χθες το βράδυ; Σε περίμενα στην παλιά εκκλησία."
TURKISH = "Dün gece neredeydin? Seni eski çarşının önünde bekledim, şimdi gidiyoruz."
JAPANESE = "昨日の夜はどこにいたの？ずっと待っていたのに。"
CHINESE = "昨天晚上你在哪里？我在老教堂等你。"
KOREAN = "어젯밤에 어디 있었어? 오래된 교회에서 기다렸는데."


def write_srt(text: str) -> str:
    return "".join(f"{n}\n00:00:{n:02d},000 --> 00:00:{n:02d},900\n{text}\n\n" for n in range(1, 9))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", [FRENCH, JAPANESE], ids=["fr", "ja"])
def test_unicode_needs_no_guess(encoding: str, text: str) -> None:
    assert decode_text("film.srt", write_srt(text).encode(encoding)) == (write_srt(text), [])


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", FRENCH),
        ("cp1250", CZECH),
        ("cp1251", RUSSIAN),
        ("koi8-r", RUSSIAN),
        ("cp1253", GREEK),
        ("gb18030", CHINESE),
        ("cp949", KOREAN),
    ],
)
def test_older_encodings_are_guessed_and_said(encoding: str, text: str) -> None:
    decoded, notes = decode_text("film.srt", write_srt(text).encode(encoding))

    assert decoded == write_srt(text)
    assert notes == [
        f"film.srt is not UTF-8; it was read as {encoding}, so check its letters, or say --subtitle-encoding"
    ]


@pytest.mark.parametrize(
    ("name", "encoding", "text"),
    [("film.ja.srt", "cp932", JAPANESE), ("film.Turkish.srt", "cp1254", TURKISH), ("film.rus.srt", "koi8_r", RUSSIAN)],
)
def test_the_language_in_a_name_helps(name: str, encoding: str, text: str) -> None:
    assert decode_text(name, write_srt(text).encode(encoding))[0] == write_srt(text)


@pytest.mark.parametrize("encoding", ["cp1254", "cp932", "cp1256", "big5", "cp874"])
@pytest.mark.parametrize("text", [TURKISH, JAPANESE, "سلام عليكم", "สวัสดีครับ"])
def test_a_wrong_guess_never_loses_the_times(encoding: str, text: str) -> None:
    data = write_srt(text).encode(encoding, "ignore")

    decoded, _ = decode_text("film.srt", data)

    assert re.findall(r"[\d:,]+ --> [\d:,]+", decoded) == re.findall(r"[\d:,]+ --> [\d:,]+", write_srt(text))


def test_what_the_user_says_is_not_second_guessed() -> None:
    assert decode_text("film.srt", TURKISH.encode("cp1254"), "cp1254") == (TURKISH, [])
    assert decode_text("film.srt", FRENCH.encode("utf-8-sig"), "utf-8") == (FRENCH, [])


@pytest.mark.parametrize("coded", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("encoding", "text"), [("cp1252", FRENCH), ("cp1251", RUSSIAN), ("cp932", JAPANESE)])
def test_what_the_user_says_is_of_subtitles_that_are_neither_marked_nor_utf_8(
    coded: str, encoding: str, text: str
) -> None:
    assert decode_text("film.srt", write_srt(text).encode(coded), encoding) == (write_srt(text), [])


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-16-le", RUSSIAN),
        ("utf-16-be", "Yes."),
        ("utf-32-le", "\ua9c3"),  # whose bytes are those of é in UTF-8
        ("iso2022_jp", JAPANESE),  # whose bytes are those of ASCII
        ("gb18030", CHINESE),
    ],
)
def test_bytes_that_could_be_utf_8_as_well_are_read_as_the_user_says(encoding: str, text: str) -> None:
    assert decode_text("film.srt", write_srt(text).encode(encoding), encoding) == (write_srt(text), [])


@pytest.mark.parametrize("name", ["utf-9", "hex", "rot13", "undefined"])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"There is no encoding '{name}'\. Name one such as utf-8"):
        decode_text("film.srt", b"words", name)


def test_an_encoding_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"film\.srt is not in utf-8\."):
        decode_text("film.srt", FRENCH.encode("cp1252"), "utf-8")


@pytest.mark.parametrize(
    ("name", "encoding", "text"),
    [("2_Turkish.srt", "cp1254", TURKISH), ("When.He.Was.Away.srt", "cp1252", FRENCH)],
)
def test_a_language_counts_only_at_the_end_of_a_name(name: str, encoding: str, text: str) -> None:
    assert decode_text(name, write_srt(text).encode(encoding))[0] == write_srt(text)
