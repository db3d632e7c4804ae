"""The environment that the tests of plugins share."""

from __future__ import annotations

import shutil
import sysconfig
import venv
from pathlib import Path

import pytest
from plugin_environment import PLUGINS, Environment, hash_package, run


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What ``python -m venv`` and ``pip install ./plugins/…`` make."""
    package_before = hash_package()
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    here = sysconfig.get_paths()["purelib"]
    there = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").stdout.strip()
    Path(there, "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    plugins = Path(shutil.copytree(PLUGINS, folder / "plugins"))
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    installed = run(python, "-m", "pip", "install", *offline, *plugins.iterdir())
    assert installed.returncode == 0, installed.stderr
    return Environment(python, plugins, package_before)
