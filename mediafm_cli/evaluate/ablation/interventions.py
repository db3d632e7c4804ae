"""What the model is shown at inference, changed: a modality taken away, swapped or made loud, [GLOBAL] off or shuffled.

At inference on a model that is trained, these say how robust it is. What a modality teaches, only training without it
says (``retrain.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mediafm_cli.evaluate.ablation.predictors import Change
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.fusion import Normalize, fuse_shots, unit_rows
from mediafm_cli.model.title import Block, Title

LOUDNESS = (5, 10)
"""How many times as long the vectors of a modality become before fusion."""


@dataclass(frozen=True)
class Intervention:
    """One change of the titles that a model is shown.

    Attributes:
        name: as the table shows it. ``change``: what becomes of a title.
        removed: the modality that is taken away; empty where none is.
    """

    name: str
    change: Change
    removed: str = ""


def interventions(titles: Sequence[Title], config: ModelConfig) -> Iterator[Intervention]:
    """Every one that applies to these titles and this model.

    What no title has is not changed; nothing is swapped or shuffled where no other title has it; without a second
    modality none is taken away.
    """
    blocks, normalize = config.layout.blocks, config.layout.normalize
    there = [(column, block) for column, block in enumerate(blocks) if has_modality(titles, column)]
    if len(there) > 1:
        for column, block in there:
            yield without(block, column)
        for column, block in there:
            if sum(bool(title.present[:, column].any()) for title in titles) > 1:
                yield Intervention(f"{block.name} swapped", swap_modality(titles, block, column))
    with_metadata = [title for title in titles if title.metadata is not None]
    if config.global_token and config.layout.metadata and with_metadata:
        yield Intervention("[GLOBAL] off", lambda title: replace(title, metadata=None))
        if len(with_metadata) > 1:
            yield Intervention("[GLOBAL] shuffled", shuffle_metadata(titles))
    if len(there) > 1:
        for factor in LOUDNESS:
            yield from (loud(blocks, column, factor, "none") for column, _ in there)
        if normalize == "none":
            normalised = loud(blocks, 0, LOUDNESS[-1], "per-modality")  # the same for each modality and loudness
            yield replace(normalised, name="any loudness, normalised")


def has_modality(titles: Sequence[Title], column: int) -> bool:
    """Whether any shot of any title has the modality."""
    return any(title.present[:, column].any() for title in titles)


def without(block: Block, column: int) -> Intervention:
    """Nothing of the modality, in any shot."""
    return Intervention(f"{block.name} zeroed", lambda title: without_modality(title, block, column), block.name)


def loud(blocks: Sequence[Block], column: int, factor: float, normalize: Normalize) -> Intervention:
    """One modality made loud before fusion; ``per-modality`` undoes it, whichever it is and however loud."""
    name = f"{blocks[column].name} ×{factor:g}{', normalised' if normalize == 'per-modality' else ''}"
    return Intervention(name, lambda title: louden(title, blocks, column, factor, normalize))


def without_modality(title: Title, block: Block, column: int) -> Title:
    """The title as it would have been fused if no shot had the modality: its block zero, rows of norm 1 again."""
    vectors = np.array(title.vectors, dtype=np.float32)
    vectors[:, block.start : block.stop] = 0
    present = title.present.copy()
    present[:, column] = False
    return replace(title, vectors=unit_rows(vectors), present=present)


def louden(title: Title, blocks: Sequence[Block], column: int, factor: float, normalize: Normalize) -> Title:
    """The title as it would have been fused if the vectors of one modality were ``factor`` times as long.

    Fusing only scales a row of all modalities together, so the blocks of a row keep their lengths relative to each
    other, and fusing them again is fusing the encodings. Where the title was fused with ``per-modality``, these lengths
    are equal: there the modality is loud by so much more than the others, however loud it was before.
    """
    parts = [np.asarray(title.vectors[:, block.start : block.stop], np.float64) for block in blocks]
    parts[column] = factor * parts[column]
    fused = fuse_shots(parts, list(title.present.T), normalize)
    return replace(title, vectors=fused.vectors)


def swap_modality(titles: Sequence[Title], block: Block, column: int) -> Change:
    """One modality says what it says in another title: the next of ``titles`` that has it.

    Which shots have it, and how loud it is there, stays as it was; the directions are those of the other title's shots
    that have it, in their order, from the start again where they are fewer.
    """
    own = slice(block.start, block.stop)
    with_it = [title for title in titles if title.present[:, column].any()]
    donors = {title.title_id: donor for title, donor in zip(with_it, _turned(with_it), strict=True)}

    def swap(title: Title) -> Title:
        if title.title_id not in donors:
            return title
        donor = donors[title.title_id]
        shots = np.flatnonzero(title.present[:, column])
        taken = np.asarray(donor.vectors[donor.present[:, column], own], np.float64)  # [k, d]
        lengths = np.linalg.norm(title.vectors[shots, own].astype(np.float64), axis=1, keepdims=True)
        vectors = np.array(title.vectors, dtype=np.float32)
        vectors[shots, own] = lengths * unit_rows(taken)[np.arange(len(shots)) % len(taken)]
        return replace(title, vectors=vectors)

    return swap


def shuffle_metadata(titles: Sequence[Title]) -> Change:
    """[GLOBAL] tells of another title: the next of ``titles`` that has metadata."""
    with_it = [title for title in titles if title.metadata is not None]
    others = {title.title_id: other.metadata for title, other in zip(with_it, _turned(with_it), strict=True)}
    return lambda title: replace(title, metadata=others.get(title.title_id))


def energy_share(titles: Iterable[Title], blocks: Sequence[Block]) -> dict[str, float]:
    """The mean share of each modality in the squared length of a shot's vector; 0 each where nothing shows anything."""
    totals = np.zeros(len(blocks))
    for title in titles:
        squares = np.asarray(title.vectors, np.float64) ** 2
        totals += np.add.reduceat(squares, [block.start for block in blocks], axis=1).sum(axis=0)
    shares = totals / max(totals.sum(), np.finfo(float).tiny)
    return {block.name: float(share) for block, share in zip(blocks, shares, strict=True)}


def _turned(titles: Sequence[Title]) -> list[Title]:
    """Each title's next; of the last, the first."""
    return [*titles[1:], *titles[:1]]
