"""Run one stage over many titles: one that fails does not stop the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mediafm_cli.errors import MediafmError, PluginError, SomeTitlesFailedError, UnavailableError

if TYPE_CHECKING:
    from mediafm_cli.cli.console import Console
    from mediafm_cli.stages.outcome import OnProgress, Outcome


def run_over_titles(
    stage: str,
    titles: Sequence[Path],
    work: Callable[[Path, OnProgress], Outcome],
    console: Console,
    *,
    nul: bool = False,
) -> list[Path]:
    """Call ``work`` on each title and print the path of each store as it is finished; the stores.

    Raises:
        MediafmError: the error of the only title.
        SomeTitlesFailedError: some of several failed; each was reported when it did.
        MediafmError: all of several failed; of the kind of the last.
        PluginError, UnavailableError: the encoder itself is broken, or what it needs is not there, so that no other
            title can fare better.
    """
    outcomes: list[Outcome] = []
    failed: dict[Path, MediafmError] = {}
    for number, title in enumerate(titles, 1):
        label = f"{stage} {title.name}" + (f" ({number} of {len(titles)})" if len(titles) > 1 else "")
        try:
            with console.progress(label) as progress:
                outcome = work(title, progress)
        except (PluginError, UnavailableError):
            raise
        except MediafmError as error:
            if len(titles) == 1:
                raise
            console.fail(error)
            failed[title] = error
            continue
        tell = console.say if len(titles) == 1 else console.detail
        tell(f"{stage} {outcome.store}: {outcome.status}: {outcome.summary}")
        for note in outcome.notes:
            console.warn(f"{outcome.store}: {note}")
        _show_result(stage, outcome, console, nul)
        outcomes.append(outcome)
    if len(titles) > 1:
        counts = Counter([*(outcome.status for outcome in outcomes), *["failed"] * len(failed)])
        counted = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        console.say(f"{stage}: {len(titles)} titles: {counted}")
    if failed and outcomes:
        names = ", ".join(str(title) for title in failed)
        raise SomeTitlesFailedError(f"{len(failed)} of {len(titles)} titles failed: {names}.", "The others are done.")
    if failed:
        raise type(failed[titles[-1]])(f"All {len(titles)} titles failed.")
    return [outcome.store for outcome in outcomes]


def _show_result(stage: str, outcome: Outcome, console: Console, nul: bool) -> None:
    if console.as_json:
        fields = {"store": str(outcome.store), "status": outcome.status, "summary": outcome.summary}
        console.record("outcome", stage=stage, **fields, notes=list(outcome.notes))
    else:
        console.result(str(outcome.store), "\0" if nul else "\n")
