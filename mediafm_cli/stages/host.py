"""Run an encoder plugin: load it when it is first needed, and let nothing pass that its contract forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from types import TracebackType

import numpy as np

from mediafm_cli.api import Encoder, Shot, Text
from mediafm_cli.config import encoder_of, find_preset
from mediafm_cli.errors import FailedOnTitleError, PluginError, UsageError
from mediafm_cli.options import parse_options
from mediafm_cli.registry import blame, blame_on_title, load_encoder
from mediafm_cli.store.schema import METADATA, MODALITY_NAME

BUILT_IN_MODALITIES = ("video", "audio", "text")
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def make_host(
    modality: str, name: str | None = None, options: Sequence[str] = (), *, preset: str, device: str = "auto"
) -> EncoderHost:
    """The encoder called ``name``, or that of ``preset`` for ``modality``, ready to run.

    Raises:
        UsageError: no such modality, preset, option or device, or an encoder of another modality.
        PluginError: the encoder cannot be found or loaded.
    """
    if not MODALITY_NAME.fullmatch(modality):
        raise UsageError(
            f"{modality!r} cannot be the name of a modality.", "Small letters, digits, - and _ make a name."
        )
    if not DEVICE.fullmatch(device):
        raise UsageError(f"There is no device {device!r}.", "It can be: auto, cpu, cuda, cuda:N.")
    name = name or encoder_of(find_preset(preset), modality)
    of = name.rpartition(":")[2].partition(".")[0]
    if of != modality and of in BUILT_IN_MODALITIES and modality in BUILT_IN_MODALITIES:
        raise UsageError(f"{name} encodes {of}, not {modality}.", hint=f"Say --modality {of}, or name another encoder.")
    loaded = load_encoder(name)
    described = loaded.found.described
    parsed = parse_options(loaded.plugin.Options, options)
    with blame(described, "to start"):
        encoder = loaded.plugin(parsed, device=device)
    host = EncoderHost(name, encoder, described)
    if modality == METADATA and not isinstance(encoder.needs, Text):
        raise UsageError(f"{name} does not encode text.", "Metadata is text.", "Name an encoder such as text.hashed.")
    return host


class EncoderHost:
    """An encoder as the stages use it. A context manager, since weights are given back at the end.

    Args:
        name: as the user named it and as stores record it.
        encoder: not yet loaded.
        described: its name and distribution, as errors give them.

    Each method raises a PluginError that names the encoder where the encoder fails; one that is of their title alone
    where it fails on shots.
    """

    def __init__(self, name: str, encoder: Encoder, described: str = "") -> None:
        self.name = name
        self.encoder = encoder
        self.described = described or name
        self._to_close = False

    @cached_property
    def dim(self) -> int:
        """Width of the vectors."""
        with self._blame("to tell its width"):
            return self.encoder.dim

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """What the vectors depend on beside the options. Weights are fetched here, if they are not on this machine."""
        with self._blame("to tell its fingerprint"):
            found = dict(self.encoder.fingerprint())
        if not all(isinstance(part, str) for pair in found.items() for part in pair):
            raise PluginError(f"{self.described} has the fingerprint {found!r}.", "It maps texts to texts.")
        return found

    def __enter__(self) -> EncoderHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what ``load`` took, if it took anything."""
        if self._to_close:
            self._to_close = False
            with self._blame("to close"):
                self.encoder.close()

    def preflight(self) -> None:
        """Raise what the encoder raises where it cannot work on this machine as it is."""
        with self._blame("before work"):
            self.encoder.preflight()

    def load(self) -> None:
        """Load the encoder, unless it is."""
        if not self._to_close:
            self.preflight()
            self._to_close = True
            with self._blame("to load"):
                self.encoder.load()

    def prepare(self, shot: Shot) -> Shot:
        """What ``encode`` takes for ``shot``; may be called from any thread once the encoder is loaded."""
        with blame_on_title(self.described, f"to prepare shot {shot.index}"):
            return self.encoder.prepare(shot)

    def encode(self, shots: Sequence[Shot]) -> Iterator[tuple[list[int], np.ndarray]]:
        """The vectors of prepared shots, in the parts that are kept one by one.

        Yields:
            (index of each shot in the title, float32 [that many, dim])

        Raises:
            FailedOnTitleError: the encoder failed, or gave numbers that are not finite.
            PluginError: it breaks its contract, as it would for any title: what it gave has not the type or the shape,
                or it split the shots wrongly.
        """
        with blame_on_title(self.described, "to split a batch"):
            parts = [list(part) for part in self.encoder.split(shots)]
            indices = [shot.index for part in parts for shot in part]
        if indices != [shot.index for shot in shots] or not all(parts):
            what = f"{self.described} split {_span(shots)} wrongly."
            raise PluginError(what, "Each belongs to one part, in order.")
        for part in parts:
            with blame_on_title(self.described, f"on {_span(part)}"):
                vectors = self.encoder.encode(part)
            yield [shot.index for shot in part], self._checked(vectors, part)

    def plan(self, shots: Sequence[Shot]) -> None:
        """Count towards ``usage`` what encoding ``shots`` would cost."""
        with blame_on_title(self.described, "to plan"):
            self.encoder.plan(shots)

    def usage(self) -> str:
        """What was spent or planned; empty where nothing costs."""
        with self._blame("to tell its usage"):
            return self.encoder.usage()

    def _checked(self, vectors: object, shots: Sequence[Shot]) -> np.ndarray:
        wanted = (len(shots), self.dim)
        if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32 or vectors.shape != wanted:
            got = (
                f"{vectors.dtype} {list(vectors.shape)}" if isinstance(vectors, np.ndarray) else type(vectors).__name__
            )
            what = f"{self.described} gave {got} for {_span(shots)}."
            raise PluginError(what, f"An encoder gives float32 {list(wanted)}.")
        if not np.isfinite(vectors).all():
            raise FailedOnTitleError(f"{self.described} gave numbers that are not finite for {_span(shots)}.")
        return vectors

    def _blame(self, doing: str) -> AbstractContextManager[None]:
        return blame(self.described, doing)


def _span(shots: Sequence[Shot]) -> str:
    return f"shot {shots[0].index}" if len(shots) == 1 else f"shots {shots[0].index} to {shots[-1].index}"
