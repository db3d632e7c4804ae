"""An environment with every package under ``plugins/``, as a user would have it; the rest is seen from here."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import mediafm_cli

PLUGINS = Path(__file__).parents[2] / "plugins"
PACKAGE = Path(mediafm_cli.__file__).parent


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the plugins in it, copies of their folders, and mediafm's files as they were."""

    python: Path
    plugins: Path
    package_before: dict[str, str]

    def mediafm(self, *words: object) -> subprocess.CompletedProcess[str]:
        return run(self.python, "-m", "mediafm_cli", *words)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MEDIAFM_PRESET": "offline"}
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, env=environment)


def hash_package() -> dict[str, str]:
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
