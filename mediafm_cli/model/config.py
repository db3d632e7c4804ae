"""The shape of the transformer, what it is told, and the layout of the vectors that it was made for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.title import Layout

MAX_WIDTH = 1 << 16
MAX_HIDDEN = 1 << 14
MAX_LAYERS = 256
MAX_SHOTS = 1 << 16

Position = Literal["learned", "rotary", "time"]
Projection = Literal["linear", "per-modality", "whitened"]
Missing = Literal["zero", "null-token", "masked"]
Layer = Literal["output", "hidden"]


@dataclass(frozen=True)
class Size:
    """A named shape. Heads are 64 wide, as in BERT."""

    hidden: int
    layers: int

    @property
    def heads(self) -> int:
        return self.hidden // 64


SIZES = {"tiny": Size(256, 4), "small": Size(512, 6), "base": Size(768, 12), "large": Size(1024, 24)}
"""``base`` and ``large`` are BERT's; ``tiny`` is what 2 CPU cores train in minutes."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the shape of the weights and how they are used. Stored with them.

    MediaFM discloses neither depth nor width, nor what it does about absent modalities.
    """

    layout: Layout
    hidden: int = 256  # width of the residual stream
    layers: int = 4
    heads: int = 4  # attention heads a layer; they divide hidden
    max_shots: int = 512  # shots of one sequence, MediaFM's number; [CLS] and [GLOBAL] come on top
    dropout: float = 0.1  # BERT's: on the embeddings and on what each layer adds; none on attention weights
    input_dropout: float = 0.0  # share of the numbers of fused vectors that are zeroed while training: context fills in
    position: Position = "rotary"  # learned: a vector a place; rotary: by the shot's number; time: by its seconds
    projection: Projection = "linear"  # of vectors as they are, of unit blocks, or of blocks that vary alike everywhere
    missing: Missing = "null-token"  # of an absent modality: nothing, a learned vector, or the one of masked blocks
    global_token: bool = True  # whether [GLOBAL] stands beside [CLS]
    layer: Layer = "output"  # that embed returns: in the space of the fused vectors, or the state before it

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise TrainingError(f"The model cannot be built: {fault}.", hint="Change the model's settings.")

    @property
    def prefix(self) -> int:
        """Tokens before the shots: [CLS], and [GLOBAL] where there is one."""
        return 1 + self.global_token

    @property
    def head_width(self) -> int:
        return self.hidden // self.heads

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
        elif self.position != "learned" and self.head_width % 2:
            yield f"position {self.position} turns pairs of numbers, and a head has {self.head_width}"
        if not 1 <= self.max_shots <= MAX_SHOTS:
            yield f"max_shots is {self.max_shots}; 1 to {MAX_SHOTS} are possible"
        for name in ("dropout", "input_dropout"):
            if not 0 <= getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}; it is a share, 0 or more and less than 1"


def count_parameters(config: ModelConfig) -> int:
    """The numbers that a model of ``config`` learns, without building it."""
    h, width, blocks = config.hidden, config.layout.width, len(config.layout.blocks)
    block = 4 * h * h + 8 * h * h + 4 * h  # attention, feed-forward, two norms
    tokens = 1 + blocks + (blocks if config.missing == "null-token" else 0)  # [CLS], masked blocks, absent ones
    positions = config.prefix + config.max_shots if config.position == "learned" else 0
    ends = (width * h + h) + (h * width + width) + 2 * h  # projections in and out, last norm
    metadata = (config.layout.metadata_dim + 1) * h if config.layout.metadata_dim else 0
    return config.layers * block + ends + (tokens + positions) * h + (metadata + h if config.global_token else 0)
