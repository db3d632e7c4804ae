"""Can it be learned which object is back, 25 shots or more after it was shown, and is it learned where all is asked?

    python benchmarks/recall.py                              # each way of asking, minutes each on two cores
    python benchmarks/recall.py --ask payoffs --steps 1600 --seeds 1 2 3

The same Transformer learns from the same titles, with the default rates, and is asked in one of these ways:

- ``recipe``: for all that the default recipe asks for
- ``payoffs``: for the pictures of payoffs alone; these are hidden, and nothing else is, but for what is dropped
- ``masked``: for the same alone, while all that the recipe hides is hidden too
- ``told``: for the number of the object, at every reminder, while the pictures of payoffs are hidden

A linear probe then reads which object it is, on titles that neither it nor the model has seen: off the states of
payoffs whose picture is hidden, and off those of reminders, which show no object. Beside it stand two readers: one that
guesses, and one that knows which objects the title shows, but not when.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from context import LENGTH, SHAPE, Fusion
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from worlds import MODALITIES, OBJECTS, WORLDS, SyntheticEncodings, draw_titles

from mediafm_cli.device import autocast, find_device
from mediafm_cli.evaluate.probes.probing import score_titles
from mediafm_cli.model.batch import Masks, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import Objective, draw_masks, mean_distance, measure, term_weights
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM, Output
from mediafm_cli.train.config import MODALITY_WISE, TrainConfig
from mediafm_cli.train.coordinates import measure_whitening
from mediafm_cli.train.optimizers import build_optimizers, build_schedules

Ask = Literal["recipe", "payoffs", "masked", "told"]
KINDS = ("payoffs", "reminders")
PROBED = 300
"""Titles to fit the probe on, and as many others to score it."""


@dataclass(frozen=True)
class Labelled:
    """A title of n shots, and its objects.

    Attributes:
        hidden: the pictures of payoffs hidden, and these asked for.
        payoffs, reminders: int [n], which object is back at these shots; -1 elsewhere.
        shown: the objects that the title shows, payoffs included.
    """

    title: Title
    hidden: Masks
    payoffs: np.ndarray
    reminders: np.ndarray
    shown: frozenset[int]


def label(drawn: SyntheticEncodings, picture: int) -> Labelled:
    """``picture`` is the column of the modality that shows objects."""
    called_and_shown = drawn.hidden.called & (drawn.hidden.shown >= 0)
    masked = np.zeros((len(drawn.recall), len(MODALITIES)), bool)
    masked[called_and_shown, picture] = True
    payoffs = np.where(called_and_shown, drawn.hidden.shown, -1)
    shown = frozenset(drawn.hidden.shown[drawn.hidden.shown >= 0].tolist())
    return Labelled(Fusion().title(drawn), Masks(masked, masked.astype(np.float64)), payoffs, drawn.recall, shown)


def train(titles: Sequence[Labelled], ask: Ask, config: ModelConfig, settings: TrainConfig, device: str) -> MediaFM:
    """A model that was asked ``ask`` for ``settings.max_steps`` steps."""
    torch.manual_seed(settings.seed)
    model = MediaFM.seeded(config, settings.seed)
    assert model.whitening is not None
    model.whitening.load_state_dict(measure_whitening([one.title for one in titles], config, settings.seed))
    model = model.to(find_device(device)).train()
    name = nn.Linear(config.hidden, OBJECTS, device=model.device)
    optimizers = [*build_optimizers(model, settings), torch.optim.AdamW(name.parameters(), lr=settings.adamw_lr)]
    schedules = build_schedules(optimizers, settings, settings.max_steps, 0)
    draws = np.random.default_rng([settings.seed, 2])
    for chosen in draw_steps(titles, settings):
        masks = [draw_hidden(one, ask, config, settings.objective, draws) for one in chosen]
        batch = collate([one.title for one in chosen], config, masks).to(model.device)
        with autocast(model.device, settings.precision):
            output: Output = model(batch)
            named = name(output.hidden).float()
        if ask == "told":
            loss = name_reminders(named, chosen)
        else:
            distances = measure(output.predicted, output.truth, batch, config.layout.blocks, "blocks")
            loss = mean_distance(distances.sums + distances.length_errors, term_weights(batch, "blocks"))
        loss.backward()
        clip_grad_norm_(model.parameters(), settings.grad_clip)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    return model.eval()


def draw_hidden(
    one: Labelled, ask: Ask, config: ModelConfig, objective: Objective, draws: np.random.Generator
) -> Masks:
    """What is hidden of a title, and asked for, in one step."""
    if ask in ("payoffs", "told"):
        return one.hidden
    drawn = draw_masks(one.title, config.layout.blocks, objective, draws)
    if ask == "recipe":
        return drawn
    return replace(drawn, masked=drawn.masked | one.hidden.masked, weights=one.hidden.weights)


def draw_steps(titles: Sequence[Labelled], settings: TrainConfig) -> Iterator[list[Labelled]]:
    """The titles of each step, of about as many shots as it takes; each title once before any comes twice."""
    draws = np.random.default_rng([settings.seed, 3])
    order: list[int] = []
    for _ in range(settings.max_steps):
        chosen: list[Labelled] = []
        while sum(len(one.title) for one in chosen) < settings.batch_shots:
            order = order or draws.permutation(len(titles)).tolist()
            chosen.append(titles[order.pop()])
        yield chosen


def name_reminders(named: Tensor, titles: Sequence[Labelled]) -> Tensor:
    """The mean cross-entropy over their reminders; named: [N, OBJECTS]."""
    objects = torch.from_numpy(np.concatenate([one.reminders for one in titles])).to(named.device)
    total = functional.cross_entropy(named, objects, ignore_index=-1, reduction="sum")
    return total / (objects >= 0).sum().clamp(min=1)


def read_off(states: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> np.ndarray:
    """Whether a probe that the first half of the titles taught is right, for each label of the other half."""
    half = len(states) // 2
    scores = score_titles(states[:half], labels[:half], states[half:])
    return np.concatenate([(own.argmax(1) == of)[of >= 0] for own, of in zip(scores, labels[half:], strict=True)])


@torch.no_grad()
def states_of(model: MediaFM, one: Labelled) -> np.ndarray:
    """The state of each shot, the pictures of payoffs hidden: [n, h]."""
    return model(collate([one.title], model.config, [one.hidden]).to(model.device)).hidden.float().cpu().numpy()


def say(name: str, right: Sequence[Sequence[float] | np.ndarray], seconds: float = 0) -> None:
    """``right``: of payoffs and of reminders, whether each is read rightly, or how probably."""
    shares = ", ".join(f"{kind} {np.mean(of):.3f}" for kind, of in zip(KINDS, right, strict=True))
    took = f"; {seconds:.0f} s" if seconds else ""
    print(f"  {name:<27} {shares}   (of {' and '.join(str(len(of)) for of in right)}{took})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ask", choices=get_args(Ask), action="append", help="default: each")
    parser.add_argument("--world", choices=WORLDS, default="interleaved")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7])
    parser.add_argument("--titles", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-shots", type=int, default=LENGTH["batch_shots"])
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    world = WORLDS[arguments.world]
    picture = MODALITIES.index(world.object_in)
    config = ModelConfig(Fusion().layout(world), **{**SHAPE, **MODALITY_WISE.model})
    for seed in arguments.seeds:
        settings = TrainConfig(
            MODALITY_WISE.objective, max_steps=arguments.steps, batch_shots=arguments.batch_shots, seed=seed
        )
        titles = [label(one, picture) for one in draw_titles(world, arguments.titles + 2 * PROBED, seed)]
        learned, probed = titles[: arguments.titles], titles[arguments.titles :]
        asked = probed[PROBED:]
        counts = [[int((getattr(one, kind) >= 0).sum()) for one in asked] for kind in KINDS]
        print(f"{arguments.world}, seed {seed}, {arguments.steps} steps of {arguments.batch_shots} shots")
        say("guessing", [[1 / OBJECTS] * sum(of) for of in counts])
        knowing = [1 / max(1, len(one.shown)) for one in asked]
        say("knowing the title's objects", [np.repeat(knowing, of) for of in counts])
        for ask in arguments.ask or get_args(Ask):
            started = time.perf_counter()
            model = train(learned, ask, config, settings, arguments.device)
            states = [states_of(model, one) for one in probed]
            right = [read_off(states, [getattr(one, kind) for one in probed]) for kind in KINDS]
            say(ask, right, time.perf_counter() - started)


if __name__ == "__main__":
    main()
