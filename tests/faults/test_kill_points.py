"""Killed at every single write of every stage: nothing is lost, and the next run ends the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediafm_cli.store.commit import update_store
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle

SCRIPT = Path(__file__).parent / "kill_points.py"

REMOVED = {"encode": {"encodings/text", "fused"}, "fuse": {"fused"}}


@pytest.mark.parametrize(
    ("stage", "least"), [("segment", 8), ("encode", 40), ("fuse", 8), ("pretrain", 40), ("embed", 8)]
)
def test_a_kill_at_any_write_loses_nothing(
    stage: str,
    least: int,
    films: list[SyntheticTitle],
    stores: list[Path],
    model_folder: Path,
    tmp_path: Path,
) -> None:
    update_store(stores[0], lambda contents: contents.without(REMOVED.get(stage, set())))
    command = [sys.executable, str(SCRIPT), stage, str(films[0].path), str(stores[0]), str(model_folder), str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    assert done.returncode == 0, done.stderr[-3000:]
    counted = json.loads(done.stdout)
    assert counted["points"] >= least
    assert counted["killed"] > counted["points"]  # every point clean, and every write torn


ENCODE = """
import sys
from pathlib import Path
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.host import make_host
print("started", flush=True)
with make_host(sys.argv[2], preset="offline") as host:
    settings = EncodeSettings(sys.argv[2], batch_size=1, commit_every_s=0, media=Path(sys.argv[3]))
    encode_title(Path(sys.argv[1]), host, settings)
"""


def encode_in_process(store: Path, modality: str, media: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ENCODE, str(store), modality, str(media)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_and_resume(times: int, films: list[SyntheticTitle], stores: list[Path]) -> None:
    """Kill ``encode`` at random moments, run it to its end now and then, and compare with a run left alone."""
    media, dice = films[0].path.parent, random.Random(7)
    update_store(stores[0], lambda contents: contents.without({"encodings/video", "fused"}))
    before = stores[0].read_bytes()
    assert encode_in_process(stores[0], "video", media).wait() == 0
    whole, killed = stores[0].read_bytes(), 0
    stores[0].write_bytes(before)
    while killed < times:
        process = encode_in_process(stores[0], "video", media)
        assert process.stdout.readline() == "started\n"
        time.sleep(dice.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        ended = process.wait()
        killed += ended == -signal.SIGKILL
        assert check_store(stores[0]) == []
        with open_store(stores[0]) as store:
            complete = "encodings/video" in store and store.encoding("video").complete
        if complete:
            assert stores[0].read_bytes() == whole
            stores[0].write_bytes(before)
    assert encode_in_process(stores[0], "video", media).wait() == 0
    assert stores[0].read_bytes() == whole


def test_random_kills_lose_nothing(films: list[SyntheticTitle], stores: list[Path]) -> None:
    kill_and_resume(5, films, stores)


@pytest.mark.long
def test_fifty_random_kills_lose_nothing(films: list[SyntheticTitle], stores: list[Path]) -> None:
    kill_and_resume(50, films, stores)


def test_two_encoders_on_one_store_both_land(films: list[SyntheticTitle], stores: list[Path]) -> None:
    media = films[0].path.parent
    whole = stores[0].read_bytes()
    update_store(stores[0], lambda contents: contents.without({"encodings/video", "encodings/audio", "fused"}))

    both = [encode_in_process(stores[0], modality, media) for modality in ("video", "audio")]

    assert [process.wait() for process in both] == [0, 0]
    assert check_store(stores[0]) == []
    with open_store(stores[0]) as store:
        assert store.encoding("video").complete
        assert store.encoding("audio").complete
    assert len(stores[0].read_bytes()) < len(whole)


def test_two_encoders_of_one_modality_one_says_why(films: list[SyntheticTitle], stores: list[Path]) -> None:
    media = films[0].path.parent
    update_store(stores[0], lambda contents: contents.without({"encodings/video", "fused"}))

    both = [encode_in_process(stores[0], "video", media) for _ in range(2)]
    codes = sorted(process.wait() for process in both)

    assert codes in ([0, 0], [0, 1])
    assert check_store(stores[0]) == []
    with open_store(stores[0]) as store:
        assert store.encoding("video").complete
