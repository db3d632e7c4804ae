"""torch's Muon, with matrices of one shape orthogonalised together, in an arithmetic that is fit for the device.

torch's takes one matrix after the other, which leaves a GPU idle, and computes in bfloat16, for which most processors
have no arithmetic: there it costs up to 85 times as much as float32 (1024 × 1024, AVX2). Here a processor computes in
float32. State, arguments, and the adjustment of the rate are torch's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon as TorchMuon
from torch.optim._muon import _adjust_lr

from mediafm_cli.train.distributed import part_like, whole

AT_ONCE = 1 << 26
"""Numbers that are orthogonalised together, at most: 256 MiB in float32."""


class Muon(TorchMuon):
    """See ``torch.optim.Muon``, and Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for alike in _of_one_shape([(p, p.grad) for p in group["params"] if p.grad is not None]):
                self._move(alike, group)
        return loss

    def _move(self, alike: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        """Move matrices of one shape by their gradients."""
        parameters, grads = ([*side] for side in zip(*alike, strict=True))
        for parameter, grad in alike:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(grad)
        means = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(means, grads, 1 - group["momentum"])
        updates = torch._foreach_lerp(grads, means, group["momentum"]) if group["nesterov"] else means
        stacked = torch.stack([whole(update) for update in updates])  # [k, rows, columns]
        if stacked.is_cuda:
            stacked = stacked.bfloat16()
        moves = orthogonalize(stacked, group["ns_coefficients"], group["ns_steps"], group["eps"]).to(grads[0].dtype)
        parts = [part_like(move, parameter) for move, parameter in zip(moves, parameters, strict=True)]
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        rate = _adjust_lr(group["lr"], group["adjust_lr_fn"], parameters[0].shape)
        torch._foreach_add_(parameters, parts, alpha=-rate)


def orthogonalize(matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Matrices with their singular values brought near 1, by the quintic Newton–Schulz iteration.

    Args:
        matrices: [k, rows, columns]; computed in their own type.
        coefficients: a, b, c of x ← a x + b x³ + c x⁵.
    """
    a, b, c = coefficients
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x


def _of_one_shape(moved: list[tuple[Tensor, Tensor]]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    shapes: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for parameter, grad in moved:
        shapes[parameter.shape].append((parameter, grad))
    for shape, alike in shapes.items():
        count = max(1, AT_ONCE // shape.numel())
        yield from (alike[first : first + count] for first in range(0, len(alike), count))
