"""The coordinates of a model whose modalities are whitened, measured on the titles that it is to learn from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.whitening import SHOTS_A_NUMBER, Whitening
from mediafm_cli.train.sequences import Draw, TitleSource, generator, some_titles


def measure_whitening(titles: Sequence[TitleSource], config: ModelConfig, seed: int) -> dict[str, Tensor]:
    """The state of a ``Whitening``: measured on as many shots of each of some titles, at a random place."""
    whitening = Whitening(config.layout.blocks)
    whitening.fit(_parts(titles, config, seed))
    return whitening.state_dict()


def _parts(titles: Sequence[TitleSource], config: ModelConfig, seed: int) -> Iterator[np.ndarray]:
    some = some_titles(titles, Draw.WHITENING, seed)
    widest = max(block.stop - block.start for block in config.layout.blocks)
    share = math.ceil(SHOTS_A_NUMBER * widest / len(some))
    for number, title in enumerate(some):
        length = min(share, len(title))
        start = int(generator(seed, Draw.WHITENING, number).integers(len(title) - length + 1))
        yield title.window(start, start + length).vectors
