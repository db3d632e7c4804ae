"""Plugins are found by metadata alone, loaded by name, and a broken one says whose it is and what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_distributions import write_distribution

from mediafm_cli.encoders.audio_logmel import AudioLogMel
from mediafm_cli.errors import FailedOnTitleError, PluginError
from mediafm_cli.registry import ENCODERS, SEGMENTERS, blame, blame_on_title, find, load_encoder, load_segmenter, pick
from mediafm_cli.segmenters.content import ContentSegmenter

SOUND = """
import numpy as np
from mediafm_cli.api import Audio, Encoder

class Whole(Encoder):
    needs = Audio()
    dim = 2
    def encode(self, shots):
        return np.zeros((len(shots), 2), np.float32)

class WithoutEncode(Encoder):
    needs = Audio()
    dim = 2

class Stranger:
    pass

not_a_class = 3
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions, empty so far; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("MEDIAFM_PLUGINS", raising=False)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def names(group: str) -> set[str]:
    return {plugin.name for plugin in find(group)}


# --- finding ----------------------------------------------------------------------------------------------------------


def test_the_built_in_plugins_are_found_like_everybody_elses(site: Path) -> None:
    found = {plugin.name: plugin for plugin in find(ENCODERS)}

    assert {"video.signal", "audio.logmel", "text.hashed"} <= set(found)
    assert found["audio.logmel"].distribution == "mediafm-cli"
    assert found["audio.logmel"].modality == "audio"
    assert "content" in names(SEGMENTERS)


def test_finding_imports_nothing(site: Path) -> None:
    write_distribution(
        site,
        "mediafm-loud",
        "2.1",
        entry_points={ENCODERS: {"audio.loud": "loud_plugin:Loud"}},
        modules={"loud_plugin": "raise SystemExit('imported')"},
    )

    found = pick(ENCODERS, "audio.loud")

    assert (found.distribution, found.version, found.value) == ("mediafm-loud", "2.1", "loud_plugin:Loud")
    assert "loud_plugin" not in sys.modules


def test_plugins_are_listed_by_name(site: Path) -> None:
    write_distribution(site, "zz", entry_points={ENCODERS: {"audio.aaa": "m:A", "video.zzz": "m:Z"}})

    found = [plugin.name for plugin in find(ENCODERS)]

    assert found == sorted(found)
    assert {"audio.aaa", "video.zzz"} <= set(found)


def test_the_allow_list_admits_what_it_names_and_the_built_ins(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_distribution(site, "mediafm-good", entry_points={ENCODERS: {"audio.good": "m:A"}})
    write_distribution(site, "mediafm-other", entry_points={ENCODERS: {"audio.other": "m:A"}})

    monkeypatch.setenv("MEDIAFM_PLUGINS", " Mediafm_Good ,")

    assert "audio.good" in names(ENCODERS)
    assert "audio.other" not in names(ENCODERS)
    assert "audio.logmel" in names(ENCODERS)


def test_an_empty_allow_list_admits_the_built_ins_only(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_distribution(site, "mediafm-other", entry_points={ENCODERS: {"audio.other": "m:A"}})

    monkeypatch.setenv("MEDIAFM_PLUGINS", "")

    assert {plugin.distribution for plugin in find(ENCODERS)} == {"mediafm-cli"}


# --- picking ----------------------------------------------------------------------------------------------------------


def test_one_name_of_two_distributions_is_no_error_until_it_is_used(site: Path) -> None:
    write_distribution(site, "first-one", entry_points={ENCODERS: {"audio.x": "sound:Whole"}})
    write_distribution(site, "second-one", entry_points={ENCODERS: {"audio.x": "sound:Whole"}})

    assert [plugin.distribution for plugin in find(ENCODERS) if plugin.name == "audio.x"] == ["first-one", "second-one"]
    with pytest.raises(PluginError) as raised:
        pick(ENCODERS, "audio.x")
    assert "first-one" in raised.value.what
    assert "second-one" in raised.value.what
    assert raised.value.hint == "Pick one: first-one:audio.x"


def test_a_distribution_before_the_name_picks_between_two(site: Path) -> None:
    write_distribution(site, "first-one", entry_points={ENCODERS: {"audio.x": "sound:Whole"}})
    write_distribution(site, "second-one", entry_points={ENCODERS: {"audio.x": "sound:Whole"}})

    assert pick(ENCODERS, "Second_One:audio.x").distribution == "second-one"


@pytest.mark.parametrize(
    ("group", "typed", "kind", "hint"),
    [
        (ENCODERS, "audio.logmell", "encoder", "Did you mean audio.logmel?"),
        (SEGMENTERS, "contents", "segmenter", "Did you mean content?"),
        (ENCODERS, "qqqqqq", "encoder", "List them with: mediafm plugins list"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(group: str, typed: str, kind: str, hint: str) -> None:
    with pytest.raises(PluginError) as raised:
        pick(group, typed)

    assert raised.value.exit_code == 4
    assert raised.value.what == f"There is no {kind} called {typed!r}."
    assert raised.value.hint == hint


# --- loading ----------------------------------------------------------------------------------------------------------


def test_a_name_loads_its_class(site: Path) -> None:
    write_distribution(
        site, "mediafm-sound", entry_points={ENCODERS: {"audio.whole": "sound:Whole"}}, modules={"sound": SOUND}
    )

    assert load_encoder("audio.whole").plugin.__name__ == "Whole"
    assert load_encoder("mediafm-cli:audio.logmel").plugin is AudioLogMel
    assert load_segmenter("content").plugin is ContentSegmenter


@pytest.mark.parametrize(
    ("source", "exception"),
    [
        ("import a_library_that_is_not_installed", "ModuleNotFoundError: No module named 'a_library_that_is_not_inst"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: "),
        ("", "AttributeError: module 'broken_plugin' has no attribute 'Broken'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named_with_what_to_do(site: Path, source: str, exception: str) -> None:
    write_distribution(
        site,
        "mediafm-broken",
        "0.3",
        entry_points={ENCODERS: {"audio.broken": "broken_plugin:Broken"}},
        modules={"broken_plugin": source},
    )

    with pytest.raises(PluginError) as raised:
        load_encoder("audio.broken")

    assert raised.value.exit_code == 4
    assert raised.value.what == "audio.broken (mediafm-broken 0.3) could not be loaded."
    assert raised.value.why.startswith(exception)
    assert raised.value.hint.endswith("pip uninstall mediafm-broken")


@pytest.mark.parametrize(
    ("attribute", "complaint"),
    [
        ("WithoutEncode", "audio.x (mediafm-sound 1.0) is not complete. It does not define: encode."),
        ("Stranger", "audio.x (mediafm-sound 1.0) is not a subclass of mediafm_cli.api.Encoder."),
        ("not_a_class", "audio.x (mediafm-sound 1.0) is not a subclass of mediafm_cli.api.Encoder."),
    ],
)
def test_what_is_no_whole_encoder_is_refused(site: Path, attribute: str, complaint: str) -> None:
    write_distribution(
        site, "mediafm-sound", entry_points={ENCODERS: {"audio.x": f"sound:{attribute}"}}, modules={"sound": SOUND}
    )

    with pytest.raises(PluginError) as raised:
        load_encoder("audio.x")

    assert str(raised.value) == f"{complaint} Repair it, or remove it with: pip uninstall mediafm-sound"


# --- a class in a file ------------------------------------------------------------------------------------------------


def test_a_file_and_a_class_in_it_name_an_encoder(site: Path) -> None:
    (site / "my mine.py").write_text(SOUND)

    loaded = load_encoder(f"{site}/my mine.py:Whole").plugin

    assert loaded().dim == 2


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("absent.py:Whole", "There is no Python file at absent.py."),
        ("mine.py:Whale", "mine.py has no class 'Whale'."),
        ("mine.py:Stranger", "mine.py:Stranger is not a subclass of mediafm_cli.api.Encoder."),
        ("mine.py:WithoutEncode", "mine.py:WithoutEncode is not complete. It does not define: encode."),
        ("fails.py:Whole", "fails.py could not be loaded. ZeroDivisionError: division by zero."),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    site: Path, monkeypatch: pytest.MonkeyPatch, typed: str, complaint: str
) -> None:
    (site / "mine.py").write_text(SOUND)
    (site / "fails.py").write_text("1 / 0")
    monkeypatch.chdir(site)

    with pytest.raises(PluginError) as raised:
        load_encoder(typed)

    assert str(raised.value) == complaint


# --- a plugin that fails ----------------------------------------------------------------------------------------------


def test_how_to_see_where_a_plugin_failed_holds_for_one_of_many_titles_too() -> None:
    with pytest.raises(PluginError) as ended_run, blame("audio.x", "to load"):
        raise ValueError("no")
    with pytest.raises(FailedOnTitleError) as failed, blame_on_title("audio.x", "on shot 3"):
        raise ValueError("no")

    assert ended_run.value.hint == "mediafm --debug … shows where."
    assert failed.value.hint == "mediafm --debug … on this title alone shows where."
