"""Killed at every single write of every stage: nothing is lost, and the next run ends the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mediafm_cli.store.commit import update_store
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle

SCRIPT = Path(__file__).parent / "kill_points.py"

REMOVED = {"encode": {"encodings/text", "fused"}, "fuse": {"fused"}}


STAGES = ("segment", "encode", "fuse", "pretrain", "embed")


@pytest.fixture
def kill_everywhere(
    films: list[SyntheticTitle], stores: list[Path], model_folder: Path, tmp_path: Path
) -> Callable[[str, int, int], dict[str, int]]:
    """Run kill_points.py on a stage; how many points there were, and how many kills."""

    def run(stage: str, write_bytes: int, steps: int) -> dict[str, int]:
        update_store(stores[0], lambda contents: contents.without(REMOVED.get(stage, set())))
        paths = [films[0].path, stores[0], model_folder, tmp_path]
        command = [sys.executable, SCRIPT, stage, *paths, write_bytes, steps]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_at_any_write_loses_nothing(stage: str, kill_everywhere: Callable[[str, int, int], dict]) -> None:
    counted = kill_everywhere(stage, 1 << 15, 2)

    assert counted["points"] >= 8
    assert counted["killed"] > counted["points"]  # every point clean, and every write torn


@pytest.mark.long
@pytest.mark.parametrize(
    ("stage", "write_bytes"), [("segment", 96), ("encode", 4096), ("fuse", 800), ("pretrain", 1), ("embed", 1024)]
)
def test_a_kill_at_any_of_many_small_writes_loses_nothing(
    stage: str, write_bytes: int, kill_everywhere: Callable[[str, int, int], dict]
) -> None:
    counted = kill_everywhere(stage, write_bytes, 5)

    print(f"{stage}: {counted['points']} points, {counted['killed']} kills")
    assert counted["points"] >= 70


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
