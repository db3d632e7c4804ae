"""``mediafm check``."""

from __future__ import annotations

from mediafm_cli.cli import shared
from mediafm_cli.cli.console import Console
from mediafm_cli.cli.inputs import STORE_SUFFIXES, find_inputs, require_folder
from mediafm_cli.errors import StoreError, counted


def check(
    stores: shared.Stores,
    media: shared.Media = None,
    null: shared.Nul = False,
    json: shared.Json = False,
    quiet: shared.Quiet = False,
) -> None:
    """Verify stores; exit code 5 if one is not valid.

    mediafm check stores/film.h5

    mediafm check stores/ --quiet && echo all valid

    A store whose media file has changed is stale; one whose media file is not there is said not to be compared.
    """
    from mediafm_cli.store.inspect import check_store, find_source
    from mediafm_cli.store.read import open_store

    paths = find_inputs(stores, STORE_SUFFIXES, nul=null)
    require_folder(media)
    console = Console(quiet=quiet, as_json=json)
    invalid, alone = 0, []
    for path in paths:
        faults, source = check_store(path, media), None
        if faults:
            invalid += 1
        else:
            with open_store(path) as store:
                source = find_source(store, media)
            alone += [path] * (source is None)
        if json:
            compared = None if source is None else str(source)
            said = [str(fault) for fault in faults]
            console.record("check", store=str(path), valid=not faults, faults=said, compared_with=compared)
        elif not faults:
            console.result(f"{path}: valid")
        for fault in faults:
            console.fail(fault)
    if alone:
        these = f"{len(alone)} of {counted(len(paths), 'store')}, such as {alone[0]}"
        console.warn(f"the media file was not found, so not compared: {these}; name its folder with --media")
    if invalid:
        raise StoreError(f"{invalid} of {counted(len(paths), 'store')} {'is' if invalid == 1 else 'are'} not valid.")
