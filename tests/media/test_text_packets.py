"""Text inside films that FFmpeg does not decode: in other encodings than UTF-8, and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from caption_clips import Track, write_with_tracks

from mediafm_cli.media.captions import find_captions
from mediafm_cli.media.probe import probe

FRENCH = "Où étais-tu, l’été passé ?"
TABLE = "昨日の表はどこにある？"  # whose third letter has a backslash for its second byte in cp932


def with_length(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


@pytest.mark.parametrize(
    ("name", "codec", "coded"),
    [
        ("film.mkv", "subrip", b"<i>%s</i>"),
        ("film.mkv", "ass", b"0,0,Default,,0,0,0,,%s"),
        ("film.mkv", "webvtt", b"%s"),
        ("film.mp4", "mov_text", b"%s"),
    ],
)
def test_text_inside_the_film_that_is_not_utf_8_is_read_as_in_files(
    tmp_path: Path, name: str, codec: str, coded: bytes
) -> None:
    packets = {1: coded % FRENCH.encode("cp1252"), 4: coded % b"Yes."}
    if codec == "mov_text":
        packets = {number: with_length(data) for number, data in packets.items()}
    film = write_with_tracks(tmp_path / name, 9, [Track(codec, packets, 2, "fra")])

    captions = find_captions(film, probe(film))

    assert [cue.text for cue in captions.cues] == [FRENCH, "Yes."]
    assert [cue.start_s for cue in captions.cues] == pytest.approx([0.04, 0.16], abs=0.001)
    assert [cue.end_s for cue in captions.cues] == pytest.approx([0.12, 0.24], abs=0.001)
    assert captions.notes == (
        "subtitle stream 1 is not UTF-8; it was read as cp1252, so check its letters, or say --subtitle-encoding",
    )


@pytest.mark.parametrize(
    ("language", "encoding", "how"),
    [("jpn", None, ", so check its letters, or say --subtitle-encoding"), ("und", "Shift_JIS", "")],
)
def test_the_language_of_a_stream_and_what_the_user_says_help_to_read_it(
    tmp_path: Path, language: str, encoding: str | None, how: str
) -> None:
    film = write_with_tracks(tmp_path / "film.mkv", 5, [Track("subrip", {1: TABLE.encode("cp932")}, 2, language)])

    captions = find_captions(film, probe(film), encoding=encoding)

    read_as = "shift_jis" if encoding else "cp932"
    assert [cue.text for cue in captions.cues] == [TABLE]
    assert captions.notes == (f"subtitle stream 1 is not UTF-8; it was read as {read_as}{how}",)


@pytest.mark.parametrize("encoding", [None, "cp1252"])
def test_half_a_letter_in_a_stream_of_utf_8_is_damage_and_no_other_encoding(
    tmp_path: Path, encoding: str | None
) -> None:
    packets = {1: FRENCH.encode(), 4: "Au café".encode()[:-1], 7: b"Yes."}
    film = write_with_tracks(tmp_path / "film.mkv", 9, [Track("subrip", packets, 2, "fra")])

    captions = find_captions(film, probe(film), encoding=encoding)

    assert [cue.text for cue in captions.cues] == [FRENCH, "Yes."]
    assert captions.notes == ("subtitle stream 1 has damaged captions, which were left out: 1",)


def test_a_short_word_that_looks_like_utf_8_does_not_make_damage_of_the_others(tmp_path: Path) -> None:
    packets = {
        1: "哦".encode("gb18030"),
        4: "昨天晚上你在哪里".encode("gb18030"),
        7: "我在老教堂等你".encode("gb18030"),
    }
    film = write_with_tracks(tmp_path / "film.mkv", 9, [Track("subrip", packets, 2, "chi")])

    captions = find_captions(film, probe(film))

    assert [cue.text for cue in captions.cues][1:] == ["昨天晚上你在哪里", "我在老教堂等你"]


@pytest.mark.parametrize("mark", ["utf-16-be", "utf-16-le"])
def test_texts_of_mp4_may_be_marked_as_utf_16_one_by_one(tmp_path: Path, mark: str) -> None:
    packets = {1: with_length(f"\ufeff{FRENCH}".encode(mark)), 4: with_length(FRENCH.encode()), 7: with_length(b"Yes.")}
    film = write_with_tracks(tmp_path / "film.mp4", 9, [Track("mov_text", packets, 2)])

    captions = find_captions(film, probe(film), encoding="cp1251")

    assert [cue.text for cue in captions.cues] == [FRENCH, FRENCH, "Yes."]
    assert captions.notes == ()


def test_damaged_captions_inside_the_film_are_counted(tmp_path: Path) -> None:
    packets = {1: b"?", 3: with_length(b"Hello"), 5: b"!"}  # the length of a text takes two bytes
    film = write_with_tracks(tmp_path / "film.mp4", 9, [Track("mov_text", packets, 2)])

    captions = find_captions(film, probe(film))

    assert [cue.text for cue in captions.cues] == ["Hello"]
    assert captions.notes == ("subtitle stream 1 has damaged captions, which were left out: 2",)
