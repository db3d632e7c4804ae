"""One picture of each shot out of the frames that were kept beside a store, however many and however large."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from mediafm_cli.media.container import MAX_PIXELS
from mediafm_cli.media.kept import KeptArchive, open_kept

_NAME = re.compile(r"(-?\d+)_(-?\d+)_(\d+)\.(?:jpg|png)")
_MAX_PICTURE = 64 << 20  # bytes


def read_kept_pictures(
    store: Path, media: str, video_stream: int, spans: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, np.ndarray | None]]:
    """The middle one of the frames kept of each shot.

    Args:
        media: fingerprint of the media file. ``spans``: (start, end) of the shots in pts.

    Yields:
        (number of the shot, uint8 [1, h, w, 3]), in order; ``None`` in place of the array where none was kept.

    Raises:
        MediaError: there is an archive that is damaged.
    """
    archive = open_kept(store, media)
    if archive is None:
        yield from ((number, None) for number in range(len(spans)))
        return
    with closing(archive):
        is_of_stream = archive.holds(video_stream=video_stream)
        names: dict[tuple[int, int], list[tuple[int, str]]] = defaultdict(list)
        for name in archive.names if is_of_stream else ():
            if found := _NAME.fullmatch(name):
                names[int(found[1]), int(found[2])].append((int(found[3]), name))
        for number, span in enumerate(spans):
            kept = sorted(names.get(span, ()))
            yield number, _read(archive, kept[len(kept) // 2][1])[None] if kept else None


def _read(archive: KeptArchive, name: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(archive.read(name, _MAX_PICTURE)), formats=("jpeg", "png")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise archive.damaged(f"{name} is larger than a picture can be.")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise archive.damaged(f"{name}: {error}.") from error
