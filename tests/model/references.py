"""MediaFM written out a second time: padded, masked, and turned by complex numbers. And models that notice things."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM


def vivid(config: ModelConfig, seed: int = 0) -> MediaFM:
    """A model with weights so large that attention looks at something, as it does in a trained one."""
    model = MediaFM.seeded(config, seed).eval()
    generator = torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.4 * torch.randn(weight.shape, generator=generator))
    return model


def padded_states(model: MediaFM, titles: Sequence[Title]) -> Tensor:
    """The states after the final norm, [B, longest + prefix, h], of titles that hide nothing; padded with rubbish."""
    config = model.config
    sizes = [config.prefix + len(title) for title in titles]
    x = torch.full((len(titles), max(sizes), config.hidden), 7.0)
    places = torch.full(x.shape[:2], 3.0, dtype=torch.float64)
    for row, (title, size) in enumerate(zip(titles, sizes, strict=True)):
        x[row, :size] = _tokens(model, title)
        places[row, :size] = torch.from_numpy(_places(config, title))
    real = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]  # [B, L]
    for block in model.blocks:
        attention = block.attention
        flat = block.attention_norm(x)
        query, key, value = (
            linear(flat).unflatten(-1, (config.heads, -1)).transpose(1, 2)
            for linear in (attention.query, attention.key, attention.value)
        )  # [B, heads, L, w]
        if config.position != "learned":
            query, key = turned(query, places[:, None]), turned(key, places[:, None])
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=real[:, None, None, :])
        x = x + attention.out(mixed.transpose(1, 2).flatten(2))
        x = x + block.feed_forward(block.feed_forward_norm(x))
    return model.norm(x)


def turned(x: Tensor, places: Tensor) -> Tensor:
    """The pairs (i, i + w/2) as complex numbers, turned by place · 10000^(−2i/w): Su et al. 2021, equation 15."""
    width = x.shape[-1]
    speeds = 10_000.0 ** (-2 * torch.arange(width // 2, dtype=torch.float64) / width)
    turns = torch.exp(1j * places[..., None] * speeds)
    numbers = torch.complex(x[..., : width // 2].double(), x[..., width // 2 :].double()) * turns
    return torch.cat([numbers.real, numbers.imag], dim=-1).to(x.dtype)


def _tokens(model: MediaFM, title: Title) -> Tensor:
    tokens = [model.cls[None]]
    if model.no_metadata is not None:
        about = title.metadata
        described = model.no_metadata if about is None else model.project_metadata(torch.from_numpy(about))
        tokens.append(described[None])
    absent = torch.from_numpy(~title.present).float()
    stand_ins = absent @ model.absent if model.absent is not None else 0
    tokens.append(model.project(torch.from_numpy(title.vectors)) + stand_ins)
    together = torch.cat(tokens)
    return together if model.position is None else together + model.position[: len(together)]


def _places(config: ModelConfig, title: Title) -> np.ndarray:
    """Shots by number, or in units of 4 s; what stands before them stands where the first does."""
    numbers = np.arange(len(title)) if config.position == "rotary" else (title.start_s - title.start_s[0]) / 4
    return np.concatenate([np.zeros(config.prefix), numbers])
