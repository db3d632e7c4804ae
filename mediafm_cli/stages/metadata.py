"""What is known about a title as a whole, from a file, and the text that stands for it before a text encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediafm_cli.errors import UsageError
from mediafm_cli.store.read import open_store

MAX_BYTES = 50_000


def has_metadata(store: Path) -> bool:
    """Whether anything is known of the title in ``store``."""
    with open_store(store) as opened:
        return bool(opened.source.metadata)


def read_metadata(path: Path) -> dict[str, Any]:
    """Read a ``.json`` object (synopsis, tags, anything), or any other file as text: ``{"synopsis": text}``.

    Raises:
        UsageError: the file cannot be read, is too long, or is not a JSON object.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read.", f"{error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", f"{error}.", "Convert it: iconv -t UTF-8") from error
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{path} is {len(raw):,} bytes.", f"Title metadata may take {MAX_BYTES:,}.")
    if path.suffix.lower() != ".json":
        return {"synopsis": text.strip()} if text.strip() else {}
    try:
        metadata = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON.", f"{error}.") from error
    if not isinstance(metadata, dict):
        raise UsageError(f"{path} holds a JSON {type(metadata).__name__}.", hint='Write an object: {"synopsis": "…"}')
    return metadata


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """One line a key, in order of the keys: ``tags: night, rain``. Empty values are left out."""
    lines = [(key, _plain(metadata[key])) for key in sorted(metadata)]
    return "\n".join(f"{key}: {value}" for key, value in lines if value)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(value[key])}" for key in sorted(value))
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return "" if value is None else str(value).strip()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
