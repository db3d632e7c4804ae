"""What this machine decodes with."""

from __future__ import annotations

from pathlib import Path

import pytest
from av.codec.hwaccel import hwdevices_available

HAS_CUDA = any(Path("/dev").glob("nvidia[0-9]*"))

needs_cuda = pytest.mark.skipif(not HAS_CUDA, reason="no CUDA device")
lacks_cuda = pytest.mark.skipif(
    HAS_CUDA or "cuda" not in hwdevices_available(), reason="there is a CUDA device, or FFmpeg was built without CUDA"
)
