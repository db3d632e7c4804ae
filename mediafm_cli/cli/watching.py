"""Watch a training run: live on a terminal or in lines, in TensorBoard, and as a plot at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from mediafm_cli.cli.console import Console
from mediafm_cli.errors import UsageError, counted

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from mediafm_cli.train.metrics import Metrics, Validation

    Watch = Callable[[Metrics], None]

RECENT = 20
"""Steps over which the live view averages what jumps from one to the next."""


@contextmanager
def view(console: Console) -> Iterator[Watch]:
    """Show each step on a terminal; elsewhere a line now and then, and what is validated; nothing when quiet."""
    if console.stderr.is_terminal and not console.quiet:
        from rich.live import Live

        shown = LiveView()
        with Live(get_renderable=shown.render, console=console.stderr, redirect_stdout=False) as live:
            try:
                yield shown.watch
            finally:
                live.transient = not shown.begun
    else:
        with _lines(console) as watch:
            yield watch


@contextmanager
def _lines(console: Console) -> Iterator[Watch]:
    from mediafm_cli.stages.outcome import Progress

    with console.progress("pretrain") as progress:
        before: int | None = None

        def watch(metrics: Metrics) -> None:
            nonlocal before
            before = metrics.step - 1 if before is None else before
            progress(Progress(metrics.step, metrics.steps, "steps", before))
            if metrics.validation:
                found = metrics.validation
                cosines = ", ".join(f"{name} {cosine:.3f}" for name, cosine in found.cosine.items())
                console.say(
                    f"pretrain: step {metrics.step}: loss {metrics.loss:.4f}; held out: loss {found.loss:.4f}, "
                    f"cosine {cosines}; skill over the mean {found.skill_over_mean:+z.3f}, "
                    f"over the neighbour {found.skill_over_neighbour:+z.3f}"
                )

        yield watch


class LiveView:
    """A run as it is drawn on a terminal: ``watch`` takes in each step, ``render`` may be called by another thread."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("pretrain"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._recent: tuple[Metrics, ...] = ()
        self._held_out: tuple[int, Validation] | None = None

    @property
    def begun(self) -> bool:
        return bool(self._recent)

    def watch(self, metrics: Metrics) -> None:
        if not self.begun:
            self._bar.add_task("pretrain", total=metrics.steps)
        self._bar.update(self._bar.task_ids[0], completed=metrics.step)
        if metrics.validation:
            self._held_out = (metrics.step, metrics.validation)
        self._recent = (*self._recent, metrics)[-RECENT:]

    def render(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        recent = self._recent
        if not recent:
            return Text("pretrain: getting ready")
        return Group(self._bar.get_renderable(), self._table(recent), Text(_speed(recent)))

    def _table(self, recent: Sequence[Metrics]) -> Table:
        """Training and held-out titles side by side, a modality a column."""
        from rich.table import Table
        from rich.text import Text

        names = list(dict.fromkeys(name for metrics in recent for name in metrics.cosine))
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column()
        for heading in ["loss", *(f"cosine\n{name}" for name in names), "skill over\nmean", "skill over\nneighbour"]:
            table.add_column(Text(heading), justify="right", vertical="bottom")  # a name is no markup
        loss = f"{fmean(metrics.loss for metrics in recent):.4f}"
        table.add_row(f"last {counted(len(recent), 'step')}", loss, *(_mean_cosine(recent, name) for name in names))
        if self._held_out:
            step, found = self._held_out
            cosines = [f"{found.cosine[name]:.3f}" if name in found.cosine else "–" for name in names]
            skills = [f"{found.skill_over_mean:+z.3f}", f"{found.skill_over_neighbour:+z.3f}"]
            table.add_row(f"held out, step {step}", f"{found.loss:.4f}", *cosines, *skills)
        return table


def _mean_cosine(recent: Sequence[Metrics], name: str) -> str:
    found = [metrics.cosine[name] for metrics in recent if name in metrics.cosine]
    return f"{fmean(found):.3f}"


def _speed(recent: Sequence[Metrics]) -> str:
    recent = [metrics for metrics in recent if metrics.shots]  # a step of titles that show nothing has no speed
    if not recent:
        return ""
    seconds = [metrics.shots / metrics.speed.shots_per_s for metrics in recent]
    shots = sum(metrics.shots for metrics in recent) / sum(seconds)
    mfu = fmean((metrics.speed.mfu for metrics in recent), seconds)
    waited = fmean((metrics.speed.data_wait for metrics in recent), seconds)
    return f"{shots:,.0f} shots/s, MFU {mfu:.1%}, data wait {waited:.1%}"


@contextmanager
def loss_curve(metrics: Path, path: Path) -> Iterator[Watch]:
    """Draw ``path`` from ``metrics`` at the end of a run, however it ends, if it did a step or there is no plot yet."""
    from mediafm_cli.report.loss_curve import write_loss_curve

    begun = False

    def watch(_: Metrics) -> None:
        nonlocal begun
        begun = True

    try:
        yield watch
        begun = begun or (metrics.exists() and not path.exists())
    finally:
        if begun:
            write_loss_curve(metrics, path)


def require_tensorboard() -> None:
    """Raise a UsageError where TensorBoard is not installed."""
    if find_spec("tensorboard") is None:
        why = "--tensorboard needs a package that is not installed by itself."
        raise UsageError("There is no TensorBoard.", why, "Install it: pip install 'mediafm-cli[tensorboard]'")


@contextmanager
def write_events(folder: Path) -> Iterator[Watch]:
    """Write curves into ``folder`` for TensorBoard; a run that goes on goes on in the same ones.

    Raises:
        TrainingError: the disk is full, or the folder cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    from mediafm_cli.model.atomic import unwritable

    writer: SummaryWriter | None = None

    def watch(metrics: Metrics) -> None:
        nonlocal writer
        if writer is None:
            # Of a run that was cut off, what comes from this step on is dropped, as in metrics.jsonl.
            writer = SummaryWriter(str(folder), purge_step=metrics.step)
        for name, value in scalars(metrics).items():
            writer.add_scalar(name, value, metrics.step)

    try:
        try:
            yield watch
        finally:
            if writer is not None:
                writer.close()
    except OSError as error:
        raise unwritable(folder, error) from error


def scalars(metrics: Metrics) -> dict[str, float]:
    """The numbers of a step, by the names of their curves."""
    found = {
        "loss/training": metrics.loss,
        **{f"cosine_training/{name}": cosine for name, cosine in metrics.cosine.items()},
        "optimizer/lr": metrics.lr,
        "optimizer/grad_norm": metrics.grad_norm,
        "speed/shots_per_s": metrics.speed.shots_per_s,
        "speed/mfu": metrics.speed.mfu,
        "speed/data_wait": metrics.speed.data_wait,
    }
    if metrics.validation:
        found |= {
            "loss/held_out": metrics.validation.loss,
            **{f"cosine_held_out/{name}": cosine for name, cosine in metrics.validation.cosine.items()},
            "skill/over_mean": metrics.validation.skill_over_mean,
            "skill/over_neighbour": metrics.validation.skill_over_neighbour,
        }
    return found
