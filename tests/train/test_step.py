"""One step of learning: its gradient, its update, the averaged weights, and what it tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from short_runs import interrupted, products, run
from torch._dynamo.utils import counters
from toy_world import SHORT, TINY, WITH_METADATA, make_titles

from mediafm_cli.errors import UnavailableError
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import load_model
from mediafm_cli.model.msm import MEDIAFM, Objective
from mediafm_cli.model.transformer import EncoderBlock, MediaFM
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.distributed import World
from mediafm_cli.train.sequences import Sequences
from mediafm_cli.train.step import Learner, average_decay

NO_DROPOUT = replace(TINY, layout=WITH_METADATA, layers=2, dropout=0.0)
OBJECTIVES = {
    "blocks": Objective(),
    "vector": MEDIAFM,
    "bert": Objective(mask_by="bert", visible_ratio=0.1, mask_span=2.0),
}


def make_learner(
    config: ModelConfig = NO_DROPOUT, *, compile: bool = False, **settings: Any
) -> tuple[Learner, Sequences]:
    chosen = TrainConfig(**{"batch_shots": 150, "max_steps": 10, "optimizer": "adamw", **settings})
    model = MediaFM.seeded(config, 0)
    learner = Learner(model, model, chosen, 10, World(torch.device("cpu")), peak=1e9, compile=compile)
    learner.start(0)
    return learner, Sequences(make_titles(20), config, chosen)


def gradient(objective: Objective, accumulate: int, monkeypatch: pytest.MonkeyPatch) -> tuple[dict, dict]:
    """The gradient of the first step, and what the step tells."""
    monkeypatch.setattr(Learner, "_update", lambda learner, step: None)
    learner, data = make_learner(objective=objective, accumulate=accumulate, grad_clip=1e9)
    metrics, _ = learner.read(learner.step(1, data[0], stopping=False))
    grads = {name: weight.grad.clone() for name, weight in learner.model.named_parameters()}
    return grads, {"loss": metrics.loss, "norm": metrics.grad_norm, **metrics.cosine, "shots": metrics.shots}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_step_in_parts_has_the_gradient_of_one_part(name: str, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, told = gradient(OBJECTIVES[name], 1, monkeypatch)

    grads, told_by_parts = gradient(OBJECTIVES[name], parts, monkeypatch)

    assert told_by_parts == pytest.approx(told, rel=1e-6, abs=1e-6)
    for key, expected in whole.items():
        torch.testing.assert_close(grads[key], expected, atol=1e-6, rtol=1e-4)


def cosine_distances(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    a, b = predicted.astype(np.float64), truth.astype(np.float64)
    return 1 - (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_what_a_step_tells_is_the_loss_of_its_windows_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, data = make_learner()
    (batch,) = data[0]
    with torch.no_grad():
        predicted = learner.model.train()(batch).predicted.numpy()
    truth, weights = batch.vectors[batch.target_rows].numpy(), batch.weights.numpy()

    metrics, stopping = learner.read(learner.step(1, [batch], stopping=True))

    distances = [cosine_distances(predicted[:, own], truth[:, own]) for own in (slice(0, 16), slice(16, 24))]
    video, audio = (np.average(far, weights=weights[:, column]) for column, far in enumerate(distances))
    assert metrics.loss == pytest.approx((video + audio) / 2, abs=1e-6)
    asked = batch.masked[batch.target_rows].numpy() & (weights > 0)
    hidden = [1 - far[asked[:, column]].mean() for column, far in enumerate(distances)]
    assert metrics.cosine == pytest.approx(dict(zip(("video", "audio"), hidden, strict=True)), abs=1e-6)
    assert (metrics.step, metrics.steps, metrics.shots, stopping) == (1, 10, len(batch), True)
    assert metrics.speed.shots_per_s > 0
    assert 0 <= metrics.speed.data_wait <= 1
    assert metrics.speed.mfu > 0


def test_the_gradient_is_clipped_to_its_largest_norm_and_told_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, told = gradient(Objective(), 1, monkeypatch)
    learner, data = make_learner(grad_clip=0.5 * told["norm"])

    metrics, _ = learner.read(learner.step(1, data[0], stopping=False))

    norm = float(np.sqrt(sum(grad.double().square().sum().item() for grad in whole.values())))
    assert told["norm"] == pytest.approx(norm, rel=1e-5)
    assert metrics.grad_norm == pytest.approx(norm, rel=1e-5)
    for name, weight in learner.model.named_parameters():
        torch.testing.assert_close(weight.grad, 0.5 * whole[name], atol=1e-6, rtol=1e-3)


# --- averaged weights -------------------------------------------------------------------------------------------------


def weights_of(model: MediaFM) -> dict[str, torch.Tensor]:
    return {name: weight.detach().double().clone() for name, weight in model.state_dict().items()}


def close(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.allclose(found[name].double(), expected[name], atol=1e-6) for name in expected)


DECAYS = (2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5, 0.5, 0.5, 0.5, 0.5)
"""Of 12 steps towards 0.5: (1 + t) / (10 + t) as long as that is less, which is TensorFlow's rule."""


def test_the_average_forgets_by_its_decay_and_faster_at_first() -> None:
    learner, data = make_learner(ema=0.5)
    average = weights_of(learner.model)

    for step, decay in enumerate(DECAYS[:9], 1):
        learner.step(step, data[step - 1], stopping=False)
        weights = weights_of(learner.model)
        average = {name: decay * average[name] + (1 - decay) * weights[name] for name in average}

    assert close(learner.trained.kept_weights(), average)
    assert not close(learner.trained.kept_weights(), weights)


def test_little_of_the_random_start_is_left_after_a_short_run() -> None:
    left = np.prod([average_decay(step, 0.999) for step in range(1, 101)])

    # The product of (1 + t) / (10 + t) telescopes to 10! * 101! / 110!.
    assert left == pytest.approx(math.factorial(10) * math.factorial(101) / math.factorial(110))
    assert left < 1e-9 < 0.999**100


def test_the_model_computes_with_the_average_where_it_is_validated_and_learns_on_with_its_own() -> None:
    learner, data = make_learner(ema=0.7)
    learner.step(1, data[0], stopping=False)
    own, average = weights_of(learner.model), learner.trained.kept_weights()

    with learner.averaged():
        inside = weights_of(learner.model)

    assert close(inside, {name: weight.double() for name, weight in average.items()})
    assert all(torch.equal(weights_of(learner.model)[name], own[name]) for name in own)


def test_without_an_average_the_weights_themselves_are_kept() -> None:
    learner, data = make_learner()
    learner.step(1, data[0], stopping=False)

    assert learner.trained.average is None
    assert close(learner.trained.kept_weights(), weights_of(learner.model))


def test_a_run_leaves_the_averaged_weights(tmp_path: Path) -> None:
    settings = replace(SHORT, ema=0.5, checkpoint_every=1, keep_last=12, val_fraction=0.0)
    run(tmp_path, settings=settings)
    average = weights_of(MediaFM.seeded(load_model(tmp_path).config, settings.seed))

    for step, decay in enumerate(DECAYS, 1):
        weights = weights_of(load_model(tmp_path / "checkpoints" / f"step-{step:08d}"))
        average = {name: decay * average[name] + (1 - decay) * weights[name] for name in average}

    assert close(load_model(tmp_path).state_dict(), average)


@pytest.mark.parametrize("after", [6, 11])
def test_a_resumed_run_goes_on_with_its_average(tmp_path: Path, after: int) -> None:
    settings = replace(SHORT, ema=0.8)
    run(tmp_path / "straight", settings=settings)
    interrupted(tmp_path / "broken", after, settings=settings)

    run(tmp_path / "broken", settings=settings, resume=True)

    assert products(tmp_path / "broken") == products(tmp_path / "straight")


@pytest.mark.parametrize("accumulate", [2, 3])
def test_parts_may_change_where_a_run_goes_on(tmp_path: Path, accumulate: int) -> None:
    settings, config = replace(SHORT, optimizer="adamw"), replace(TINY, dropout=0.0)
    run(tmp_path / "straight", settings=settings, model_config=config)
    interrupted(tmp_path / "broken", 9, settings=settings, model_config=config)

    result = run(
        tmp_path / "broken", settings=replace(settings, accumulate=accumulate), model_config=config, resume=True
    )

    assert result.resumed_from == 8
    pair = [load_model(tmp_path / name / "checkpoints" / "step-00000012") for name in ("straight", "broken")]
    assert close(pair[1].state_dict(), weights_of(pair[0]))


@pytest.mark.parametrize("visible_ratio", [0.5, 1.0])
def test_what_is_compiled_learns_the_same_and_is_not_compiled_for_each_batch(
    visible_ratio: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is compiled for is of no concern here, and needs no compiler.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    monkeypatch.setattr(EncoderBlock, "compile", partialmethod(EncoderBlock.compile, backend="eager"))
    objective = Objective(visible_ratio=visible_ratio)
    (plain, data), (compiled, _) = (make_learner(objective=objective, compile=compile) for compile in (False, True))
    batches = [data[step] for step in range(5)]
    assert len({len(batch) for (batch,) in batches}) == len({len(batch.target_rows) for (batch,) in batches}) == 5
    torch._dynamo.reset()  # what other tests compiled
    counters.clear()
    found = [compiled.read(compiled.step(1, batches[0], stopping=False))[0]]
    once = counters["frames"]["total"]

    found += [compiled.read(compiled.step(step, batches[step - 1], stopping=False))[0] for step in range(2, 6)]

    assert counters["frames"]["total"] == once > 0
    expected = [plain.read(plain.step(step, batches[step - 1], stopping=False))[0] for step in range(1, 6)]
    assert [one.loss for one in found] == pytest.approx([one.loss for one in expected], rel=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="times a GPU, and there is none")
def test_the_first_step_after_a_pause_takes_a_gpu_as_long_as_any_other() -> None:
    config, device = replace(NO_DROPOUT, hidden=512, heads=8, layers=12), torch.device("cuda")
    model = MediaFM.seeded(config, 0).to(device)
    settings = TrainConfig(batch_shots=600, max_steps=10)
    learner, data = (
        Learner(model, model, settings, 10, World(device), peak=1e12),
        Sequences(make_titles(99), config, settings),
    )
    learner.start(0)
    learner.read(learner.step(1, data[0], stopping=False))

    learner.start_clock()
    done = [learner.step(step, data[1], stopping=False) for step in range(2, 6)]

    first, *others = [step.taken() for step in done]
    assert first > 0.5 * min(others)


def test_where_a_gpu_has_no_room_smaller_parts_are_the_way_on(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, data = make_learner(accumulate=2)
    parts = data[0]

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(learner, "spread", full)

    with pytest.raises(UnavailableError) as caught:
        learner.step(1, parts, stopping=False)

    assert caught.value.what == f"The GPU has no room for {len(parts[0])} shots at once."
    assert caught.value.hint.endswith("--resume --accumulate 4")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_step_on_a_gpu_waits_for_nothing() -> None:
    device = torch.device("cuda", 0)
    settings = TrainConfig(batch_shots=150, max_steps=10)
    model = MediaFM.seeded(NO_DROPOUT, 0).to(device)
    learner = Learner(model, model, settings, 10, World(device), peak=1e9)
    learner.start(0)
    data = Sequences(make_titles(20), NO_DROPOUT, settings)
    learner.read(learner.step(1, [part.pin_memory() for part in data[0]], stopping=False))

    torch.cuda.set_sync_debug_mode("error")
    try:
        done = learner.step(2, [part.pin_memory() for part in data[1]], stopping=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert learner.read(done)[0].step == 2
