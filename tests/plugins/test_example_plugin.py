"""A plugin package swaps the audio encoder in a fresh environment, and nothing of mediafm changes for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plugin_environment import Environment, hash_package, run

from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import SyntheticTitle

PLUGIN = "mediafm-example-audio"
WIDTH = 36  # of audio.example: 18 features, mean and spread


def run_here(*words: object) -> subprocess.CompletedProcess[str]:
    """mediafm in the environment of the tests, which has no plugin."""
    return run(sys.executable, "-m", "mediafm_cli", *words)


@pytest.fixture
def swapped(environment: Environment, stores: list[Path], films: list[SyntheticTitle]) -> list[Path]:
    """The stores with the sound encoded by the plugin, and fused again."""
    media = films[0].path.parent
    words = ["encode", *stores, "--modality", "audio", "--encoder", "audio.example", "--media", media, "--overwrite"]
    for done in (environment.mediafm(*words), environment.mediafm("fuse", *stores, "--overwrite")):
        assert done.returncode == 0, done.stderr
    return stores


def test_a_plugin_is_listed_where_it_is_installed_and_nowhere_else(environment: Environment) -> None:
    there, here = environment.mediafm("plugins", "list", "--json"), run_here("plugins", "list", "--json")

    found = [json.loads(line) for line in there.stdout.splitlines()]
    assert ("audio.example", PLUGIN) in [(plugin["name"], plugin["distribution"]) for plugin in found]
    assert {plugin["name"] for plugin in found} >= {"audio.logmel", "video.signal", "text.hashed", "content"}
    assert "audio.example" not in here.stdout


def test_the_plugin_keeps_its_contract_and_passes_its_own_tests(environment: Environment) -> None:
    check = environment.mediafm("plugins", "check", "audio.example")
    tests = run(
        environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", environment.plugins / PLUGIN / "tests"
    )

    assert check.returncode == 0, check.stdout + check.stderr
    assert "FAIL" not in check.stdout
    assert tests.returncode == 0, tests.stdout


def test_the_whole_chain_runs_on_a_swapped_encoder_and_the_project_is_as_it_was(
    environment: Environment, swapped: list[Path], tmp_path: Path
) -> None:
    model = tmp_path / "swapped-model"
    small = ["--max-steps", 3, "--hidden", 32, "--layers", 1, "--heads", 2]

    for done in (
        environment.mediafm("pretrain", *swapped, "-o", model, *small),
        environment.mediafm("embed", *swapped, "--model", model),
        environment.mediafm("check", *swapped),
    ):
        assert done.returncode == 0, done.stderr
    with open_store(swapped[0]) as store:
        encoding, block, embedding = store.encoding("audio"), store.fused.blocks[1], store.embedding(model.name)
        assert (encoding.encoder, encoding.complete, encoding.vectors.shape[1]) == ("audio.example", True, WIDTH)
        assert (block.name, block.encoder, block.stop - block.start) == ("audio", "audio.example", WIDTH)
        assert embedding.shots.shape == store.fused.vectors.shape
    assert hash_package() == environment.package_before


def test_a_model_of_the_old_encoder_refuses_swapped_stores_and_names_both(
    swapped: list[Path], model_folder: Path
) -> None:
    done = run_here("embed", swapped[0], "--model", model_folder)

    assert done.returncode == 5
    assert "audio.example" in done.stderr
    assert "audio.logmel" in done.stderr


def test_stores_need_the_plugin_no_more_once_they_are_encoded(swapped: list[Path], tmp_path: Path) -> None:
    small = ["--max-steps", 2, "--hidden", 32, "--layers", 1, "--heads", 2]
    model = tmp_path / "elsewhere"

    for done in (
        run_here("info", swapped[0]),
        run_here("fuse", *swapped, "--normalize", "per-modality", "--overwrite"),
        run_here("pretrain", *swapped, "-o", model, *small),
        run_here("embed", *swapped, "--model", model),
    ):
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("place", "words", "code", "said"),
    [
        ("here", ["--encoder", "audio.example"], 4, "There is no encoder called 'audio.example'"),
        ("there", ["--encoder", "audio.example", "--opt", "hopp=512"], 2, "Did you mean hop?"),
        ("there", ["--encoder", "audio.example"], 5, "It was made by audio.logmel, not audio.example."),
    ],
)
def test_a_mistake_says_what_to_do(
    place: str, words: list[str], code: int, said: str, environment: Environment, stores: list[Path]
) -> None:
    mediafm: Callable[..., subprocess.CompletedProcess[str]] = run_here if place == "here" else environment.mediafm

    done = mediafm("encode", stores[0], "--modality", "audio", *words)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_encoder_is_tried_from_its_file_while_it_is_written(
    stores: list[Path], films: list[SyntheticTitle], environment: Environment
) -> None:
    encoder = f"{environment.plugins / PLUGIN / 'mediafm_example_audio.py'}:SpectralShape"
    words = ["--modality", "audio", "--encoder", encoder, "--media", films[0].path.parent, "--overwrite"]

    done = run_here("encode", stores[0], *words)

    assert done.returncode == 0, done.stderr
    with open_store(stores[0]) as store:
        assert store.encoding("audio").encoder == encoder
