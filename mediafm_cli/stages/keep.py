"""``segment --keep-frames``: frames of each shot, kept from the pass that finds the shots, else sought after it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from av.video.frame import VideoFrame

from mediafm_cli.api import Frames
from mediafm_cli.errors import MediaError
from mediafm_cli.media.container import open_media
from mediafm_cli.media.display import Picture, read_display
from mediafm_cli.media.frames import sample_frames
from mediafm_cli.media.kept_frames import KeptFramesWriter, KeptFrom, frames_path, open_kept_frames
from mediafm_cli.media.probe import require_video
from mediafm_cli.media.shots import KeepFrames
from mediafm_cli.store.schema import Shots


class FrameCollector:
    """The frames of one title on their way into the file beside its store; a context manager.

    Args:
        fingerprint: of the media file. ``needs``: how many frames a shot, and their size.
    """

    def __init__(self, media: Path, store: Path, fingerprint: str, needs: Frames) -> None:
        self._media = media
        self._needs = needs
        with open_media(media) as container:
            stream = require_video(media, container)
            self._stream = stream.index
            self._picture = Picture(read_display(container, stream), needs.max_side)
        kept_from = KeptFrom(fingerprint, self._stream, needs.count, needs.max_side)
        self._writer = KeptFramesWriter(frames_path(store), kept_from)
        self.asked = KeepFrames(needs.count, self._keep)

    def finish(self, shots: Shots) -> None:
        """Seek what could not be kept on the way, and put the file in its place."""
        left = [span for span in shots.spans if span not in self._writer.spans]
        for number, frames in sample_frames(self._media, left, self._needs, self._stream) if left else ():
            if frames is not None:
                self._writer.add(*left[number], frames)
        self._writer.commit()

    def _keep(self, start: int, end: int, frames: Iterable[VideoFrame]) -> None:
        pictures = [self._picture.render(frame) for frame in frames]
        try:
            self._writer.add(start, end, pictures)
        except OSError as error:  # else it would be blamed on the segmenter, in whose pass it happens
            hint = "Make room, or leave out --keep-frames."
            raise MediaError(f"The frames of {self._media} could not be kept.", f"{error.strerror}.", hint) from error

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)


def keep_later(media: Path, store: Path, fingerprint: str, shots: Shots, needs: Frames) -> bool:
    """Keep the frames of shots that were found before; False where they are all kept already."""
    kept = open_kept_frames(store, fingerprint, shots.video_stream, needs)
    if kept is not None:
        with kept:
            if all(kept.holds(*span) for span in shots.spans):
                return False
    with FrameCollector(media, store, fingerprint, needs) as frames:
        frames.finish(shots)
    return True
