"""``mediafm info``."""

from __future__ import annotations

import dataclasses

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs


def info(stores: shared.Stores, null: shared.Nul = False, json: shared.Json = False) -> None:
    """Show what stores hold, and made by what.

    mediafm info stores/film.h5

    mediafm info stores/ --json
    """
    from mediafm_cli.store.inspect import describe_store

    console = Console(as_json=json)
    for path in find_inputs(stores, STORE_SUFFIXES, nul=null):
        found = describe_store(path)
        if json:
            groups = [dataclasses.asdict(group) for group in found.groups]
            console.record("info", store=str(path), title_id=found.title_id, created_by=found.created_by, groups=groups)
            continue
        console.result(f"{path}: title {found.title_id!r}, {found.created_by}")
        width = max((len(group.place) for group in found.groups), default=0)
        for group in found.groups:
            state = "INCOMPLETE, " * (not group.complete)
            state += f"STALE ({', '.join(group.stale)} changed), " * bool(group.stale)
            made_by = f", by {group.made_by}" * bool(group.made_by)
            console.result(f"  {group.place:<{width}}  {state}{group.summary}{made_by}")
            for note in group.notes:
                console.result(f"  {'':<{width}}  note: {note}")
