"""``mediafm check``."""

from __future__ import annotations

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs
from mediafm_cli.errors import StoreError


def check(
    stores: shared.Stores, null: shared.Nul = False, json: shared.Json = False, quiet: shared.Quiet = False
) -> None:
    """Verify stores; exit code 5 if one is not valid.

    mediafm check stores/film.h5

    mediafm check stores/ --quiet && echo all valid
    """
    from mediafm_cli.store.inspect import check_store

    console = Console(quiet=quiet, as_json=json)
    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    invalid = 0
    for path in paths:
        faults = check_store(path)
        invalid += bool(faults)
        if json:
            console.record("check", store=str(path), valid=not faults, faults=[str(fault) for fault in faults])
        elif not faults:
            console.result(f"{path}: valid")
        for fault in faults:
            console.fail(fault)
    if invalid:
        raise StoreError(f"{invalid} of {len(paths)} stores are not valid.")
