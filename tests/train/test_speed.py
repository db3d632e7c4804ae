"""What a step costs, against torch's own count of what it did."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from toy_world import TINY, make_titles

from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import hide_shots
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.speed import Stopwatch, measure_peak, step_flops


@pytest.mark.parametrize("lengths", [(12, 3, 7), (8, 8)])
@pytest.mark.parametrize(
    "config",
    [TINY, replace(TINY, layers=3, global_token=False, position="learned"), replace(TINY, projection="whitened")],
)
def test_the_operations_of_a_step_are_those_that_torch_counts(config: ModelConfig, lengths: tuple[int, ...]) -> None:
    model = MediaFM.seeded(replace(config, missing="zero"), 0)
    titles = [make_titles(1, shots=(shots, shots + 1), seed=shots)[0] for shots in lengths]
    hidden = [torch.arange(shots).numpy() % 3 == 0 for shots in lengths]
    batch = collate(titles, model.config, [hide_shots(one, 2) for one in hidden])

    # The plain kernel keeps what the backward pass needs; the others compute it twice, which does nobody any good.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(batch).predicted.sum().backward()

    shots, targets = sum(lengths), sum(int(one.sum()) for one in hidden)
    width, hidden_width = config.layout.width, config.hidden
    # Not counted as work: vectors that stand for masked blocks, forward and backward. Counted, but not done: a gradient
    # for the fused vectors, which no one needs.
    stand_ins, unneeded = 2 * 2 * shots * 2 * hidden_width, 2 * shots * width * hidden_width
    assert step_flops(config, lengths, targets) == counter.get_total_flops() - stand_ins + unneeded


def test_a_stopwatch_tells_the_lap_and_the_wait_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 1.25, 3.0, 3.5, 4.0, 6.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    watch = Stopwatch()

    with watch.waiting():
        pass
    first = watch.lap()
    with watch.waiting():
        pass

    assert first == (3.0, 0.25)
    assert watch.lap() == (3.0, 0.5)


def test_the_peak_of_a_device_is_a_number_of_operations() -> None:
    peak = measure_peak(torch.device("cpu"), "fp32")

    assert math.isfinite(peak)
    assert peak > 1e8  # a pocket calculator
