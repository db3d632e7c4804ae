"""Models to and from folders and the hub, by huggingface_hub's names; the hub is a server on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hub_server import HubServer
from huggingface_hub import ModelCard

from mediafm_cli.errors import TrainingError, UsageError
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.context import embed_title
from mediafm_cli.model.folder import TitleRecord, TrainingRecord, load_model, save_model
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM

NAME = "someone/films"
RECORD = TrainingRecord(
    recipe="modality-wise",
    steps=3,
    seed=0,
    settings={"muon_lr": 0.001},
    titles=(TitleRecord("one", 5, "", "train"), TitleRecord("two", 4, "", "validation")),
    versions={"torch": "2.11"},
)


@pytest.fixture
def trained(config: ModelConfig) -> Callable[[int], MediaFM]:
    """Models that differ by their seed, as they are after training."""

    def make(seed: int) -> MediaFM:
        model = MediaFM.seeded(config, seed).eval()
        model.record = RECORD
        return model

    return make


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_saved_is_a_model_folder_with_a_card(trained: Callable[[int], MediaFM], tmp_path: Path) -> None:
    model = trained(0)
    model.save_pretrained(tmp_path / "saved")
    save_model(tmp_path / "folder", model.config, model.state_dict(), RECORD)

    assert files(tmp_path / "saved") == {
        **files(tmp_path / "folder"),
        "README.md": str(model.generate_model_card()).encode(),
    }
    assert load_model(tmp_path / "saved").record == RECORD


def test_a_model_comes_back_from_its_folder_and_embeds_as_before(
    trained: Callable[[int], MediaFM], make_title: Callable[..., Title], tmp_path: Path
) -> None:
    model = trained(0)
    model.save_pretrained(tmp_path)

    loaded = MediaFM.from_pretrained(tmp_path)

    assert not loaded.training
    assert np.array_equal(embed_title(loaded, make_title(20)).shots, embed_title(model, make_title(20)).shots)


def test_a_loaded_model_is_saved_as_it_was(trained: Callable[[int], MediaFM], tmp_path: Path) -> None:
    trained(0).save_pretrained(tmp_path / "once")

    MediaFM.from_pretrained(tmp_path / "once").save_pretrained(tmp_path / "twice")

    assert files(tmp_path / "twice") == files(tmp_path / "once")


def test_a_model_that_was_never_trained_is_not_saved_and_spoils_no_folder(
    trained: Callable[[int], MediaFM], model: MediaFM, tmp_path: Path
) -> None:
    trained(0).save_pretrained(tmp_path)
    before = files(tmp_path)

    with pytest.raises(TrainingError, match=r"cannot be saved.*was not trained.*mediafm pretrain"):
        model.save_pretrained(tmp_path)
    assert files(tmp_path) == before


def test_a_licence_is_stated_where_one_is_given(trained: Callable[[int], MediaFM], tmp_path: Path) -> None:
    trained(0).save_pretrained(tmp_path, model_card_kwargs={"license": "cc-by-4.0"})

    assert ModelCard.load(tmp_path / "README.md").data.license == "cc-by-4.0"


def test_of_an_edited_card_the_generated_part_follows_the_model(
    trained: Callable[[int], MediaFM], tmp_path: Path
) -> None:
    model, card = trained(0), tmp_path / "README.md"
    model.save_pretrained(tmp_path)
    card.write_text(card.read_text() + "Mine.")

    model.record = TrainingRecord(**{**vars(RECORD), "steps": 9})
    model.save_pretrained(tmp_path)

    assert "9 steps" in card.read_text()
    assert card.read_text().endswith("Mine.")


def test_a_model_goes_to_the_hub_and_comes_back(
    hub: HubServer, trained: Callable[[int], MediaFM], make_title: Callable[..., Title], tmp_path: Path
) -> None:
    model = trained(0)
    address = model.push_to_hub(NAME, token="hf_test")

    loaded = MediaFM.from_pretrained(NAME)

    ((oid, pushed),) = hub.commits[NAME]
    assert oid in address
    assert sorted(pushed) == ["README.md", "config.json", "model.safetensors"]
    assert np.array_equal(embed_title(loaded, make_title(20)).shots, embed_title(model, make_title(20)).shots)


def test_a_revision_is_the_model_of_that_time(hub: HubServer, trained: Callable[[int], MediaFM]) -> None:
    for seed in (0, 1):
        trained(seed).push_to_hub(NAME, token="hf_test")
    (first, _), (second, _) = hub.commits[NAME]

    found = [MediaFM.from_pretrained(NAME, revision=oid).cls.tolist() for oid in (first, second)]

    assert found == [trained(seed).cls.tolist() for seed in (0, 1)]
    assert MediaFM.from_pretrained(NAME).cls.tolist() == found[1]


def test_only_the_config_and_safe_weights_are_fetched(hub: HubServer, trained: Callable[[int], MediaFM]) -> None:
    trained(0).push_to_hub(NAME, token="hf_test")
    hub.commit(NAME, {"pytorch_model.bin": b"pickle", "code.py": b"boom()"})

    MediaFM.from_pretrained(NAME)

    fetched = {path.rpartition("/")[2] for path in hub.asked if path.startswith("GET") and "/resolve/" in path}
    assert fetched == {"config.json", "model.safetensors"}


def test_a_model_that_was_fetched_once_needs_no_hub(hub: HubServer, trained: Callable[[int], MediaFM]) -> None:
    trained(0).push_to_hub(NAME, token="hf_test")
    MediaFM.from_pretrained(NAME)
    hub.asked.clear()

    MediaFM.from_pretrained(NAME, local_files_only=True)

    assert hub.asked == []


def test_a_model_that_was_never_trained_makes_no_repository(hub: HubServer, model: MediaFM) -> None:
    with pytest.raises(TrainingError, match="was not trained"):
        model.push_to_hub(NAME, token="hf_test")
    assert hub.asked == []


def test_weights_that_were_changed_on_the_hub_are_refused(hub: HubServer, trained: Callable[[int], MediaFM]) -> None:
    trained(0).push_to_hub(NAME, token="hf_test")
    broken = bytearray(hub.commits[NAME][0][1]["model.safetensors"])
    broken[-1] ^= 1
    hub.commit(NAME, {"model.safetensors": bytes(broken)})

    with pytest.raises(TrainingError, match="does not match the hash"):
        MediaFM.from_pretrained(NAME)


@pytest.mark.parametrize(
    ("name", "revision", "why"),
    [
        ("./nowhere", None, r"no model \./nowhere.*Neither can it be the name of a repository"),
        ("someone/else", None, r"the hub has no such repository.*hf download someone/else"),
        (NAME, "v9", r"no such revision.*hf download someone/films --revision v9"),
    ],
)
def test_a_model_that_is_nowhere_is_named(
    hub: HubServer, trained: Callable[[int], MediaFM], name: str, revision: str | None, why: str
) -> None:
    trained(0).push_to_hub(NAME, token="hf_test")

    with pytest.raises(TrainingError, match=why):
        MediaFM.from_pretrained(name, revision=revision)


def test_a_repository_of_another_library_is_refused(hub: HubServer) -> None:
    hub.commits[NAME] = []
    hub.commit(NAME, {"config.json": b'{"model_type": "bert"}', "model.safetensors": b""})

    with pytest.raises(TrainingError, match="not of format mediafm-model"):
        MediaFM.from_pretrained(NAME)


def test_a_folder_has_no_revision(trained: Callable[[int], MediaFM], tmp_path: Path) -> None:
    trained(0).save_pretrained(tmp_path)

    with pytest.raises(UsageError, match="a folder has no revision"):
        MediaFM.from_pretrained(tmp_path, revision="v1")
