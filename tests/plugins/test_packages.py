"""Each package under ``plugins/`` installs, is found under its name, keeps its contract and passes its own tests."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from plugin_environment import PLUGINS, Environment, run

from mediafm_cli.registry import GROUPS

PACKAGES = sorted(path.name for path in PLUGINS.iterdir() if (path / "pyproject.toml").is_file())


def entry_points(package: str) -> set[tuple[str, str]]:
    """Group and name of each plugin that a package declares."""
    project = tomllib.loads((PLUGINS / package / "pyproject.toml").read_text("utf-8"))["project"]
    return {(group, name) for group, points in project["entry-points"].items() for name in points}


def test_the_packages_that_the_project_promises_are_there() -> None:
    assert set(PACKAGES) >= {"mediafm-example-audio", "mediafm-clap", "mediafm-pyscenedetect", "mediafm-whisper"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_found_by_what_it_declares(package: str, environment: Environment) -> None:
    done = environment.mediafm("plugins", "list", "--json")

    found = [json.loads(line) for line in done.stdout.splitlines()]
    of_package = {(plugin["group"], plugin["name"]) for plugin in found if plugin["distribution"] == package}
    assert of_package == entry_points(package)
    assert {group for group, _ in of_package} <= set(GROUPS)


@pytest.mark.parametrize("name", sorted(name for package in PACKAGES for _, name in entry_points(package)))
def test_show_tells_what_a_plugin_is(name: str, environment: Environment) -> None:
    done = environment.mediafm("plugins", "show", name, "--json")

    (shown,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert shown["name"] == name
    assert all(option["about"] for option in shown["options"])


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_a_readme_that_installs_it_and_tests_of_its_own_that_pass(
    package: str, environment: Environment
) -> None:
    folder = environment.plugins / package

    done = run(environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder)

    assert done.returncode == 0, done.stdout
    assert "pip install" in Path(folder, "README.md").read_text("utf-8")
