"""A large catalogue: how soon training starts, how long a search takes, and how much memory both need.

    python benchmarks/catalogue.py                              # a minute
    python benchmarks/catalogue.py --stores 10000 --shots 100   # some minutes, 7 GB
    python benchmarks/catalogue.py --stores 1000 --shots 1000   # a million shots

Stores of vectors that mean nothing are written first. Each command runs in a process of its own, and its wall time is
from its start to its end: the one that trains, with the first step as its last.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from processes import run_mediafm
from stores import write_store
from worlds import MODALITIES

from mediafm_cli.model.title import Block, Title


def write_catalogue(folder: Path, stores: int, shots: int, width: int) -> None:
    """Stores ``title-0``, ``title-1``, … of random vectors, ``width`` numbers for all modalities together."""
    folder.mkdir()
    each = width // len(MODALITIES)
    blocks = tuple(Block(name, at * each, (at + 1) * each, name, "1") for at, name in enumerate(MODALITIES))
    draws = np.random.default_rng(0)
    for number in range(stores):
        vectors = draws.normal(size=(shots, each * len(MODALITIES))).astype(np.float32)
        present = np.ones((shots, len(MODALITIES)), bool)
        title = Title(f"title-{number}", vectors, present, 4.0 * np.arange(shots), None, str(number))
        write_store(folder, title, blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=1000)
    parser.add_argument("--shots", type=int, default=100, help="of each")
    parser.add_argument("--width", type=int, default=768, help="numbers of a shot")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        stores = Path(name) / "stores"
        write_catalogue(stores, arguments.stores, arguments.shots, arguments.width)
        print(f"{arguments.stores} stores of {arguments.shots} shots of {arguments.width} numbers")
        model = str(Path(name) / "model")
        commands = {
            "the first step of training": ["pretrain", str(stores), "-o", model, "--max-steps", "1"],
            "a search": ["search", str(stores), "--like", "title-0:0", "--in", "flat"],
        }
        for what, words in commands.items():
            used = run_mediafm([*words, "-q"])
            print(f"  {what:<28}{used.wall_s:>7.1f} s{used.peak_mib:>7.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
