"""``mediafm transcribe``. What takes long to import is imported when the command runs, so that its help is quick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import find_inputs
from mediafm_cli.cli.titles import run_over_titles
from mediafm_cli.errors import UsageError
from mediafm_cli.media.suffixes import FILM_SUFFIXES
from mediafm_whisper import DEFAULT_MODEL

if TYPE_CHECKING:
    from mediafm_whisper.recognizer import Whisper

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def transcribe(
    media: shared.MediaFiles,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder, or FILE.srt for a single title. Default: beside the media file."),
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", metavar="NAME|FOLDER", help="A Whisper model: a repository on the hub, or a folder."),
    ] = DEFAULT_MODEL,
    revision: Annotated[
        str | None, typer.Option("--revision", help="A branch, tag or commit of the repository. Default: main.")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="What is spoken, such as en. Default: detected, once a title.")
    ] = None,
    task: Annotated[
        Literal["transcribe", "translate"], typer.Option("--task", help="translate: write it down in English.")
    ] = "transcribe",
    device: shared.Device = "auto",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the SRT that is there; also do titles that have other subtitles."),
    ] = False,
    dry_run: shared.DryRun = False,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
    verbose: shared.Verbose = False,
) -> None:
    """Write down what is said in titles without subtitles, as SRT files.

    mediafm transcribe film.mp4

    mediafm transcribe *.mp4 --language en --model openai/whisper-large-v3-turbo

    mediafm segment reads an SRT that lies beside the media file. Whisper may write words where nobody speaks.
    """
    from mediafm_whisper.recognizer import Whisper
    from mediafm_whisper.transcribe import transcribe_title

    console = Console(quiet=quiet, verbose=verbose, as_json=json)
    found = find_inputs(media, FILM_SUFFIXES, nul=null)
    targets = subtitle_paths(found, output)
    titles = found if overwrite else _without_subtitles(found, targets, console)
    if not titles:
        return
    whisper = Whisper(model, revision, language=language, task=task, device=device)
    if not dry_run and (overwrite or not all(targets[title].exists() for title in titles)):
        _load(whisper, console)
    run_over_titles(
        "transcribe",
        titles,
        lambda title, progress: transcribe_title(
            title, targets[title], whisper, overwrite=overwrite, dry_run=dry_run, progress=progress
        ),
        console,
        nul=null,
    )


def subtitle_paths(titles: Sequence[Path], output: Path | None) -> dict[Path, Path]:
    """The SRT file of each title: ``<title>.srt`` beside it or in the folder ``output``, or ``output`` itself.

    Raises:
        UsageError: two titles would share a file.
    """
    if output is not None and output.suffix.lower() == ".srt" and not output.is_dir():
        if len(titles) > 1:
            raise UsageError(f"{len(titles)} titles cannot share the file {output}.", hint="Give a folder with -o.")
        return {titles[0]: output}
    targets = {title: (output or title.parent) / f"{title.stem}.srt" for title in titles}
    owners: dict[Path, Path] = {}
    for title, target in targets.items():
        other = owners.setdefault(target, title)
        if other != title:
            raise UsageError(f"{other} and {title} would both become {target}.", hint="Give one title at a time.")
    return targets


def _without_subtitles(titles: Sequence[Path], targets: Mapping[Path, Path], console: Console) -> list[Path]:
    """The titles to work on: a title with other subtitles is left alone, for ``segment`` would read the new ones."""
    from mediafm_cli.errors import MediaError
    from mediafm_whisper.transcribe import find_subtitles

    kept = []
    for title in titles:
        try:
            found = "" if targets[title].exists() else find_subtitles(title)
        except MediaError:
            found = ""  # reported, with the title's name, when its turn comes
        if found:
            console.say(f"transcribe {title}: skipped: it has {found}; do it all the same with --overwrite")
        else:
            kept.append(title)
    return kept


def _load(whisper: Whisper, console: Console) -> None:
    """Read the weights, without what transformers prints meanwhile: stderr is for what mediafm says."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    whisper.load()
    console.detail(f"model: {whisper.described}")
