"""What an encoder is given, and that what was opened for it is closed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mediafm_cli.api import Audio, Frames, Needs
from mediafm_cli.errors import MediaError
from mediafm_cli.media.kept import KeptArchive
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.material import gather_material
from mediafm_cli.stages.segment import SegmentSettings, segment_title
from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle

SMALL = Frames(4, max_side=96)


class Archives:
    """Those that were opened and closed since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[KeptArchive] = []
        self.closed: list[KeptArchive] = []
        make, close = KeptArchive.__init__, KeptArchive.close

        def watch_opened(archive: KeptArchive, *arguments: object) -> None:
            make(archive, *arguments)
            self.opened.append(archive)

        def watch_closed(archive: KeptArchive) -> None:
            close(archive)
            self.closed.append(archive)

        monkeypatch.setattr(KeptArchive, "__init__", watch_opened)
        monkeypatch.setattr(KeptArchive, "close", watch_closed)


@pytest.fixture
def store(films: list[SyntheticTitle], tmp_path: Path) -> Path:
    """Of ``film.mp4`` beside it, with frames and sound kept."""
    film = Path(shutil.copy(films[0].path, tmp_path / "film.mp4"))
    return segment_title(film, tmp_path / "film.h5", SegmentSettings(keep_frames=SMALL)).store


@pytest.mark.parametrize(("modality", "needs"), [("video", SMALL), ("audio", Audio(16_000))])
def test_what_was_kept_is_closed_where_the_film_is_missing(
    store: Path, monkeypatch: pytest.MonkeyPatch, modality: str, needs: Needs
) -> None:
    with open_store(store) as opened:
        source, shots = opened.source, opened.shots
    of_other_shots = replace(shots, end_pts=shots.end_pts + 1)
    store.with_suffix(".mp4").unlink()
    archives = Archives(monkeypatch)

    with pytest.raises(MediaError, match="was not found"):
        gather_material(store, source, of_other_shots, modality, needs)

    assert set(archives.opened) == set(archives.closed)


@pytest.mark.parametrize("modality", ["video", "audio"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_was_kept_is_closed_when_a_title_is_planned_or_encoded(
    store: Path, monkeypatch: pytest.MonkeyPatch, modality: str, dry_run: bool
) -> None:
    archives = Archives(monkeypatch)

    with make_host(modality, preset="offline") as host:
        encode_title(store, host, EncodeSettings(modality), dry_run=dry_run)

    assert archives.opened
    assert set(archives.opened) == set(archives.closed)
