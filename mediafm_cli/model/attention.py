"""Self-attention within each of several sequences that lie end to end, and the rotary positions in it.

One interface, three ways to compute it, the same to rounding: sequences of one length as a single batch; those of
several by PyTorch's attention of variable lengths on a GPU in half precision, and elsewhere one after another, which on
a processor costs less than padding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

ROTARY_BASE = 10_000.0
"""Su et al. 2021, "RoFormer", section 3.2.2: the slowest pair turns once in about this many positions times 2 pi."""


@dataclass(frozen=True, eq=False)
class Spans:
    """Where the sequences of a batch lie among its T tokens.

    Attributes:
        lengths: tokens of each of B sequences. ``offsets``: int32 [B + 1], where they begin, on the device.
        longest: the most tokens of any. ``even``: whether all have as many.
        variable: whether the device has attention of variable lengths, in half precision.
    """

    lengths: tuple[int, ...]
    offsets: Tensor
    longest: int
    even: bool
    variable: bool


def spans_of(lengths: tuple[int, ...], offsets: Tensor) -> Spans:
    """See ``Spans``."""
    return Spans(lengths, offsets, max(lengths), len(set(lengths)) == 1, _has_variable(offsets.device))


@dataclass(frozen=True, eq=False)
class Rotation:
    """Cosine and sine of each token's angles, for both halves of a head: [T, 1, w]; the first half of sines negated."""

    cos: Tensor
    sin: Tensor


def rotation_at(positions: Tensor, head_width: int) -> Rotation:
    """The rotation of tokens at ``positions``, float [T]; any unit will do, since only differences count."""
    pairs = torch.arange(0, head_width, 2, device=positions.device, dtype=torch.float32)
    speeds = ROTARY_BASE ** (-pairs / head_width)  # [w/2]
    angles = (positions[:, None] * speeds)[:, None, :]  # [T, 1, w/2]
    cos, sin = angles.cos(), angles.sin()
    return Rotation(torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1))


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn the pairs (i, i + w/2) of each head; x: [T, heads, w]."""
    first, second = x.chunk(2, dim=-1)  # [T, heads, w/2] each
    swapped = torch.cat([second, first], dim=-1)  # [T, heads, w]
    return torch.addcmul(x * rotation.cos.to(x.dtype), swapped, rotation.sin.to(x.dtype))


def attend_in_turn(query: Tensor, key: Tensor, value: Tensor, spans: Spans) -> Tensor:
    """As ``attend``, one sequence after another."""
    parts = zip(*(x.split(list(spans.lengths)) for x in (query, key, value)), strict=True)
    return torch.cat([_attend_batch(q, k, v, len(q)) for q, k, v in parts])


Attend = Callable[[Tensor, Tensor, Tensor, Spans], Tensor]


def attend(query: Tensor, key: Tensor, value: Tensor, spans: Spans, in_turn: Attend = attend_in_turn) -> Tensor:
    """Every token attends to every token of its own sequence; [T, heads, w] each, and the result too.

    Args:
        in_turn: ``attend_in_turn``, or what hides it from torch.compile.
    """
    if spans.even:
        return _attend_batch(query, key, value, spans.longest)
    if not (spans.variable and _is_taken_by_variable(query)):
        return in_turn(query, key, value, spans)
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn(query, key, value, spans.offsets, spans.offsets, spans.longest, spans.longest)  # type: ignore[return-value]


def _has_variable(device: torch.device) -> bool:
    """GPUs from Ampere on."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def _is_taken_by_variable(query: Tensor) -> bool:
    """It is in half precision, with heads of a multiple of 8 up to 256."""
    width = query.shape[-1]
    return query.dtype in (torch.bfloat16, torch.float16) and width % 8 == 0 and width <= 256


def _attend_batch(query: Tensor, key: Tensor, value: Tensor, length: int) -> Tensor:
    """Sequences of ``length`` tokens each."""
    q, k, v = (x.unflatten(0, (-1, length)).transpose(1, 2) for x in (query, key, value))  # [B, heads, length, w]
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(0, 1)  # [T, heads, w]


class SelfAttention(nn.Module):
    """Multi-head attention.

    Query, key and value are three matrices, so that Muon orthogonalises each by itself, and one product.
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(hidden, hidden, bias=False) for _ in range(4))
        self.attend_in_turn: Attend = attend_in_turn  # ``MediaFM.compile_blocks`` hides it from torch.compile

    def forward(self, x: Tensor, spans: Spans, rotation: Rotation | None) -> Tensor:
        """x: [T, h]. Returns [T, h]."""
        weight = torch.cat([self.query.weight, self.key.weight, self.value.weight])
        all_heads = functional.linear(x, weight).unflatten(-1, (3 * self.heads, -1))  # [T, 3 · heads, w]
        turned, value = all_heads.split([2 * self.heads, self.heads], dim=1)
        if rotation is not None:
            turned = rotate(turned, rotation)
        query, key = turned.chunk(2, dim=1)  # [T, heads, w]
        return self.out(attend(query, key, value, spans, self.attend_in_turn).flatten(1))  # [T, h]
