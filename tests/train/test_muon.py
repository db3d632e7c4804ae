"""Muon on a processor takes torch's step, computed in float32."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.optim import Muon as TorchMuon

from mediafm_cli.train.muon import Muon, orthogonalize

TORCHS = (3.4445, -4.7750, 2.0315)


def steps_of(kind: type[TorchMuon], weight: torch.Tensor, count: int, **options: object) -> torch.Tensor:
    parameter = nn.Parameter(weight.clone())
    optimizer = kind([parameter], lr=0.05, weight_decay=0.1, **options)
    random = torch.manual_seed(1)
    for _ in range(count):
        parameter.grad = torch.randn(weight.shape, generator=random)
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize("shape", [(24, 24), (48, 16), (16, 48)])
@pytest.mark.parametrize("options", [{}, {"nesterov": False}, {"adjust_lr_fn": "match_rms_adamw", "momentum": 0.8}])
def test_a_few_steps_end_where_torchs_do_but_for_bfloat16(shape: tuple[int, int], options: dict) -> None:
    weight = torch.randn(shape, generator=torch.manual_seed(0))

    ours, torchs = (steps_of(kind, weight, 5, **options) for kind in (Muon, TorchMuon))

    moved = (torchs - weight).norm()
    assert (ours - torchs).norm() / moved < 0.02  # bfloat16 has 8 bits: a step is off by about 2⁻⁷


@pytest.mark.parametrize("shape", [(20, 20), (40, 10), (10, 40)])
def test_orthogonalizing_keeps_the_directions_and_brings_their_sizes_near_one(shape: tuple[int, int]) -> None:
    noise = torch.randn(shape, generator=torch.manual_seed(3), dtype=torch.float64)
    left, _, right = torch.linalg.svd(noise, full_matrices=False)
    matrix = left @ torch.diag(torch.linspace(0.2, 1, min(shape), dtype=torch.float64)) @ right

    found = orthogonalize(matrix, TORCHS, 5, 1e-7)

    sizes = left.T @ found @ right.T
    assert torch.diagonal(sizes).min() > 0.5  # torch's documentation: within 0.5 and 1.5
    assert torch.diagonal(sizes).max() < 1.5
    assert (sizes - torch.diag(torch.diagonal(sizes))).abs().max() < 1e-6


def test_its_state_is_torchs() -> None:
    parameter = nn.Parameter(torch.randn(8, 4))
    ours, torchs = Muon([parameter]), TorchMuon([parameter])
    parameter.grad = torch.ones_like(parameter)
    ours.step()

    torchs.load_state_dict(copy.deepcopy(ours.state_dict()))

    assert torch.equal(torchs.state[parameter]["momentum_buffer"], ours.state[parameter]["momentum_buffer"])


def test_a_parameter_without_a_gradient_stays() -> None:
    parameter = nn.Parameter(torch.ones(3, 3))

    Muon([parameter], weight_decay=0.5).step()

    assert torch.equal(parameter, torch.ones(3, 3))
