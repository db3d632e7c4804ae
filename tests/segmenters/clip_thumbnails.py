"""Clips as the segmenter sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mediafm_cli.media.container import open_media
from mediafm_cli.media.decoding import VideoPass
from mediafm_cli.media.probe import require_video
from mediafm_cli.media.thumbnails import read_thumbnails
from mediafm_cli.segmenters.content import ContentSegmenter


def read_clip(path: Path, stream: int | None = None) -> list[np.ndarray]:
    """Every frame of one video stream, of the file's best where none is named: uint8 [36, 64, 3]."""
    with open_media(path) as container:
        video = require_video(path, container) if stream is None else container.streams[stream]
        size = ContentSegmenter.thumbnail_size
        return [thumbnail.rgb for _, _, thumbnail in read_thumbnails(VideoPass(container, video), size)]
