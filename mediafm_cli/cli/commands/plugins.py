"""``mediafm plugins``: what is installed, what it takes, whether it keeps its contract, and a package of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.plugged import command_checks
from mediafm_cli.errors import MediafmError, PluginError
from mediafm_cli.registry import COMMANDS, ENCODERS, GROUPS, Found, blame, find, find_named, load_class

if TYPE_CHECKING:
    from mediafm_cli.testing import Check

HELP = """List what is installed, show and check a plugin, start one of your own.

mediafm plugins list

mediafm plugins check audio.logmel
"""

plugins = typer.Typer(no_args_is_help=True, help=HELP)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A plugin, or FILE.py:CLASS while it is being written.")]


@plugins.command("list")
def show_list(json: shared.Json = False) -> None:
    """List what is installed, from metadata alone; nothing is imported.

    mediafm plugins list

    mediafm plugins list --json
    """
    console = Console(as_json=json)
    for found in (found for group in GROUPS for found in find(group)):
        if json:
            console.record("plugin", **_origin(found))
        else:
            console.result(f"{found.kind:<10} {found.name:<20} {found.distribution} {found.version}  {found.value}")


@plugins.command("show")
def show(
    name: Name,
    opt: shared.Opt = [],  # noqa: B006 - Typer copies it
    json: shared.Json = False,
) -> None:
    """Show where a plugin comes from, what it needs, how wide its vectors are, and its options with their defaults.

    mediafm plugins show audio.logmel

    mediafm plugins show video.open-clip --json
    """
    from mediafm_cli.options import describe_options, parse_options

    console = Console(as_json=json)
    if not _is_file(name) and find_named(name).group == COMMANDS:
        found = find_named(name)
        described: dict[str, Any] = {"about": f"mediafm {found.name} --help tells what it does."}
        options = []
    else:
        loaded = load_class(name)
        found, options = loaded.found, describe_options(loaded.plugin.Options)
        parsed = parse_options(loaded.plugin.Options, opt)
        with blame(found.described, "to start"):
            facts = _facts(loaded.plugin(parsed))
        described = {"about": (loaded.plugin.__doc__ or "").partition("\n")[0], **facts}
    if json:
        console.record("plugin", **_origin(found), **described, options=[vars(option) for option in options])
        return
    shown = {"kind": found.kind, "name": found.name, "group": found.group, "module": found.value}
    if found.distribution:
        shown["distribution"] = f"{found.distribution} {found.version}"
    shown |= {key: str(value).replace("``", "") for key, value in described.items()}
    unknown = shown.pop("dim_unknown", None)
    for key, value in (shown | ({"dim": f"not known: {unknown}"} if unknown else {})).items():
        console.result(f"{key:<12} {value}")
    for option in options:
        console.result(f"\n--opt {option.name}={option.default}  ({option.type})\n    {option.about}")


@plugins.command("check")
def check(
    name: Name,
    opt: shared.Opt = [],  # noqa: B006 - Typer copies it
    device: shared.Device = "cpu",
    json: shared.Json = False,
) -> None:
    """Run the conformance checks on a plugin. Exit code 4 where one fails.

    mediafm plugins check audio.logmel

    mediafm plugins check ./mine.py:MyEncoder
    """
    console = Console(as_json=json)
    found, checks = _run_checks(name, opt, device)
    for result in checks:
        if json:
            console.record("plugin_check", **_origin(found), check=result.name, **_outcome(result))
        else:
            detail = f": {result.detail}" if result.detail else ""
            console.result(f"{'pass' if result.passed else 'FAIL'}  {result.name}{detail}")
    failed = [result.name for result in checks if not result.passed]
    if failed:
        raise PluginError(f"{found.described} fails {len(failed)} of {len(checks)} checks: {', '.join(failed)}.")


@plugins.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Modality first: audio.mine.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder in which the package's folder is made.")
    ] = Path(),
    needs: Annotated[
        Literal["frames", "audio", "text"] | None,
        typer.Option(help="What the encoder is given of a shot. Default: by the modality."),
    ] = None,
    quiet: shared.Quiet = False,
) -> None:
    """Write a package with an encoder that works, its test and a README, for you to go on from.

    mediafm plugins new audio.mine

    mediafm plugins new ocr.mine --needs frames -o plugins/
    """
    from mediafm_cli.errors import UsageError, command
    from mediafm_cli.scaffold import write_package

    console = Console(quiet=quiet)
    taken = next((found for found in find(ENCODERS) if found.name == name), None)
    if taken:
        raise UsageError(f"{taken.described} has that name already.", hint="Choose another one.")
    package = write_package(name, output, needs)
    for file in package.files:
        console.result(str(file))
    place = package.folder if package.folder.is_absolute() else f"./{package.folder}"
    console.say(f"Try it as it stands:  {command('mediafm', 'plugins', 'check', package.encoder)}")
    console.say(f"Install it:           {command('pip', 'install', '-e', place)}")


def _run_checks(name: str, opt: list[str], device: str) -> tuple[Found, list[Check]]:
    from mediafm_cli.options import parse_options
    from mediafm_cli.testing import encoder_checks, segmenter_checks

    if not _is_file(name) and find_named(name).group == COMMANDS:
        found = find_named(name)
        return found, command_checks(found)
    loaded = load_class(name)
    options: Any = parse_options(loaded.plugin.Options, opt)
    if loaded.found.kind == "encoder":
        with blame(loaded.found.described, "to start"):  # what this machine lacks is no fault of the encoder
            encoder: Any = loaded.plugin(options, device=device)  # type: ignore[call-arg]
            encoder.preflight()
            encoder.fingerprint()
    if loaded.found.kind == "segmenter":
        return loaded.found, segmenter_checks(loaded.plugin, options)  # type: ignore[arg-type]
    return loaded.found, encoder_checks(loaded.plugin, options, device=device)  # type: ignore[arg-type]


def _origin(found: Found) -> dict[str, str]:
    origin = {"distribution": found.distribution, "distribution_version": found.version}
    return {"kind": found.kind, "name": found.name, "group": found.group, "value": found.value, **origin}


def _facts(plugin: Any) -> dict[str, Any]:
    """What an encoder needs and how wide it is, where that can be told on this machine; a segmenter has neither."""
    if not hasattr(plugin, "needs"):
        return {}
    try:
        return {"needs": str(plugin.needs), "dim": plugin.dim}
    except MediafmError as error:
        return {"needs": str(plugin.needs), "dim": None, "dim_unknown": f"{error.what} {error.why}"}


def _outcome(result: Check) -> dict[str, Any]:
    return {"passed": result.passed, "detail": result.detail}


def _is_file(name: str) -> bool:
    return name.rpartition(":")[0].endswith(".py")
