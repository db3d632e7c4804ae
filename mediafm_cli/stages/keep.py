"""``segment --keep-frames``: frames of each shot and the sound, kept from the pass that finds the shots.

Frames that the pass did not bring out are sought after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from av.video.frame import VideoFrame

from mediafm_cli.api import Frames
from mediafm_cli.media.container import GLANCE, PROCESSOR, Decoding, open_media
from mediafm_cli.media.display import Picture, read_display
from mediafm_cli.media.frames import sample_frames
from mediafm_cli.media.kept import KeptFrom, KeptWriter, kept_path
from mediafm_cli.media.kept_frames import FramesWriter, open_kept_frames
from mediafm_cli.media.kept_sound import SoundWriter
from mediafm_cli.media.probe import require_video
from mediafm_cli.media.shots import KeepFrames
from mediafm_cli.store.commit import require_writable
from mediafm_cli.store.schema import Shots


class Collector:
    """What is kept of one title on its way into the file beside its store; a context manager.

    Args:
        fingerprint: of the media file. ``needs``: how many frames a shot, and their size.
        audio_stream: number of the stream whose packets ``sound`` is going to be given; ``None`` keeps no sound.
        decoding: threads and hardware for frames that are sought after the pass.

    Attributes:
        asked: what frames the pass is to keep. ``sound``: takes the packets of the sound.
    """

    def __init__(
        self,
        media: Path,
        store: Path,
        fingerprint: str,
        needs: Frames,
        audio_stream: int | None = None,
        decoding: Decoding = PROCESSOR,
    ) -> None:
        self._media = media
        self._needs = needs
        self._decoding = decoding
        with open_media(media, GLANCE) as container:
            stream = require_video(media, container)
            self._stream = stream.index
            self._picture = Picture(read_display(container, stream), needs.max_side)
        kept_from = KeptFrom(fingerprint, self._stream, needs.count, needs.max_side, audio_stream)
        self._archive = KeptWriter(kept_path(store), kept_from)
        self._frames = FramesWriter(self._archive)
        self.asked = KeepFrames(needs.count, self._keep)
        self.sound = None if audio_stream is None else SoundWriter(self._archive)

    def finish(self, shots: Shots) -> str:
        """Seek the frames that could not be kept on the way, and put the file in its place; what it holds, in words."""
        left = [span for span in shots.spans if span not in self._frames.spans]
        if left:
            for number, frames in sample_frames(self._media, left, self._needs, self._stream, self._decoding):
                self._frames.add(*left[number], frames)
        if self.sound is not None:
            self.sound.finish()
        self._archive.commit()
        kept = f"{self._needs.count} frames of each{' and the sound' if self.sound else ''} kept for encode"
        without = self._frames.without
        return f"{kept}; shots of which no frame decodes: {without}" if without else kept

    def _keep(self, start: int, end: int, frames: Iterable[VideoFrame]) -> None:
        self._frames.add(start, end, [self._picture.render(frame) for frame in frames])

    def __enter__(self) -> Self:
        self._archive.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.__exit__(kind, error, trace)


def keep_later(
    media: Path, store: Path, fingerprint: str, shots: Shots, needs: Frames, decoding: Decoding = PROCESSOR
) -> str:
    """Keep the frames of shots that were found before; what was kept, in words, empty where they all were already."""
    kept = open_kept_frames(store, fingerprint, shots.video_stream, needs)
    if kept is not None:
        with kept:
            if all(kept.holds(*span) for span in shots.spans):
                return ""
    require_writable(store)
    with Collector(media, store, fingerprint, needs, decoding=decoding) as collector:
        return collector.finish(shots)
