"""Time a training step beside the same shape in two libraries, and what surrounds it.

    python benchmarks/pretrain.py
    python benchmarks/pretrain.py --size base --sequences 32 --compile --steps 60   # on a GPU

Every model takes the same vectors, as they come, through the same first and last layer, predicts the same shots, and is
moved by the same optimiser. Linear layers in the blocks have no biases, but for BertModel's, which cannot be told to do
without. Each round takes one step of each, beginning with another one; a ratio is the median
over rounds of ratios within one round, since a machine is rarely as fast twice.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from stores import write_store
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from transformers import BertConfig, BertModel

from mediafm_cli.device import autocast, find_device
from mediafm_cli.model.batch import Batch, collate
from mediafm_cli.model.config import SIZES, ModelConfig
from mediafm_cli.model.msm import Objective, draw_masks, mean_distance, measure, term_weights
from mediafm_cli.model.title import Block, Layout, Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.catalogue import open_catalogue
from mediafm_cli.train.config import MODALITY_WISE, TrainConfig
from mediafm_cli.train.loop import Engine, pretrain
from mediafm_cli.train.metrics import Metrics
from mediafm_cli.train.optimizers import build_optimizers
from mediafm_cli.train.speed import measure_peak, step_flops

LAYOUT = Layout(
    tuple(Block(name, 768 * at, 768 * (at + 1), name, "1") for at, name in enumerate(("video", "audio", "text")))
)
WINDOW = 512
FILL = 0.6
"""Share of a padded batch that is shots, in a catalogue of mixed lengths."""

LARGE = 1 << 16
"""Shots of a batch as a large run has it."""

Step = Callable[[], None]


def make_titles(lengths: Sequence[int], seed: int = 0) -> list[Title]:
    draws = np.random.default_rng(seed)
    titles = []
    for number, length in enumerate(lengths):
        vectors = draws.normal(size=(length, LAYOUT.width)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        present = np.ones((length, len(LAYOUT.blocks)), bool)
        titles.append(Title(f"title-{number}", vectors, present, 4.0 * np.arange(length), None, str(number)))
    return titles


def mixed_lengths(sequences: int) -> list[int]:
    """Lengths of which the longest fills the window and the mean is ``FILL`` of it."""
    spread = np.linspace(2 * FILL - 1, 1, sequences)
    return [max(1, round(WINDOW * share)) for share in spread]


def make_batch(titles: Sequence[Title], config: ModelConfig, device: torch.device) -> Batch:
    masks = [
        draw_masks(title, LAYOUT.blocks, Objective(), np.random.default_rng(at)) for at, title in enumerate(titles)
    ]
    return collate(titles, config, masks).to(device)


def loss_of(predicted: Tensor, truth: Tensor, batch: Batch) -> Tensor:
    """The default objective's, for every contestant."""
    distances = measure(predicted, truth, batch, LAYOUT.blocks, "blocks")
    return mean_distance(distances.sums, term_weights(batch, "blocks"))


def our_step(batch: Batch, optimizers: list[Optimizer], model: MediaFM, precision: str, compiled: bool = False) -> Step:
    device = batch.vectors.device
    loss = torch.compile(loss_of, dynamic=True) if compiled else loss_of
    if compiled:
        model.compile_blocks()

    def step() -> None:
        with autocast(device, precision):  # type: ignore[arg-type]
            output = model(batch)
        loss(output.predicted, output.truth, batch).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        _wait(device)

    return step


class Padded(nn.Module):
    """Another library's encoder between the same two layers, on a padded batch."""

    def __init__(
        self, config: ModelConfig, encoder: nn.Module, call: Callable[[nn.Module, Tensor, Tensor | None], Tensor]
    ):
        super().__init__()
        self.project = nn.Linear(LAYOUT.width, config.hidden)
        self.encoder = encoder
        self.predict = nn.Linear(config.hidden, LAYOUT.width)
        self.call = call

    def forward(self, vectors: Tensor, real: Tensor | None, rows: Tensor) -> Tensor:
        """vectors: [B, n, D]; real: bool [B, n]; rows: int64 [K] of the hidden shots in B · n."""
        hidden = self.call(self.encoder, self.project(vectors), real)  # [B, n, h]
        return self.predict(hidden.flatten(0, 1).index_select(0, rows))


def bert(config: ModelConfig) -> Padded:
    shape = BertConfig(
        vocab_size=1,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.hidden,
        max_position_embeddings=WINDOW + config.prefix,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",
    )
    model = BertModel(shape, add_pooling_layer=False)

    def call(encoder: nn.Module, x: Tensor, real: Tensor | None) -> Tensor:
        mask = None if real is None else real.long()
        return encoder(inputs_embeds=x, attention_mask=mask).last_hidden_state

    return Padded(config, model, call)


def torch_encoder(config: ModelConfig) -> Padded:
    layer = nn.TransformerEncoderLayer(
        config.hidden, config.heads, 4 * config.hidden, 0.0, "gelu", batch_first=True, norm_first=True, bias=False
    )
    encoder = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(config.hidden), enable_nested_tensor=False)

    def call(encoder: nn.Module, x: Tensor, real: Tensor | None) -> Tensor:
        return encoder(x, src_key_padding_mask=None if real is None else ~real)

    return Padded(config, encoder, call)


def their_step(model: Padded, batch: Batch, precision: str) -> Step:
    """The same hidden shots and the same loss; a batch of one length needs no mask."""
    device = batch.vectors.device
    model = model.to(device)
    optimizer = AdamW(model.parameters(), lr=1e-4, fused=True)
    longest = max(batch.lengths) + 2  # [CLS] and [GLOBAL] are two more tokens
    vectors = torch.zeros(len(batch.lengths), longest, LAYOUT.width, device=device)
    real = torch.zeros(len(batch.lengths), longest, dtype=torch.bool, device=device)
    places = []
    for row, part in enumerate(batch.vectors.split(list(batch.lengths))):
        vectors[row, 2 : 2 + len(part)] = part
        real[row, : 2 + len(part)] = True
        places.append(row * longest + 2 + torch.arange(len(part), device=device))
    assert batch.target_rows is not None
    rows = torch.cat(places)[batch.target_rows]
    mask = None if real.all() else real

    def step() -> None:
        with autocast(device, precision):  # type: ignore[arg-type]
            predicted = model(vectors, mask, rows)
        loss_of(predicted, batch.vectors.index_select(0, batch.target_rows), batch).backward()
        optimizer.step()
        optimizer.zero_grad()
        _wait(device)

    return step


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def race(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in each round, after one that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            steps[name]()
            if number:
                times[name].append(time.perf_counter() - started)
    return times


def ratio(times: dict[str, list[float]], name: str, others: Sequence[str]) -> float:
    """A step against the faster of the others: the median over rounds of the ratio within a round."""
    faster = min(others, key=lambda other: statistics.median(times[other]))
    return statistics.median(own / other for own, other in zip(times[name], times[faster], strict=True))


def show(title: str, times: dict[str, list[float]]) -> None:
    print(f"\n{title}")
    for name, seconds in times.items():
        print(f"  {name:<34} {statistics.median(seconds):8.3f} s")


def compare_steps(
    config: ModelConfig, sequences: int, rounds: int, device: torch.device, precision: str, compiled: bool
) -> None:
    lengths = {"full windows": [WINDOW] * sequences, f"mixed lengths, fill {FILL}": mixed_lengths(sequences)}
    for title, chosen in lengths.items():
        batch = make_batch(make_titles(chosen), config, device)
        model = MediaFM.seeded(config, 0).to(device)
        adamw: list[Optimizer] = [AdamW(model.parameters(), lr=1e-4, fused=True)]
        steps = {
            "mediafm": our_step(batch, adamw, model, precision, compiled),
            "transformers.BertModel, sdpa": their_step(bert(config), batch, precision),
            "torch.nn.TransformerEncoder": their_step(torch_encoder(config), batch, precision),
        }
        times = race(steps, rounds)
        show(f"One step, {title}: {len(chosen)} sequences, {sum(chosen)} shots, {precision}, AdamW", times)
        names = list(steps)
        print(f"  mediafm against the faster of the two: {ratio(times, names[0], names[1:]):.3f}")
        peak = measure_peak(device, precision)  # type: ignore[arg-type]
        assert batch.target_rows is not None
        flops = step_flops(config, batch.lengths, len(batch.target_rows))
        print(f"  MFU of mediafm: {flops / statistics.median(times['mediafm']) / peak:.1%} of {peak / 1e9:.0f} GFLOP/s")


def compare_precisions(config: ModelConfig, sequences: int, rounds: int, device: torch.device) -> None:
    batch = make_batch(make_titles([WINDOW] * sequences), config, device)
    steps = {}
    for precision in ("fp32", "bf16"):
        model = MediaFM.seeded(config, 0).to(device)
        steps[precision] = our_step(batch, [AdamW(model.parameters(), fused=True)], model, precision)
    times = race(steps, rounds)
    show("One step in two precisions", times)
    print(f"  bf16 against fp32: {ratio(times, 'bf16', ['fp32']):.3f}")


def compare_optimizers(
    config: ModelConfig, sequences: int, rounds: int, device: torch.device, precision: str, compiled: bool
) -> None:
    """What Muon and AdamW cost beside the forward and backward passes, of one window and of ``sequences``.

    Those of a large batch are reckoned from the latter: they cost as much more as they have more shots.
    """
    batches = {count: make_batch(make_titles([WINDOW] * count), config, device) for count in (1, sequences)}
    for name in ("muon", "adamw"):
        model = MediaFM.seeded(config, 0).to(device)
        optimizers = build_optimizers(model, TrainConfig(optimizer=name))  # type: ignore[arg-type]
        steps = {str(count): our_step(batch, [], model, precision, compiled) for count, batch in batches.items()}
        steps["1"]()  # there are gradients to move by

        def move(optimizers: list[Optimizer] = optimizers) -> None:
            for optimizer in optimizers:
                optimizer.step()
            _wait(device)

        times = {key: statistics.median(found) for key, found in race({**steps, "move": move}, rounds).items()}
        moved = times.pop("move")
        passes = {int(count) * WINDOW: taken for count, taken in times.items()}
        passes[LARGE] = passes[sequences * WINDOW] * LARGE / (sequences * WINDOW)
        said = ", ".join(f"{moved / (moved + taken):.1%} at {shots} shots" for shots, taken in passes.items())
        print(f"\nOptimiser {name}: {moved:.4f} s a step, the passes of a window {passes[WINDOW]:.4f} s: {said}")


def time_run(
    config: ModelConfig, device: torch.device, precision: str, steps: int, batch_shots: int, compiled: bool
) -> None:
    """A real run of the default recipe on stores, whose own log says how long it waited for data."""
    config = replace(config, dropout=0.1, **MODALITY_WISE.model)
    draws = np.random.default_rng(0)
    titles = make_titles(draws.integers(100, 700, max(24, batch_shots // 100)).tolist())
    settings = TrainConfig(max_steps=steps, batch_shots=batch_shots, precision=precision, val_fraction=0.0)  # type: ignore[arg-type]
    seen: list[Metrics] = []
    engine = Engine(device, compile=compiled)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stored = open_catalogue([write_store(folder, title, LAYOUT.blocks) for title in titles])
        config = replace(config, layout=stored.layout)
        pretrain(stored.titles, config, settings, folder / "model", engine=engine, progress=seen.append)
    settled = seen[steps // 4 :]  # the first steps compile, and wait for data
    shots = statistics.median(metrics.shots for metrics in settled)
    waits, rates, used = (
        statistics.median(getattr(metrics.speed, name) for metrics in settled)
        for name in ("data_wait", "shots_per_s", "mfu")
    )
    print(f"\nA run of {steps} steps of {shots:.0f} shots: data wait {waits:.2%}, {rates:.0f} shots/s, MFU {used:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--sequences", type=int, default=4, help="full windows in a batch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--compile", action="store_true", help="torch.compile mediafm's own blocks and loss")
    parser.add_argument("--steps", type=int, default=8, help="of a run")
    arguments = parser.parse_args()
    device = find_device(arguments.device)
    precision = arguments.precision
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" else "fp32"
    size, sequences, rounds = SIZES[arguments.size], arguments.sequences, arguments.rounds
    config = ModelConfig(LAYOUT, size.hidden, size.layers, size.heads, dropout=0.0)
    print(f"{arguments.size}: {size.layers} layers of {size.hidden}, on {device}, {torch.get_num_threads()} threads")
    compare_steps(config, sequences, rounds, device, precision, arguments.compile)
    if device.type == "cuda":
        compare_precisions(config, sequences, rounds, device)
    else:  # many processors compute bf16 slowly
        compare_precisions(replace(config, layers=2), 1, rounds, device)
    compare_optimizers(config, sequences, rounds, device, precision, arguments.compile)
    time_run(config, device, precision, arguments.steps, sequences * WINDOW, arguments.compile)


if __name__ == "__main__":
    main()
