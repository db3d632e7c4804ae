"""Subtitles from files, sidecars and streams, and the shots that their cues belong to."""

from __future__ import annotations

from pathlib import Path

import pytest
from av.stream import Disposition
from caption_clips import Track, write_with_tracks
from media_clips import panning_pictures, write_video

from mediafm_cli.errors import MediaError
from mediafm_cli.media.captions import Captions, Cue, assign_cues, choose_captions, find_captions
from mediafm_cli.media.probe import MediaInfo, probe

SRT = "1\n00:00:01,000 --> 00:00:02,500\n{text}\n\n"


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> MediaInfo:
    return probe(write_video(tmp_path_factory.mktemp("film") / "film.mp4", panning_pictures(5)))


def read(info: MediaInfo, folder: Path, name: str, content: str | bytes) -> Captions:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return find_captions(folder / "film.mp4", info, file)


VTT = "WEBVTT\n\nNOTE not words\n\nintro\n00:01.000 --> 00:02.000 align:start\n<v Ann>Hello there\n"
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,no
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\an8}Hello\\hthere
"""
TTML = """<tt xmlns="http://www.w3.org/ns/ttml"><body><div>
<p begin="1s" end="00:00:02.500">Hello <span>there</span></p>
</div></body></tt>"""
SAMI = """<SAMI><BODY>
<SYNC Start=1000><P Class=ENCC>Hello there<SYNC Start=2500><P Class=ENCC>&nbsp;
</BODY></SAMI>"""
BOMB = """<!DOCTYPE tt [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>
<tt><body><p begin="1s" end="2s">&b;</p></body></tt>"""
LEAK = """<!DOCTYPE tt [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<tt><body><p begin="1s" end="2s">&a;</p></body></tt>"""
ZERO_RATE = """<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter"
ttp:frameRate="0"><body><p begin="1f" end="2f">Hi</p></body></tt>"""
DEEP = "<tt><body><p begin='1s' end='2s'>" + "<span>" * 5000 + "Hi" + "</span>" * 5000 + "</p></body></tt>"
COMMENTED = """WEBVTT

STYLE
::cue { color: red }

00:01.000 --> 00:02.000
One

NOTE secret

last
00:03.000 --> 00:04.000
Two
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", SRT.format(text="Hello there")),
        ("a.vtt", VTT),
        ("a.ass", ASS),
        ("a.sub", "{25}{62}Hello there\n"),
        ("a.ttml", TTML),
        ("a.smi", SAMI),
    ],
)
def test_every_format_gives_the_same_cue(info: MediaInfo, tmp_path: Path, name: str, content: str) -> None:
    (cue,) = read(info, tmp_path, name, content).cues

    assert cue.text == "Hello there"
    assert cue.start_s == pytest.approx(1.0)
    assert 2.0 <= cue.end_s <= 2.5


@pytest.mark.parametrize(("encoding", "notes"), [("utf-8", 0), ("utf-8-sig", 0), ("utf-16", 0), ("cp1252", 1)])
def test_every_encoding_gives_the_same_words(info: MediaInfo, tmp_path: Path, encoding: str, notes: int) -> None:
    captions = read(info, tmp_path, "a.srt", SRT.format(text="Où est l’été ?").encode(encoding))

    assert captions.cues[0].text == "Où est l’été ?"
    assert len(captions.notes) == notes


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("<i>Hi</i>", "Hi"),
        ('<font color="#fff">Hi</font>', "Hi"),
        ("{\\an8}Hi", "Hi"),
        ("[door slams]", "[door slams]"),
        ("one\n  two", "one\ntwo"),
        ("Tom &amp; Ann", "Tom & Ann"),
        ("3 < 4", "3 < 4"),
    ],
)
def test_markup_goes_and_words_stay(info: MediaInfo, tmp_path: Path, written: str, meant: str) -> None:
    assert read(info, tmp_path, "a.srt", SRT.format(text=written)).cues[0].text == meant


def test_a_webvtt_comment_is_not_part_of_the_cue_before(info: MediaInfo, tmp_path: Path) -> None:
    assert [cue.text for cue in read(info, tmp_path, "a.vtt", COMMENTED).cues] == ["One", "Two"]


def test_cues_are_sorted_and_empty_ones_dropped(info: MediaInfo, tmp_path: Path) -> None:
    text = (
        "1\n00:00:05,000 --> 00:00:06,000\nlate\n\n2\n00:00:01,000 --> 00:00:09,000\nlong\n\n"
        "3\n00:00:02,000 --> 00:00:03,000\n<i></i>\n\n4\n00:00:04,000 --> 00:00:03,000\nbackwards\n\n"
    )

    assert [cue.text for cue in read(info, tmp_path, "a.srt", text).cues] == ["long", "late"]


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ("00:00:02:12", "75f", (2.5, 3.125)),  # 24 frames a second
        ("20000t", "30000t", (2.0, 3.0)),  # 10000 ticks a second
        ("0.5m", "1h", (30.0, 3600.0)),
        ("1500ms", "2.25s", (1.5, 2.25)),
        ("0:00:02.5", " 3s", (2.5, 3.0)),
    ],
)
def test_ttml_times(info: MediaInfo, tmp_path: Path, begin: str, end: str, expected: tuple[float, float]) -> None:
    document = (
        '<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" ttp:frameRate="24" '
        f'ttp:tickRate="10000"><body><div><p begin="{begin}" end="{end}">Hi<br/>there</p></div></body></tt>'
    )

    (cue,) = read(info, tmp_path, "a.dfxp", document).cues

    assert (cue.start_s, cue.end_s) == pytest.approx(expected)
    assert cue.text == "Hi\nthere"


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ("", 5.0),  # one tick a second where no frame rate is said
        ('ttp:frameRate="25"', 0.2),
        ('ttp:frameRate="25" ttp:tickRate="50"', 0.1),
        ('ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001"', 5 / 30),
    ],
)
def test_ttml_ticks(info: MediaInfo, tmp_path: Path, rates: str, expected: float) -> None:
    document = (
        f'<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" {rates}>'
        '<body><p begin="5t" end="1h">Hi</p></body></tt>'
    )

    assert read(info, tmp_path, "a.ttml", document).cues[0].start_s == pytest.approx(expected)


@pytest.mark.parametrize("multiplier", ["1000 1001", "1000:1001"])  # of TTML, and of its first drafts
def test_a_ttml_frame_rate_may_be_multiplied(info: MediaInfo, tmp_path: Path, multiplier: str) -> None:
    document = (
        '<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" ttp:frameRate="30" '
        f'ttp:frameRateMultiplier="{multiplier}"><body><p begin="30f" end="60f">Hi</p></body></tt>'
    )

    assert read(info, tmp_path, "a.ttml", document).cues[0] == Cue(pytest.approx(1.001), pytest.approx(2.002), "Hi")


def test_ttml_spans_within_spans_are_one_text(info: MediaInfo, tmp_path: Path) -> None:
    assert read(info, tmp_path, "a.ttml", DEEP).cues == (Cue(1, 2, "Hi"),)


def test_ttml_spans_may_have_the_times(info: MediaInfo, tmp_path: Path) -> None:
    document = (
        '<tt xmlns="http://www.w3.org/ns/ttml"><body><div end="20s"><p begin="10s">'
        '<span begin="1s" end="2s">One <span>more</span></span><br/><span begin="3s">Two</span></p></div></body></tt>'
    )

    assert read(info, tmp_path, "a.ttml", document).cues == (Cue(11, 12, "One more"), Cue(13, 20, "Two"))


def test_ttml_times_count_from_the_enclosing_element(info: MediaInfo, tmp_path: Path) -> None:
    document = '<tt xmlns="http://www.w3.org/ns/ttml"><body begin="10s"><p begin="1s" dur="2s">Hi</p></body></tt>'

    (cue,) = read(info, tmp_path, "a.ttml", document).cues

    assert (cue.start_s, cue.end_s) == (11.0, 13.0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.ttml", BOMB),
        ("leak.ttml", LEAK),
        ("deep.ttml", "<tt>" + "<div>" * 5000 + "</div>" * 5000 + "</tt>"),
        ("rate.ttml", ZERO_RATE),
        ("half.ttml", "<tt><body>"),
        ("page.ttml", "<html><body>Hi</body></html>"),
        ("untimed.smi", SAMI.replace("Start", "Stop")),
        ("prose.srt", "Dear diary, nothing happened today.\n"),
        ("vobsub.sub", b"\x00\x00\x01\xba" * 100),
        ("binary.srt", bytes(range(256)) * 10),
    ],
)
def test_what_is_no_subtitle_file_is_refused(info: MediaInfo, tmp_path: Path, name: str, content: str | bytes) -> None:
    with pytest.raises(MediaError, match=name):
        read(info, tmp_path, name, content)


def test_a_subtitle_file_beyond_the_bound_is_refused(info: MediaInfo, tmp_path: Path) -> None:
    with (tmp_path / "big.srt").open("wb") as file:
        file.truncate((32 << 20) + 1)

    with pytest.raises(MediaError, match="too large"):
        find_captions(tmp_path / "film.mp4", info, tmp_path / "big.srt")


def test_a_missing_subtitle_file_is_an_error(info: MediaInfo, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"nope\.srt is not a file"):
        find_captions(tmp_path / "film.mp4", info, tmp_path / "nope.srt")


@pytest.mark.parametrize(
    ("beside", "language", "source"),
    [
        (["film.srt", "film.en.srt"], None, "sidecar:film.srt"),
        (["film.fr.srt", "film.en.srt"], None, "sidecar:film.en.srt"),
        (["film.fr.srt", "film.en.srt"], "fr", "sidecar:film.fr.srt"),
        (["film.srt", "film.fre.srt"], "fr", "sidecar:film.fre.srt"),
        (["film.srt", "film.en.srt"], "fr", "sidecar:film.srt"),
        (["film.en.srt"], "fr", "none"),
        (["film.en.forced.srt", "film.en.sdh.srt"], "eng", "sidecar:film.en.sdh.srt"),
        (["FILM.SRT"], None, "sidecar:FILM.SRT"),
        (["film2.srt", "other.srt", "film.txt"], None, "none"),
    ],
)
def test_a_sidecar_is_chosen_by_name_and_language(
    info: MediaInfo, tmp_path: Path, beside: list[str], language: str | None, source: str
) -> None:
    for name in beside:
        (tmp_path / name).write_text(SRT.format(text="Hi"))

    assert choose_captions(tmp_path / "film.mp4", info, language=language).name == source


def test_a_file_given_comes_before_a_sidecar(info: MediaInfo, tmp_path: Path) -> None:
    (tmp_path / "film.srt").write_text(SRT.format(text="beside"))

    captions = read(info, tmp_path, "mine.srt", SRT.format(text="given"))

    assert (captions.source, captions.cues[0].text) == ("file:mine.srt", "given")


@pytest.mark.parametrize("content", ["", SRT.format(text="<i></i>")])
def test_captions_that_hold_none_are_taken_and_that_is_said(info: MediaInfo, tmp_path: Path, content: str) -> None:
    given = read(info, tmp_path, "mine.srt", content)
    (tmp_path / "film.srt").write_text(content)

    beside = find_captions(tmp_path / "film.mp4", info)

    assert (given.source, given.cues, given.notes) == ("file:mine.srt", (), ("mine.srt holds no captions",))
    assert (beside.source, beside.cues, beside.notes) == ("sidecar:film.srt", (), ("film.srt holds no captions",))


def test_a_broken_sidecar_is_passed_over_with_a_note(info: MediaInfo, tmp_path: Path) -> None:
    (tmp_path / "film.sub").write_bytes(b"\x00\x00\x01\xba" * 100)
    (tmp_path / "film.zz.srt").write_text(SRT.format(text="Hi"))

    captions = find_captions(tmp_path / "film.mp4", info)

    assert captions.source == "sidecar:film.zz.srt"
    assert "film.sub" in captions.notes[0]


def test_text_inside_the_film_is_read(media: Path) -> None:
    film = media / "nasa_13013.mp4"

    captions = find_captions(film, probe(film))

    assert captions.source == "stream:2"
    assert captions.cues[0] == Cue(0.21, 4.26, "NAR: This is the optical and science segment of the Webb")
    assert "NASA’s Goddard" in captions.cues[2].text


def test_pictures_of_text_are_passed_over_with_a_note(media: Path) -> None:
    film = media / "popeye_pgs_T00-1.mkv"

    captions = find_captions(film, probe(film))

    assert (captions.cues, captions.source) == ((), "none")
    assert "pictures, not text" in captions.notes[0]


@pytest.mark.parametrize(("name", "codec"), [("film.ts", "dvb_teletext"), ("film.mp4", "ttml")])
def test_captions_without_a_decoder_are_said(tmp_path: Path, name: str, codec: str) -> None:
    film = write_with_tracks(tmp_path / name, 5, [Track(codec, {0: b"\x10\x02\x2c" + bytes(43)}, language="deu")])

    captions = find_captions(film, probe(film))

    assert (captions.cues, captions.source) == ((), "none")
    assert captions.notes == (
        "subtitle stream 1 (unknown, deu) has no decoder here, as teletext has none, and was passed over; give a text "
        "file with --subtitles",
    )


@pytest.mark.parametrize(("language", "source"), [(None, "stream:3"), ("pt-BR", "stream:4"), ("fr", "none")])
def test_a_stream_is_chosen_by_language_and_never_a_forced_one_before_a_full_one(
    tmp_path: Path, language: str | None, source: str
) -> None:
    tracks = [
        Track("subrip", {1: b"forced"}, 3, "por", Disposition.default | Disposition.forced),
        Track("subrip", {1: b"undefaulted"}, 3, "eng", Disposition(0)),
        Track("subrip", {1: b"full"}, 3, "eng", Disposition.default),
        Track("subrip", {1: b"portugues"}, 3, "por", Disposition(0)),
    ]
    film = write_with_tracks(tmp_path / "film.mkv", 5, tracks)

    assert choose_captions(film, probe(film), language=language).name == source


def test_real_subtitle_files_are_read(info: MediaInfo, media: Path) -> None:
    webvtt = find_captions(media / "x.mp4", info, media / "elephantsdream.en.vtt")
    srt = find_captions(media / "x.mp4", info, media / "popeye_T00-1.eng.srt")

    assert len(webvtt.cues) == (media / "elephantsdream.en.vtt").read_text().count("-->")
    assert len(srt.cues) == (media / "popeye_T00-1.eng.srt").read_text(encoding="utf-8-sig").count("-->")


@pytest.mark.parametrize(
    ("cue", "owners"),
    [
        ((1.0, 3.0), [0]),
        ((4.9, 8.0), [1]),  # 0.1 s of the first shot: neither 0.2 s nor half
        ((4.8, 8.0), [0, 1]),  # exactly 0.2 s
        ((4.0, 16.0), [0, 1, 2]),
        ((4.95, 5.05), [0, 1]),  # half of it in each
        ((4.96, 5.05), [1]),  # more than half in the second
        ((9.96, 15.0), [2]),
        ((14.9, 99.0), [2]),  # only 0.1 s of any shot, so the one that it overlaps most
        ((20.0, 21.0), []),  # after the title
    ],
)
def test_a_cue_belongs_to_the_shots_it_overlaps(cue: tuple[float, float], owners: list[int]) -> None:
    texts = assign_cues([Cue(*cue, "words")], [0.0, 5.0, 10.0], [5.0, 10.0, 15.0])

    assert [number for number, text in enumerate(texts) if text] == owners


def test_the_cues_of_a_shot_are_joined_in_order_of_time() -> None:
    cues = [Cue(3, 4, "second"), Cue(1, 2, "first"), Cue(1, 9, "long")]

    assert assign_cues(cues, [0.0, 5.0], [5.0, 10.0]) == ["first\nlong\nsecond", "long"]


@pytest.mark.parametrize(
    ("language", "chosen"),
    [
        ("de,en", "film.German.srt"),
        ("fr,eng", "film.en.srt"),
        ("pt", "film.pt-BR.sdh.srt"),
        ("en,de", "film.en.srt"),
        ("ja", "none"),
    ],
)
def test_the_first_language_that_is_there_is_taken(info: MediaInfo, tmp_path: Path, language: str, chosen: str) -> None:
    for name in ("film.German.srt", "film.en.srt", "film.pt-BR.sdh.srt", "film.en.forced.srt"):
        (tmp_path / name).write_text(SRT.format(text="Hello"))

    captions = choose_captions(tmp_path / "film.mp4", info, language=language)

    assert captions.name == ("none" if chosen == "none" else f"sidecar:{chosen}")


def test_the_languages_that_were_passed_over_are_said(info: MediaInfo, tmp_path: Path) -> None:
    (tmp_path / "film.de.srt").write_text(SRT.format(text="Hallo"))

    captions = choose_captions(tmp_path / "film.mp4", info, language="en,fr")

    assert captions.notes == ("film.de.srt is not in the language en or fr",)


@pytest.mark.parametrize("name", ["film.sup", "film.en.idx"])
def test_pictures_of_text_beside_the_film_are_said(info: MediaInfo, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PG")

    captions = choose_captions(tmp_path / "film.mp4", info)

    assert (captions.name, captions.notes) == (
        "none",
        (f"{name} holds pictures, not text, and was passed over; give a text file",),
    )


def test_cues_that_are_there_twice_are_taken_once_and_overlapping_ones_kept(info: MediaInfo, tmp_path: Path) -> None:
    times = ["00:00:03,000 --> 00:00:05,000", "00:00:01,000 --> 00:00:04,000", "00:00:01,000 --> 00:00:04,000"]
    lines = [f"{number}\n{time}\n[rain]\n\n" for number, time in enumerate(times)]

    captions = read(info, tmp_path, "a.srt", "".join(lines))

    assert captions.cues == (Cue(1, 4, "[rain]"), Cue(3, 5, "[rain]"))
    assert all(cue.sound for cue in captions.cues)


def test_an_encoding_can_be_said(info: MediaInfo, tmp_path: Path) -> None:
    file = tmp_path / "a.srt"
    file.write_bytes(SRT.format(text="Şimdi gidiyoruz").encode("cp1254"))

    captions = find_captions(tmp_path / "film.mp4", info, file, encoding="cp1254")

    assert (captions.cues[0].text, captions.notes) == ("Şimdi gidiyoruz", ())
