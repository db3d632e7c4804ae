"""What a bad encoder costs, and which encoder is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from encode_runs import (
    encode,
    read_encoding,
    without_encodings,
    write_encoder,
)

from mediafm_cli.errors import MediafmError, PluginError, UsageError
from mediafm_cli.stages.host import make_host
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.inspect import check_store
from mediafm_cli.synthetic import SyntheticTitle


@pytest.fixture
def store(stores: list[Path], films: list[SyntheticTitle]) -> Path:
    """See ``without_encodings``."""
    return without_encodings(stores, films)


# --- bad encoders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encode_ends", "got"),
    [
        ("return vectors[:, :2]", r"gave float32 \[2, 2\] for shots 2 to 3\. An encoder gives float32 \[2, 3\]"),
        ("return vectors[1:]", r"gave float32 \[1, 3\] for shots 2 to 3"),
        ("return vectors[0]", r"gave float32 \[3\] for shots 2 to 3"),
        ("return vectors.astype(np.float64)", r"gave float64 \[2, 3\] for shots 2 to 3"),
        ("return vectors.tolist()", "gave list for shots 2 to 3"),
        ("return None", "gave NoneType for shots 2 to 3"),
        ("return vectors * np.float32('nan')", "gave numbers that are not finite for shots 2 to 3"),
        ("return vectors * np.float32('inf')", "gave numbers that are not finite for shots 2 to 3"),
        ("raise KeyError('layer')", r"failed on shots 2 to 3\. KeyError: 'layer'"),
    ],
)
def test_what_an_encoder_may_not_give_is_refused_by_its_name_and_the_shots(
    encode_ends: str, got: str, store: Path, tmp_path: Path
) -> None:
    mine = write_encoder(tmp_path, f"if self.calls == 1: return vectors\n        {encode_ends}")

    with pytest.raises(PluginError, match=rf"mine\.py:Mine {got}"):
        encode(store, "video", mine)

    found = read_encoding(store, "video")
    assert found.done.tolist() == [True] * 2 + [False] * 4
    assert check_store(store) == []


def test_one_shot_is_named_in_the_singular(store: Path, tmp_path: Path) -> None:
    mine = write_encoder(tmp_path, "return None")

    with pytest.raises(PluginError, match="gave NoneType for shot 0"):
        encode(store, "video", mine, batch_size=1)


@pytest.mark.parametrize(
    "rest",
    [
        "def load(self): raise OSError('no weights')",
        "dim = property(lambda self: 1 / 0)",
        "fingerprint = lambda self: 1 / 0",
        "fingerprint = lambda self: {'weights': {1, 2}}",
        "__init__ = lambda self, options=None, *, device='cpu': 1 / 0",
    ],
)
def test_an_encoder_that_breaks_outside_encode_is_named_too(rest: str, store: Path, tmp_path: Path) -> None:
    mine, before = write_encoder(tmp_path, rest=rest), store.read_bytes()

    with pytest.raises(PluginError, match=r"mine\.py"):
        encode(store, "video", mine)

    assert store.read_bytes() == before


def test_an_encoder_that_fails_to_load_is_closed(store: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    close = f"def close(self): open({str(closed)!r}, 'x').close()"
    mine = write_encoder(tmp_path, rest=f"def load(self): raise OSError('no weights')\n    {close}")

    with pytest.raises(PluginError, match=r"failed to load\. OSError: no weights"):
        encode(store, "video", mine)

    assert closed.exists()


def test_an_encoder_that_fails_to_close_has_done_its_work(store: Path, tmp_path: Path) -> None:
    mine = write_encoder(tmp_path, rest="def close(self): 1 / 0")

    with pytest.raises(PluginError, match="failed to close"):
        encode(store, "video", mine)

    assert read_encoding(store, "video").complete


def test_a_refusal_of_the_encoders_own_reaches_the_user_as_it_is(store: Path, tmp_path: Path) -> None:
    mine = write_encoder(tmp_path, "from mediafm_cli.errors import UsageError; raise UsageError('Set a key.')")

    with pytest.raises(UsageError, match=r"^Set a key\.$"):
        encode(store, "video", mine)


def test_an_encoder_with_nothing_to_do_is_not_loaded(store: Path, tmp_path: Path) -> None:
    mine = write_encoder(tmp_path)
    encode(store, "video", mine)
    write_encoder(tmp_path, rest="def load(self): raise OSError('no weights')")

    assert encode(store, "video", mine).status == "unchanged"


# --- choosing an encoder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"modality": "Video"}, "'Video' cannot be the name of a modality"),
        ({"modality": "../video"}, "'../video' cannot be the name of a modality"),
        ({"modality": "video", "name": "audio.logmel"}, "audio.logmel encodes audio, not video"),
        ({"modality": "metadata", "name": "audio.logmel"}, "audio.logmel does not encode text"),
        ({"modality": "music"}, "has no encoder for 'music'"),
        ({"modality": "audio", "device": "gpu"}, "There is no device 'gpu'"),
        ({"modality": "audio", "options": ["mels=3"]}, "There is no option 'mels'"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        make_host(**arguments, preset="offline")


def test_shots_come_first(films: list[SyntheticTitle], store: Path) -> None:
    update_store(store, lambda contents: contents.without({"shots"}))

    with pytest.raises(MediafmError, match=r"has no shots\. Make it with: mediafm segment"):
        encode(store, "text")
