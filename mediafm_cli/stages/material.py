"""What there is to encode of one title: its frames, its sound or its texts, shot by shot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mediafm_cli.api import Audio, Frames, Needs, Shot, Text
from mediafm_cli.errors import MediaError, StaleError
from mediafm_cli.media.audio import read_spans
from mediafm_cli.media.fingerprint import fingerprint_file
from mediafm_cli.media.frames import sample_frames
from mediafm_cli.media.kept_frames import KeptFrames, open_kept_frames
from mediafm_cli.media.kept_sound import KeptSound, open_kept_sound
from mediafm_cli.stages.metadata import metadata_text
from mediafm_cli.store.freshness import segment_command
from mediafm_cli.store.inspect import source_places
from mediafm_cli.store.schema import METADATA, Shots, Source


def gather_material(
    store: Path, source: Source, shots: Shots, modality: str, needs: Needs, folder: Path | None = None
) -> Material:
    """What an encoder with these ``needs`` is to be given of a title.

    Args:
        folder: in which to look for the media file first.

    Raises:
        MediaError: the media file is needed, and is gone. StaleError: it is not the one that was segmented.
    """
    if modality == METADATA:
        bare = [Shot(0, 0.0, source.duration_s or float(shots.end_s[-1]))]
        return Material(bare, shots, needs, texts=[metadata_text(source.metadata)])
    if isinstance(needs, Frames):
        return _gather_frames(store, source, shots, needs, folder)
    bare = _bare(shots)
    if isinstance(needs, Text):
        return Material(bare, shots, needs, texts=[str(text) for text in shots.text])
    media = find_media(store, source, shots, folder)
    sound = open_kept_sound(store, source.fingerprint, shots.audio_stream)
    return Material(bare, shots, needs, media=media, sound=sound)


def _bare(shots: Shots) -> list[Shot]:
    spans_s = zip(shots.start_s.tolist(), shots.end_s.tolist(), strict=True)
    return [Shot(row, *span_s) for row, span_s in enumerate(spans_s)]


def _gather_frames(store: Path, source: Source, shots: Shots, needs: Frames, folder: Path | None) -> Material:
    with ExitStack() as stack:
        kept = open_kept_frames(store, source.fingerprint, shots.video_stream, needs)
        if kept is not None:
            stack.enter_context(kept)
        has_all = kept is not None and all(kept.holds(*span) for span in shots.spans)
        media = None if has_all else find_media(store, source, shots, folder)
        stack.pop_all()  # it stays open
    return Material(_bare(shots), shots, needs, media=media, kept=kept)


@dataclass(frozen=True, eq=False)
class Material:
    """The shots of a title, and where what the encoder needs of them is found; a context manager.

    Attributes:
        bare: each shot with its span and nothing else.
        texts: the text of each, where text is needed; else ``media`` is the file to read.
        kept: frames kept from when the title was segmented; without ``media``, all that are needed.
        sound: the sound kept then; of ``media`` only the header is still needed.
    """

    bare: list[Shot]
    shots: Shots
    needs: Needs
    texts: list[str] | None = None
    media: Path | None = None
    kept: KeptFrames | None = None
    sound: KeptSound | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in (self.kept, self.sound):
            if opened is not None:
                opened.__exit__(kind, error, trace)

    @cached_property
    def first_alike(self) -> np.ndarray:
        """For each shot the first one with the same text; without texts the shot itself: int [n]."""
        if self.texts is None:
            return np.arange(len(self.bare))
        first: dict[str, int] = {}
        return np.array([first.setdefault(text, row) for row, text in enumerate(self.texts)])

    def has_text(self, row: int) -> bool:
        return self.texts is not None and bool(self.texts[row].strip())

    def may_hold(self, done: np.ndarray) -> bool:
        """Whether any shot that is not done may have the modality."""
        if self.texts is not None:
            return any(map(self.has_text, np.flatnonzero(~done).tolist()))
        return not isinstance(self.needs, Audio) or self.shots.audio_stream >= 0

    def read(self, done: np.ndarray) -> Iterator[tuple[int, Shot | None]]:
        """The number of each shot that is not done, and the shot as the encoder needs it.

        ``None`` stands where the shot lacks the modality, or has the text of a shot before it.
        """
        shots = self.shots
        left = [shot for shot in self.bare if not done[shot.index]]
        if self.texts is not None:
            for shot in left:
                is_asked = self.first_alike[shot.index] == shot.index and self.has_text(shot.index)
                yield shot.index, replace(shot, text=self.texts[shot.index]) if is_asked else None
        elif isinstance(self.needs, Frames):
            for shot, frames in self._read_frames(left, self.needs):
                yield shot.index, None if frames is None else replace(shot, frames=frames)
        elif isinstance(self.needs, Audio) and self.media and shots.audio_stream >= 0:
            spans_s = [(shot.start_s, shot.end_s) for shot in left]
            for place, audio in read_spans(self.media, spans_s, self.needs.rate, shots.audio_stream, self.sound):
                yield left[place].index, None if audio is None else replace(left[place], audio=audio)
        else:
            yield from ((shot.index, None) for shot in left)

    def _read_frames(self, left: list[Shot], needs: Frames) -> Iterator[tuple[Shot, np.ndarray | None]]:
        """The frames of each shot: the kept ones, and those that are sought in the media file."""
        every, kept = self.shots.spans, self.kept
        spans = [every[shot.index] for shot in left]
        sought = [span for span in spans if kept is None or not kept.holds(*span)]
        found: Iterator[tuple[int, np.ndarray | None]] = iter(())
        if sought and self.media:
            found = sample_frames(self.media, sought, needs, self.shots.video_stream)
        with kept or nullcontext():
            for shot, span in zip(left, spans, strict=True):
                yield shot, kept.read(*span) if kept and kept.holds(*span) else next(found)[1]


def find_media(store: Path, source: Source, shots: Shots, folder: Path | None = None) -> Path:
    """The media file that a store was made from; ``source_places`` are looked at.

    Raises:
        MediaError: it is in none of these places. StaleError: it has changed.
    """
    candidates = source_places(store, source, folder)
    for candidate in candidates:
        if candidate.is_file():
            if candidate.stat().st_size == source.size and fingerprint_file(candidate) == source.fingerprint:
                return candidate
            raise StaleError(
                f"{candidate} is not the file that {store} was segmented from.",
                "Its size or content differs.",
                f"Segment it again: {segment_command(store, shots, candidate)}",
            )
    raise MediaError(
        f"The media file of {store}, {source.name}, was not found.",
        f"Looked at: {', '.join(map(str, candidates))}.",
        "Name its folder with --media FOLDER",
    )
