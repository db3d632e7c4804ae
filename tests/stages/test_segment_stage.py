"""``segment``: what it writes, what it leaves alone, what it refuses, and what it keeps when it replaces."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from caption_clips import RATE, Track, send, write_captioned, write_with_tracks

from mediafm_cli.api import Frames
from mediafm_cli.errors import MediaError, StaleError, StoreError, UsageError
from mediafm_cli.media.captions import find_captions
from mediafm_cli.media.container import PROCESSOR, Decoding
from mediafm_cli.media.kept import kept_path
from mediafm_cli.media.probe import probe
from mediafm_cli.media.shots import ShotRules, cut_into_shots
from mediafm_cli.stages.metadata import metadata_text, read_metadata
from mediafm_cli.stages.outcome import Progress
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.read import open_store
from mediafm_cli.store.schema import Shots
from mediafm_cli.synthetic import SyntheticTitle


def test_shots_are_those_of_the_film(films: list[SyntheticTitle], tmp_path: Path) -> None:
    film = films[0]

    outcome = segment_title(film.path, tmp_path / "film.h5")

    with open_store(outcome.store) as store:
        shots, source = store.shots, store.source
    assert outcome.status == "written"
    assert shots.start_frame.tolist() == list(film.start_frame)
    assert shots.end_frame.tolist() == list(film.end_frame)
    np.testing.assert_allclose(shots.start_s, np.array(film.start_frame) / film.fps, atol=1e-6)
    assert [bool(text) for text in shots.text] == list(film.spoken)
    assert source.name == film.path.name
    assert (tmp_path / source.path).resolve() == film.path.resolve()


def test_the_same_again_changes_nothing(films: list[SyntheticTitle], tmp_path: Path) -> None:
    segment_title(films[0].path, tmp_path / "film.h5")
    before = (tmp_path / "film.h5").read_bytes()

    outcome = segment_title(films[0].path, tmp_path / "film.h5")

    assert outcome.status == "unchanged"
    assert (tmp_path / "film.h5").read_bytes() == before


def test_two_runs_give_the_same_bytes(films: list[SyntheticTitle], tmp_path: Path) -> None:
    segment_title(films[0].path, tmp_path / "a.h5")
    segment_title(films[0].path, tmp_path / "b.h5")

    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_damaged_store_is_refused_before_the_film_is_read(films: list[SyntheticTitle], tmp_path: Path) -> None:
    store = tmp_path / "film.h5"
    segment_title(films[0].path, store)
    store.write_bytes(store.read_bytes()[:3000])
    seen: list[Progress] = []

    with pytest.raises(StoreError, match=r"is damaged.*remove it and make it anew"):
        segment_title(films[0].path, store, overwrite=True, progress=seen.append)

    assert not seen
    assert store.stat().st_size == 3000


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (SegmentSettings(rules=ShotRules(1.0)), r"settings: --min-shot 0\.15 → 1\.0\. "),
        (SegmentSettings(rules=ShotRules(max_shot_s=4)), r"settings: --max-shot unset → 4\. "),
        (
            SegmentSettings(options=["contrast=0.6"], rules=ShotRules(1.0)),
            r"settings: contrast \S+ → 0\.6; --min-shot 0\.15 → 1\.0\. ",
        ),
        (
            SegmentSettings("fixed", ["every_s=2"], ShotRules(max_shot_s=4)),
            r"settings: --segmenter content → fixed; --max-shot unset → 4\. ",
        ),
    ],
)
def test_other_settings_are_refused(
    settings: SegmentSettings, why: str, films: list[SyntheticTitle], tmp_path: Path
) -> None:
    segment_title(films[0].path, tmp_path / "film.h5")

    with pytest.raises(StaleError, match=why) as caught:
        segment_title(films[0].path, tmp_path / "film.h5", settings)

    assert "--overwrite" in caught.value.hint


def test_another_film_under_the_same_name_is_refused(films: list[SyntheticTitle], tmp_path: Path) -> None:
    segment_title(films[0].path, tmp_path / "film.h5")

    with pytest.raises(StaleError, match=f"made from another file, {films[0].path}"):
        segment_title(films[1].path, tmp_path / "film.h5")


def test_a_film_that_changed_is_refused(films: list[SyntheticTitle], tmp_path: Path) -> None:
    film = Path(shutil.copy(films[0].path, tmp_path / "film.mp4"))
    segment_title(film, tmp_path / "film.h5")
    shutil.copy(films[1].path, film)

    with pytest.raises(StaleError, match=r"It was made from film\.mp4, which has changed since"):
        segment_title(film, tmp_path / "film.h5")


def test_text_that_changed_or_comes_from_elsewhere_is_refused(films: list[SyntheticTitle], tmp_path: Path) -> None:
    film, srt = Path(shutil.copy(films[0].path, tmp_path / "film.mp4")), tmp_path / "film.srt"
    srt.write_text("1\n00:00:00,100 --> 00:00:00,900\nNobody said this before.\n")
    segment_title(film, tmp_path / "film.h5")

    srt.write_text("1\n00:00:00,100 --> 00:00:00,900\nNor this.\n")
    with pytest.raises(StaleError, match=r"text was read from sidecar:film\.srt, which has changed since"):
        segment_title(film, tmp_path / "film.h5")
    srt.unlink()
    with pytest.raises(StaleError, match=r"source of its text is another now: sidecar:film\.srt → none or stream:0"):
        segment_title(film, tmp_path / "film.h5")


def test_a_text_stream_is_read_in_another_encoding_only_with_overwrite(tmp_path: Path) -> None:
    packets = {1: "Où étais-tu, l’été passé ?".encode("cp1252")}
    film = write_with_tracks(tmp_path / "film.mkv", 9, [Track("subrip", packets, 2, "fra")])
    same, other = SegmentSettings(subtitle_encoding="windows-1252"), SegmentSettings(subtitle_encoding="cp1250")
    segment_title(film, tmp_path / "film.h5")

    assert segment_title(film, tmp_path / "film.h5", same).status == "unchanged"
    with pytest.raises(StaleError, match=r"other settings: --subtitle-encoding cp1252 → cp1250\. ") as caught:
        segment_title(film, tmp_path / "film.h5", other)
    assert "--overwrite" in caught.value.hint
    written = segment_title(film, tmp_path / "film.h5", other, overwrite=True)
    assert written.notes == ("subtitle stream 1 is not UTF-8; it was read as cp1250",)
    assert segment_title(film, tmp_path / "film.h5", other).status == "unchanged"
    assert segment_title(film, tmp_path / "film.h5").status == "unchanged"
    with pytest.raises(StaleError, match=r"--subtitle-encoding cp1250 → windows-1252\. "):
        segment_title(film, tmp_path / "film.h5", same)


def test_a_text_stream_of_utf_8_is_the_same_whatever_encoding_is_named(tmp_path: Path) -> None:
    packets = {1: "Où étais-tu, l’été passé ?".encode()}
    film = write_with_tracks(tmp_path / "film.mkv", 9, [Track("subrip", packets, 2, "fra")])
    segment_title(film, tmp_path / "film.h5")

    again = segment_title(film, tmp_path / "film.h5", SegmentSettings(subtitle_encoding="cp1252"))

    assert again.status == "unchanged"


def test_other_metadata_is_refused_by_its_keys(films: list[SyntheticTitle], tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text('{"title": "Rain", "year": 1999}')
    two.write_text('{"title": "Rain", "year": 2000, "genre\\u001b": "noir"}')
    segment_title(films[0].path, tmp_path / "film.h5", SegmentSettings(metadata=one))

    with pytest.raises(StaleError, match=r"metadata is not that given now; different: year, 'genre\\x1b'\."):
        segment_title(films[0].path, tmp_path / "film.h5", SegmentSettings(metadata=two))


def test_new_subtitles_keep_the_video_and_drop_what_hangs_on_the_text(
    films: list[SyntheticTitle], stores: list[Path], tmp_path: Path
) -> None:
    with open_store(stores[0]) as store:
        video = store.encoding("video")
    srt = tmp_path / "new.srt"
    srt.write_text("1\n00:00:00,100 --> 00:00:00,900\nNobody said this before.\n")
    settings = SegmentSettings(subtitles=srt, metadata=films[0].metadata)

    outcome = segment_title(films[0].path, stores[0], settings, overwrite=True)

    with open_store(stores[0]) as store:
        assert store.shots.text[0] == "Nobody said this before."
        kept = ("encodings/audio", "encodings/metadata", "encodings/video")
        assert store.places == ("source", "shots", "boundaries", "cues", *kept)
        np.testing.assert_array_equal(store.encoding("video").vectors, video.vectors)
    assert any("dropped, because the shots changed: encodings/text, fused" in note for note in outcome.notes)


def test_metadata_is_kept_with_the_source(films: list[SyntheticTitle], tmp_path: Path) -> None:
    (tmp_path / "film.txt").write_text("A storm comes in.\n")

    segment_title(films[0].path, tmp_path / "film.h5", SegmentSettings(metadata=tmp_path / "film.txt"))

    with open_store(tmp_path / "film.h5") as store:
        assert store.source.metadata == {"synopsis": "A storm comes in."}


def test_metadata_becomes_one_line_a_key() -> None:
    text = metadata_text({"title": "Rain", "tags": ["night", "storm"], "year": 1999, "empty": "", "none": None})

    assert text == "tags: night, storm\ntitle: Rain\nyear: 1999"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", "not valid JSON"),
        ("a.json", b"[1]", "JSON list"),
        ("a.json", b'{"x": NaN}', "NaN is not a JSON number"),
        ("a.txt", b"\xff\xfe\xfa", "not UTF-8"),
        ("a.txt", b"x" * 60_000, "may take 50,000"),
    ],
)
def test_metadata_that_cannot_be_used_is_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UsageError, match=message):
        read_metadata(tmp_path / name)


def test_missing_metadata_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_metadata(tmp_path / "none.json")


def test_a_dry_run_checks_and_writes_nothing(films: list[SyntheticTitle], tmp_path: Path) -> None:
    outcome = segment_title(films[0].path, tmp_path / "film.h5", dry_run=True)

    assert outcome.status == "planned"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MediaError):
        segment_title(tmp_path / "missing.mp4", tmp_path / "film.h5", dry_run=True)


def test_a_name_that_a_store_cannot_keep_is_refused(films: list[SyntheticTitle], tmp_path: Path) -> None:
    odd = tmp_path / "a\nb.mp4"
    shutil.copy(films[0].path, odd)

    with pytest.raises(MediaError, match="character in its name"):
        segment_title(odd, tmp_path / "film.h5")


def test_every_clip_has_the_shots_that_people_see(media: Path, tmp_path: Path) -> None:
    """Hard-cut F1 at tolerance 0 over the hand-checked clips, as stores hold it: at least .94."""
    truth = json.loads((media / "cuts.json").read_text())["clips"]
    hits = found = wanted = 0
    for name, clip in truth.items():
        if "#" in name:
            continue
        segment_title(media / name, tmp_path / f"{name}.h5")
        with open_store(tmp_path / f"{name}.h5") as store:
            cuts = set(store.shots.start_frame[1:].tolist())
        for change in clip["gradual"]:
            cuts -= set(range(change["first"] - 2, change["last"] + 3))
        hits += len(cuts & set(clip["hard_cuts"]))
        found += len(cuts)
        wanted += len(clip["hard_cuts"])

    assert 2 * hits / (found + wanted) >= 0.94


def test_captions_of_a_stream_are_read_in_the_same_pass(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = media / "nasa_13013.mp4"
    wanted = find_captions(film, probe(film))
    monkeypatch.setattr("mediafm_cli.media.captions.iterate_packets", None)  # no second reading

    segment_title(film, tmp_path / "film.h5")

    with open_store(tmp_path / "film.h5") as store:
        cues, shots = store.cues, store.shots
    assert shots.captions == wanted.source
    assert cues.text.tolist() == [cue.text for cue in wanted.cues]
    np.testing.assert_allclose(cues.start_s, [cue.start_s for cue in wanted.cues])
    np.testing.assert_allclose(cues.end_s, [cue.end_s for cue in wanted.cues])


def test_how_each_shot_begins_is_kept(media: Path, tmp_path: Path) -> None:
    segment_title(media / "nasa_13013.mp4", tmp_path / "film.h5", SegmentSettings(rules=ShotRules(max_shot_s=4)))

    with open_store(tmp_path / "film.h5") as store:
        boundaries, shots = store.boundaries, store.shots
    # Hand-checked: a dissolve over frames 149 to 179, a cut at 240; 29.97 frames a second.
    assert boundaries.kind.tolist() == ["start", "split", "gradual", "cut", "split"]
    gradual = boundaries.kind == "gradual"
    assert boundaries.first_frame[gradual] <= 164 <= boundaries.last_frame[gradual]
    assert boundaries.first_frame[3] == boundaries.last_frame[3] == shots.start_frame[3] == 240
    np.testing.assert_allclose(boundaries.first_s, boundaries.first_frame * 1001 / 30000, atol=1e-3)
    assert (shots.end_s - shots.start_s).max() <= 4 + 1 / 29


def test_a_list_of_cuts_may_move_and_may_not_change(films: list[SyntheticTitle], tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("frame\n20\n60\n")
    two.write_text("frame\n20\n60\n")

    def cut(file: Path) -> str:
        settings = SegmentSettings("import", [f"file={file}"])
        return segment_title(films[0].path, tmp_path / "film.h5", settings).status

    assert (cut(one), cut(two)) == ("written", "unchanged")
    two.write_text("frame\n20\n61\n")
    with pytest.raises(StaleError, match=r"settings: its sha256 \w{12}… → \w{12}…"):
        cut(two)


@pytest.fixture(scope="module")
def long_take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 s of one picture, and a list of cuts in it without any."""
    film = write_captioned(tmp_path_factory.mktemp("long") / "film.mp4", send({}, 64 * RATE))
    film.with_suffix(".csv").write_text("frame\n")
    return film


@pytest.mark.parametrize(
    ("segmenter", "option", "rules", "why"),
    [
        ("content", "", ShotRules(), "content found none"),
        ("import", "file=film.csv", ShotRules(), "import found none"),
        ("fixed", "every_s=20", ShotRules(70), "--min-shot 70 left out all that fixed found: 3"),
        ("content", "", ShotRules(max_shot_s=20), "content found none; --max-shot split it into 4"),
    ],
)
def test_a_long_title_in_which_no_boundary_is_left_has_a_note_that_says_why(
    long_take: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    segmenter: str,
    option: str,
    rules: ShotRules,
    why: str,
) -> None:
    monkeypatch.chdir(long_take.parent)
    settings = SegmentSettings(segmenter, [option] if option else [], rules)

    first, again = (segment_title(long_take, tmp_path / "film.h5", settings) for _ in range(2))

    assert first.notes == (f"no boundary of shots in 64 s: {why}",)
    with open_store(tmp_path / "film.h5") as store:
        assert tuple(store.shots.notes) == first.notes
    assert (again.status, again.notes) == ("unchanged", ())


def test_a_long_title_with_one_boundary_has_no_such_note(long_take: Path, tmp_path: Path) -> None:
    settings = SegmentSettings("fixed", ["every_s=40"])

    assert segment_title(long_take, tmp_path / "film.h5", settings).notes == ()


@pytest.mark.parametrize(
    ("min_shot_s", "frames", "notes"),
    [
        (0.15, [20, 21, 60], ("--min-shot 0.15 left out 1 of 3 cuts",)),
        (0.15, [1], ("--min-shot 0.15 left out 1 of 1 cut",)),
        (0, [20, 21, 60], ()),
        (0.15, [20, 60], ()),
    ],
)
def test_how_many_given_cuts_make_no_shot_is_said_and_kept(
    films: list[SyntheticTitle], tmp_path: Path, min_shot_s: float, frames: list[int], notes: tuple[str, ...]
) -> None:
    cuts = tmp_path / "cuts.csv"
    cuts.write_text("\n".join(["frame", *map(str, frames)]))

    outcome = segment_title(
        films[0].path, tmp_path / "film.h5", SegmentSettings("import", [f"file={cuts}"], ShotRules(min_shot_s))
    )

    assert outcome.notes == notes
    with open_store(tmp_path / "film.h5") as store:
        assert tuple(store.shots.notes) == notes


def test_cuts_that_were_found_are_left_out_in_silence(films: list[SyntheticTitle], tmp_path: Path) -> None:
    settings = SegmentSettings(rules=ShotRules(2.5))

    outcome = segment_title(films[0].path, tmp_path / "film.h5", settings)

    with open_store(tmp_path / "film.h5") as store:
        assert len(store.shots.start_s) < len(films[0].start_frame)
    assert outcome.notes == ()


def cut_pictures(film: Path, shown_ms: Sequence[int], cuts: Sequence[int], **options: str) -> Shots:
    """The shots of a film of pictures that are shown at these times, cut before these frames."""
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in shown_ms:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), stamp % 256, np.uint8), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    film.with_suffix(".csv").write_text("\n".join(["frame", *map(str, cuts)]))
    settings = SegmentSettings("import", [f"file={film.with_suffix('.csv')}"])
    with open_store(segment_title(film, film.with_suffix(".h5"), settings).store) as store:
        return store.shots


def test_shots_of_a_variable_frame_rate_go_by_time_not_by_number(tmp_path: Path) -> None:
    shown_ms = [0, 10, 20, 500, 510, 900, 1000, 1010, 1020, 1100]

    shots = cut_pictures(tmp_path / "film.mkv", shown_ms, [3, 5])

    assert shots.start_frame.tolist() == [0, 3, 5]
    np.testing.assert_allclose(shots.start_s, [0, 0.5, 0.9], atol=1e-6)
    np.testing.assert_array_equal(shots.end_s[:-1], shots.start_s[1:])


def test_frames_of_a_raw_stream_take_even_steps(tmp_path: Path) -> None:
    shots = cut_pictures(tmp_path / "film.h264", range(0, 2400, 40), [10, 25], bf="3")

    np.testing.assert_allclose(shots.start_s, [0, 0.4, 1], atol=1e-6)
    np.testing.assert_allclose(shots.end_s[-1], 2.4, atol=0.002)


@pytest.mark.parametrize(
    ("damaged", "blamed"),
    [
        (0, ["cuda lost 3 pictures, so the processor decoded it once more"]),
        (2, ["cuda lost 1 picture, so the processor decoded it once more"]),
        (3, []),
        (4, []),
    ],
)
def test_a_title_of_which_pictures_are_lost_on_a_device_is_decoded_by_the_processor(
    films: list[SyntheticTitle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: int, blamed: list[str]
) -> None:
    """A device loses three, and the processor those that are damaged."""
    film, plain, store = films[0].path, tmp_path / "plain.h5", tmp_path / "film.h5"
    decoded_by: list[str] = []

    def cut(*arguments: Any, decoding: Decoding, **named: Any) -> Any:
        shots = cut_into_shots(*arguments, decoding=PROCESSOR, **named)
        decoded_by.append(decoding.hwaccel)
        shots.report.damaged = 3 if decoding.hwaccel else damaged
        return shots

    monkeypatch.setattr(
        "mediafm_cli.stages.segment.choose_decoding", lambda media, wanted: (wanted, "h264 is decoded by cuda")
    )
    monkeypatch.setattr("mediafm_cli.stages.segment.cut_into_shots", cut)
    by_processor = segment_title(film, plain, SegmentSettings(keep_frames=Frames(2)))

    outcome = segment_title(film, store, SegmentSettings(keep_frames=Frames(2), decoding=Decoding(1, "cuda")))

    assert decoded_by == ["", "cuda", ""]
    assert outcome.notes == (*by_processor.notes, *blamed)
    assert outcome.decoded_by == "processor"
    assert "cuda" not in outcome.summary
    assert store.read_bytes() == plain.read_bytes()
    assert kept_path(store).read_bytes() == kept_path(plain).read_bytes()
