"""A plugin that breaks its contract: one line on stderr with its distribution, exit code 4, nobody else harmed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_distributions import write_distribution
from typed_commands import Mediafm

ENCODERS, SEGMENTERS, COMMANDS = "mediafm.encoders.v1", "mediafm.segmenters.v1", "mediafm.commands.v1"
GOOD = """
import numpy as np
from mediafm_cli.api import Encoder, Segmenter, Text

class Good(Encoder):
    needs = Text()
    dim = 2

    def encode(self, shots):
        return np.array([[len(shot.text), 1] for shot in shots], np.float32)
"""
MODULES = {
    "raising_plugin": "raise RuntimeError('no licence\\nfound')",
    "good_plugin": GOOD,
    "bad_plugin": GOOD
    + """
class WithoutEncode(Encoder):
    needs = Text()
    dim = 2

class NotANumber(Good):
    def encode(self, shots):
        return np.full((len(shots), 2), np.nan, np.float32)

class WrongShape(Good):
    def encode(self, shots):
        return np.zeros((len(shots), 3), np.float32)

class Float64(Good):
    def encode(self, shots):
        return np.zeros((len(shots), 2))

class OnlyOnce(Good):
    times = 0

    def encode(self, shots):
        self.times += 1
        return super().encode(shots) / (self.times - 2)

class NoLoad(Good):
    def load(self):
        raise OSError("no weights")

class Scatter(Good):
    def split(self, shots):
        return [[shot] for shot in reversed(shots)]

class Void(Good):
    def split(self, shots):
        return [shots, []]

class NoStart(Good):
    def __init__(self, options=None, *, device="cpu"):
        raise KeyError("start")

class NoWidth(Good):
    @property
    def dim(self):
        return 1 / 0

class Blind(Segmenter):
    thumbnail_size = (64, 36)

class Falling(Segmenter):
    def detect(self, frames):
        raise RuntimeError("fell over")
        yield

import typer
app = typer.Typer()

@app.command()
def fall(deep: bool = False) -> None:
    raise RuntimeError("fell over")
""",
}
POINTS = {
    "text.raising": "raising_plugin:Any",
    "text.incomplete": "bad_plugin:WithoutEncode",
    "text.nan": "bad_plugin:NotANumber",
    "text.shape": "bad_plugin:WrongShape",
    "text.float64": "bad_plugin:Float64",
    "text.noload": "bad_plugin:NoLoad",
    "text.onlyonce": "bad_plugin:OnlyOnce",
    "text.scatter": "bad_plugin:Scatter",
    "text.void": "bad_plugin:Void",
    "text.twice": "bad_plugin:Float64",
    "text.nowhere": "bad_plugin:Nowhere",
    "text.nostart": "bad_plugin:NoStart",
    "text.nowidth": "bad_plugin:NoWidth",
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution of bad encoders, and one of a good encoder that takes a name of the first."""
    points = {
        ENCODERS: POINTS,
        SEGMENTERS: {"blind": "bad_plugin:Blind", "falling": "bad_plugin:Falling"},
        COMMANDS: {"fall": "bad_plugin:app"},
    }
    write_distribution(tmp_path, "mediafm-bad", "0.9", entry_points=points, modules=MODULES)
    good = {"text.good": "good_plugin:Good", "text.twice": "good_plugin:Good"}
    write_distribution(tmp_path, "mediafm-good", "2.0", entry_points={ENCODERS: good})
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "text.raising",
            "loaded. RuntimeError: no licence found. Repair it, or remove it with: pip uninstall mediafm-bad",
        ),
        ("text.nowhere", "could not be loaded. AttributeError: module 'bad_plugin' has no attribute 'Nowhere'"),
        ("text.incomplete", "is not complete. It does not define: encode."),
        ("text.nan", "gave numbers that are not finite for shots 2 to 5."),
        ("text.shape", "gave float32 [4, 3] for shots 2 to 5. An encoder gives float32 [4, 2]."),
        ("text.float64", "gave float64 [4, 2] for shots 2 to 5."),
        ("text.noload", "failed to load. OSError: no weights."),
        ("text.scatter", "split shots 2 to 5 wrongly."),
        ("text.void", "split shots 2 to 5 wrongly."),
    ],
)
def test_an_encoder_that_breaks_its_contract_is_one_line_with_its_distribution(
    name: str, said: str, mediafm: Mediafm, installed: Path, stores: list[Path]
) -> None:
    before = [store.read_bytes() for store in stores]

    typed = mediafm("encode", stores[0], "--modality", "text", "--encoder", name, "--overwrite")

    assert typed.code == 4
    assert typed.out == ""
    (line,) = typed.err.splitlines()
    assert line.startswith(f"error: {name} (mediafm-bad 0.9) ")
    assert said in line
    assert [store.read_bytes() for store in stores] == before


@pytest.mark.parametrize("name", sorted(set(POINTS) - {"text.nan", "text.onlyonce"}))
def test_an_encoder_that_can_encode_no_title_ends_the_run_at_the_first(
    name: str, mediafm: Mediafm, installed: Path, stores: list[Path]
) -> None:
    typed = mediafm("encode", *stores, "--modality", "text", "--encoder", name, "--overwrite")

    assert (typed.code, typed.out, typed.err.count("\n")) == (4, "", 1)


def test_an_encoder_that_fails_on_one_title_of_three_fails_that_title(
    mediafm: Mediafm, installed: Path, stores: list[Path]
) -> None:
    words = ["--modality", "text", "--encoder", "text.onlyonce", "--overwrite", "--batch-size", 1000]

    typed = mediafm("encode", *stores, *words)

    assert typed.code == 3
    assert typed.out.splitlines() == [str(stores[0]), str(stores[2])]
    assert f"error: {stores[1]}: text.onlyonce (mediafm-bad 0.9) gave numbers that are not finite" in typed.err
    assert f"error: 1 of 3 titles failed: {stores[1]}." in typed.err


def test_an_encoder_that_fails_on_all_titles_is_a_failure_of_the_plugin(
    mediafm: Mediafm, installed: Path, stores: list[Path]
) -> None:
    typed = mediafm("encode", *stores, "--modality", "text", "--encoder", "text.nan", "--overwrite")

    assert (typed.code, typed.out) == (4, "")
    assert typed.err.count("gave numbers that are not finite") == 3
    assert typed.err.endswith("error: All 3 titles failed.\n")


def test_a_segmenter_that_misses_a_method_is_one_line_too(
    mediafm: Mediafm, installed: Path, films: list, tmp_path: Path
) -> None:
    typed = mediafm("segment", films[0].path, "-o", tmp_path / "new.h5", "--segmenter", "blind")

    assert typed.code == 4
    (line,) = typed.err.splitlines()
    assert line.startswith("error: blind (mediafm-bad 0.9) is not complete. It does not define: detect.")


@pytest.mark.parametrize(
    ("words", "name", "said"),
    [
        (["plugins", "show", "text.nostart"], "text.nostart", "failed to start. KeyError: 'start'."),
        (["plugins", "show", "text.nowidth"], "text.nowidth", "failed to start. ZeroDivisionError"),
        (["segment", "FILM", "-o", "STORE", "--segmenter", "falling"], "falling", "RuntimeError: fell over."),
        (["fall"], "fall", "failed. RuntimeError: fell over."),
    ],
)
def test_what_fails_elsewhere_is_one_line_too(
    words: list[str], name: str, said: str, mediafm: Mediafm, installed: Path, films: list, tmp_path: Path
) -> None:
    places = {"FILM": films[0].path, "STORE": tmp_path / "new.h5"}

    typed = mediafm(*(places.get(word, word) for word in words))

    assert typed.code == 4
    (line,) = typed.err.splitlines()
    assert line.startswith(f"error: {name} (mediafm-bad 0.9) ")
    assert said in line


def test_wrong_words_to_a_plugins_command_are_wrong_words(mediafm: Mediafm, installed: Path) -> None:
    typed = mediafm("fall", "--deeper")

    assert typed.code == 2
    assert "No such option" in typed.err


def test_a_name_that_two_offer_is_an_error_only_where_it_is_used_and_one_can_be_picked(
    mediafm: Mediafm, installed: Path, stores: list[Path]
) -> None:
    words = ["encode", stores[0], "--modality", "text", "--overwrite", "--encoder"]

    other, taken = mediafm(*words, "text.good"), mediafm(*words, "text.twice")
    picked = mediafm(*words, "mediafm-good:text.twice")

    assert (other.code, taken.code, picked.code) == (0, 4, 0)
    (line,) = taken.err.splitlines()
    assert "'text.twice': mediafm-bad and mediafm-good." in line


def test_the_others_are_unharmed(mediafm: Mediafm, installed: Path, stores: list[Path]) -> None:
    words = ["encode", stores[0], "--modality", "text", "--overwrite", "--encoder"]

    codes = [mediafm(*words, name).code for name in ("text.raising", "text.good", "text.nan", "text.hashed")]

    assert codes == [4, 0, 4, 0]
    assert mediafm("--help").code == mediafm("plugins", "list").code == 0


def test_what_is_not_used_is_not_imported(mediafm: Mediafm, installed: Path, stores: list[Path]) -> None:
    mediafm("plugins", "list")
    mediafm("encode", stores[0], "--modality", "text", "--overwrite", "--encoder", "text.good")

    assert "good_plugin" in sys.modules
    assert not {"raising_plugin", "bad_plugin"} & set(sys.modules)


def test_the_traceback_is_there_for_whoever_asks(mediafm: Mediafm, installed: Path, stores: list[Path]) -> None:
    typed = mediafm("--debug", "encode", stores[0], "--modality", "text", "--encoder", "text.raising")

    assert "Traceback" in typed.err
    assert "raising_plugin.py" in typed.err
