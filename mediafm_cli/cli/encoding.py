"""One modality of many titles: what ``encode`` and the chain share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mediafm_cli.cli.titles import run_over_titles

if TYPE_CHECKING:
    from mediafm_cli.cli.console import Console
    from mediafm_cli.stages.encode import EncodeSettings
    from mediafm_cli.stages.host import EncoderHost


def encode_titles(
    stores: Sequence[Path],
    host: EncoderHost,
    settings: EncodeSettings,
    console: Console,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    nul: bool = False,
) -> None:
    """Encode one modality of each title, and say at the end what was spent, or what would be.

    What the encoder lacks, such as a key, is an error before any work on any title, if there is any left to do.
    """
    from mediafm_cli.api import Encoder
    from mediafm_cli.stages.encode import encode_title

    has_preflight = type(host.encoder).preflight is not Encoder.preflight
    if has_preflight and not dry_run and (overwrite or not all_encoded(stores, settings.modality)):
        host.preflight()
    stage = f"encode {settings.modality}"
    try:
        run_over_titles(
            stage,
            stores,
            lambda path, progress: encode_title(
                path, host, settings, overwrite=overwrite, dry_run=dry_run, progress=progress
            ),
            console,
            nul=nul,
        )
    finally:
        if host.usage():
            console.say(f"{stage}: {'it would take' if dry_run else 'it took'} {host.usage()}")


def all_encoded(stores: Iterable[Path], modality: str) -> bool:
    """Whether every one of these stores is there, and has all of the modality.

    One that is not valid counts as encoded: there is nothing to do for it, and whoever opens it to work on it is told.
    """
    from mediafm_cli.errors import StoreError
    from mediafm_cli.store.read import open_store

    for store in stores:
        if not store.exists():
            return False
        try:
            with open_store(store) as opened:
                if f"encodings/{modality}" not in opened or not opened.encoding(modality).complete:
                    return False
        except StoreError:
            continue
    return True
