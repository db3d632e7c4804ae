"""Vectors of clips, for other programs: each pooled over the shots that it overlaps.

*In context*: from the run of the whole title. *Isolated*: the clip's shots alone, run through the model as if they were
all of the title; what [GLOBAL] knows of the title stays. *Flat*: the fused vectors, which no model has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mediafm_cli.evaluate.clips import VECTORS, Clip, find_overlaps, pool_clip
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.stages.embed import EmbedSettings
from mediafm_cli.stages.tables import Rows
from mediafm_cli.store.read import open_store
from mediafm_cli.train.catalogue import open_title


def pool_clips(
    clips: Sequence[Clip], found: Mapping[Path, Sequence[int]], model: MediaFM, settings: EmbedSettings
) -> Rows:
    """The vectors ``in_context``, ``isolated`` and ``flat`` of each clip, in the order of the list.

    Each is the mean direction of the shots that the clip overlaps, weighted by the seconds of overlap.

    Args:
        found: see ``evaluate.clips.find_clips``; these stores have the embeddings of ``settings``, made by ``model``.

    Raises:
        StoreError: a store is not valid, not fused, or without the embeddings.
    """
    vectors: dict[str, np.ndarray] = {}
    titles = [""] * len(clips)
    for path, numbers in found.items():
        _, stored = open_title(path)
        title = stored.load()
        with open_store(path) as store:
            in_context = store.embedding(settings.name).shots
        overlaps = find_overlaps(path, [clips[number] for number in numbers])
        alone = settings.embed(model, (title.window(overlap.at.start, overlap.at.stop) for overlap in overlaps))
        for number, overlap, isolated in zip(numbers, overlaps, alone, strict=True):
            titles[number] = title.title_id
            pooled = (in_context[overlap.at], isolated.shots, title.vectors[overlap.at])
            for column, shots in zip(VECTORS, pooled, strict=True):
                of_column = vectors.setdefault(column, np.zeros((len(clips), shots.shape[1]), np.float32))
                of_column[number] = pool_clip(shots, overlap)
    index: list[dict[str, str | int | float]] = [
        {"title": title, "start_s": clip.start_s, "end_s": clip.end_s, **clip.more}
        for title, clip in zip(titles, clips, strict=True)
    ]
    return Rows(index, vectors)
