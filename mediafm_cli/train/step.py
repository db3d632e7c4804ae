"""One step of learning: forward, backward, update. Nothing in it waits for the device.

What a step has to tell is read when the next one is under way, so that a GPU always has work in hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from mediafm_cli.device import autocast
from mediafm_cli.errors import TrainingError, UnavailableError, counted
from mediafm_cli.model.batch import Batch
from mediafm_cli.model.msm import mean_cosines, mean_distance, measure, term_weights
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.checkpoints import Trained
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.distributed import World, drop_gathered, gradients_exchanged, whole
from mediafm_cli.train.metrics import Metrics
from mediafm_cli.train.optimizers import build_optimizers, build_schedules
from mediafm_cli.train.sequences import torch_seed
from mediafm_cli.train.speed import Speed, Stopwatch, step_flops


@dataclass(frozen=True, eq=False)
class Done:
    """A step whose numbers may still be on their way from the device.

    Attributes:
        seconds: of this process, since the step before was under way. ``waited``: how many of them there was no data.
        since, copied: of a GPU, when it was done with the step before, and with this one.
    """

    step: int
    rate: float
    flops: float
    seconds: float
    waited: float
    parts: Sequence[Batch]
    numbers: Tensor
    since: torch.cuda.Event | None
    copied: torch.cuda.Event | None

    def taken(self) -> float:
        """Seconds that the step took. Waits for it: a GPU is handed its work much faster than it does it."""
        if self.since is None or self.copied is None:
            return self.seconds
        self.copied.synchronize()
        return self.since.elapsed_time(self.copied) / 1000


class Learner:
    """A model with its optimisers and schedules, at some step.

    Args:
        spread: the model as it is called, one of several processes'; the model itself where there is one.
        total: steps of the run. ``peak``: FLOP/s of the device, for the MFU.
        compile: let torch.compile fuse each block, and the loss.
    """

    def __init__(
        self,
        model: MediaFM,
        spread: nn.Module,
        settings: TrainConfig,
        total: int,
        world: World,
        peak: float,
        *,
        compile: bool = False,
    ) -> None:
        self.model = model
        self.world = world
        self.watch = Stopwatch()
        self.spread = spread
        self._settings = settings
        self._total = total
        self._peak = peak
        self._measure = torch.compile(measure, dynamic=True) if compile else measure
        if compile:
            model.compile_blocks()
        self._parameters = list(model.parameters())
        average = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
        self.trained = Trained(model, build_optimizers(model, settings), average if settings.ema else None)

    def start(self, done: int) -> None:
        """Stand where ``done`` steps are done. Call it when the state of the optimisers is in its place."""
        self._schedules = build_schedules(self.trained.optimizers, self._settings, self._total, done)
        self.start_clock()

    def start_clock(self) -> None:
        """Count what was done since the last step, such as a validation, for none."""
        self.watch.lap()
        self._since = _mark(self.world.device)

    def step(self, step: int, parts: Sequence[Batch], *, stopping: bool) -> Done:
        """Learn from the parts of a step that are this process's.

        Args:
            step: counted from 1. ``stopping``: this process was asked to end; every other one will know.

        Raises:
            UnavailableError: the GPU has no room for a part.
        """
        settings, world, blocks = self._settings, self.world, self.model.config.layout.blocks
        loss_name = settings.objective.loss
        self.model.train()
        parts = [part.to(world.device) for part in parts]
        weights = torch.stack([term_weights(part, loss_name) for part in parts]).sum(dim=0)  # [terms]
        world.add_up(weights)
        found = []
        for number, part in enumerate(parts):
            torch.manual_seed(torch_seed(settings.seed, step, number * world.ranks + world.rank))
            with self._room_for(part), gradients_exchanged(self.spread, now=part is parts[-1]):
                with autocast(world.device, settings.precision):
                    output = self.spread(part)
                distances = self._measure(output.predicted, output.truth, part, blocks, loss_name)
                # Gradients of several processes are averaged, and what is wanted is their sum.
                taught = distances.sums if self.model.whitening is None else distances.sums + distances.length_errors
                (mean_distance(taught, weights) * world.ranks).backward()
            found.append(torch.cat([distances.sums.detach(), distances.cosines, distances.counts]))
        norm = whole(clip_grad_norm_(self._parameters, settings.grad_clip))
        rate = float(self._schedules[-1].get_last_lr()[0])
        self._update(step)
        shots = sum(len(part) for part in parts if _targets(part))  # of nothing else is anything learned
        # Filled on the device: a tensor that is made of a list would be copied there, and waited for.
        said = torch.stack([torch.full((), float(value), device=world.device) for value in (shots, stopping)])
        numbers = world.add_up(torch.cat([torch.stack(found).sum(dim=0), said]))
        numbers, copied = _send(torch.cat([numbers, weights, norm[None]]), world.device)
        flops = sum(step_flops(self.model.config, part.lengths, _targets(part)) for part in parts)
        since, self._since = self._since, copied
        return Done(step, rate, flops, *self.watch.lap(), parts, numbers, since, copied)

    @contextmanager
    def _room_for(self, part: Batch) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            what = f"The GPU has no room for {counted(len(part), 'shot')} at once."
            hint = f"Go on with smaller parts: --resume --accumulate {2 * self._settings.accumulate}"
            raise UnavailableError(what, hint=hint) from error

    def _update(self, step: int) -> None:
        for optimizer, schedule in zip(self.trained.optimizers, self._schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        if self.trained.average is not None:
            weights = self.model.state_dict()
            averages = list(self.trained.average.values())
            share = 1 - average_decay(step, self._settings.ema)
            torch._foreach_lerp_(averages, [weights[name] for name in self.trained.average], share)

    def read(self, done: Done) -> tuple[Metrics, bool]:
        """What a step has to tell, and whether any process was asked to end; waits for it, and for nothing later.

        Raises:
            TrainingError: its loss or its gradient is not finite; the first process says so.
        """
        seconds = done.taken()
        blocks, terms = self.model.config.layout.blocks, self._terms
        sums, cosines, counts, (shots, stopping), weights, norm = done.numbers.split(
            [terms, len(blocks), len(blocks), 2, terms, 1]
        )
        loss = mean_distance(sums, weights)
        if not (loss.isfinite() and norm.isfinite()):
            what = f"Step {done.step}: the loss is {loss.item()}, its gradient {norm.item()}."
            refuse_not_finite(what, done.parts, self.world)
        metrics = Metrics(
            step=done.step,
            steps=self._total,
            loss=loss.item(),
            cosine=mean_cosines(cosines, counts, blocks),
            lr=done.rate,
            grad_norm=norm.item(),
            shots=int(shots),
            speed=Speed(int(shots) / seconds, done.waited / done.seconds, done.flops / seconds / self._peak),
        )
        return metrics, bool(stopping)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model computes with the weights that are kept: the averaged ones, where there are any."""
        if self.trained.average is None:
            yield
            return
        weights = self.model.state_dict()
        live = {name: weights[name].clone() for name in self.trained.average}
        _copy(self.trained.average, weights)
        try:
            yield
        finally:
            _copy(live, weights)
            drop_gathered(self.model)

    @property
    def _terms(self) -> int:
        return 1 if self._settings.objective.loss == "vector" else len(self.model.config.layout.blocks)


def average_decay(step: int, decay: float) -> float:
    """What the averaged weights keep of themselves at ``step``, from 1: less at first, or they would stay random.

    Source: ``num_updates`` of TensorFlow's ``ExponentialMovingAverage``.
    """
    return min(decay, (1 + step) / (10 + step))


def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in source.items():
        target[name].copy_(tensor)


def _targets(batch: Batch) -> int:
    return len(batch) if batch.target_rows is None else len(batch.target_rows)


def _send(numbers: Tensor, device: torch.device) -> tuple[Tensor, torch.cuda.Event | None]:
    """Start copying to the processor, and the event that tells when it is done."""
    if device.type != "cuda":
        return numbers, None
    host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True).copy_(numbers, non_blocking=True)
    return host, _mark(device)


def _mark(device: torch.device) -> torch.cuda.Event | None:
    """A place in the work of a GPU, which tells when it is reached."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))  # which is not the current device's, for cuda:1
    return event


def refuse_not_finite(what: str, batches: Iterable[Batch], world: World) -> None:
    """Raise, on every process, the error for a number that is not finite: it names the titles that made it so."""
    suspects = [_suspects(batch) for batch in batches]
    everywhere = [suspect for parts in world.gather(suspects) for suspect in parts]
    world.by_first(lambda: _raise_not_finite(what, everywhere))


def _suspects(batch: Batch) -> list[tuple[str, bool]]:
    """The titles of a batch, and whether all that is known of each is finite."""
    rows = batch.vectors.isfinite().all(dim=1).split(list(batch.lengths))
    found = zip(batch.title_ids, rows, batch.metadata.isfinite().all(dim=1), strict=True)
    return [(title_id, bool(fine.all() and described)) for title_id, fine, described in found]


def _raise_not_finite(what: str, suspects: Sequence[list[tuple[str, bool]]]) -> NoReturn:
    titles = {title_id for batch in suspects for title_id, _ in batch}
    culprits = {title_id for batch in suspects for title_id, is_finite in batch if not is_finite}
    if culprits:
        why, hint = f"Not finite: the vectors of {named(culprits)}.", "Find the fault with mediafm check."
    else:
        why = f"The batch is fine: {named(titles)}."
        hint = "Train with a lower learning rate and --overwrite."
    raise TrainingError(what, why, hint)


NAMED = 16
"""Titles that an error lists before it says how many more there are."""


def named(title_ids: set[str] | list[str]) -> str:
    """Ids for an error: the first of them, and how many more there are."""
    ordered = sorted(title_ids)
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more
