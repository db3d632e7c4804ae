"""A new plugin package, written from the templates beside this file: an encoder that works, its test, and a README."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from mediafm_cli.errors import UsageError

NeedsName = Literal["frames", "audio", "text"]
NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*\.[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_OF_MODALITY: dict[str, NeedsName] = {"video": "frames", "audio": "audio", "text": "text"}


@dataclass(frozen=True)
class Package:
    """What was written: the package's folder, its files in the order in which one reads them, and ``FILE.py:CLASS``."""

    folder: Path
    files: tuple[Path, ...]
    encoder: str


def write_package(name: str, folder: Path, needs: NeedsName | None = None) -> Package:
    """Write a package with one encoder.

    Args:
        name: of the encoder, modality first: ``audio.mine``.
        folder: in which the package's own folder is made.
        needs: what the encoder is given of a shot. Default: by the modality, frames where it is not a known one.

    Raises:
        UsageError: the name cannot be that of an encoder, or the folder is there already.
    """
    if not NAME.fullmatch(name):
        why = "It is a modality and a name, of small letters, digits, - and _, such as audio.mine."
        raise UsageError(f"{name!r} cannot be the name of an encoder.", why)
    needs = needs or _OF_MODALITY.get(name.partition(".")[0], "frames")
    distribution = f"mediafm-{re.sub(r'[._]', '-', name)}"
    module = distribution.replace("-", "_")
    names = {
        "name": name,
        "modality": name.partition(".")[0],
        "distribution": distribution,
        "module": module,
        "encoder": "".join(part.capitalize() for part in re.split(r"[._-]", name)),
    }
    package = folder / distribution
    if package.exists():
        raise UsageError(f"{package} is there already.", hint="Choose another name, or another folder with -o.")
    templates = {
        "pyproject.toml": "pyproject.toml",
        f"{module}.py": f"encoder_{needs}.py",
        f"tests/test_{module}.py": f"test_{needs}.py",
        "README.md": "README.md",
    }
    (package / "tests").mkdir(parents=True)
    for file, template in templates.items():
        text = (Path(__file__).parent / f"{template}.template").read_text("utf-8")
        (package / file).write_text(Template(text).substitute(names), "utf-8")
    files = tuple(package / file for file in templates)
    return Package(package, files, f"{files[1]}:{names['encoder']}")
