"""Muon takes torch's step, with matrices of one shape together and in float32 on a processor."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.optim import Muon as TorchMuon

from mediafm_cli.train.muon import Muon, orthogonalize

TORCHS = (3.4445, -4.7750, 2.0315)
SHAPES = [(24, 24), (48, 16), (16, 48), (24, 24), (16, 48), (24, 24), (5, 7)]
OPTIONS = [{}, {"nesterov": False}, {"adjust_lr_fn": "match_rms_adamw", "momentum": 0.8}]


def start(shapes: list[tuple[int, int]]) -> list[torch.Tensor]:
    generator = torch.manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def gradients(shapes: list[tuple[int, int]], count: int) -> list[list[torch.Tensor]]:
    generator = torch.manual_seed(1)
    return [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(count)]


def steps_of(kind: type[TorchMuon], shapes: list[tuple[int, int]], count: int, **options: object) -> list[torch.Tensor]:
    parameters = [nn.Parameter(weight.clone()) for weight in start(shapes)]
    optimizer = kind(parameters, lr=0.05, weight_decay=0.1, **options)  # type: ignore[arg-type]
    for grads in gradients(shapes, count):
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad.clone()
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def by_hand(
    shapes: list[tuple[int, int]],
    count: int,
    nesterov: bool = True,
    momentum: float = 0.95,
    adjust_lr_fn: str = "original",
) -> list[torch.Tensor]:
    """Algorithm 2 of Jordan et al. 2024, as torch.optim.Muon documents it, one matrix at a time, in float64."""
    weights = [weight.double() for weight in start(shapes)]
    means = [torch.zeros_like(weight) for weight in weights]
    for grads in gradients(shapes, count):
        for number, grad in enumerate(grads):
            means[number] = momentum * means[number] + (1 - momentum) * grad.double()
            update = momentum * means[number] + (1 - momentum) * grad.double() if nesterov else means[number]
            rows, columns = update.shape
            x = update / update.norm()
            for _ in range(5):
                gram = x @ x.T
                x = TORCHS[0] * x + TORCHS[1] * gram @ x + TORCHS[2] * gram @ gram @ x
            original = math.sqrt(max(1, rows / columns))  # the documentation's two ways to adjust the rate
            factor = original if adjust_lr_fn == "original" else 0.2 * math.sqrt(max(rows, columns))
            weights[number] = weights[number] * (1 - 0.05 * 0.1) - 0.05 * factor * x
    return weights


@pytest.mark.parametrize("options", OPTIONS)
def test_a_few_steps_end_where_torchs_formula_does(options: dict) -> None:
    ours = steps_of(Muon, SHAPES, 4, **options)

    for found, expected in zip(ours, by_hand(SHAPES, 4, **options), strict=True):
        torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_few_steps_end_where_torchs_do_but_for_bfloat16(options: dict) -> None:
    ours, torchs = (steps_of(kind, SHAPES, 5, **options) for kind in (Muon, TorchMuon))

    for weight, one, other in zip(start(SHAPES), ours, torchs, strict=True):
        moved = (other - weight).norm()
        assert (one - other).norm() / moved < 0.02  # bfloat16 has 8 bits: a step is off by about 2⁻⁷


@pytest.mark.parametrize("at_once", [1, 700, 24 * 24 * 2])
def test_how_many_are_taken_at_once_changes_nothing_beyond_rounding(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    together = steps_of(Muon, SHAPES, 3)
    monkeypatch.setattr("mediafm_cli.train.muon.AT_ONCE", at_once)

    for found, expected in zip(steps_of(Muon, SHAPES, 3), together, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(20, 20), (40, 10), (10, 40)])
def test_orthogonalizing_keeps_the_directions_and_brings_their_sizes_near_one(shape: tuple[int, int]) -> None:
    noise = torch.randn(3, *shape, generator=torch.manual_seed(3), dtype=torch.float64)
    left, _, right = torch.linalg.svd(noise, full_matrices=False)
    sizes = torch.linspace(0.2, 1, min(shape), dtype=torch.float64) * torch.tensor([[1.0], [50], [0.01]])
    matrices = left @ torch.diag_embed(sizes) @ right

    found = orthogonalize(matrices, TORCHS, 5, 1e-7)

    cores = left.mT @ found @ right.mT
    diagonals = cores.diagonal(dim1=1, dim2=2)
    assert diagonals.min() > 0.5  # torch's documentation: within 0.5 and 1.5
    assert diagonals.max() < 1.5
    assert (cores - torch.diag_embed(diagonals)).abs().max() < 1e-6


def test_a_gradient_of_zeros_moves_nothing_and_is_no_nan() -> None:
    assert torch.equal(orthogonalize(torch.zeros(2, 4, 3), TORCHS, 5, 1e-7), torch.zeros(2, 4, 3))


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
