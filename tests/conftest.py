"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips with hand-checked cuts; not part of the project, so absent from a plain clone."""
    folder = Path(os.environ.get("MEDIAFM_TEST_MEDIA", Path(__file__).parents[2] / "shared" / "media"))
    if not (folder / "cuts.json").is_file():
        pytest.skip(f"no real clips at {folder} (set MEDIAFM_TEST_MEDIA to a folder with cuts.json)")
    return folder
