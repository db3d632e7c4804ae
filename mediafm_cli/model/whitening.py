"""Whitening: coordinates in which each modality is centred and varies about as much in every direction.

A cosine between vectors as they come is decided by what varies most from shot to shot: the camera, who is in frame.
What a scene shares is a small part of that, so a model that is judged by it learns of the scene last. In coordinates
where all directions vary alike it counts for as much as the rest, and the mean of all shots, which is the larger part
of many encoders' vectors, counts for nothing.

Kessy et al. 2018, "Optimal Whitening and Decorrelation": this is PCA whitening, with a ridge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_cli.model.title import Block, Title

RIDGE = 0.1
"""Added to the variance of each direction, as a share of their mean: what hardly varies is not blown up to the full."""

SHOTS_A_NUMBER = 16
"""Shots that are enough, for each number of the widest block, to tell how it varies."""


class Whitening(nn.Module):
    """The coordinates, as buffers: they are measured once, on what a model is to learn from, and are never trained.

    Attributes:
        center: [D], the mean of each block, scaled to length 1, over the shots that have it.
        scale: [D], by which each direction is multiplied, so that a block has a length of about 1 again.
        axes_0, axes_1, …: [w, w] for each block, orthogonal: its principal axes are the columns.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        self._widths = [block.stop - block.start for block in blocks]
        width = sum(self._widths)
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        for number, own in enumerate(self._widths):
            self.register_buffer(f"axes_{number}", torch.eye(own))

    @torch.no_grad()
    def fit(self, titles: Iterable[Title]) -> None:
        """Measure the coordinates on the shots of ``titles``, of which no more are read than it takes.

        A block that never varies is left as it is. Rows that are not finite do not count: training names them.
        """
        enough, seen = SHOTS_A_NUMBER * max(self._widths), 0
        parts: list[np.ndarray] = []
        for title in titles:
            parts.append(np.array(title.vectors[: enough - seen], np.float32))
            seen += len(parts[-1])
            if seen >= enough:
                break
        rows = torch.from_numpy(np.concatenate(parts)).double()
        rows = rows[rows.isfinite().all(dim=-1)]
        edges = pairwise(np.cumsum([0, *self._widths]).tolist())
        for number, ((start, stop), block) in enumerate(zip(edges, rows.split(self._widths, dim=-1), strict=True)):
            shown = functional.normalize(block[block.any(dim=-1)], dim=-1)  # [shots, w]
            center = shown.mean(dim=0)
            variances, axes = torch.linalg.eigh((shown - center).T @ (shown - center) / max(1, len(shown)))
            variances = variances.clamp(min=0)
            if not variances.sum() > 1e-9:
                continue
            raised = variances + RIDGE * variances.mean()
            self.center[start:stop] = center
            self.scale[start:stop] = raised.rsqrt() / (variances / raised).sum().sqrt()
            self._axes[number].copy_(axes)

    @torch.no_grad()
    def forward(self, vectors: Tensor) -> Tensor:
        """Fused vectors in these coordinates, [N, D]: unit rows of blocks of one length; what was zero stays zero."""
        parts = zip(
            vectors.split(self._widths, dim=-1),
            self.center.split(self._widths),
            self.scale.split(self._widths),
            self._axes,
            strict=True,
        )
        whitened = []
        with torch.autocast(vectors.device.type, enabled=False):  # what hardly varies would drown in its rounding
            for part, center, scale, axes in parts:
                turned = (functional.normalize(part, dim=-1) - center) @ axes * scale
                whitened.append(functional.normalize(turned, dim=-1) * part.any(dim=-1, keepdim=True))
        return functional.normalize(torch.cat(whitened, dim=-1), dim=-1)

    def undo(self, predicted: Tensor) -> Tensor:
        """Predictions in these coordinates, [N, D], as fused vectors, of which only directions count.

        A block of length 1 is a certainty; one of length 0 becomes the mean of all shots.
        """
        parts = [
            (part / scale) @ axes.T
            for part, scale, axes in zip(
                predicted.split(self._widths, dim=-1), self.scale.split(self._widths), self._axes, strict=True
            )
        ]
        return torch.cat(parts, dim=-1) + self.center

    @property
    def _axes(self) -> list[Tensor]:
        return [self.get_buffer(f"axes_{number}") for number in range(len(self._widths))]
