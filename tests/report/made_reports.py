"""Reports of random vectors and plain pictures: no store, no media, no model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mediafm_cli.report.pictures import encode_picture
from mediafm_cli.report.title import Caption, Report, ReportModel, ReportTitle, Sound
from mediafm_cli.store.schema import Block

BLOCKS = (
    Block("video", 0, 6, "video.test", "0" * 64),
    Block("audio", 6, 9, "audio.test", "1" * 64),
    Block("text", 9, 12, "text.test", "2" * 64),
)


def make_title(title_id: str, shots: int, *, context: bool = True, seed: int = 0, **fields: Any) -> ReportTitle:
    """A title of shots of 2 s, of which every second one has a caption."""
    random = np.random.default_rng([seed, shots])
    start_s = 2.0 * np.arange(shots)
    text = [f"Line {shot}." if shot % 2 else "" for shot in range(shots)]
    fused = random.standard_normal((shots, 12)).astype(np.float32)
    picture = encode_picture(np.full((90, 160, 3), 40 + seed, np.uint8), 14_000)
    made = ReportTitle(
        title_id,
        f"{title_id}.mp4",
        shots,
        start_s,
        start_s + 2,
        text,
        ["start", *["cut"] * (shots - 1)],
        {},
        [Caption(float(start_s[shot]), float(start_s[shot] + 1), line) for shot, line in enumerate(text) if line],
        "stream:2",
        "content",
        np.array([[True, shot % 3 > 0, bool(text[shot])] for shot in range(shots)]),
        [picture] * shots,
        "Pictures: the media file.",
        Sound(
            0.1, np.full(20 * shots, -0.5, np.float32), np.full(20 * shots, 0.4, np.float32), np.full(20 * shots, -20.0)
        ),
        "",
        [0.5, 0.3, 0.2],
        fused,
        (fused + 1).astype(np.float32) if context else None,
        "train" if context else "",
    )
    return replace(made, **fields)


def make_report(*titles: ReportTitle, **fields: Any) -> Report:
    """A report of ``titles``, or of two; with a model where they have a context."""
    shown = titles or (make_title("Nacht", 7, seed=1), make_title("Tag", 5, seed=2))
    steps = [
        {"step": step, "loss": 1 / step, "cosine": {"video": 0.1 * step, "text": 0.05 * step}} for step in range(1, 6)
    ]
    with_model = shown[0].context is not None
    model = ReportModel("model", {"Recipe": "test", "Step kept": "5"}, "output", steps) if with_model else None
    return replace(Report(shown, BLOCKS, "none", model), **fields)
