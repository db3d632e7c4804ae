"""Checkpoints and media that several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from made_media import HIGH_HZ, LOW_HZ, write_film
from tiny_whisper import ALL_IN_ONE, SEEKING, save_random_whisper, save_tone_whisper


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips; not part of the project, so absent from a plain clone."""
    folders = [parent / "shared" / "media" for parent in Path(__file__).parents]
    if named := os.environ.get("MEDIAFM_TEST_MEDIA"):
        folders = [Path(named)]
    found = [folder for folder in folders if (folder / "cuts.json").is_file()]
    if not found:
        pytest.skip("no real clips (set MEDIAFM_TEST_MEDIA to a folder with cuts.json)")
    return found[0]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models: ``seeking``, ``all-in-one``, ``english`` and ``random``."""
    folder = tmp_path_factory.mktemp("checkpoints")
    save_tone_whisper(folder / "seeking", SEEKING)
    save_tone_whisper(folder / "all-in-one", ALL_IN_ONE)
    save_tone_whisper(folder / "english", SEEKING, english_only=True)
    save_random_whisper(folder / "random")
    return folder


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """12 s of a low tone, then, in another shot, 8 s of a high one."""
    return write_film(tmp_path / "film.mkv", (LOW_HZ, 12), (HIGH_HZ, 8))
