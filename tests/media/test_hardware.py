"""Decoding on a device: taken only where it really decodes, and said."""

from __future__ import annotations

import re
from pathlib import Path

import av
import pytest
from av.codec.hwaccel import hwdevices_available
from av.container import InputContainer
from devices import lacks_cuda, needs_cuda
from media_clips import panning_pictures, write_video

from mediafm_cli.errors import UsageError
from mediafm_cli.media import hardware
from mediafm_cli.media.container import Decoding, open_media
from mediafm_cli.media.hardware import choose_decoding
from mediafm_cli.media.shots import cut_into_shots
from mediafm_cli.segmenters.fixed import FixedSegmenter


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_video(tmp_path / "film.mp4", panning_pictures(60, size=(320, 192)))


def test_a_device_that_ffmpeg_does_not_know_is_refused(film: Path) -> None:
    known = re.escape(", ".join(hwdevices_available()))

    with pytest.raises(UsageError, match=rf"There is no hardware decoder 'cudda'.* {known}"):
        choose_decoding(film, Decoding(hwaccel="cudda"))


def test_why_a_device_gives_up_is_said_in_words(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_plain = hardware.open_media

    def open_there(path: Path, decoding: Decoding | None = None) -> InputContainer:
        if decoding:
            raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input", "film.mp4")
        return open_plain(path)

    monkeypatch.setattr(hardware, "open_media", open_there)

    decoding, message = choose_decoding(film, Decoding(3, "cuda"))

    assert decoding == Decoding(3, "")
    assert message == "cuda cannot decode h264 (Invalid data found when processing input); the processor does"


@lacks_cuda
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_without_the_device_the_processor_decodes_and_it_is_said(film: Path, device: str) -> None:
    decoding, message = choose_decoding(film, Decoding(3, device))

    assert decoding == Decoding(3, "")
    assert message == f"{device} cannot decode h264 (there is no such device, or no driver for it); the processor does"


@pytest.mark.skipif(
    "vaapi" not in hwdevices_available() and "qsv" not in hwdevices_available(), reason="no such device"
)
def test_a_codec_that_the_device_does_not_know_is_said(tmp_path: Path) -> None:
    lossless = write_video(tmp_path / "film.mkv", panning_pictures(5), codec="ffv1")
    device = "qsv" if "qsv" in hwdevices_available() else "vaapi"

    decoding, message = choose_decoding(lossless, Decoding(hwaccel=device))

    assert decoding.hwaccel == ""
    assert message == f"{device} cannot decode ffv1 (it has no decoder for that); the processor does"


@pytest.mark.parametrize(("device", "threads"), [("cuda", 1), ("", 7)])
def test_a_device_keeps_pictures_for_one_thread(
    film: Path, device: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediafm_cli.media.container._hwaccel", lambda decoding: None)

    with open_media(film, Decoding(7, device)) as container:
        assert container.streams.video[0].codec_context.thread_count == threads


@needs_cuda
def test_a_cuda_device_gives_the_shots_that_the_processor_gives(film: Path) -> None:
    decoding, message = choose_decoding(film, Decoding(hwaccel="cuda"))

    on_device = cut_into_shots(film, FixedSegmenter(FixedSegmenter.Options(every_s=1)), decoding=decoding)

    assert message == "h264 is decoded by cuda"
    plain = cut_into_shots(film, FixedSegmenter(FixedSegmenter.Options(every_s=1)))
    assert on_device.start_pts.tolist() == plain.start_pts.tolist()
    assert on_device.report.frames == 60
