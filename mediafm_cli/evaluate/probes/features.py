"""What probes learn from: the rows of a comparison, from one modality of one shot to the transformer in context.

*In context*: from the run of the whole title. *Isolated*: the shots of the clip alone, as if they were all of the
title. *Shuffled*: in context, but of the title's shots in another order. Each row that knows more than one shot is also
there beside the flat vector, since a probe may need both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mediafm_cli.evaluate.clips import Overlap, pool_clip, pool_shots
from mediafm_cli.evaluate.neighbours import window_means
from mediafm_cli.model.context import Embedding, embed_titles
from mediafm_cli.model.title import Block, Title
from mediafm_cli.model.transformer import MediaFM

REACHES = (2, 4)
"""Shots on each side that the window means take in. Which of the two is the harder to beat depends on the titles."""

FLAT = "all flat"

Embed = Callable[[MediaFM, Iterable[Title]], Iterator[Embedding]]
Clips = Sequence[Sequence[Overlap]]


@dataclass(frozen=True, eq=False)
class FeatureRow:
    """One row of a comparison.

    Attributes:
        name: as the table shows it.
        vectors: float32 [clips, d], one a title.
        baseline: context has to beat it; the trained model's own rows are none.
    """

    name: str
    vectors: list[np.ndarray]
    baseline: bool = True


def feature_rows(
    titles: Sequence[Title],
    blocks: Sequence[Block],
    model: MediaFM | None = None,
    clips: Clips | None = None,
    *,
    reaches: Sequence[int] = REACHES,
    seed: int = 0,
    embed: Embed = embed_titles,
    isolated: bool = True,
) -> Iterator[FeatureRow]:
    """Yield the rows of ``titles``, one after the other, since together they may be large.

    Args:
        model: trained; without one only the rows that need none.
        clips: of each title; see ``clips.find_overlaps``. Each shot by itself where it is None.
        reaches: of the window means. ``seed``: of the untrained model and of the order of shuffled shots.
        embed: runs a model over titles: ``functools.partial(embed_titles, layer="hidden")``, for another layer.
        isolated: also each clip without its context, a run of the model for each of them.
    """
    overlaps = clips if clips is not None else [_each_shot(title) for title in titles]

    def pooled(shots: Iterable[np.ndarray]) -> list[np.ndarray]:
        return [pool_shots(vectors, of_title) for vectors, of_title in zip(shots, overlaps, strict=True)]

    flat = pooled(title.vectors for title in titles)

    def alone_and_beside(name: str, vectors: list[np.ndarray], *, baseline: bool = True) -> Iterator[FeatureRow]:
        yield FeatureRow(name, vectors, baseline)
        both = [np.concatenate(pair, axis=1) for pair in zip(flat, vectors, strict=True)]
        yield FeatureRow(f"flat + {name}", both, baseline)

    if len(blocks) > 1:
        for block in blocks:
            columns = slice(block.start, block.stop)
            yield FeatureRow(f"{block.name} flat", pooled(title.vectors[:, columns] for title in titles))
    yield FeatureRow(FLAT, flat)
    for reach in reaches:
        means = pooled(window_means(title.vectors, reach) for title in titles)
        yield from alone_and_beside(f"window mean ±{reach}", means)
    if model is None:
        return
    untrained = model.untrained(seed)
    yield from alone_and_beside("untrained", pooled(one.shots for one in embed(untrained, titles)))
    yield from alone_and_beside("shuffled", pooled(_shuffled(model, titles, seed, embed)))
    in_context = pooled(one.shots for one in embed(model, titles))
    yield from alone_and_beside("trained, in context", in_context, baseline=False)
    if isolated:
        alone = [_isolated(model, *pair, embed) for pair in zip(titles, overlaps, strict=True)]
        yield from alone_and_beside("trained, isolated", alone, baseline=False)


def shuffled_order(title: Title, seed: int) -> np.ndarray:
    """The shots of a title in another order, int64 [n]. What hides shots draws otherwise, or those would meet."""
    return np.random.default_rng([seed, *b"shuffled ", *title.title_id.encode()]).permutation(len(title))


def _each_shot(title: Title) -> list[Overlap]:
    return [Overlap(slice(shot, shot + 1), np.ones(1)) for shot in range(len(title))]


def _isolated(model: MediaFM, title: Title, overlaps: Sequence[Overlap], embed: Embed) -> np.ndarray:
    alone = embed(model, (title.window(overlap.at.start, overlap.at.stop) for overlap in overlaps))
    return np.stack([pool_clip(one.shots, overlap) for one, overlap in zip(alone, overlaps, strict=True)])


def _shuffled(model: MediaFM, titles: Sequence[Title], seed: int, embed: Embed) -> Iterator[np.ndarray]:
    """The shots in their own order, each from a run in which the shots changed places; the times stay in theirs."""
    orders = [shuffled_order(title, seed) for title in titles]
    mixed = (
        replace(title, vectors=title.vectors[order], present=title.present[order])
        for title, order in zip(titles, orders, strict=True)
    )
    for one, order in zip(embed(model, mixed), orders, strict=True):
        yield one.shots[np.argsort(order)]
