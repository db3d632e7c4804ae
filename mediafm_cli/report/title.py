"""What a report is made of: titles with their shots, sound and vectors, and the model that saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mediafm_cli.store.schema import Block


@dataclass(frozen=True, eq=False)
class Sound:
    """The sound of a title in parts of one length.

    Attributes:
        part_s: seconds of a part. ``low``, ``high``: float32 [p], its lowest and highest sample.
        level_db: float32 [p], its root mean square in dB below full scale; -inf where it is silent.
    """

    part_s: float
    low: np.ndarray
    high: np.ndarray
    level_db: np.ndarray


@dataclass(frozen=True)
class Caption:
    """A caption, in seconds on the title's clock; ``sound`` where it tells of a sound."""

    start_s: float
    end_s: float
    text: str
    sound: bool = False


@dataclass(frozen=True, eq=False)
class ReportTitle:
    """One title, of which the first n shots are shown.

    Attributes:
        media: name of its media file. ``shots``: how many there are in all.
        start_s, end_s: float64 [n]. ``text``: n. ``present``: bool [n, modalities].
        begins: how each shot begins, as in ``/boundaries``; empty strings where that is not known.
        transitions: seconds from first to last frame of the gradual transition with which a shot begins.
        pictures: a JPEG of each shot, or None. ``pictures_note``: where they are from, or why there are none.
        sound: None where there is none. ``sound_note``: why.
        energy: share of each modality in the fused vectors of the whole title.
        fused: float32 [n, D]. ``context``: what the model made of them, float32 [n, E]; None without a model.
        part: what the title was to the model: ``train``, ``validation``, or nothing.
        labels: n, empty for a shot without one; None where no labels were given.
    """

    title_id: str
    media: str
    shots: int
    start_s: np.ndarray
    end_s: np.ndarray
    text: Sequence[str]
    begins: Sequence[str]
    transitions: Mapping[int, tuple[float, float]]
    captions: Sequence[Caption]
    captions_from: str
    segmenter: str
    present: np.ndarray
    pictures: Sequence[bytes | None]
    pictures_note: str
    sound: Sound | None
    sound_note: str
    energy: Sequence[float]
    fused: np.ndarray
    context: np.ndarray | None = None
    part: str = ""
    labels: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.start_s)


@dataclass(frozen=True)
class ReportModel:
    """The model.

    Attributes:
        name: of its folder. ``facts``: what is said of it, by heading.
        layer: of the embeddings: ``output``, in the space of the fused vectors, or ``hidden``.
        metrics: the lines of its ``metrics.jsonl``; none where it is not there.
    """

    name: str
    facts: Mapping[str, str]
    layer: str
    metrics: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that a page shows. All titles have the same blocks, and a context where there is a model.

    Attributes:
        label: what the labels say of shots; empty where there are none.
        warnings: what the person who makes the page should know, and the page does not say in these words.
    """

    titles: Sequence[ReportTitle]
    blocks: Sequence[Block]
    normalize: str
    model: ReportModel | None = None
    label: str = ""
    warnings: Sequence[str] = field(default=())
