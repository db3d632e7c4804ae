"""What a plugin author imports: the data handed over, and the two classes to subclass. Only NumPy is needed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

# --- what an encoder needs of each shot -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frames:
    """Ask for frames of the shot, sampled uniformly, upright, with square pixels.

    Attributes:
        count: frames per shot, from about the centres of ``count`` equal parts of it. A shot with fewer repeats some.
        max_side: scale so that the longer side is this many pixels (area averaging); ``None`` keeps the source's size.
    """

    count: int = 4
    max_side: int | None = None


@dataclass(frozen=True)
class Audio:
    """Ask for the shot's span of sound: all channels mixed to mono, resampled to ``rate`` samples per second."""

    rate: int = 16_000


@dataclass(frozen=True)
class Text:
    """Ask for the text of the cues that belong to the shot.

    Text that several shots of a title share is encoded once, so a vector may depend on nothing but the text.
    """


Needs = Frames | Audio | Text


@dataclass(frozen=True, eq=False)
class Shot:
    """One shot as an encoder sees it. Only what the encoder ``needs`` is filled in.

    Attributes:
        index: the shot's number in its title, from 0.
        start_s, end_s: seconds from the start of the title, end exclusive.
        frames: uint8 [count, height, width, 3], RGB.
        audio: float32 [samples], mono, nominally within -1 to 1, at the rate asked for.
        text: cue texts in order of time, joined by newlines.
    """

    index: int
    start_s: float
    end_s: float
    frames: np.ndarray | None = None
    audio: np.ndarray | None = None
    text: str | None = None


@dataclass(frozen=True)
class NoOptions:
    """The options of an encoder or segmenter that has none."""


# --- encoders ---------------------------------------------------------------------------------------------------------


class Encoder(ABC):
    """Turns shots into vectors of one modality. Register a subclass in the entry-point group ``mediafm.encoders.v1``.

    Required: ``needs``, ``dim``, ``encode``. Optional: all the rest.

    The host never calls ``encode`` with a shot that lacks the modality: absence is the host's mask, not a vector.
    Any ``MediafmError`` that an encoder raises reaches the user as it is; raise ``UnavailableError`` where no title can
    fare better: a key that is missing, weights that are not there.
    """

    needs: Needs
    """What the host hands over: a class attribute, or set by ``__init__`` where it depends on an option."""

    Options: ClassVar[type] = NoOptions
    """A frozen dataclass with a default for every field: the schema of ``--opt key=value``.

    An option that leaves the vectors as they are (a time-out; a path, where ``fingerprint`` tells the weights) is
    declared with ``field(compare=False)``: finished work stays valid when it changes.
    """

    batch_size: ClassVar[int] = 32
    """Shots handed to ``encode`` at once, where the user does not say."""

    commit_every_s: ClassVar[float] = 30.0
    """Seconds of work that a kill may cost; 0 keeps the result of each ``encode`` at once, where it was paid for."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions are recorded beside the vectors, such as ``("torch", "transformers")``."""

    def __init__(self, options: Any = None, *, device: str = "cpu") -> None:
        """Keep the options. Cheap: no weights, no torch, no network.

        Args:
            options: an instance of ``Options``; ``None`` for its defaults.
            device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto``, which leaves the choice to the encoder.
        """
        self.options = self.Options() if options is None else options
        self.device = device

    @property
    @abstractmethod
    def dim(self) -> int:
        """Width of the vectors, known before ``load``."""

    @abstractmethod
    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Return float32 [len(shots), dim], finite; row i belongs to ``shots[i]`` and does not depend on the others.

        Args:
            shots: as ``prepare`` returned them.
        """

    def fingerprint(self) -> Mapping[str, str]:
        """What the vectors depend on beside the options: a version of the method, a hash of the weights.

        Vectors with different fingerprints are never mixed in one group.
        """
        return {"version": "1"}

    def preflight(self) -> None:
        """Raise an ``UnavailableError`` if something that ``load`` will need is missing, such as a key.

        Called before any work, where there is any; no weights, no network.
        """
        return

    def load(self) -> None:
        """Read the weights. Called once, before the first ``prepare``."""
        return

    def prepare(self, shot: Shot) -> Shot:
        """Do to one shot what the processor can do while the device is busy with others, such as resizing its frames.

        Called from several threads at once, ahead of ``encode``, so that decoding and encoding overlap.
        """
        return shot

    def split(self, shots: Sequence[Shot]) -> Iterable[Sequence[Shot]]:
        """Cut a batch into the parts that ``encode`` is called with, in order: one request each, where each is paid."""
        return [shots]

    def plan(self, shots: Sequence[Shot]) -> None:
        """Count towards ``usage`` what these shots of text would cost; nothing is sent. For ``--dry-run``."""
        return

    def usage(self) -> str:
        """What has been spent, or planned, so far, in a few words; empty where it is free."""
        return ""

    def close(self) -> None:
        """Give back what ``load`` took. Called once, whatever happened."""
        return


@runtime_checkable
class TextTower(Protocol):
    """What an encoder of pictures or of sound may offer beside: sentences among its vectors, for ``mediafm search``.

    Nothing has to be subclassed or registered: an ``Encoder`` that has the method is one. One that needs ``Text`` has
    no use for it, since a sentence is searched for as the text of a shot; so is a picture, as a shot that stands still.
    """

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [len(texts), dim], finite: the vector of a shot that shows each text has a high cosine to it.

        Called after ``load``.
        """
        ...


# --- segmenters -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Title:
    """What is known of a title before its frames are read.

    Attributes:
        name: of the media file, without its suffix.
        frame_rate: average frames per second, as the file declares; ``None`` where it does not.
        duration_s: seconds, as the file declares; ``None`` where it does not.
    """

    name: str
    frame_rate: Fraction | None = None
    duration_s: float | None = None


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """One decoded frame, scaled down for shot detection.

    Attributes:
        frame: number of the frame in presentation order, from 0.
        time_s: presentation time in seconds from the start of the title.
        rgb: uint8 [height, width, 3] of the size the segmenter asked for; [0, 0, 3] where it asked for none.
    """

    frame: int
    time_s: float
    rgb: np.ndarray


@dataclass(frozen=True)
class Boundary:
    """A place where one shot ends and the next begins.

    Attributes:
        frame: the first frame of the new shot; inside a gradual transition, the frame nearest its middle.
        kind: ``"cut"`` or ``"gradual"``.
        score: how sure the segmenter is, in its own unit; larger is surer.
        first, last: first and last frame of a gradual transition, inclusive; for a cut both equal ``frame``.
    """

    frame: int
    kind: str = "cut"
    score: float = 0.0
    first: int = -1
    last: int = -1

    def __post_init__(self) -> None:
        if self.first < 0:
            object.__setattr__(self, "first", self.frame)
        if self.last < 0:
            object.__setattr__(self, "last", self.frame)


class Segmenter(ABC):
    """Finds shot boundaries. Register a subclass in the entry-point group ``mediafm.segmenters.v1``.

    Required: ``detect``. Optional: ``Options``, ``thumbnail_size``, ``begin``, ``fingerprint``.
    """

    Options: ClassVar[type] = NoOptions
    """A frozen dataclass with a default for every field: the schema of ``--opt key=value``."""

    thumbnail_size: ClassVar[tuple[int, int] | None] = (64, 36)
    """Width and height of the frames that ``detect`` is given; ``None`` where their times are enough."""

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    def begin(self, title: Title) -> None:
        """Learn which title comes next; called before ``fingerprint`` and ``detect``."""
        return

    @abstractmethod
    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        """Consume every frame of the title once, in order, and yield boundaries in increasing order of ``frame``.

        Frames arrive as they are decoded; keep only a bounded number, a title may have millions.
        """

    def fingerprint(self) -> Mapping[str, str]:
        """What the boundaries depend on beside the options."""
        return {"version": "1"}
