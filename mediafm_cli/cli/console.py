"""What a person or a script is shown: results on stdout, everything else on stderr, and nothing taken for markup."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress as RichProgress

    from mediafm_cli.errors import MediafmError
    from mediafm_cli.stages.outcome import OnProgress, Progress

PLAIN_EVERY_S = 10.0
"""Seconds between two lines of progress where stderr is not a terminal."""


class Console:
    """One command's way out.

    Args:
        quiet: only errors and results. ``verbose``: also what was skipped and why.
        as_json: results as JSON Lines instead of plain text.
        results: False for a step in the middle, whose results only the next step wants.
    """

    def __init__(
        self, *, quiet: bool = False, verbose: bool = False, as_json: bool = False, results: bool = True
    ) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.as_json = as_json
        self.results = results
        self._bars_lock = Lock()

    @cached_property
    def stderr(self) -> RichConsole:
        from rich.console import Console as RichConsole

        return RichConsole(stderr=True, highlight=False, soft_wrap=True)

    def result(self, line: str, end: str = "\n") -> None:
        """One line of the result, at once, so that a pipe can go on with it."""
        if self.results:
            sys.stdout.write(line + end)
            sys.stdout.flush()

    def record(self, schema: str, **fields: Any) -> None:
        """One JSON line of the result. Fields are only ever added to a schema; a removal counts its version up."""
        self.result(json.dumps({"schema": f"mediafm.{schema}", "version": 1, **fields}, ensure_ascii=False))

    def say(self, line: str) -> None:
        """What was done; silent when quiet."""
        if not self.quiet:
            self._print(line)

    def detail(self, line: str) -> None:
        """What only the curious want to know."""
        if self.verbose:
            self._print((line, "dim"))

    def warn(self, line: str) -> None:
        if not self.quiet:
            self._print(("warning: ", "yellow"), line)

    def fail(self, error: MediafmError) -> None:
        """An error: what happened, why, and what to do next, each on a line of its own; a plugin's on a single one."""
        from mediafm_cli.errors import PluginError

        on_one_line = isinstance(error, PluginError)
        self._print(("error: ", "bold red"), " ".join(str(error).split()) if on_one_line else error.what)
        if error.why and not on_one_line:
            self._print(f"  {error.why}")
        if error.hint and not on_one_line:
            self._print(("  → ", "green"), error.hint)

    def _print(self, *parts: str | tuple[str, str]) -> None:
        """Print texts, or texts with a style; brackets in them are no markup."""
        from rich.text import Text

        self.stderr.print(Text.assemble(*parts))

    @contextmanager
    def progress(self, label: str) -> Iterator[OnProgress]:
        """A bar on a terminal, a line now and then elsewhere, nothing when quiet."""
        if self.quiet:
            yield lambda progress: None
        elif self.stderr.is_terminal:
            with self._bar(label) as watch:
                yield watch
        else:
            yield self._plain(label)

    @contextmanager
    def _bar(self, label: str) -> Iterator[OnProgress]:
        """One line of the display that all bars share; it is there as long as any of them is."""
        from rich.markup import escape

        with self._bars_lock:
            task = self._bars.add_task(escape(label), total=None, rate="")
            self._bars.start()
        started = time.monotonic()

        def watch(progress: Progress) -> None:
            rate = (progress.done - progress.before) / max(time.monotonic() - started, 1e-9)
            shown = f"{progress.done:.0f} {progress.unit}, {rate:.0f}/s"
            self._bars.update(task, completed=progress.done, total=progress.total, rate=shown)

        try:
            yield watch
        finally:
            with self._bars_lock:
                self._bars.remove_task(task)
                if not self._bars.tasks:
                    self._bars.stop()

    @cached_property
    def _bars(self) -> RichProgress:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        return RichProgress(*columns, console=self.stderr, transient=True)

    def _plain(self, label: str) -> OnProgress:
        started = last = time.monotonic()

        def watch(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < PLAIN_EVERY_S:
                return
            last = now
            rate = (progress.done - progress.before) / (now - started)
            of = f" of {progress.total:.0f}" if progress.total else ""
            left = f", {(progress.total - progress.done) / rate:.0f} s left" if progress.total and rate else ""
            self.say(f"{label}: {progress.done:.0f}{of} {progress.unit}, {rate:.1f}/s{left}")

        return watch
