"""MediaFM: a BERT-style encoder over the shots of a title.

    [CLS] [GLOBAL] shot 1 … shot n  →  pre-norm blocks  →  final norm  →  one linear layer back to the fused vector

Source: MediaFM (Netflix Technology Blog, 23 February 2026): one projection to the hidden width, [CLS] and then [GLOBAL]
in front, positions, a linear layer back. What it does not disclose is chosen here:

- [MASK] is a learned vector for each modality, in the place of what its block would have added; a shot that is hidden
  as a whole gets the sum of them, so what was there cannot leak.
- [GLOBAL] of a title without metadata is a learned vector.
- Blocks are pre-norm, with GELU and four times the width inside, and their linear layers have no biases, as in
  ModernBERT (Warner et al. 2024): a GPU spends a twentieth of a step on them, and with them short runs learned less
  (docs/measured.md). So they did with embeddings normed as BERT's are, whatever the optimiser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mediafm_cli.model.attention import Rotation, SelfAttention, Spans, attend_in_turn, rotation_at, spans_of
from mediafm_cli.model.batch import Batch
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.pretrained import Pretrained
from mediafm_cli.model.whitening import Whitening

INIT_STD = 0.02
"""BERT's and GPT-2's."""

SHOT_S = 4.0
"""About the mean length of a shot, so that positions in time and by number turn at like speeds."""


@dataclass(frozen=True, eq=False)
class Output:
    """What the model makes of a batch.

    Attributes:
        hidden: [N, h], each shot in its context, after the final norm.
        predicted: [K, D], the target rows of the batch, or all N, in the model's coordinates; ``MediaFM.fused`` turns
            them into fused vectors.
        truth: [K, D], what was there, in the same coordinates.
        cls: [B, h], the titles: the state of [CLS] after the final norm.
    """

    hidden: Tensor
    predicted: Tensor
    truth: Tensor
    cls: Tensor


class FeedForward(nn.Module):
    """Two linear layers, token by token."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(hidden, 4 * hidden, bias=False)
        self.down = nn.Linear(4 * hidden, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.gelu(self.up(x)))  # [T, h]


class EncoderBlock(nn.Module):
    """Pre-norm attention and feed-forward, each added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.attention = SelfAttention(config.hidden, config.heads)
        self.feed_forward_norm = nn.LayerNorm(config.hidden)
        self.feed_forward = FeedForward(config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, spans: Spans, rotation: Rotation | None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), spans, rotation))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))  # [T, h]


class MediaFM(Pretrained):
    """The transformer. ``MediaFM(config)`` draws its weights from torch's generator; ``seeded`` from a seed.

    ``MediaFM.from_pretrained`` reads one from a folder or from the Hugging Face hub.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        hidden, layout, blocks = config.hidden, config.layout, len(config.layout.blocks)
        self.whitening = Whitening(layout.blocks) if config.projection == "whitened" else None
        self.project = nn.Linear(layout.width, hidden)
        self.cls = nn.Parameter(torch.empty(hidden))
        self.mask = nn.Parameter(torch.empty(blocks, hidden))
        self.absent = nn.Parameter(torch.empty(blocks, hidden)) if config.missing == "null-token" else None
        self.no_metadata = nn.Parameter(torch.empty(hidden)) if config.global_token else None
        has_metadata = config.global_token and layout.metadata_dim
        self.project_metadata = nn.Linear(layout.metadata_dim, hidden) if has_metadata else None
        is_learned = config.position == "learned"
        self.position = nn.Parameter(torch.empty(config.prefix + config.max_shots, hidden)) if is_learned else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(EncoderBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(hidden)
        self.predict = nn.Linear(hidden, layout.width)
        self._initialize()

    @classmethod
    def seeded(cls, config: ModelConfig, seed: int) -> MediaFM:
        """An untrained model on the CPU, the same for the same seed. Leaves torch's own generator alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config)

    def untrained(self, seed: int) -> MediaFM:
        """A model of the same shape and coordinates with random weights, on the same device."""
        model = MediaFM.seeded(self.config, seed)
        if model.whitening is not None and self.whitening is not None:
            model.whitening.load_state_dict(self.whitening.state_dict())
        return model.to(self.device)

    def _initialize(self) -> None:
        for vectors in (self.cls, self.mask, self.absent, self.no_metadata, self.position):
            if vectors is not None:
                nn.init.normal_(vectors, std=INIT_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name, weight in self.named_parameters():
            if name.endswith(("attention.out.weight", "feed_forward.down.weight")):
                # The residual stream adds up 2 · layers of these (Radford et al. 2019, section 2.3).
                nn.init.normal_(weight, std=INIT_STD / math.sqrt(2 * self.config.layers))
        if self.whitening is not None:
            # Predicted rows start about as long as true ones, since their length counts (see ``msm.Distances``).
            nn.init.normal_(self.predict.weight, std=1 / math.sqrt(self.predict.weight.numel()))

    @property
    def device(self) -> torch.device:
        return self.cls.device

    def compile_blocks(self) -> None:
        """Let torch.compile fuse each block; it must not see lengths, or it compiles anew for each batch's."""
        hidden = torch.compiler.disable(attend_in_turn)
        for module in self.modules():
            if isinstance(module, SelfAttention):
                module.attend_in_turn = hidden
        for block in self.blocks:
            block.compile(dynamic=True)

    def forward(self, batch: Batch) -> Output:
        """Run the batch; what it masks is not seen."""
        spans = spans_of(tuple(length + self.config.prefix for length in batch.lengths), batch.offsets)
        rotation = self._rotation(batch)
        vectors = self.coordinates(batch.vectors)  # [N, D]
        x = self._embed(batch, vectors if batch.shown is None else self.coordinates(batch.shown))  # [T, h]
        for block in self.blocks:
            x = block(x, spans, rotation)
        x = self.norm(x.float())
        hidden = x.index_select(0, batch.shot_tokens)  # [N, h]
        rows, truth = hidden, vectors
        if batch.target_rows is not None and len(batch.target_rows) < len(batch):
            rows, truth = (x.index_select(0, batch.target_rows) for x in (hidden, vectors))
        return Output(hidden, self.predict(rows), truth, x.index_select(0, batch.offsets[:-1]))

    def fused(self, predicted: Tensor) -> Tensor:
        """Predictions, [K, D], as fused vectors, of which only directions count."""
        return predicted if self.whitening is None else self.whitening.undo(predicted)

    def coordinates(self, vectors: Tensor) -> Tensor:
        """Fused vectors, [N, D], in the coordinates in which the model sees and predicts them."""
        return vectors if self.whitening is None else self.whitening(vectors)

    def _embed(self, batch: Batch, shown: Tensor) -> Tensor:
        shots = self.project(self._visible(batch, shown)) + self._stand_ins(batch)  # [N, h]
        tokens = [shots, self.cls.expand(len(batch.lengths), -1)]
        if self.no_metadata is not None:
            tokens.append(self._global(batch, self.no_metadata))
        x = torch.cat(tokens).index_select(0, batch.order)  # [T, h]
        if self.position is not None:
            x = x + torch.cat([self.position[: length + self.config.prefix] for length in batch.lengths])
        return self.dropout(x.to(shots.dtype))  # in half precision, so is all that blocks add to it, and its gradient

    def _visible(self, batch: Batch, vectors: Tensor) -> Tensor:
        """[N, D]: what the model may see of ``vectors``, zero elsewhere."""
        blocks = self.config.layout.blocks
        if self.config.projection == "per-modality":
            parts = vectors.split([block.stop - block.start for block in blocks], dim=-1)
            vectors = torch.cat([functional.normalize(part, dim=-1) for part in parts], dim=-1)
        if self.training and self.config.input_dropout:
            vectors = _drop(vectors, self.config.input_dropout)
        if batch.masked is None:
            return vectors
        visible = vectors.clone()
        for block, hidden in zip(blocks, batch.masked.unbind(dim=-1), strict=True):
            visible[:, block.start : block.stop].masked_fill_(hidden[:, None], 0)
        return visible

    def _stand_ins(self, batch: Batch) -> Tensor:
        """[N, h] or 0: what stands for blocks that are masked, or absent."""
        absent, masked = ~batch.present, batch.masked  # [N, m]
        if self.config.missing == "masked":
            masked = absent if masked is None else masked | absent
        added = torch.zeros((), device=self.device)
        if masked is not None:
            added = masked.to(self.mask.dtype) @ self.mask
        if self.absent is not None:
            unseen = absent if masked is None else absent & ~masked
            added = added + unseen.to(self.absent.dtype) @ self.absent
        return added

    def _global(self, batch: Batch, no_metadata: Tensor) -> Tensor:
        if self.project_metadata is None:
            return no_metadata.expand(len(batch.lengths), -1)  # [B, h]
        projected = self.project_metadata(batch.metadata)  # [B, h]
        return torch.where(batch.has_metadata[:, None], projected, no_metadata)  # [B, h]

    def _rotation(self, batch: Batch) -> Rotation | None:
        """[CLS] and [GLOBAL] stand where the first shot does."""
        if self.config.position == "learned":
            return None
        places = batch.start_s / SHOT_S if self.config.position == "time" else batch.places  # [N]
        positions = torch.zeros(len(batch.order), device=self.device).index_copy(0, batch.shot_tokens, places)  # [T]
        return rotation_at(positions, self.config.head_width)


def _drop(values: Tensor, share: float) -> Tensor:
    """Dropout in steps of 1/256, for values without a gradient: bytes are drawn several times faster than floats."""
    least = min(255, round(256 * share))
    kept = torch.randint(256, values.shape, dtype=torch.uint8, device=values.device) >= least
    return values * kept * (256 / (256 - least))
