"""A title's speech reaches the text of its shots; what cannot be done leaves every file as it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_media import (
    HIGH_HZ,
    LOW_HZ,
    add_subtitles,
    tones,
    write_closed_captions,
    write_film,
    write_teletext,
    write_wav,
)
from mediafm_whisper import transcribe
from mediafm_whisper.recognizer import Whisper
from mediafm_whisper.transcribe import find_subtitles, transcribe_title

from mediafm_cli.errors import MediaError, MediafmError
from mediafm_cli.media.captions import assign_cues, find_captions
from mediafm_cli.media.probe import probe
from mediafm_cli.media.subtitles import read_subtitles
from mediafm_cli.stages.outcome import Progress
from mediafm_cli.stages.segment import segment_title
from mediafm_cli.store.read import open_store


def seeking(checkpoints: Path) -> Whisper:
    return Whisper(str(checkpoints / "seeking"))


def test_what_is_heard_in_a_film_is_the_text_of_its_shots(film: Path, checkpoints: Path) -> None:
    outcome = transcribe_title(film, film.with_suffix(".srt"), seeking(checkpoints))
    segment_title(film, film.with_suffix(".h5"))

    captions = find_captions(film, probe(film))
    assert (outcome.status, outcome.summary, outcome.notes) == ("written", "cues: 2, language en", ())
    assert captions.source == "sidecar:film.srt"
    assert [(cue.start_s, cue.end_s, cue.text) for cue in captions.cues] == [(0, 12, "low tone"), (12, 20, "high tone")]
    with open_store(film.with_suffix(".h5")) as store:
        assert store.shots.start_s.tolist() == [0, 12]
        assert list(store.shots.text) == ["low tone", "high tone"]
        assert store.shots.captions == "sidecar:film.srt"


def test_a_real_clip_is_transcribed_and_segmented(media: Path, checkpoints: Path, tmp_path: Path) -> None:
    clip = Path(shutil.copy(media / "bbb_480p_30s.mp4", tmp_path))

    transcribe_title(clip, clip.with_suffix(".srt"), seeking(checkpoints))
    segment_title(clip, clip.with_suffix(".h5"))

    timed, _ = read_subtitles(clip.with_suffix(".srt"))
    cues = find_captions(clip, probe(clip)).cues
    assert len(cues) == len(timed) >= 3
    assert all(text in ("low tone", "high tone") for _, _, text in timed)
    with open_store(clip.with_suffix(".h5")) as store:
        expected = assign_cues(cues, store.shots.start_s.tolist(), store.shots.end_s.tolist())
        assert store.shots.captions == "sidecar:bbb_480p_30s.srt"
        assert list(store.shots.text) == expected
        assert any(expected)


def test_times_count_from_the_start_of_the_title_in_every_window(checkpoints: Path, tmp_path: Path) -> None:
    # Windows begin at 6 s, where the sound does, and at 100 s, after a gap.
    sound = tones((0, 6), (LOW_HZ, 30), (HIGH_HZ, 34), (0, 30), (HIGH_HZ, 15))
    path = write_wav(tmp_path / "film.wav", sound)

    transcribe_title(path, tmp_path / "film.srt", Whisper(str(checkpoints / "all-in-one")))

    timed, _ = read_subtitles(tmp_path / "film.srt")
    expected = [
        (6, 10, "low tone"),
        (12, 15.5, "low again"),
        (36, 40, "high tone"),
        (42, 45.5, "high again"),
        (66, 70, "high tone"),  # the window ends here
        (100, 104, "high tone"),
        (106, 109.5, "high again"),
    ]
    assert [text for _, _, text in timed] == [text for _, _, text in expected]
    np.testing.assert_allclose([cue[:2] for cue in timed], [cue[:2] for cue in expected], atol=0.11)


@pytest.mark.parametrize(
    ("parts", "language"), [([LOW_HZ] * 2 + [HIGH_HZ] * 3, "de"), ([LOW_HZ] * 3 + [HIGH_HZ], "en")]
)
def test_the_language_is_that_of_most_of_the_title(
    parts: list[float], language: str, checkpoints: Path, tmp_path: Path
) -> None:
    path = write_wav(tmp_path / "film.wav", tones(*[(hz, 30) for hz in parts]))

    outcome = transcribe_title(path, tmp_path / "film.srt", Whisper(str(checkpoints / "all-in-one")))

    assert outcome.summary.endswith(f"language {language}")


def test_progress_reaches_across_the_title(film: Path, checkpoints: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []

    transcribe_title(film, tmp_path / "film.srt", seeking(checkpoints), progress=seen.append)

    assert [step.done for step in seen] == [0, 0, 12]
    assert {(step.total, step.unit) for step in seen} == {(20.0, "s")}


def test_a_silent_title_gets_a_file_without_cues(checkpoints: Path, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", (0, 4))

    outcome = transcribe_title(film, tmp_path / "film.srt", seeking(checkpoints))

    captions = find_captions(film, probe(film))
    assert (captions.cues, captions.source) == ((), "sidecar:film.srt")
    assert captions.notes == ("film.srt holds no captions",)
    assert outcome.notes == ("no speech was found, so the file has no cue",)


def test_a_title_without_sound_is_named(checkpoints: Path, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", (LOW_HZ, 2), sound=False)

    with pytest.raises(MediaError, match=r"film.mkv has no sound. It holds video. Give a title with an audio stream."):
        transcribe_title(film, tmp_path / "film.srt", seeking(checkpoints))

    assert list(tmp_path.iterdir()) == [film]


def test_a_file_that_is_there_is_kept_and_no_model_is_read(film: Path) -> None:
    film.with_suffix(".srt").write_text("mine")

    outcome = transcribe_title(film, film.with_suffix(".srt"), Whisper("no/such-model"))

    assert (outcome.status, film.with_suffix(".srt").read_text()) == ("unchanged", "mine")


def test_a_file_that_is_overwritten_is_said(film: Path, checkpoints: Path) -> None:
    film.with_suffix(".srt").write_text("mine")

    outcome = transcribe_title(film, film.with_suffix(".srt"), seeking(checkpoints), overwrite=True)

    assert outcome.notes == ("the file that was there was replaced",)
    assert len(read_subtitles(film.with_suffix(".srt"))[0]) == 2


def test_a_dry_run_reads_no_model_and_writes_nothing(film: Path) -> None:
    outcome = transcribe_title(film, film.parent / "new" / "film.srt", Whisper("no/such-model"), dry_run=True)

    assert (outcome.status, outcome.summary) == ("planned", f"{film} would be transcribed by no/such-model")
    assert list(film.parent.iterdir()) == [film]


def test_an_error_on_the_way_leaves_nothing(film: Path, checkpoints: Path) -> None:
    def stop(progress: Progress) -> None:
        raise MediafmError("stopped")

    with pytest.raises(MediafmError, match="stopped"):
        transcribe_title(film, film.with_suffix(".srt"), seeking(checkpoints), progress=stop)

    assert list(film.parent.iterdir()) == [film]


def test_a_kill_on_the_way_leaves_nothing(film: Path, checkpoints: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from mediafm_whisper.recognizer import Whisper
from mediafm_whisper.transcribe import transcribe_title
film = Path({str(film)!r})
kill = lambda progress: progress.done > 0 and os.kill(os.getpid(), signal.SIGKILL)
transcribe_title(film, film.with_suffix(".srt"), Whisper({str(checkpoints / "seeking")!r}), progress=kill)
"""

    killed = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )

    assert killed.returncode == -signal.SIGKILL
    assert list(film.parent.iterdir()) == [film]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("film.srt", ""),
        ("film.en.srt", ""),
        ("subtitles.srt", "; mediafm segment does not find it by itself: give it --subtitles "),
        ("elsewhere/film.srt", "; mediafm segment does not find it by itself: give it --subtitles "),
    ],
)
def test_it_says_what_segment_needs_to_find_the_file(name: str, hint: str, film: Path, checkpoints: Path) -> None:
    output = film.parent / name

    outcome = transcribe_title(film, output, seeking(checkpoints))

    assert outcome.summary == f"cues: 2, language en{hint}{output if hint else ''}"
    assert (find_captions(film, probe(film)).source == f"sidecar:{output.name}") is not bool(hint)


def test_subtitles_that_a_title_has_are_found_where_segment_finds_them(film: Path) -> None:
    before = find_subtitles(film)
    (film.parent / "FILM.en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n")

    assert before == ""
    assert find_subtitles(film) == "subtitles beside it, FILM.en.vtt"


def test_subtitles_inside_a_title_are_found(film: Path) -> None:
    written = film.with_name("words.srt")
    written.write_text("1\n00:00:00,500 --> 00:00:01,500\nHello\n")

    inside = add_subtitles(film, written, film.with_name("with.mkv"))

    assert find_captions(inside, probe(inside)).source == "stream:1"
    assert find_subtitles(inside) == "subtitles inside, stream 1"


def test_closed_captions_are_found_in_the_first_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    early = write_closed_captions(tmp_path / "early.mpg", shown_s=0.4)
    late = write_closed_captions(tmp_path / "late.mpg", shown_s=2.4)

    everywhere = [find_subtitles(film) for film in (early, late)]
    monkeypatch.setattr(transcribe, "LOOK_S", 2.0)
    nearby = [find_subtitles(film) for film in (early, late)]

    assert [cue.text for cue in find_captions(late, probe(late)).cues] == ["Hi"]
    assert everywhere == ["closed captions in its pictures"] * 2
    assert nearby == ["closed captions in its pictures", ""]


def test_streams_that_segment_cannot_decode_are_no_subtitles(tmp_path: Path) -> None:
    film = write_teletext(tmp_path / "film.ts")

    assert [stream.kind for stream in probe(film).streams] == ["video", "subtitle"]
    assert find_subtitles(film) == ""


def test_pictures_of_subtitles_are_no_subtitles(media: Path) -> None:
    assert find_subtitles(media / "popeye_pgs_T00-1.mkv") == ""
