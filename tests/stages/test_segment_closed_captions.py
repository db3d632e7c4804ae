"""``segment`` with captions that lie in the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from caption_clips import ERASE, pop_on, send, send_708, write_captioned

from mediafm_cli.errors import StaleError
from mediafm_cli.stages.segment import segment_title
from mediafm_cli.store.read import open_store

TALK = {10: pop_on("Hello there"), 60: ERASE, 70: pop_on("[music]")}


def test_they_are_read_in_the_one_pass_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_captioned(tmp_path / "film.mp4", send(TALK, 100))
    monkeypatch.setattr("mediafm_cli.media.captions.open_media", None)  # no second reading

    segment_title(film, tmp_path / "film.h5")
    again = segment_title(film, tmp_path / "film.h5")

    with open_store(tmp_path / "film.h5") as store:
        cues, shots = store.cues, store.shots
    assert shots.captions == "stream:0"
    assert shots.text.tolist() == ["Hello there\n[music]"]
    assert cues.text.tolist() == ["Hello there", "[music]"]
    assert cues.start_s.tolist() == pytest.approx([0.88, 3.2])
    assert cues.end_s.tolist() == pytest.approx([2.4, 4.0])  # what is still shown ends with the film
    assert cues.sound.tolist() == [False, True]
    assert again.status == "unchanged"


def test_what_is_not_read_is_said_and_kept(tmp_path: Path) -> None:
    film = write_captioned(tmp_path / "film.mp4", send_708("Hello there", 100))

    outcome = segment_title(film, tmp_path / "film.h5")

    assert outcome.notes == (
        "video stream 0 carries closed captions of CEA-708 alone, which are not read; give a file with --subtitles",
    )
    with open_store(tmp_path / "film.h5") as store:
        assert tuple(store.shots.notes) == outcome.notes
    assert segment_title(film, tmp_path / "film.h5").status == "unchanged"


def test_captions_of_the_second_field_are_read_where_the_first_has_none_and_it_is_said(tmp_path: Path) -> None:
    film = write_captioned(tmp_path / "film.mp4", send(TALK, 100, kind=1))

    outcome = segment_title(film, tmp_path / "film.h5")

    with open_store(tmp_path / "film.h5") as store:
        assert store.shots.captions == "stream:0"
        assert store.cues.text.tolist() == ["Hello there", "[music]"]
        assert tuple(store.shots.notes) == outcome.notes
    assert outcome.notes == ("video stream 0 carries no closed captions in CC1; those in CC3 were read",)
    assert segment_title(film, tmp_path / "film.h5").status == "unchanged"


def test_a_subtitle_file_that_is_gone_is_not_taken_for_what_the_film_holds(tmp_path: Path) -> None:
    film = write_captioned(tmp_path / "film.mp4", send(TALK, 100))
    sidecar = tmp_path / "film.srt"
    sidecar.write_text("1\n00:00:01,000 --> 00:00:02,000\nbeside\n")
    segment_title(film, tmp_path / "film.h5")
    sidecar.unlink()

    with pytest.raises(StaleError, match="The source of its text is another now"):
        segment_title(film, tmp_path / "film.h5")
