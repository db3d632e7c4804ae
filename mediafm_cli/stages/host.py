"""Run an encoder plugin: load it when it is first needed, and let nothing pass that its contract forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

import numpy as np

from mediafm_cli.api import Encoder, Shot, Text
from mediafm_cli.config import encoder_of, find_preset
from mediafm_cli.errors import MediafmError, PluginError, UsageError
from mediafm_cli.options import parse_options
from mediafm_cli.registry import load_encoder
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
    kind = load_encoder(name)
    parsed = parse_options(kind.Options, options)
    with _blame(name, "to start"):
        encoder = kind(parsed, device=device)
        host = EncoderHost(name, encoder)
    if not all(isinstance(part, str) for pair in host.fingerprint.items() for part in pair):
        raise PluginError(f"{name} has the fingerprint {host.fingerprint!r}.", "It maps texts to texts.")
    if modality == METADATA and not isinstance(encoder.needs, Text):
        raise UsageError(f"{name} does not encode text.", "Metadata is text.", "Name an encoder such as text.hashed.")
    return host


class EncoderHost:
    """An encoder as the stages use it. A context manager, since weights are given back at the end.

    Args:
        name: as the user named it and as stores record it.
        encoder: not yet loaded.

    Attributes:
        dim: width of the vectors. ``fingerprint``: what they depend on beside the options.
    """

    def __init__(self, name: str, encoder: Encoder) -> None:
        self.name = name
        self.encoder = encoder
        self.dim = encoder.dim
        self.fingerprint = dict(encoder.fingerprint())
        self._to_close = False

    def __enter__(self) -> EncoderHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._to_close:
            with _blame(self.name, "to close"):
                self.encoder.close()

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Vectors of ``shots``, float32 [len(shots), dim].

        Raises:
            PluginError: the encoder failed, or gave back something else than finite vectors of its own width.
        """
        span = f"shot {shots[0].index}" if len(shots) == 1 else f"shots {shots[0].index} to {shots[-1].index}"
        if not self._to_close:
            self._to_close = True
            with _blame(self.name, "to load"):
                self.encoder.load()
        with _blame(self.name, f"on {span}"):
            vectors = self.encoder.encode(shots)
        return self._checked(vectors, len(shots), span)

    def _checked(self, vectors: object, count: int, span: str) -> np.ndarray:
        wanted = (count, self.dim)
        if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32 or vectors.shape != wanted:
            got = (
                f"{vectors.dtype} {list(vectors.shape)}" if isinstance(vectors, np.ndarray) else type(vectors).__name__
            )
            raise PluginError(f"{self.name} gave {got} for {span}.", f"An encoder gives float32 {list(wanted)}.")
        if not np.isfinite(vectors).all():
            raise PluginError(f"{self.name} gave numbers that are not finite for {span}.")
        return vectors


@contextmanager
def _blame(name: str, doing: str) -> Iterator[None]:
    """Turn whatever a plugin raises into an error that names it."""
    try:
        yield
    except MediafmError:
        raise
    except Exception as error:
        raise PluginError(f"{name} failed {doing}.", f"{type(error).__name__}: {error}.") from error
