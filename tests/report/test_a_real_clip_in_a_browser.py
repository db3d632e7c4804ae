"""A real clip, through every stage as it is typed, to a page that is opened in a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from visits import WIDTHS, Open

# How many colours each drawing that is shown has, by its lane or its id.
COLOURS = """() => Object.fromEntries([...document.querySelectorAll("canvas")]
  .filter((one) => one.checkVisibility())
  .map((one) => {
    const { data } = one.getContext("2d").getImageData(0, 0, one.width, one.height);
    return [one.dataset.lane || one.id || "mark", new Set(new Uint32Array(data.buffer)).size];
  }))"""
DRAWINGS = {
    *("shots", "captions", "wave", "level", "axis"),
    *("matrix-fused", "matrix-context", "scale", "map-fused", "map-context", "mark"),
}


def type_mediafm(*words: object) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "mediafm_cli", *map(str, words)], check=True, env=environment)


@pytest.fixture(scope="module")
def html(media: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of 13 seconds with sound and captions, and of a model that saw them three times."""
    folder = tmp_path_factory.mktemp("nasa")
    type_mediafm("run", media / "nasa_13013.mp4", "-o", folder, "--preset", "offline", "--max-steps", 3)
    type_mediafm("report", folder, "--model", folder / "model", "-o", folder / "report.html")
    return (folder / "report.html").read_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_real_clip_is_shown_whole(visit: Open, html: str, width: str) -> None:
    opened = visit(html, width)

    assert opened.page.evaluate("document.documentElement.scrollWidth") == WIDTHS[width][0]
    drawn = opened.page.evaluate(COLOURS)
    assert set(drawn) == DRAWINGS
    assert [name for name, colours in drawn.items() if colours < 2] == []
    # Hand-checked, in cuts.json: a dissolve and a cut, which make three shots.
    opened.page.wait_for_function("[...document.querySelectorAll('#strip img')].every((one) => one.naturalWidth > 0)")
    assert opened.page.locator("#strip img").count() == 3
