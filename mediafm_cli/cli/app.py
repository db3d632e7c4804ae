"""The application: global options, the commands, and the one place where an error becomes a message and exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer

from mediafm_cli import __version__
from mediafm_cli.cli.commands.ablate import ablate
from mediafm_cli.cli.commands.check import check
from mediafm_cli.cli.commands.config import config as config_group
from mediafm_cli.cli.commands.demo import demo
from mediafm_cli.cli.commands.embed import embed
from mediafm_cli.cli.commands.encode import encode
from mediafm_cli.cli.commands.export import export
from mediafm_cli.cli.commands.fuse import fuse
from mediafm_cli.cli.commands.import_ import import_
from mediafm_cli.cli.commands.info import info
from mediafm_cli.cli.commands.plugins import plugins
from mediafm_cli.cli.commands.pretrain import pretrain
from mediafm_cli.cli.commands.probe import probe
from mediafm_cli.cli.commands.report import report
from mediafm_cli.cli.commands.run import run
from mediafm_cli.cli.commands.score import score
from mediafm_cli.cli.commands.search import search
from mediafm_cli.cli.commands.segment import segment
from mediafm_cli.cli.configfile import read_config, require_options
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.plugged import PluggedGroup
from mediafm_cli.errors import MediafmError, PluginError, Terminated, interrupted_code
from mediafm_cli.registry import COMMANDS as PLUGGED
from mediafm_cli.registry import find

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "run": run,
    "segment": segment,
    "encode": encode,
    "fuse": fuse,
    "pretrain": pretrain,
    "embed": embed,
    "ablate": ablate,
    "probe": probe,
    "report": report,
    "search": search,
    "export": export,
    "import": import_,
    "score": score,
    "info": info,
    "check": check,
}


@contextmanager
def _interrupt_on_sigterm() -> Iterator[None]:
    """Raise ``Terminated`` on SIGTERM, unless someone around the command line handles it otherwise.

    Only the first counts: ``timeout`` sends two, and what tidies up after the first is not to be cut short.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )

    def interrupt(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise Terminated

    if is_ours:
        signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


class MediafmGroup(PluggedGroup):
    """Reports what goes wrong in any command."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        return command and _without_envvars(command)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _without_envvars(command), rest

    def get_help(self, ctx: Any) -> str:
        _without_envvars(self)
        return super().get_help(ctx)

    @_interrupt_on_sigterm()
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MediafmError as error:
            _show_traceback(ctx)
            if _speaks():
                Console().fail(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            if _speaks():
                done = " ".join(getattr(interrupt, "__notes__", []))
                go_on = f"{done}; run the same command again to go on." if done else "Nothing is left half written."
                Console().say(f"Interrupted. {go_on}")
            raise typer.Exit(interrupted_code(interrupt)) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            _show_traceback(ctx)
            Console().fail(MediafmError(f"{error.filename or 'A file'} cannot be used.", f"{error.strerror}."))
            raise typer.Exit(1) from error
        except Exception as error:
            found = next((found for found in find(PLUGGED) if found.name == ctx.invoked_subcommand), None)
            if found is None or ctx.invoked_subcommand in self.commands or _is_of_typer(error):
                raise
            _show_traceback(ctx)
            why = f"{type(error).__name__}: {error}."
            Console().fail(PluginError(f"{found.described} failed.", why))
            raise typer.Exit(PluginError.exit_code) from error


def _speaks() -> bool:
    """Whether this process reports errors: the first that torchrun started on this machine; the others fail alike."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _without_envvars(command: Any) -> Any:
    """Leave the variable of each option out of the help: one line there says it for all."""
    for option in command.params:
        option.show_envvar = False
    for of_group in getattr(command, "commands", {}).values():
        _without_envvars(of_group)
    return command


def _is_of_typer(error: Exception) -> bool:
    """Whether it is a way out of Typer's own, such as a usage error; Typer carries its Click under its own name."""
    return any(kind.__module__.partition(".")[0] in ("typer", "click") for kind in type(error).__mro__)


def _show_traceback(ctx: Any) -> None:
    if ctx.params.get("debug"):
        import traceback

        traceback.print_exc()


def _report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    what = f"mediafm stopped on something that it did not expect: {kind.__name__}: {error}"
    Console().fail(
        MediafmError(what, "This is a bug.", "Run the command as mediafm --debug … and report what it prints.")
    )


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"mediafm {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=MediafmGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MEDIAFM"},
)


@app.callback()
def start(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE.toml", help="Defaults of the commands' options.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Films, episodes and clips as shot-level multimodal embeddings that know their context.

    mediafm demo -o demo/

    mediafm run film.mp4 -o stores/ --preset offline

    Every option can be set in the environment: --batch-size of encode is MEDIAFM_ENCODE_BATCH_SIZE.
    """
    if not debug:
        sys.excepthook = _report_bug
    if config:
        tables = read_config(config, COMMANDS, [found.name for found in find(PLUGGED)])
        called = ctx.invoked_subcommand
        if called in tables and called not in COMMANDS:
            _, command, _ = ctx.command.resolve_command(ctx, [called])  # type: ignore[attr-defined]
            require_options(config, called, tables[called], [option.name for option in command.params])
        ctx.default_map = tables


for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(plugins, name="plugins")
app.add_typer(config_group, name="config")
