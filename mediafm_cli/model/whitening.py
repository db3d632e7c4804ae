"""Whitening: coordinates in which each modality is centred and varies about as much in every direction.

A cosine between vectors as they come is decided by what varies most from shot to shot: the camera, who is in frame.
What a scene shares is a small part of that, so a model that is judged by it learns of the scene last. In coordinates
where all directions vary alike it counts for as much as the rest, and the mean of all shots, which is the larger part
of many encoders' vectors, counts for nothing.

Kessy et al. 2018, "Optimal Whitening and Decorrelation": this is PCA whitening, with a ridge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_cli.model.title import Block

RIDGE = 0.1
"""Added to the variance of each direction, as a share of their mean: what hardly varies is not blown up to the full.

So is a block's width divided by the shots that showed it, for of few shots the variances are not well known.
"""

SHOTS_A_NUMBER = 32
"""Shots that are enough, for each number of a block, to tell how it varies."""


class Whitening(nn.Module):
    """The coordinates, as buffers: they are measured once, on what a model is to learn from, and are never trained.

    Attributes:
        center: [D], the mean of each block, scaled to length 1, over the shots that have it.
        scale: [D], by which each direction is multiplied, so that a block has a length of about 1 again.
        length: [m], the mean length of each block in fused rows.
        axes_0, axes_1, …: [w, w] for each block, orthogonal: its principal axes are the columns.
    """

    center: Tensor
    scale: Tensor
    length: Tensor

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        self._widths = [block.stop - block.start for block in blocks]
        width = sum(self._widths)
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("length", torch.ones(len(self._widths)))
        for number, own in enumerate(self._widths):
            self.register_buffer(f"axes_{number}", torch.eye(own))

    @torch.no_grad()
    def fit(self, parts: Iterable[np.ndarray]) -> None:
        """Measure the coordinates on fused vectors, float32 [n, D] each.

        A block that never varies is left as it is, but for its length. Rows that are not finite do not count: training
        names them.
        """
        moments = [_Moments(width) for width in self._widths]
        for vectors in parts:
            rows = torch.from_numpy(np.array(vectors, np.float64))
            rows = rows[rows.isfinite().all(dim=-1)]
            for one, block in zip(moments, rows.split(self._widths, dim=-1), strict=True):
                one.add(block)
        edges = pairwise(np.cumsum([0, *self._widths]).tolist())
        for number, (one, (start, stop)) in enumerate(zip(moments, edges, strict=True)):
            if one.count:
                self.length[number] = one.length / one.count
            center, variances, axes = one.principal_axes()
            if not variances.sum() > 1e-9:
                continue
            raised = variances + (RIDGE + len(variances) / one.count) * variances.mean()
            self.center[start:stop] = center
            self.scale[start:stop] = raised.rsqrt() / (variances / raised).sum().sqrt()
            self._axes[number].copy_(axes)

    @torch.no_grad()
    def forward(self, vectors: Tensor) -> Tensor:
        """Fused vectors in these coordinates, [N, D]: all blocks of one length, a row of all of them of length 1.

        What is zero stays zero.
        """
        whitened = []
        with torch.autocast(vectors.device.type, enabled=False):  # what hardly varies would drown in its rounding
            for part, center, scale, axes in self._blocks(vectors):
                turned = (functional.normalize(part, dim=-1) - center) @ axes * scale
                whitened.append(functional.normalize(turned, dim=-1) * part.any(dim=-1, keepdim=True))
        return torch.cat(whitened, dim=-1) / math.sqrt(len(whitened))

    def undo(self, predicted: Tensor) -> Tensor:
        """Predictions in these coordinates, [N, D], as fused vectors.

        A block as long as a true one is a certainty; one of length 0 becomes the mean of all shots. Both come to be
        about as long as that modality mostly is.
        """
        sure = predicted.float() * math.sqrt(len(self._widths))
        fused = [(part / scale) @ axes.T + center for part, center, scale, axes in self._blocks(sure)]
        return torch.cat([part * length for part, length in zip(fused, self.length, strict=True)], dim=-1)

    def _blocks(self, rows: Tensor) -> Iterable[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Each block of ``rows``, with its center, scale and axes."""
        split = (values.split(self._widths, dim=-1) for values in (rows, self.center, self.scale))
        return zip(*split, self._axes, strict=True)

    @property
    def _axes(self) -> list[Tensor]:
        return [self.get_buffer(f"axes_{number}") for number in range(len(self._widths))]


class _Moments:
    """Sums over the shots that have one block: of rows scaled to length 1, of their products, and of their lengths."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.length = 0.0
        self._sum = torch.zeros(width, dtype=torch.float64)
        self._products = torch.zeros(width, width, dtype=torch.float64)

    def add(self, block: Tensor) -> None:
        shown = block[block.any(dim=-1)]
        lengths = torch.linalg.vector_norm(shown, dim=-1, keepdim=True)
        unit = shown / lengths
        self.count += len(shown)
        self.length += float(lengths.sum())
        self._sum += unit.sum(dim=0)
        self._products += unit.T @ unit

    def principal_axes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean [w], variances [w] and the directions in which they are, the columns of [w, w]."""
        count = max(1, self.count)
        center = self._sum / count
        variances, axes = torch.linalg.eigh(self._products / count - torch.outer(center, center))
        return center, variances.clamp(min=0), axes
