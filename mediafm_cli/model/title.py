"""One title as the transformer sees it, and what its vectors are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mediafm_cli.errors import StaleError, TrainingError
from mediafm_cli.store.schema import Block


@dataclass(frozen=True)
class MetadataSource:
    """What made the title-level vector behind [GLOBAL]; ``dim`` is its width."""

    dim: int
    encoder: str
    fingerprint: str


@dataclass(frozen=True)
class Layout:
    """What a fused vector is made of. A model understands the layout that it was trained on, and no other.

    Attributes:
        blocks: the modalities in the order of their columns.
        normalize, missing: how they were fused.
        metadata: the source of [GLOBAL]; None where no title has one.
    """

    blocks: tuple[Block, ...]
    normalize: str = "none"
    missing: str = "zero"
    metadata: MetadataSource | None = None

    @property
    def width(self) -> int:
        """D, the length of a fused vector."""
        return self.blocks[-1].stop if self.blocks else 0

    @property
    def metadata_dim(self) -> int:
        return self.metadata.dim if self.metadata else 0

    def differences(self, other: Layout) -> Iterator[str]:
        """Yield one phrase for each thing in which ``other`` is not this layout.

        Metadata that only one of the two has is no difference: [GLOBAL] then is the learned stand-in.
        """
        names, others = [block.name for block in self.blocks], [block.name for block in other.blocks]
        if names != others:
            yield f"the blocks are {', '.join(others)}, not {', '.join(names)}"
            return
        for block, found in zip(self.blocks, other.blocks, strict=True):
            if (found.encoder, found.fingerprint) != (block.encoder, block.fingerprint):
                yield f"{block.name} was made by {_encoder(found)}, not {_encoder(block)}"
            elif (found.start, found.stop) != (block.start, block.stop):
                yield f"{block.name} takes columns {found.start}:{found.stop}, not {block.start}:{block.stop}"
        if other.normalize != self.normalize:
            yield f"normalize is {other.normalize}, not {self.normalize}"
        if other.missing != self.missing:
            yield f"missing is {other.missing}, not {self.missing}"
        if self.metadata and other.metadata and self.metadata != other.metadata:
            yield f"metadata was made by {_encoder(other.metadata)}, not {_encoder(self.metadata)}"


def _encoder(source: Block | MetadataSource) -> str:
    return f"{source.encoder} ({source.fingerprint[:12]})"


def require_layout(trained: Layout, given: Layout, title_id: str) -> None:
    """Raise a StaleError that names the differences where a title has another layout than the model knows."""
    differences = "; ".join(trained.differences(given))
    if differences:
        hint = "Encode and fuse the title as the model's titles were, or train a model on these: mediafm pretrain."
        what = f"{title_id} was not made like the titles that the model was trained on."
        raise StaleError(what, f"In the title {differences}.", hint)


@dataclass(frozen=True, eq=False)
class Title:
    """The shots of one title, in order; or a window of them.

    Attributes:
        title_id: its name in errors and in the record of a training run.
        vectors: float32 [n, D], fused; unit rows, or zero where nothing is present. May be a read-only memory map.
        present: bool [n, m], one column a block.
        start_s: float64 [n], when each shot begins.
        metadata: float32 [g], the title-level vector behind [GLOBAL]; None where the title has none.
        fingerprint: changes when the vectors do; ``--resume`` compares it.
    """

    title_id: str
    vectors: np.ndarray
    present: np.ndarray
    start_s: np.ndarray
    metadata: np.ndarray | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.start_s.shape != self.vectors.shape[:1]:
            raise TrainingError(f"{self.title_id}: {len(self.start_s)} starts for {len(self.vectors)} shots.")
        if self.vectors.ndim != 2 or self.present.ndim != 2 or len(self.vectors) != len(self.present):
            shapes = f"vectors {self.vectors.shape}, present {self.present.shape}"
            raise TrainingError(f"{self.title_id}: vectors and present do not belong together.", f"They are {shapes}.")
        if not len(self.vectors):
            raise TrainingError(f"{self.title_id} has no shots.", hint="Leave it out, or segment it again.")

    def __len__(self) -> int:
        return len(self.vectors)

    def window(self, start: int, stop: int) -> Title:
        """The shots from ``start`` to ``stop``, as views."""
        some = slice(start, stop)
        return replace(self, vectors=self.vectors[some], present=self.present[some], start_s=self.start_s[some])
