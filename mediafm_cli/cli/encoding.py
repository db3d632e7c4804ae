"""One modality of many titles: what ``encode`` and the chain share."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Encode one modality of each title, and say at the end what was spent, or what would be."""
    from mediafm_cli.stages.encode import encode_title

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


def is_encoded(store: Path, modality: str) -> bool:
    """Whether there is such a store, and it has all of the modality."""
    from mediafm_cli.store.read import open_store

    if not store.exists():
        return False
    with open_store(store) as opened:
        return f"encodings/{modality}" in opened and opened.encoding(modality).complete
