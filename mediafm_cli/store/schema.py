"""Store format, version 1: every group of a store as a frozen dataclass. docs/store-format.md is the specification.

A field annotated with ``Dataset`` is a dataset, any other field an attribute. Attributes of a type other than ``str``,
``int``, ``float`` and ``bool`` are kept as JSON. Each group says by ``faults`` what is wrong with its values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

FORMAT = "mediafm-store"
FORMAT_VERSION = 1
METADATA = "metadata"
"""The modality whose single row is the title, not a shot: it becomes [GLOBAL] and is never fused."""

MODALITY_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
TITLE_ID = re.compile(r"[^\x00-\x1f\x7f/]{1,255}")
EMBEDDING_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
TIME_BASE = re.compile(r"[1-9][0-9]*/[1-9][0-9]*")
CAPTIONS = re.compile(r"none|stream:[0-9]+|(?:file|sidecar):.+")
UNIT_TOLERANCE = 1e-5
NORMALIZE = ("none", "per-modality")
MISSING = ("zero",)
LAYERS = ("output", "hidden")
BOUNDARIES = ("start", "cut", "gradual", "split")


@dataclass(frozen=True)
class Dataset:
    """How a field is stored: NumPy dtype (``"text"`` for UTF-8) and named dimensions; ``n`` is the title's shots."""

    dtype: str
    dims: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Group:
    """What every group has in common."""

    def faults(self) -> Iterator[str]:
        """Yield one sentence for each value that the format forbids; shapes and types are checked before."""
        yield from ()


@dataclass(frozen=True, eq=False)
class Source(Group):
    """``/source``: the media file that the title was read from.

    Attributes:
        name, path: file name, and path relative to the store's folder with ``/`` between parts.
        size: bytes. ``fingerprint``: hash of the size and the first, middle and last MiB.
        duration_s: as the container declares it; ``None`` where it does not.
        streams: one object a stream: codec, size, rate, rotation, language.
        metadata: what is known about the title as a whole: synopsis, tags, any text. Empty where nothing is.
    """

    name: str
    path: str
    size: int
    fingerprint: str
    duration_s: float | None
    streams: list[dict[str, Any]]
    metadata: Mapping[str, Any]

    def faults(self) -> Iterator[str]:
        if self.size < 0:
            yield f"size is {self.size}"
        if not FINGERPRINT.fullmatch(self.fingerprint):
            yield "fingerprint is no SHA-256 in hexadecimal"


@dataclass(frozen=True, eq=False)
class Shots(Group):
    """``/shots``: the shots of the title, in order, with no gap between one and the next.

    Attributes:
        start_s, end_s: seconds on the title's clock, which starts at 0; end exclusive.
        start_pts, end_pts: the same in units of ``time_base`` of the video stream, as in the file.
        start_frame, end_frame: frame numbers in presentation order; end exclusive.
        text: the cues of the shot, joined by newlines; empty where there are none.
        segmenter, options, fingerprint: what found the boundaries.
        video_stream, audio_stream: indices of the streams read; -1 where there is no audio.
        captions: where the text came from; ``none`` where there is none.
        notes: what a person should know: damage, subtitles that could not be read.
    """

    start_s: Annotated[np.ndarray, Dataset("f8", ("n",))]
    end_s: Annotated[np.ndarray, Dataset("f8", ("n",))]
    start_pts: Annotated[np.ndarray, Dataset("i8", ("n",))]
    end_pts: Annotated[np.ndarray, Dataset("i8", ("n",))]
    start_frame: Annotated[np.ndarray, Dataset("i8", ("n",))]
    end_frame: Annotated[np.ndarray, Dataset("i8", ("n",))]
    text: Annotated[np.ndarray, Dataset("text", ("n",))]
    segmenter: str
    options: Mapping[str, Any]
    fingerprint: Mapping[str, str]
    time_base: str
    video_stream: int
    audio_stream: int
    captions: str
    notes: list[str]
    made_from: Mapping[str, str]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Start and end of each shot in pts, end exclusive."""
        return list(zip(self.start_pts.tolist(), self.end_pts.tolist(), strict=True))

    def faults(self) -> Iterator[str]:
        if not len(self.start_s):
            yield "there is no shot"
        for unit in ("s", "pts", "frame"):
            start, end = getattr(self, f"start_{unit}"), getattr(self, f"end_{unit}")
            if not (np.isfinite(start).all() and np.isfinite(end).all() and (start < end).all()):
                yield f"a shot does not end after it starts (start_{unit}, end_{unit})"
            if (start[1:] != end[:-1]).any():
                yield f"a shot does not start where the one before ends (start_{unit}, end_{unit})"
        for name, form in (("time_base", TIME_BASE), ("captions", CAPTIONS)):
            if not form.fullmatch(getattr(self, name)):
                yield f"{name} is {getattr(self, name)!r}"


@dataclass(frozen=True, eq=False)
class Boundaries(Group):
    """``/boundaries``: how each shot begins; row i belongs to shot i.

    Attributes:
        kind: ``start`` of the title, for the first shot and no other; ``cut``; ``gradual``; or ``split``, where a long
            shot was divided for its length alone.
        score: how sure the segmenter was, in its own unit; 0 where it did not decide.
        first_frame, last_frame: of the transition, inclusive; for a cut both are the shot's first frame.
        first_s, last_s: times at which these two frames are shown, in seconds on the title's clock.
    """

    kind: Annotated[np.ndarray, Dataset("text", ("n",))]
    score: Annotated[np.ndarray, Dataset("f8", ("n",))]
    first_frame: Annotated[np.ndarray, Dataset("i8", ("n",))]
    last_frame: Annotated[np.ndarray, Dataset("i8", ("n",))]
    first_s: Annotated[np.ndarray, Dataset("f8", ("n",))]
    last_s: Annotated[np.ndarray, Dataset("f8", ("n",))]
    made_from: Mapping[str, str]

    def faults(self) -> Iterator[str]:
        if self.kind[0] != "start" or "start" in self.kind[1:]:
            yield "the first shot, and no other, begins with the start of the title"
        unknown = sorted(set(self.kind) - set(BOUNDARIES))
        if unknown:
            yield f"the format knows no kind {unknown[0]!r}"
        if not np.isfinite(self.score).all():
            yield "score holds a number that is not finite"
        for unit in ("frame", "s"):
            first, last = getattr(self, f"first_{unit}"), getattr(self, f"last_{unit}")
            if not (np.isfinite(first).all() and np.isfinite(last).all() and (first <= last).all()):
                yield f"a transition ends before it begins (first_{unit}, last_{unit})"


@dataclass(frozen=True, eq=False)
class Cues(Group):
    """``/cues``: the title's captions as they were read, in order of time, before they were given to shots.

    Attributes:
        start_s, end_s: seconds on the title's clock; end exclusive. Cues may overlap.
        text: without markup.
        sound: the cue tells of a sound, such as ``[door slams]`` or music, and not of what is said.
    """

    start_s: Annotated[np.ndarray, Dataset("f8", ("c",))]
    end_s: Annotated[np.ndarray, Dataset("f8", ("c",))]
    text: Annotated[np.ndarray, Dataset("text", ("c",))]
    sound: Annotated[np.ndarray, Dataset("?", ("c",))]
    made_from: Mapping[str, str]

    def faults(self) -> Iterator[str]:
        if not (np.isfinite(self.start_s).all() and np.isfinite(self.end_s).all()):
            yield "start_s or end_s holds a number that is not finite"
        elif not (self.start_s < self.end_s).all():
            yield "a cue does not end after it starts"
        elif (np.diff(self.start_s) < 0).any():
            yield "the cues are not in order of time"


@dataclass(frozen=True, eq=False)
class Encoding(Group):
    """``/encodings/<modality>``: one vector a shot from one encoder. The modality ``metadata`` has one row, the title.

    Attributes:
        vectors: zero where the shot lacks the modality or is not done.
        present: the shot has the modality. ``done``: the row is final. ``complete``: every row is.
        encoder, options, fingerprint: what made the vectors. ``versions``: the packages it ran on, for the record.
    """

    vectors: Annotated[np.ndarray, Dataset("f4", ("n", "d"))]
    present: Annotated[np.ndarray, Dataset("?", ("n",))]
    done: Annotated[np.ndarray, Dataset("?", ("n",))]
    modality: str
    encoder: str
    options: Mapping[str, Any]
    fingerprint: Mapping[str, str]
    complete: bool
    versions: Mapping[str, str]
    made_from: Mapping[str, str]

    def faults(self) -> Iterator[str]:
        if not np.isfinite(self.vectors).all():
            yield "vectors holds a number that is not finite"
        if self.vectors[~self.present].any():
            yield "vectors is not zero where present is false"
        if (self.present & ~self.done).any():
            yield "present is true where done is false"
        if self.complete != bool(self.done.all()):
            yield f"complete is {self.complete}, but {int(self.done.sum())} of {len(self.done)} rows are done"
        if self.modality == METADATA and len(self.vectors) != 1:
            yield f"it has {len(self.vectors)} rows, and a title has one"
        if not self.made_from:
            yield "made_from names nothing"


@dataclass(frozen=True)
class Block:
    """The columns ``start`` to ``stop`` of a fused vector: one modality, and what encoded it."""

    name: str
    start: int
    stop: int
    encoder: str
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Fused(Group):
    """``/fused``: ``unit_norm(concat(modalities))`` for each shot; zero where nothing is present.

    Attributes:
        present: the shot has the modality, one column a block.
        blocks: the modalities in order. ``energy_share``: mean share of each in the squared norm, in the same order.
        missing: what stands where a modality is absent: ``"zero"``. ``normalize``: ``"none"`` or ``"per-modality"``.
    """

    vectors: Annotated[np.ndarray, Dataset("f4", ("n", "D"))]
    present: Annotated[np.ndarray, Dataset("?", ("n", "m"))]
    blocks: tuple[Block, ...]
    missing: str
    normalize: str
    energy_share: list[float]
    made_from: Mapping[str, str]

    def faults(self) -> Iterator[str]:
        if self.normalize not in NORMALIZE or self.missing not in MISSING:
            yield f"the format knows no normalize {self.normalize!r} with missing {self.missing!r}"
        if set(self.made_from) != {f"encodings/{block.name}" for block in self.blocks}:
            yield "blocks and made_from do not name the same modalities"
        width = self.vectors.shape[1]
        edges = [0, *(block.stop for block in self.blocks)]
        if [block.start for block in self.blocks] != edges[:-1] or edges[-1] != width or edges != sorted(set(edges)):
            yield f"blocks do not divide the {width} columns of vectors"
            return
        if not self.present.shape[1] == len(self.energy_share) == len(self.blocks):
            yield "present, energy_share and blocks do not agree on the number of modalities"
            return
        norms = np.linalg.norm(self.vectors.astype(np.float64), axis=1)
        if not np.isfinite(norms).all():
            yield "vectors holds a number that is not finite"
        elif (np.abs(norms[norms > 0] - 1) > UNIT_TOLERANCE).any():
            yield "a row of vectors is neither of length 1 nor zero"
        for column, block in enumerate(self.blocks):
            if self.vectors[~self.present[:, column], block.start : block.stop].any():
                yield f"block {block.name} is not zero where it is absent"


@dataclass(frozen=True, eq=False)
class Embedding(Group):
    """``/embeddings/<name>``: what a trained model makes of the fused shots, each knowing its context.

    Attributes:
        shots: one vector a shot. ``title``: the [CLS] state.
        model: fingerprint of the model folder. ``layer``: ``"output"`` or ``"hidden"``.
        window, overlap: shots the model saw at once, and shots that two windows share.
    """

    shots: Annotated[np.ndarray, Dataset("f4", ("n", "D"))]
    title: Annotated[np.ndarray, Dataset("f4", ("h",))]
    model: str
    layer: str
    window: int
    overlap: int
    versions: Mapping[str, str]
    made_from: Mapping[str, str]

    def faults(self) -> Iterator[str]:
        if not (np.isfinite(self.shots).all() and np.isfinite(self.title).all()):
            yield "shots or title holds a number that is not finite"
        if self.layer not in LAYERS:
            yield f"the format knows no layer {self.layer!r}"


@dataclass(frozen=True)
class Kind:
    """Where groups of one class live: at ``place`` itself, or one level below it under a name that matches ``name``."""

    group: type[Group]
    place: str
    name: re.Pattern[str] | None = None


KINDS = (
    Kind(Source, "source"),
    Kind(Shots, "shots"),
    Kind(Boundaries, "boundaries"),
    Kind(Cues, "cues"),
    Kind(Encoding, "encodings", MODALITY_NAME),
    Kind(Fused, "fused"),
    Kind(Embedding, "embeddings", EMBEDDING_NAME),
)
"""Every place of a store, in the order in which they are written."""


def kind_at(place: str) -> Kind | None:
    """The kind of the group at ``place`` (``"shots"``, ``"encodings/video"``); None where the format knows none."""
    parent, _, name = place.partition("/")
    for kind in KINDS:
        if kind.place == parent and (kind.name.fullmatch(name) if kind.name else "/" not in place):
            return kind
    return None
