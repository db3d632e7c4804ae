"""Shots and frames with all that may turn up, made from nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mediafm_cli.api import Audio, Frames, Needs, Shot, Text, Thumbnail


def example_shots(needs: Needs) -> list[Shot]:
    """Make shots for those needs: silence, noise, one still frame, hardly any sound, text in many scripts."""
    rng = np.random.default_rng(0)
    contents: list[dict[str, Any]]
    match needs:
        case Frames():
            width = needs.max_side or 160
            shape = (needs.count, max(1, width * 9 // 16), width, 3)
            still = np.repeat(rng.integers(0, 256, (1, *shape[1:]), dtype=np.uint8), needs.count, axis=0)
            ramp = np.linspace(0, 255, width).astype(np.uint8)[None, None, :, None]
            contents = [
                {"frames": np.zeros(shape, np.uint8)},
                {"frames": np.full(shape, 255, np.uint8)},
                {"frames": rng.integers(0, 256, shape, dtype=np.uint8)},
                {"frames": still},
                {"frames": np.ascontiguousarray(np.broadcast_to(ramp, shape))},
            ]
        case Audio():
            second = rng.normal(0, 0.2, needs.rate).clip(-1, 1).astype(np.float32)
            tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(needs.rate) / needs.rate)).astype(np.float32)
            contents = [
                {"audio": np.zeros(needs.rate, np.float32)},
                {"audio": second},
                {"audio": tone},
                {"audio": second[:-1].copy()},
                {"audio": second[: needs.rate // 24].copy()},
                {"audio": second[:1].copy()},
            ]
        case Text():
            texts = (
                "Where were you?",
                "...",
                "♪",
                "Où étais-tu ? 你好，世界。 Привет 👋🏽",
                "x",
                "one two three\n" * 300,
            )
            contents = [{"text": text} for text in texts]
    return [Shot(index, float(index), index + 1.0, **content) for index, content in enumerate(contents)]


def example_thumbnails(size: tuple[int, int] | None) -> list[Thumbnail]:
    """Three still pictures with some noise, two seconds each, of the width and height asked for."""
    rng = np.random.default_rng(0)
    width, height = size or (0, 0)

    def draw() -> Iterator[np.ndarray]:
        for level in (40, 200, 90):
            still = rng.integers(level - 30, level + 30, (height, width, 3))
            for _ in range(48):
                yield (still + rng.integers(-2, 3, still.shape)).astype(np.uint8)

    return [Thumbnail(frame, frame / 24, rgb) for frame, rgb in enumerate(draw())]
