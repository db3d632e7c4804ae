"""What tells whether a media file is still the one that a store was made from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mediafm_cli.errors import MediaError

_PIECE = 1 << 20  # one MiB: a 50 GB master must not be read twice


def fingerprint_file(path: Path) -> str:
    """SHA-256 (hex) of the file's size in decimal, a newline, and its first, middle and last MiB.

    A file of three MiB or less is hashed whole. Equal files give equal fingerprints; a change between the three pieces
    that keeps the size goes unseen.

    Raises:
        MediaError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            digest = hashlib.sha256(f"{size}\n".encode())
            if size <= 3 * _PIECE:
                starts, length = [0], size
            else:
                starts, length = [0, (size - _PIECE) // 2, size - _PIECE], _PIECE
            for start in starts:
                file.seek(start)
                digest.update(file.read(length))
    except OSError as error:
        hint = "Check the name and its permissions."
        raise MediaError(f"{path} cannot be read.", f"{error.strerror}.", hint) from error
    return digest.hexdigest()
