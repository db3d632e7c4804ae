"""``video.open-clip`` gives what open_clip itself gives on the same frames."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip import pretrained as open_clip_tags
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from tiny_checkpoints import open_clip_config, write_open_clip

from mediafm_cli.api import Frames, Shot, TextTower
from mediafm_cli.encoders.video_open_clip import VideoOpenClip, VideoOpenClipOptions
from mediafm_cli.errors import MediafmError, UnavailableError, UsageError
from mediafm_cli.testing import assert_encoder

WIDTH = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_open_clip(tmp_path_factory.mktemp("open_clip") / "tiny", WIDTH)


def make_shots(count: int = 3, frames: int = 4, size: tuple[int, int] = (90, 160)) -> list[Shot]:
    random = np.random.default_rng(7)
    pictures = random.integers(0, 256, (count, frames, *size, 3), dtype=np.uint8)
    return [Shot(row, row * 2.0, row * 2.0 + 2.0, frames=pictures[row]) for row in range(count)]


def encode(shots: list[Shot], **options: Any) -> np.ndarray:
    encoder = VideoOpenClip(VideoOpenClipOptions(**options))
    encoder.load()
    return encoder.encode([encoder.prepare(shot) for shot in shots])


def reference(shots: list[Shot], name: str, **arguments: Any) -> np.ndarray:
    """Unit vectors of each frame by open_clip's own factory, preprocessing and method: [shots, frames, width]."""
    model, _, preprocess = open_clip.create_model_and_transforms(name, **arguments)
    model.eval()
    with torch.no_grad():
        images = torch.stack([preprocess(Image.fromarray(frame)) for shot in shots for frame in shot.frames])
        vectors = model.encode_image(images, normalize=True)
    return vectors.reshape(len(shots), -1, vectors.shape[-1]).numpy()


def test_it_keeps_the_contract(folder: Path) -> None:
    assert_encoder(VideoOpenClip, VideoOpenClipOptions(model=str(folder)))


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("mean", lambda vectors: vectors.mean(axis=1)),
        ("max", lambda vectors: vectors.max(axis=1)),
        ("frames", lambda vectors: vectors.reshape(len(vectors), -1)),
    ],
)
def test_a_shot_is_its_frames_by_open_clip_pooled(pooling: str, pool: Any, folder: Path) -> None:
    shots = make_shots()

    vectors = encode(shots, model=str(folder), pooling=pooling)

    np.testing.assert_allclose(vectors, pool(reference(shots, f"local-dir:{folder}")), atol=1e-5)


def test_frames_are_prepared_as_the_model_says(tmp_path: Path) -> None:
    # As SigLIP and others do: squeezed to a square, bilinear, another mean and spread.
    how = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    folder, shots = write_open_clip(tmp_path / "siglip", **how), make_shots(1)

    vectors = encode(shots, model=str(folder))

    np.testing.assert_allclose(vectors, reference(shots, f"local-dir:{folder}").mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (31, 65), (8, 300), (240, 100)])
def test_frames_of_any_shape_are_prepared_as_open_clip_does(size: tuple[int, int], folder: Path) -> None:
    shots = make_shots(1, size=size)

    vectors = encode(shots, model=str(folder))

    np.testing.assert_allclose(vectors, reference(shots, f"local-dir:{folder}").mean(axis=1), atol=1e-5)


def test_a_shot_alone_is_the_shot_in_a_batch(folder: Path) -> None:
    shots = make_shots(5)

    together = encode(shots, model=str(folder))

    alone = np.concatenate([encode([shot], model=str(folder)) for shot in shots])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_number_of_frames_is_what_it_needs_and_widens_only_the_pooling_frames(folder: Path) -> None:
    mean, frames = (
        VideoOpenClip(VideoOpenClipOptions(model=str(folder), frames=7, pooling=pooling))
        for pooling in ("mean", "frames")
    )

    assert mean.needs == Frames(7)
    assert (mean.dim, frames.dim) == (WIDTH, 7 * WIDTH)


# --- where the weights come from --------------------------------------------------------------------------------------


@pytest.fixture
def known_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that open_clip knows by the name ``tiny``, and a file of its weights."""
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", copy.copy(open_clip.factory._MODEL_CONFIG_PATHS))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", copy.copy(open_clip.factory._MODEL_CONFIGS))
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.json").write_text(json.dumps(open_clip_config()))
    open_clip.add_model_config(tmp_path / "configs")
    return write_open_clip(tmp_path / "weights") / "open_clip_model.safetensors"


def test_a_name_and_a_file_of_weights_are_a_model(known_model: Path) -> None:
    shots = make_shots(2)

    vectors = encode(shots, model="tiny", pretrained=str(known_model))

    np.testing.assert_allclose(vectors, reference(shots, "tiny", pretrained=str(known_model)).mean(axis=1), atol=1e-5)


def test_a_pytorch_file_of_tensors_is_read_too(known_model: Path, tmp_path: Path) -> None:
    model = open_clip.create_model("tiny", pretrained=str(known_model))
    torch.save({"state_dict": model.state_dict()}, tmp_path / "epoch_1.pt")
    shots = make_shots(1)

    vectors = encode(shots, model="tiny", pretrained=str(tmp_path / "epoch_1.pt"))

    np.testing.assert_allclose(vectors, encode(shots, model="tiny", pretrained=str(known_model)), atol=1e-6)


def test_a_file_that_holds_no_weights_is_named(known_model: Path, tmp_path: Path) -> None:
    (tmp_path / "junk.txt").write_text("no weights")

    with pytest.raises(UnavailableError, match=r"junk\.txt holds no weights of this model"):
        encode(make_shots(1), model="tiny", pretrained=str(tmp_path / "junk.txt"))


class Malice:
    """Pickled, it creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused_and_runs_none(known_model: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": Malice(tmp_path / "ran")}, tmp_path / "evil.pt")

    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        encode(make_shots(1), model="tiny", pretrained=str(tmp_path / "evil.pt"))

    assert not (tmp_path / "ran").exists()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hub's cache, empty, with no hub behind it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def put_into_cache(cache: Path, repository: str, folder: Path, revision: str = "main") -> str:
    """Lay ``folder`` into the hub's cache as a download does; the commit."""
    commit = "c" * 40 if revision == "main" else revision
    place = cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text("c" * 40)
    shutil.copytree(folder, place / "snapshots" / commit)
    return commit


def test_a_tag_brings_its_own_preprocessing_and_activation(
    known_model: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {"mean": (0.3,) * 3, "std": (0.2,) * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    tag = {"url": "", "hf_hub": "someone/tiny/", "quick_gelu": True, **how}
    monkeypatch.setitem(open_clip_tags._PRETRAINED, "tiny", {"quick": tag})
    put_into_cache(hub, "someone/tiny", known_model.parent)
    shots = make_shots(2)

    vectors = encode(shots, model="tiny", pretrained="quick")

    forced = {f"image_{name}": value for name, value in how.items()}
    by_hand = reference(shots, "tiny", pretrained=str(known_model), force_quick_gelu=True, **forced)
    np.testing.assert_allclose(vectors, by_hand.mean(axis=1), atol=1e-5)
    without = reference(shots, "tiny", pretrained=str(known_model), **forced)
    assert np.abs(by_hand - without).max() > 1e-3


def test_a_repository_and_its_copy_are_the_same_encoder(folder: Path, hub: Path) -> None:
    put_into_cache(hub, "someone/tiny", folder)
    shots = make_shots(1)

    from_hub, copied = ({"model": "hf-hub:someone/tiny"}, {"model": str(folder)})

    np.testing.assert_array_equal(encode(shots, **from_hub), encode(shots, **copied))
    fingerprints = [VideoOpenClip(VideoOpenClipOptions(**options)).fingerprint() for options in (from_hub, copied)]
    assert fingerprints[0] == fingerprints[1]


def test_a_tag_and_a_copy_of_its_repository_are_the_same_encoder(
    known_model: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD}
    tag = {"url": "", "hf_hub": "someone/tiny/", "interpolation": "bicubic", "resize_mode": "shortest", **usual}
    monkeypatch.setitem(open_clip_tags._PRETRAINED, "tiny", {"usual": tag})
    put_into_cache(hub, "someone/tiny", known_model.parent)

    named = VideoOpenClipOptions(model="tiny", pretrained="usual"), VideoOpenClipOptions(model=str(known_model.parent))

    by_tag, by_folder = (VideoOpenClip(options).fingerprint() for options in named)
    assert by_tag == by_folder


@pytest.mark.parametrize(
    "later", ["open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin", "other.safetensors"]
)
def test_the_weights_that_are_loaded_are_those_that_were_hashed(later: str, tmp_path: Path) -> None:
    folder, other = write_open_clip(tmp_path / "a"), write_open_clip(tmp_path / "b", seed=1)
    shots = make_shots(1)
    before = VideoOpenClip(VideoOpenClipOptions(model=str(folder))).fingerprint(), encode(shots, model=str(folder))

    shutil.copy(other / "open_clip_model.safetensors", folder / later)

    after = VideoOpenClip(VideoOpenClipOptions(model=str(folder))).fingerprint(), encode(shots, model=str(folder))
    assert after[0] == before[0]
    np.testing.assert_array_equal(after[1], before[1])


def test_a_revision_is_the_one_that_is_used(tmp_path: Path, hub: Path) -> None:
    old, new = (write_open_clip(tmp_path / name, seed=seed) for seed, name in enumerate(("old", "new")))
    pinned = put_into_cache(hub, "someone/tiny", old, "a" * 40)
    put_into_cache(hub, "someone/tiny", new)
    shots = make_shots(1)

    vectors = encode(shots, model="hf-hub:someone/tiny", revision=pinned)

    np.testing.assert_array_equal(vectors, encode(shots, model=str(old)))
    assert not np.allclose(vectors, encode(shots, model="hf-hub:someone/tiny"))


def test_other_weights_or_another_preparation_are_another_encoder(tmp_path: Path, folder: Path) -> None:
    folders = [folder, write_open_clip(tmp_path / "a", seed=1), write_open_clip(tmp_path / "b", resize_mode="squash")]

    found = {tuple(VideoOpenClip(VideoOpenClipOptions(model=str(path))).fingerprint().values()) for path in folders}

    assert len(found) == 3


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "ViT-L-41"}, r"There is no model 'ViT-L-41'.*Did you mean ViT-"),
        (
            {"model": "ViT-L-14", "pretrained": "imagenet"},
            r"'imagenet' is no file, and no weights of ViT-L-14.*laion2b",
        ),
        ({"frames": 0}, "frames of at least 1"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        assert VideoOpenClip(VideoOpenClipOptions(**options)).dim


def test_a_folder_has_no_revision(folder: Path) -> None:
    with pytest.raises(UsageError, match="a folder has no revision 'main'"):
        assert VideoOpenClip(VideoOpenClipOptions(model=str(folder), revision="main")).dim


@pytest.mark.parametrize("lost", ["open_clip_config.json", "open_clip_model.safetensors"])
def test_a_folder_without_a_file_names_the_file(lost: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "part")
    (tmp_path / "part" / lost).unlink()

    with pytest.raises(UnavailableError, match=rf"Missing in .*: {lost}.*Copy the folder again"):
        VideoOpenClip(VideoOpenClipOptions(model=str(tmp_path / "part"))).fingerprint()


@pytest.mark.parametrize("described", ["{", "[]", "{}", '{"model_cfg": {"embed_dim": "wide"}}'])
def test_a_damaged_config_is_named(described: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "part")
    (tmp_path / "part" / "open_clip_config.json").write_text(described)

    with pytest.raises(UnavailableError, match=r"open_clip_config\.json does not describe a model"):
        assert VideoOpenClip(VideoOpenClipOptions(model=str(tmp_path / "part"))).dim


def test_without_a_hub_the_error_says_what_is_missing_and_how_to_get_it(hub: Path) -> None:
    with pytest.raises(MediafmError) as raised:
        VideoOpenClip().fingerprint()

    assert "open_clip_model.safetensors" in raised.value.why
    assert "the hub cannot be reached" in raised.value.why
    wanted = "--include '*.json' --include open_clip_model.safetensors"
    assert f"hf download laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K {wanted}" in raised.value.hint
    assert "--preset offline" in raised.value.hint


VOCABULARY = 49408
SENTENCES = ["a boat at sea", "", "Zwei Leute, die länger miteinander reden, als das Modell auf einmal lesen kann."]


@pytest.fixture(scope="module")
def reading_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose text tower knows CLIP's vocabulary."""
    return write_open_clip(tmp_path_factory.mktemp("open_clip") / "reading", WIDTH, vocabulary=VOCABULARY)


def encode_texts(texts: list[str], **options: Any) -> np.ndarray:
    encoder = VideoOpenClip(VideoOpenClipOptions(**options))
    encoder.load()
    return encoder.encode_texts(texts)


def test_it_has_a_text_tower(reading_folder: Path) -> None:
    assert isinstance(VideoOpenClip(VideoOpenClipOptions(model=str(reading_folder))), TextTower)


@pytest.mark.parametrize("pooling", ["mean", "max", "frames"])
def test_sentences_are_those_of_open_clips_own_tokenizer_and_text_tower(pooling: str, reading_folder: Path) -> None:
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{reading_folder}")
    model.eval()
    with torch.no_grad():
        tokens = open_clip.get_tokenizer(f"local-dir:{reading_folder}")(SENTENCES)
        expected = model.encode_text(tokens, normalize=True).numpy()

    found = encode_texts(SENTENCES, model=str(reading_folder), pooling=pooling, frames=3)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.tile(expected, 3) if pooling == "frames" else expected, atol=1e-6)


def test_no_sentence_gives_no_vector(reading_folder: Path) -> None:
    assert encode_texts([], model=str(reading_folder)).shape == (0, WIDTH)


def test_a_tokenizer_that_is_not_there_is_told(reading_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(reading_folder, tmp_path / "copy")
    path = tmp_path / "copy" / "open_clip_config.json"
    described = json.loads(path.read_text())
    described["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "somebody/tokenizer"
    path.write_text(json.dumps(described))

    with pytest.raises(UnavailableError, match=f"The tokenizer of {tmp_path / 'copy'} cannot be loaded"):
        encode_texts(SENTENCES, model=str(tmp_path / "copy"))
