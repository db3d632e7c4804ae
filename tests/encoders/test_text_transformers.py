"""``text.transformers`` gives what the library sentence-transformers gives for the same folder and text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tiny_checkpoints import WORDS, write_bert

from mediafm_cli.api import Shot
from mediafm_cli.encoders.text_transformers import TextTransformers, TextTransformersOptions
from mediafm_cli.errors import UnavailableError, UsageError
from mediafm_cli.testing import assert_encoder

WIDTH = 16
TEXTS = [
    "Where are you going?",
    "It rains.",
    "...",
    "the light in the kitchen is on: not off",
    "Unbekannt. 你好 👋🏽",
    "a",
]


def write_sentence_model(folder: Path, *, pooling: Any = "mean", normalize: bool = False, dense: bool = False) -> Path:
    """Write a folder as sentence-transformers writes it, around a tiny BERT."""
    bert = Transformer(str(write_bert(folder / "bert", WIDTH)), max_seq_length=16)
    modules = [bert, Pooling(WIDTH, pooling_mode=pooling), *[Normalize()] * normalize, *[Dense(WIDTH, 4)] * dense]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sentence_model(tmp_path_factory.mktemp("sentence"), normalize=True)


def make_shots(texts: list[str]) -> list[Shot]:
    return [Shot(row, row * 2.0, row * 2.0 + 2.0, text=text) for row, text in enumerate(texts)]


def encode(texts: list[str], folder: Path, **options: Any) -> np.ndarray:
    encoder = TextTransformers(TextTransformersOptions(model=str(folder), **options))
    encoder.load()
    return encoder.encode(make_shots(texts))


def reference(texts: list[str], folder: Path) -> np.ndarray:
    return SentenceTransformer(str(folder), device="cpu").encode(texts)


def test_it_keeps_the_contract(folder: Path) -> None:
    assert_encoder(TextTransformers, TextTransformersOptions(model=str(folder)))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalize", [False, True])
def test_a_text_is_what_sentence_transformers_makes_of_it(pooling: str, normalize: bool, tmp_path: Path) -> None:
    folder = write_sentence_model(tmp_path, pooling=pooling, normalize=normalize)

    np.testing.assert_allclose(encode(TEXTS, folder), reference(TEXTS, folder), atol=1e-5)


def test_a_folder_of_an_older_sentence_transformers_is_read_alike(tmp_path: Path) -> None:
    # As of version 5: the pooling is a row of booleans, and the modules have other paths.
    folder = write_sentence_model(tmp_path, pooling="cls")
    older = {"word_embedding_dimension": WIDTH, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(older))
    modules = json.loads((folder / "modules.json").read_text())
    for module in modules:
        module["type"] = f"sentence_transformers.models.{module['type'].rpartition('.')[2]}"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8, "do_lower_case": false}')

    np.testing.assert_allclose(encode(TEXTS[:3], folder), reference(TEXTS[:3], folder), atol=1e-5)


def test_a_plain_checkpoint_is_pooled_by_the_mean_as_sentence_transformers_does(tmp_path: Path) -> None:
    folder = write_bert(tmp_path / "bert")

    np.testing.assert_allclose(encode(TEXTS, folder), reference(TEXTS, folder), atol=1e-5)


def test_pooling_can_be_chosen(tmp_path: Path) -> None:
    mean, cls = (write_sentence_model(tmp_path / name, pooling=name) for name in ("mean", "cls"))

    np.testing.assert_allclose(encode(TEXTS, mean, pooling="cls"), encode(TEXTS, cls), atol=1e-6)


def test_a_prefix_stands_before_each_text(folder: Path) -> None:
    np.testing.assert_allclose(
        encode(TEXTS, folder, prefix="passage: "), reference([f"passage: {text}" for text in TEXTS], folder), atol=1e-5
    )


def test_no_word_of_a_long_text_is_cut_off(folder: Path) -> None:
    # 40 words; the model takes 16 tokens, of which two are [CLS] and [SEP]: windows of 14, 14 and 12 words.
    words = [WORDS[n % len(WORDS)] for n in range(40)]
    windows = [" ".join(words[begin : begin + 14]) for begin in (0, 14, 28)]

    (vector,) = encode([" ".join(words)], folder)

    mean = np.average(reference(windows, folder), axis=0, weights=[16, 16, 14])
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_the_prefix_stands_before_every_window_of_a_long_text(folder: Path) -> None:
    # "passage:" is two tokens, so a window has 12 words of the text.
    words = [WORDS[n % len(WORDS)] for n in range(30)]
    windows = [f"passage: {' '.join(words[begin : begin + 12])}" for begin in (0, 12, 24)]

    (vector,) = encode([" ".join(words)], folder, prefix="passage: ")

    mean = np.average(reference(windows, folder), axis=0, weights=[16, 16, 10])
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_a_default_prompt_that_the_model_states_is_its_prefix(tmp_path: Path) -> None:
    folder = write_sentence_model(tmp_path)
    stated = json.loads((folder / "config_sentence_transformers.json").read_text())
    stated |= {"prompts": {"document": "passage: "}, "default_prompt_name": "document"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(stated))

    np.testing.assert_allclose(encode(TEXTS, folder), reference(TEXTS, folder), atol=1e-5)
    assert np.abs(encode(TEXTS, folder) - encode(TEXTS, folder, prefix="")).max() > 1e-3


def test_positions_that_begin_after_the_padding_leave_that_much_less_room(tmp_path: Path) -> None:
    # RoBERTa with 18 positions numbers them from 2: it takes 16 tokens.
    folder = write_bert(tmp_path / "roberta")
    config = transformers.RobertaConfig(
        vocab_size=64, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=18, pad_token_id=1,
    )  # fmt: skip
    transformers.RobertaModel(config).save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 1000}))

    (vector,) = encode([" ".join([*WORDS, *WORDS, *WORDS])], folder)

    assert np.isfinite(vector).all()


def test_an_encoder_with_a_decoder_is_refused_before_any_work(tmp_path: Path) -> None:
    transformers.T5Config(d_model=16, num_layers=1, d_ff=16, num_heads=2).save_pretrained(tmp_path)

    with pytest.raises(UsageError, match="is a t5 model"):
        assert TextTransformers(TextTransformersOptions(model=str(tmp_path))).dim


def test_every_file_that_says_how_text_is_read_counts(tmp_path: Path) -> None:
    folder = write_sentence_model(tmp_path)
    encoder = TextTransformers(TextTransformersOptions(model=str(folder)))
    before = encoder.fingerprint()

    (folder / "added_tokens.json").write_text("{}")

    assert TextTransformers(TextTransformersOptions(model=str(folder))).fingerprint() != before


def test_a_text_alone_is_the_text_among_many(folder: Path) -> None:
    texts = [*TEXTS, *(" ".join(WORDS[:n]) for n in range(1, 15))] * 3

    together = encode(texts, folder)

    np.testing.assert_allclose(together, np.concatenate([encode([text], folder) for text in texts]), atol=1e-5)


def test_another_pooling_or_other_weights_are_another_encoder(tmp_path: Path) -> None:
    folders = [write_sentence_model(tmp_path / name, pooling=name) for name in ("mean", "cls")]
    shutil.copytree(folders[0], tmp_path / "copy")
    folders += [tmp_path / "copy", write_bert(tmp_path / "bert", seed=1)]

    prints = [TextTransformers(TextTransformersOptions(model=str(path))).fingerprint() for path in folders]

    assert prints[0] == prints[2]
    assert len({str(found) for found in prints}) == 3


@pytest.mark.parametrize("pooling", ["max", ["mean", "max"], "lasttoken"])
def test_a_pooling_that_it_does_not_know_is_refused(pooling: Any, tmp_path: Path) -> None:
    folder = write_sentence_model(tmp_path, pooling=pooling)

    with pytest.raises(UsageError, match=r"text\.transformers knows mean and cls"):
        TextTransformers(TextTransformersOptions(model=str(folder))).fingerprint()


def test_a_module_that_it_does_not_know_is_refused(tmp_path: Path) -> None:
    folder = write_sentence_model(tmp_path, dense=True)

    with pytest.raises(UsageError, match="has a module Dense"):
        TextTransformers(TextTransformersOptions(model=str(folder))).fingerprint()


def test_a_damaged_file_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "modules.json").write_text("[{")

    with pytest.raises(UnavailableError, match=r"modules\.json is damaged"):
        TextTransformers(TextTransformersOptions(model=str(tmp_path / "damaged"))).fingerprint()
