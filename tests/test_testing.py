"""The conformance kit: a sound plugin passes, and each check fails for a plugin that breaks that one promise."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mediafm_cli.api import Audio, Boundary, Encoder, Frames, Segmenter, Shot, Text, Thumbnail
from mediafm_cli.testing import assert_encoder, assert_segmenter, encoder_checks, example_shots, segmenter_checks

CLASS = "is an Encoder that says what it needs"
OPTIONS = "Options is a frozen dataclass with a default for each field"
IMPORT = "importing and making it loads no model library and opens no connection"
LOADS = "loads, and its dim is known before"
FINGERPRINT = "fingerprint is stable, str to str"
EMPTY = "no shots give (0, dim)"
SHAPE = "vectors are float32 [n, dim]"
FINITE = "vectors are finite"
ALONE = "same alone and in a batch"
ORDER = "row i is shot i"
REPEATS = "same every time"
APART = "different shots have different vectors"
INPUT = "the input is left as it was"
CLOSES = "closes"


def failed(checks: Sequence[Any]) -> set[str]:
    return {check.name for check in checks if not check.passed}


# --- a sound encoder, and one for each promise that it could break ----------------------------------------------------


class Loudness(Encoder):
    """RMS and peak."""

    needs = Audio(8_000)

    @property
    def dim(self) -> int:
        return 2

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        rows = [(np.sqrt(np.mean(shot.audio**2)), np.abs(shot.audio).max()) for shot in shots]
        return np.array(rows, np.float32).reshape(-1, 2)


class NeedsNothing(Loudness):
    needs = None


class Unfinished(Encoder):
    needs = Text()


class MutableOptions(Loudness):
    @dataclass
    class Options:
        gain: float = 1.0


class OptionWithoutDefault(Loudness):
    @dataclass(frozen=True)
    class Options:
        gain: float

    def __init__(self, options: Any = None, *, device: str = "cpu") -> None:
        super().__init__(self.Options(1.0), device=device)


class FailsToLoad(Loudness):
    def load(self) -> None:
        raise OSError("no such weights")


class DimOnlyAfterLoad(Loudness):
    width = 0

    def load(self) -> None:
        self.width = 2

    @property
    def dim(self) -> int:
        return self.width


class NumberInFingerprint(Loudness):
    def fingerprint(self) -> Mapping[str, Any]:
        return {"version": 1}


class OwnFingerprintPerInstance(Loudness):
    def fingerprint(self) -> Mapping[str, str]:
        return {"version": str(id(self))}


class FailsOnNothing(Loudness):
    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        return np.stack([super(FailsOnNothing, self).encode([shot])[0] for shot in shots])


class DoublePrecision(Loudness):
    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        return super().encode(shots).astype(np.float64)


class InfiniteForSilence(Loudness):
    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(super().encode(shots))


class NormalisesOverTheBatch(Loudness):
    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        rows = super().encode(shots)
        return rows - rows.mean(axis=0) if len(rows) else rows


class SortsTheRows(Loudness):
    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        return np.sort(super().encode(shots), axis=0)


class RandomPerInstance(Loudness):
    def load(self) -> None:
        self.offset = np.random.default_rng().normal()

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        return super().encode(shots) + np.float32(self.offset)


class Constant(Loudness):
    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        return np.ones((len(shots), 2), np.float32)


class ScalesInPlace(Loudness):
    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        rows = super().encode(shots)
        for shot in shots:
            shot.audio[:] = np.sign(shot.audio)
            shot.audio[:] = -shot.audio
        return np.minimum(rows, 0) + np.array([[len(shot.audio), 0] for shot in shots], np.float32).reshape(-1, 2)


class FailsToClose(Loudness):
    def close(self) -> None:
        raise OSError("still busy")


@pytest.mark.parametrize(
    ("encoder_class", "broken"),
    [
        (Loudness, set()),
        (NeedsNothing, {CLASS}),
        (Unfinished, {CLASS}),
        (MutableOptions, {OPTIONS}),
        (OptionWithoutDefault, {OPTIONS}),
        (FailsToLoad, {LOADS}),
        (DimOnlyAfterLoad, {LOADS}),
        (NumberInFingerprint, {FINGERPRINT}),
        (OwnFingerprintPerInstance, {FINGERPRINT}),
        (FailsOnNothing, {EMPTY}),
        (DoublePrecision, {EMPTY, SHAPE}),
        (InfiniteForSilence, {FINITE}),
        (NormalisesOverTheBatch, {ALONE}),
        (SortsTheRows, {ALONE, ORDER}),
        (RandomPerInstance, {REPEATS}),
        (Constant, {APART}),
        (ScalesInPlace, {INPUT}),
        (FailsToClose, {CLOSES}),
    ],
)
def test_a_broken_promise_fails_its_check_and_no_other(encoder_class: type[Encoder], broken: set[str]) -> None:
    checks = encoder_checks(encoder_class)

    assert failed(checks) == broken


def test_a_failed_check_says_what_was_seen() -> None:
    (check,) = (check for check in encoder_checks(FailsToLoad) if not check.passed)

    assert check.detail == "OSError: no such weights"


def test_assert_encoder_lists_the_failures() -> None:
    with pytest.raises(AssertionError, match=r"DoublePrecision fails 2 of 16 checks:\n- .*\n- .*float64, not float32"):
        assert_encoder(DoublePrecision)


def test_assert_encoder_is_quiet_for_a_sound_encoder() -> None:
    assert_encoder(Loudness)


def test_a_class_inside_a_function_cannot_be_imported() -> None:
    class Hidden(Loudness):
        pass

    assert failed(encoder_checks(Hidden)) == {IMPORT}


def import_from(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLUGIN = """
from test_testing import Loudness
{at_import}
class Mine(Loudness):
    def __init__(self, options=None, *, device="cpu"):
        super().__init__(options, device=device)
        {at_init}
"""


@pytest.mark.parametrize(
    ("at_import", "at_init", "detail"),
    [
        ("import torch", "pass", "loads torch"),
        ("", "import transformers", "loads transformers"),
        ("import socket; socket.socket().close()", "pass", "uses the network"),
        ("", "import socket; socket.getaddrinfo('localhost', 80)", "uses the network"),
    ],
)
def test_an_import_that_costs_is_found(
    at_import: str, at_init: str, detail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("torch", "transformers"):  # the real ones take seconds
        (tmp_path / f"{library}.py").write_text("")
        monkeypatch.delitem(sys.modules, library, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    plugin = tmp_path / "costly_plugin.py"
    plugin.write_text(PLUGIN.format(at_import=at_import, at_init=at_init))

    module = import_from(plugin)
    (check,) = (check for check in encoder_checks(module.Mine) if check.name == IMPORT)

    assert not check.passed
    assert detail in check.detail


@pytest.mark.parametrize("needs", [Frames(3, 64), Frames(1), Audio(22_050), Text()])
def test_example_shots_hold_what_is_needed_and_nothing_else(needs: Frames | Audio | Text) -> None:
    field = type(needs).__name__.lower()

    shots = example_shots(needs)

    assert len(shots) >= 5
    for shot in shots:
        assert [name for name in ("frames", "audio", "text") if getattr(shot, name) is not None] == [field]


def test_example_frames_have_the_size_asked_for() -> None:
    shots = example_shots(Frames(3, 64))

    assert {shot.frames.shape for shot in shots} == {(3, 36, 64, 3)}


# --- segmenters -------------------------------------------------------------------------------------------------------


class Jumps(Segmenter):
    """A boundary wherever the mean level jumps."""

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        before = None
        for thumbnail in frames:
            level = thumbnail.rgb.mean()
            if before is not None and abs(level - before) > 20:
                yield Boundary(thumbnail.frame)
            before = level


class MutableSettings(Jumps):
    @dataclass
    class Options:
        jump: float = 20.0


class Backwards(Jumps):
    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        return reversed(list(super().detect(frames)))


class BeyondTheEnd(Jumps):
    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        return (Boundary(boundary.frame + 100) for boundary in list(super().detect(frames)))


class StopsEarly(Jumps):
    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        yield next(super().detect(frames), Boundary(1))


class CutsBeforeTheFirstFrame(Jumps):
    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        yield Boundary(0)
        yield from super().detect(frames)


class Remembers(Jumps):
    runs = 0

    def detect(self, frames: Iterator[Thumbnail]) -> Iterator[Boundary]:
        self.runs += 1
        return iter(list(super().detect(frames))[: 3 - self.runs])


WITHIN = "boundaries increase and lie within the title"
CONSUMED = "every frame is consumed"
SHORT = "no boundary in no frame or one"


@pytest.mark.parametrize(
    ("segmenter_class", "broken"),
    [
        (Jumps, set()),
        (MutableSettings, {OPTIONS}),
        (Backwards, {WITHIN}),
        (BeyondTheEnd, {WITHIN}),
        (StopsEarly, {CONSUMED, SHORT}),
        (CutsBeforeTheFirstFrame, {WITHIN, SHORT}),
        (Remembers, {REPEATS}),
    ],
)
def test_a_broken_segmenter_fails_its_checks_and_no_others(segmenter_class: type[Segmenter], broken: set[str]) -> None:
    assert failed(segmenter_checks(segmenter_class)) == broken


def test_assert_segmenter_lists_the_failures() -> None:
    with pytest.raises(AssertionError, match=r"Backwards fails 1 of 5 checks:\n- .*: boundaries do not increase"):
        assert_segmenter(Backwards)
