"""SRT files are read back as they were written, and are whole or not there."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mediafm_whisper.srt import require_writable, write_srt

from mediafm_cli.errors import MediafmError
from mediafm_cli.media.captions import Cue
from mediafm_cli.media.subtitles import read_subtitles

CUES = [
    Cue(0.0, 1.25, "Grüße, 世界! <3"),
    Cue(1.25, 2.0, "1984"),
    Cue(2.0, 3.333, "12 --> 13 & 14"),
    Cue(7300.02, 7304.98, "2001"),
]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_srt(tmp_path / "film.srt", CUES)

    assert read_subtitles(tmp_path / "film.srt") == ([(cue.start_s, cue.end_s, cue.text) for cue in CUES], [])
    assert [path.name for path in tmp_path.iterdir()] == ["film.srt"]


def test_braces_and_backslashes_are_no_formatting(tmp_path: Path) -> None:
    write_srt(tmp_path / "film.srt", [Cue(0, 1, r"{laughs} in C:\new")])

    ((_, _, text),), _ = read_subtitles(tmp_path / "film.srt")
    assert text == "(laughs) in C:/new"


def test_a_file_without_cues_is_empty_and_can_be_read(tmp_path: Path) -> None:
    write_srt(tmp_path / "film.srt", [])

    assert read_subtitles(tmp_path / "film.srt") == ([], [])


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "film.srt"
    path.write_text("mine")

    with pytest.raises(MediafmError, match=r"is there already. It was written meanwhile. Replace it with --overwrite."):
        write_srt(path, CUES)

    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_srt(tmp_path / "film.srt", CUES)
    with pytest.raises(MediafmError, match="is there already"):
        write_srt(tmp_path / "film.srt", [])

    assert len(read_subtitles(tmp_path / "film.srt")[0]) == len(CUES)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.srt"
    path.write_text("old")

    def fill(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(MediafmError, match=r"could not be written. No space left on device."):
        write_srt(path, CUES, overwrite=True)

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", [{"film.srt": "old"}, {}])
def test_a_kill_in_the_middle_leaves_what_was_there(before: dict[str, str], tmp_path: Path) -> None:
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    program = f"""
import os, signal
from pathlib import Path
from mediafm_cli.media.captions import Cue
from mediafm_whisper.srt import write_srt
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
write_srt(Path({str(tmp_path / "film.srt")!r}), [Cue(0, 1, "new")], overwrite=True)
"""

    killed = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )

    assert killed.returncode == -signal.SIGKILL
    assert {path.name: path.read_text() for path in tmp_path.glob("*.srt")} == before


def test_a_folder_that_cannot_be_made_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(MediafmError, match=r"could not be written.*choose another folder with -o"):
        require_writable(tmp_path / "file" / "film.srt")
