"""MediaFM: a BERT-style encoder over the shots of a title.

    [CLS] [GLOBAL] shot 1 … shot n  →  pre-norm blocks  →  final norm  →  one linear layer back to the fused vector

Source: MediaFM (Netflix Technology Blog, 23 February 2026): one projection to the hidden width, [CLS] and then [GLOBAL]
in front, positional embeddings, a linear layer back. What it does not disclose is chosen here:

- [MASK] is a vector of the hidden width that replaces a shot's projection, so what was there cannot leak.
- [GLOBAL] of a title without metadata is a learned vector.
- Blocks are pre-norm, with GELU and four times the width inside.
- Query, key and value are three matrices: Muon orthogonalises each by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_cli.model.batch import Batch
from mediafm_cli.model.config import ModelConfig

PREFIX = 2
"""[CLS] and [GLOBAL] stand before the shots."""

INIT_STD = 0.02
"""BERT's and GPT-2's. A fused vector has length 1, so content and position start out equally strong."""


@dataclass(frozen=True, eq=False)
class Output:
    """What the model makes of a batch. Rows of the padding mean nothing.

    Attributes:
        hidden: [B, n, h], each shot in its context, after the final norm.
        predicted: [B, n, D], ``hidden`` in the space of the fused vectors. Only its direction is learned.
        cls: [B, h], the title: the state of [CLS] after the final norm.
    """

    hidden: Tensor
    predicted: Tensor
    cls: Tensor


class SelfAttention(nn.Module):
    """Multi-head attention of every token to every token that is not padding."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.query = nn.Linear(config.hidden, config.hidden)
        self.key = nn.Linear(config.hidden, config.hidden)
        self.value = nn.Linear(config.hidden, config.hidden)
        self.out = nn.Linear(config.hidden, config.hidden)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """x: [B, T, h]; real: bool [B, 1, 1, T]. Returns [B, T, h]."""
        q, k, v = (self._split(linear(x)) for linear in (self.query, self.key, self.value))
        dropout = self.dropout if self.training else 0.0
        y = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=real, dropout_p=dropout
        )  # [B, heads, T, h/heads]
        return self.out(y.transpose(1, 2).flatten(2))  # [B, T, h]

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, T, h/heads]


class FeedForward(nn.Module):
    """Two linear layers, token by token."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden, 4 * config.hidden)
        self.down = nn.Linear(4 * config.hidden, config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.gelu(self.up(x)))  # [B, T, h]


class EncoderBlock(nn.Module):
    """Pre-norm attention and feed-forward, each added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.attention = SelfAttention(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), real))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))  # [B, T, h]


class MediaFM(nn.Module):
    """The transformer. ``MediaFM(config)`` draws its weights from torch's generator; ``seeded`` from a seed."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.project = nn.Linear(config.layout.width, config.hidden)
        metadata_dim = config.layout.metadata_dim
        self.project_metadata = nn.Linear(metadata_dim, config.hidden) if metadata_dim else None
        self.cls = nn.Parameter(torch.empty(config.hidden))
        self.mask = nn.Parameter(torch.empty(config.hidden))
        self.no_metadata = nn.Parameter(torch.empty(config.hidden))
        self.position = nn.Parameter(torch.empty(PREFIX + config.max_shots, config.hidden))
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(EncoderBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        self.predict = nn.Linear(config.hidden, config.layout.width)
        self._initialize()

    @classmethod
    def seeded(cls, config: ModelConfig, seed: int) -> MediaFM:
        """An untrained model on the CPU, the same for the same seed. Leaves torch's own generator alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config)

    def _initialize(self) -> None:
        for vectors in (self.cls, self.mask, self.no_metadata, self.position):
            nn.init.normal_(vectors, std=INIT_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INIT_STD)
                nn.init.zeros_(module.bias)
        for name, weight in self.named_parameters():
            if name.endswith(("attention.out.weight", "feed_forward.down.weight")):
                # The residual stream adds up 2 · layers of these (Radford et al. 2019, section 2.3).
                nn.init.normal_(weight, std=INIT_STD / math.sqrt(2 * self.config.layers))

    @property
    def device(self) -> torch.device:
        return self.cls.device

    def forward(self, batch: Batch) -> Output:
        """Run the batch, with [MASK] in the place of the shots that it masks."""
        shots = self.project(batch.vectors)  # [B, n, h]
        shots = torch.where(batch.masked[..., None], self.mask, shots)  # [B, n, h]
        prefix = torch.stack([self.cls.expand(len(shots), -1), self._global(batch)], dim=1)  # [B, 2, h]
        x = torch.cat([prefix, shots], dim=1)  # [B, T, h], T = 2 + n
        x = self.dropout(x + self.position[: x.shape[1]])  # [B, T, h]
        real = functional.pad(batch.real, (PREFIX, 0), value=True)[:, None, None, :]  # [B, 1, 1, T]
        for block in self.blocks:
            x = block(x, real)
        x = self.norm(x)  # [B, T, h]
        hidden = x[:, PREFIX:]  # [B, n, h]
        return Output(hidden, self.predict(hidden), x[:, 0])

    def _global(self, batch: Batch) -> Tensor:
        if self.project_metadata is None:
            return self.no_metadata.expand(len(batch.vectors), -1)  # [B, h]
        projected = self.project_metadata(batch.metadata)  # [B, h]
        return torch.where(batch.has_metadata[:, None], projected, self.no_metadata)  # [B, h]
