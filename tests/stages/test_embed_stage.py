"""``embed``: titles of any length by the model that knows their vectors, and every other model refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mediafm_cli.cli.app import app
from mediafm_cli.errors import StaleError, StoreError, UsageError
from mediafm_cli.model.batch import collate
from mediafm_cli.model.context import embed_title
from mediafm_cli.model.folder import load_model, model_fingerprint, read_config, save_model
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.stages.embed import EmbedSettings, embed_store
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.fuse import fuse_title
from mediafm_cli.stages.host import make_host
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.inspect import check_store
from mediafm_cli.store.read import open_store
from mediafm_cli.store.schema import Embedding
from mediafm_cli.train.catalogue import open_title


@pytest.fixture
def store(stores: list[Path]) -> Path:
    return stores[0]


@pytest.fixture
def make_model(model_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Models like ``model_folder`` but for what is said; their weights are random."""

    def make(name: str, seed: int = 0, *, steps: int = 1, **changes: Any) -> Path:
        known = read_config(model_folder)
        config = replace(known.model, **changes)
        weights = MediaFM.seeded(config, seed).state_dict()
        save_model(tmp_path / name, config, weights, replace(known.training, steps=steps))
        return tmp_path / name

    return make


def embed(store: Path, model: Path, name: str = "model", **arguments: Any) -> Outcome:
    """As the command does it; ``arguments`` are settings, ``overwrite`` and ``dry_run``."""
    how = {key: arguments.pop(key) for key in ("overwrite", "dry_run") if key in arguments}
    return embed_store(store, load_model(model), model_fingerprint(model), EmbedSettings(name, **arguments), **how)


def read_embedding(store: Path, name: str = "model") -> Embedding:
    with open_store(store) as found:
        return found.embedding(name)


# --- what it writes ---------------------------------------------------------------------------------------------------


def test_a_title_within_the_window_is_one_pass_of_the_model(store: Path, model_folder: Path) -> None:
    outcome = embed(store, model_folder)

    model, (_, title) = load_model(model_folder), open_title(store)
    output = model(collate([title.load()], model.config))
    found = read_embedding(store)
    np.testing.assert_array_equal(found.shots, output.predicted.detach().numpy())
    np.testing.assert_array_equal(found.title, output.cls[0].detach().numpy())
    assert found.model == hashlib.sha256((model_folder / "config.json").read_bytes()).hexdigest()
    assert found.layer == "output"
    assert (found.window, found.overlap) == (6, 3)  # the model is as long as its longest title
    assert sorted(found.made_from) == ["encodings/metadata", "fused"]
    assert outcome.summary == "6 shots, 617 numbers each, and 32 for the title"
    assert check_store(store) == []


@pytest.mark.parametrize(("layer", "width"), [("output", 617), ("hidden", 32)])
def test_each_layer_has_its_width(layer: str, width: int, store: Path, model_folder: Path) -> None:
    embed(store, model_folder, layer=layer)

    found = read_embedding(store)
    assert found.layer == layer
    assert found.shots.shape == (6, width)
    assert found.title.shape == (32,)


@pytest.mark.parametrize("layer", ["output", "hidden"])
def test_a_title_longer_than_the_model_is_embedded_in_windows(
    layer: str, store: Path, make_model: Callable[..., Path]
) -> None:
    folder = make_model("short", max_shots=4)

    embed(store, folder, layer=layer)

    model, (_, title), found = load_model(folder), open_title(store), read_embedding(store)
    in_context = embed_title(model, title.load(), layer=layer)
    assert (found.window, found.overlap) == (4, 2)
    np.testing.assert_array_equal(found.shots, in_context.shots)
    np.testing.assert_array_equal(found.title, in_context.title)
    # By hand: windows 0:4 and 2:6. Their ramps cross in shots 2 and 3 as 2:1 and 1:2.
    passes = [model(collate([title.window(at, at + 4)], model.config)) for at in (0, 2)]
    left, right = ({"output": output.predicted, "hidden": output.hidden}[layer].detach().numpy() for output in passes)
    fade = np.array([[2], [1]]) / 3
    expected = np.concatenate([left[:2], fade * left[2:] + (1 - fade) * right[:2], right[2:]])
    np.testing.assert_allclose(found.shots, expected, atol=1e-6)


def test_the_window_and_the_overlap_asked_for_are_used_and_recorded(store: Path, model_folder: Path) -> None:
    embed(store, model_folder, window=3, overlap=1)

    (_, title), found = open_title(store), read_embedding(store)
    assert (found.window, found.overlap) == (3, 1)
    in_context = embed_title(load_model(model_folder), title.load(), window=3, overlap=1)
    np.testing.assert_array_equal(found.shots, in_context.shots)


def test_how_many_shots_are_run_at_once_changes_no_bit(store: Path, model_folder: Path) -> None:
    for batch_shots in (1, 4, 100):
        embed(store, model_folder, f"by-{batch_shots}", window=2, overlap=1, batch_shots=batch_shots)

    one, four, many = (read_embedding(store, f"by-{batch_shots}") for batch_shots in (1, 4, 100))
    for other in (four, many):
        np.testing.assert_array_equal(other.shots, one.shots)
        np.testing.assert_array_equal(other.title, one.title)


def test_the_layer_is_the_models_own_where_none_is_asked_for(store: Path, make_model: Callable[..., Path]) -> None:
    embed(store, make_model("states", layer="hidden"))

    found = read_embedding(store)
    assert (found.layer, found.shots.shape) == ("hidden", (6, 32))


def test_a_title_without_metadata_is_embedded_too(store: Path, model_folder: Path) -> None:
    update_store(store, lambda contents: contents.without({"encodings/metadata"}))

    embed(store, model_folder)

    found = read_embedding(store)
    assert np.isfinite(found.shots).all()
    assert list(found.made_from) == ["fused"]


def test_metadata_that_the_model_does_not_know_is_not_recorded_as_used(
    store: Path, model_folder: Path, make_model: Callable[..., Path]
) -> None:
    layout = replace(read_config(model_folder).model.layout, metadata=None)

    embed(store, make_model("plain", layout=layout))

    assert list(read_embedding(store).made_from) == ["fused"]


# --- again ------------------------------------------------------------------------------------------------------------


def test_the_same_again_changes_nothing(store: Path, model_folder: Path) -> None:
    embed(store, model_folder)
    before = store.read_bytes()

    assert embed(store, model_folder).status == "unchanged"
    assert embed(store, model_folder, window=6, overlap=3).status == "unchanged"
    assert store.read_bytes() == before


def test_two_runs_give_the_same_bytes(stores: list[Path], model_folder: Path) -> None:
    embed(stores[0], model_folder)
    once = stores[0].read_bytes()
    embed(stores[0], model_folder, overwrite=True)

    assert stores[0].read_bytes() == once


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"layer": "hidden"}, "layer output, now hidden"),
        ({"window": 4}, "window 6, now 4; overlap 3, now 2"),
        ({"overlap": 1}, "overlap 3, now 1"),
    ],
)
def test_one_name_with_other_settings_is_refused_until_it_is_replaced(
    settings: dict[str, Any], why: str, store: Path, model_folder: Path
) -> None:
    embed(store, model_folder)
    before = store.read_bytes()

    with pytest.raises(StaleError, match=rf"has embeddings called 'model' already, .* made with {why}\.") as caught:
        embed(store, model_folder, **settings)

    assert caught.value.hint == "Replace them by adding --overwrite, or keep both with --name."
    assert store.read_bytes() == before
    assert embed(store, model_folder, overwrite=True, **settings).status == "written"
    assert embed(store, model_folder, **settings).status == "unchanged"


def test_one_name_by_another_model_is_refused_and_another_name_keeps_both(
    store: Path, model_folder: Path, make_model: Callable[..., Path]
) -> None:
    other = make_model("other", seed=1)
    embed(store, model_folder)
    first = read_embedding(store)

    with pytest.raises(StaleError) as caught:
        embed(store, other)
    embed(store, other, "other")

    was, now = model_fingerprint(model_folder)[:12], model_fingerprint(other)[:12]
    assert caught.value.why == f"They were made with model {was}, now {now}."
    np.testing.assert_array_equal(read_embedding(store).shots, first.shots)
    assert np.abs(read_embedding(store, "other").shots - first.shots).max() > 0.01
    assert check_store(store) == []


def test_metadata_that_came_since_is_not_passed_over(store: Path, model_folder: Path) -> None:
    with open_store(store) as found:
        metadata = found.encoding("metadata")
    update_store(store, lambda contents: contents.without({"encodings/metadata"}))
    embed(store, model_folder)
    update_store(store, lambda contents: contents.with_group("encodings/metadata", metadata))

    with pytest.raises(StaleError, match="metadata"):
        embed(store, model_folder)


def test_a_store_that_changes_meanwhile_is_left_as_it_was_changed(store: Path, model_folder: Path) -> None:
    model = load_model(model_folder)

    def fuse_otherwise(*_: object) -> None:
        fuse_title(store, modalities=["video"], overwrite=True)

    model.register_forward_hook(fuse_otherwise)

    with pytest.raises(StaleError, match=f"{store} changed while it was being embedded"):
        embed_store(store, model, model_fingerprint(model_folder), EmbedSettings("model"))

    with open_store(store) as found:
        assert not [place for place in found.places if place.startswith("embeddings/")]
        assert [block.name for block in found.fused.blocks] == ["video"]


def test_a_dry_run_writes_nothing(store: Path, model_folder: Path) -> None:
    before = store.read_bytes()

    outcome = embed(store, model_folder, dry_run=True)

    assert (outcome.status, outcome.summary) == ("planned", "6 shots would be embedded as model")
    assert store.read_bytes() == before


# --- refusals ---------------------------------------------------------------------------------------------------------


def re_encode(store: Path, modality: str, *options: str, encoder: str | None = None) -> None:
    with make_host(modality, encoder, options, preset="offline") as host:
        encode_title(store, host, EncodeSettings(modality), overwrite=True)


def with_another_encoder(store: Path) -> None:
    source = store.parent / "mine.py"
    source.write_text("from mediafm_cli.encoders.text_hashed import TextHashed\n\nclass Mine(TextHashed):\n    pass\n")
    re_encode(store, "text", encoder=f"{source}:Mine")
    fuse_title(store, overwrite=True)


def with_another_width(store: Path) -> None:
    re_encode(store, "text", "dim=64")
    fuse_title(store, overwrite=True)


def with_other_options(store: Path) -> None:
    re_encode(store, "text", "word_ngrams=1")
    fuse_title(store, overwrite=True)


def in_another_order(store: Path) -> None:
    fuse_title(store, modalities=["text", "video", "audio"], overwrite=True)


def without_a_modality(store: Path) -> None:
    fuse_title(store, modalities=["video", "audio"], overwrite=True)


def normalized_otherwise(store: Path) -> None:
    fuse_title(store, normalize="per-modality", overwrite=True)


def with_other_metadata(store: Path) -> None:
    re_encode(store, "metadata", "dim=64")


@pytest.mark.parametrize(
    ("remake", "why"),
    [
        (with_another_encoder, r"text was made by .*mine\.py:Mine \(\w{12}\), not text\.hashed \(\w{12}\)"),
        (with_another_width, r"text was made by text\.hashed \((\w{12})\), not text\.hashed \((?!\1)\w{12}\)"),
        (with_other_options, r"text was made by text\.hashed \((\w{12})\), not text\.hashed \((?!\1)\w{12}\)"),
        (in_another_order, r"the blocks are text, video, audio, not video, audio, text"),
        (without_a_modality, r"the blocks are video, audio, not video, audio, text"),
        (normalized_otherwise, r"normalize is per-modality, not none"),
        (with_other_metadata, r"metadata was made by text\.hashed \((\w{12})\), not text\.hashed \((?!\1)\w{12}\)"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_model_that_was_trained_on_other_vectors_is_refused(
    remake: Callable[[Path], None], why: str, dry_run: bool, store: Path, model_folder: Path
) -> None:
    remake(store)
    before = store.read_bytes()

    with pytest.raises(StaleError, match=rf"{store} was not made like the titles .*In the title {why}\."):
        embed(store, model_folder, dry_run=dry_run)

    assert store.read_bytes() == before


def test_a_folder_without_a_model_is_refused(store: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["embed", str(store), "--model", str(tmp_path)])

    assert done.exit_code == 1
    assert f"{tmp_path} is not a model folder." in done.stderr
    assert "Train one: mediafm pretrain" in done.stderr


def test_a_model_that_was_never_trained_is_refused(store: Path, make_model: Callable[..., Path]) -> None:
    before = store.read_bytes()

    done = CliRunner().invoke(app, ["embed", str(store), "--model", str(make_model("blank", steps=0))])

    assert done.exit_code == 1
    assert "holds a model that was never trained." in done.stderr
    assert store.read_bytes() == before


def test_the_folder_of_the_model_names_the_embeddings_on_the_command_line(store: Path, model_folder: Path) -> None:
    done = CliRunner().invoke(app, ["embed", str(store), "--model", str(model_folder)])

    assert done.exit_code == 0
    assert done.stdout == f"{store}\n"
    assert read_embedding(store, model_folder.name).model == model_fingerprint(model_folder)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"window": 7}, r"A window of 7 shots is not possible\. The model takes 6"),
        ({"window": 0}, r"A window of 0 shots is not possible"),
        ({"window": 4, "overlap": 4}, r"Windows of 4 shots cannot overlap by 4"),
        ({"overlap": -1}, r"Windows of 6 shots cannot overlap by -1"),
        ({"name": "../model"}, r"'../model' cannot name embeddings"),
        ({"name": ""}, r"'' cannot name embeddings"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    settings: dict[str, Any], why: str, dry_run: bool, store: Path, model_folder: Path
) -> None:
    before = store.read_bytes()

    with pytest.raises(UsageError, match=why):
        embed(store, model_folder, dry_run=dry_run, **settings)

    assert store.read_bytes() == before


def test_shots_that_are_not_fused_are_refused_with_the_command_that_fuses_them(store: Path, model_folder: Path) -> None:
    update_store(store, lambda contents: contents.without({"fused"}))

    with pytest.raises(StoreError, match=rf"{store} has no fused\. Make it with: mediafm fuse {store}$"):
        embed(store, model_folder)
