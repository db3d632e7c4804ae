"""torch's Muon, with the arithmetic of its orthogonalisation fit for the device.

torch's computes it in bfloat16, which is right for GPUs. Most processors have no bfloat16 arithmetic, and there it
costs up to 85 times as much as float32 (1024 × 1024, AVX2); so on a processor it is float32 here. Everything else is
torch's: state, arguments, and the adjustment of the rate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Muon as TorchMuon
from torch.optim._muon import _adjust_lr


class Muon(TorchMuon):
    """See ``torch.optim.Muon``, and Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step; as torch's does where the parameters are on a GPU."""
        if any(parameter.is_cuda for group in self.param_groups for parameter in group["params"]):
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)
        return loss

    def _move(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        mean = state["momentum_buffer"].lerp_(grad, 1 - group["momentum"])
        update = grad.lerp(mean, group["momentum"]) if group["nesterov"] else mean
        update = orthogonalize(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rate = _adjust_lr(group["lr"], group["adjust_lr_fn"], parameter.shape)
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)


def orthogonalize(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """The matrix with its singular values brought near 1, by the quintic Newton–Schulz iteration.

    Args:
        matrix: [rows, columns]; computed in its own type.
        coefficients: a, b, c of x ← a x + b x³ + c x⁵.
    """
    a, b, c = coefficients
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x
