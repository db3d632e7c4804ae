"""Every block of ``docs/plugins.md`` is run, in order, as a reader types it, in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from plugin_environment import run

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"


@dataclass(frozen=True)
class Block:
    language: str
    source: str

    @property
    def file(self) -> str:
        """Where a block that is not typed is saved: its first line says."""
        return self.source.partition("\n")[0].removeprefix("# ")


def read_blocks() -> list[Block]:
    return [Block(*found) for found in re.findall(r"```(\w+)\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """An empty folder, and an environment with mediafm in which pip asks no index for what is there already."""
    folder = tmp_path_factory.mktemp("reader")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    there = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout.strip()
    Path(there, "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n")
    for name, module in (("mediafm", "mediafm_cli"), ("pytest", "pytest")):
        script = folder / "venv" / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{python}" -m {module} "$@"\n')
        script.chmod(0o755)
    (folder / "work").mkdir()
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    return folder / "work", {**os.environ, **offline, "PATH": path, "OMP_NUM_THREADS": "1"}


def test_the_guide_runs_from_its_first_block_to_its_last(reader: tuple[Path, dict[str, str]]) -> None:
    folder, environment = reader
    blocks = read_blocks()
    for block in blocks:
        if block.language != "bash":
            (folder / block.file).parent.mkdir(exist_ok=True)
            (folder / block.file).write_text(block.source)
            continue
        script = f"set -euo pipefail\nexport MEDIAFM_PRESET=offline\n{block.source}"
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.source}\n{done.stdout}\n{done.stderr}"
    assert {block.language for block in blocks} == {"bash", "python", "toml"}


def test_the_guide_leads_to_a_wheel_and_a_command(reader: tuple[Path, dict[str, str]]) -> None:
    folder, environment = reader

    shown = subprocess.run(["mediafm", "--help"], cwd=folder, env=environment, capture_output=True, text=True).stdout

    assert re.search(r"brightest +Added by mediafm-video-mine 0\.2\.0\.", shown)
    assert list(folder.glob("mediafm-video-mine/dist/*.whl"))
