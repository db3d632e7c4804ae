"""The shape of the transformer, and the layout of the vectors that it was made for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.title import Layout

MAX_WIDTH = 1 << 16
MAX_HIDDEN = 1 << 14
MAX_LAYERS = 256
MAX_SHOTS = 1 << 16


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the shape of the weights. Stored with them.

    MediaFM does not disclose its depth and width. The defaults are a size that 2 CPU cores train in minutes, close to
    BaSSL (2022), which models masked shots with 2 layers of 768.
    """

    layout: Layout
    hidden: int = 256  # width of the residual stream
    layers: int = 4
    heads: int = 4  # attention heads a layer; they divide hidden
    max_shots: int = 512  # shots of one sequence, MediaFM's number; [CLS] and [GLOBAL] come on top
    dropout: float = 0.1  # BERT's: on the embeddings and on what each layer adds

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise TrainingError(f"The model cannot be built: {fault}.", hint="Change the model's settings.")

    def _faults(self) -> Iterator[str]:
        """Bounds that no sensible model meets come first: a config may come from a stranger."""
        edges = [0, *(block.stop for block in self.layout.blocks)]
        if [block.start for block in self.layout.blocks] != edges[:-1] or edges != sorted(set(edges)) or len(edges) < 2:
            yield "its blocks do not follow one another from column 0"
        if not 1 <= self.layout.width <= MAX_WIDTH:
            yield f"fused vectors have {self.layout.width} numbers; 1 to {MAX_WIDTH} are possible"
        if self.layout.metadata and not 1 <= self.layout.metadata.dim <= MAX_WIDTH:
            yield f"metadata has {self.layout.metadata.dim} numbers; 1 to {MAX_WIDTH} are possible"
        if not 1 <= self.hidden <= MAX_HIDDEN:
            yield f"hidden is {self.hidden}; 1 to {MAX_HIDDEN} are possible"
        if not 1 <= self.layers <= MAX_LAYERS:
            yield f"layers is {self.layers}; 1 to {MAX_LAYERS} are possible"
        if self.heads < 1 or self.hidden % self.heads:
            yield f"{self.heads} heads do not divide hidden {self.hidden}"
        if not 1 <= self.max_shots <= MAX_SHOTS:
            yield f"max_shots is {self.max_shots}; 1 to {MAX_SHOTS} are possible"
        if not 0 <= self.dropout < 1:
            yield f"dropout is {self.dropout}; it is a share, 0 or more and less than 1"
