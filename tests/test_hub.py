"""Where weights come from: folders, the hub's cache, and what is said where they are not to be had."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from tiny_checkpoints import write_bert

from mediafm_cli.errors import UnavailableError, UsageError
from mediafm_cli.hub import fetch_file, fetch_model, find_weights, load_config, sha256_of_file, sha256_of_files

NAME = "someone/tiny"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty, with no hub behind it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert") / "tiny")


def put_into_cache(cache: Path, folder: Path) -> Path:
    """Lay a folder into the hub's cache as a download does: links to blobs that are named by their hash."""
    place = cache / "models--someone--tiny"
    for kind in ("refs", "blobs", "snapshots/abc"):
        (place / kind).mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    for file in folder.iterdir():
        blob = place / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copy(file, blob)
        (place / "snapshots" / "abc" / file.name).symlink_to(blob)
    return place / "snapshots" / "abc"


def test_a_folder_is_taken_as_it_is(bert: Path) -> None:
    assert fetch_model(str(bert)) == bert
    assert fetch_file(str(bert), "vocab.json", "config.json") == bert / "config.json"


def test_a_repository_that_was_fetched_once_is_used_without_a_network(cache: Path, bert: Path) -> None:
    snapshot = put_into_cache(cache, bert)

    assert fetch_model(NAME) == snapshot
    assert fetch_file(NAME, "config.json") == snapshot / "config.json"


def test_a_folder_and_its_copy_in_the_cache_have_one_hash(cache: Path, bert: Path) -> None:
    snapshot = put_into_cache(cache, bert)

    here, there = (sha256_of_files([folder / "config.json", *find_weights(folder)]) for folder in (bert, snapshot))

    assert here == there


def test_the_hash_of_a_large_file_is_read_off_its_name_in_the_cache(cache: Path, bert: Path) -> None:
    weights = put_into_cache(cache, bert) / "model.safetensors"

    assert sha256_of_file(weights) == hashlib.sha256(weights.read_bytes()).hexdigest() == weights.resolve().name


def test_a_file_elsewhere_is_read_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / ("a" * 64)
    file.write_bytes(b"weights")

    assert sha256_of_file(file) == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize("change", ["content", "name"])
def test_one_changed_file_changes_the_hash_of_all(change: str, tmp_path: Path) -> None:
    files = [tmp_path / "config.json", tmp_path / "model.safetensors"]
    for file in files:
        file.write_text(file.name)
    before = sha256_of_files(files)

    {"content": lambda: files[0].write_text("{}"), "name": lambda: files[0].rename(tmp_path / "other.json")}[change]()

    assert sha256_of_files([*tmp_path.iterdir()]) != before


def test_safetensors_come_before_pickles(tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"):
        (tmp_path / name).touch()

    assert [file.name[:11] for file in find_weights(tmp_path)] == ["model-00001", "model-00002"]


# --- what cannot be had -----------------------------------------------------------------------------------------------


def test_without_a_network_the_error_says_what_is_missing_how_to_fetch_it_and_what_needs_none(cache: Path) -> None:
    with pytest.raises(UnavailableError) as raised:
        fetch_model(NAME)

    assert raised.value.what == "The weights of someone/tiny cannot be found."
    assert "config.json, model.safetensors" in raised.value.why
    assert "the hub cannot be reached" in raised.value.why
    assert "hf download someone/tiny --include '*.json' --include '*.txt'" in raised.value.hint
    assert " --include model.safetensors " in raised.value.hint
    assert "--local-dir tiny, and --opt model=tiny" in raised.value.hint
    assert "--preset offline" in raised.value.hint


def test_who_lacks_the_config_is_told_to_fetch_the_weights_too(cache: Path) -> None:
    with pytest.raises(UnavailableError) as raised:
        fetch_file(NAME, "config.json")

    assert "hf download someone/tiny --include '*.json'" in raised.value.hint
    assert " --include '*.safetensors'" in raised.value.hint


@pytest.mark.parametrize("name", ["../up", "./nodir", "~/nodir", "/no/dir", "a/b/c", "nodir", __file__])
def test_a_folder_that_is_not_there_is_no_repository(name: str, cache: Path) -> None:
    with pytest.raises(UnavailableError, match="There is no folder"):
        fetch_file(name, "config.json")


def test_a_name_that_no_repository_can_have_is_refused(cache: Path) -> None:
    with pytest.raises(UnavailableError, match="the name is not that of a repository"):
        fetch_file("some one/tiny!", "config.json")


def test_a_folder_without_weights_names_them(bert: Path, tmp_path: Path) -> None:
    shutil.copy(bert / "config.json", tmp_path)

    with pytest.raises(UnavailableError, match=r"model\.safetensors.*Copy the folder again"):
        fetch_model(str(tmp_path))


def test_a_revision_belongs_to_a_repository(bert: Path) -> None:
    with pytest.raises(UsageError, match="a folder has no revision 'v1'"):
        fetch_model(str(bert), "v1")


@pytest.mark.parametrize("config", ["", "[1", "{}", '{"model_type": "unheard-of"}'])
def test_a_config_that_describes_no_known_model_is_refused(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)

    with pytest.raises(UnavailableError, match=r"config\.json does not describe a model that transformers knows"):
        load_config(tmp_path)
