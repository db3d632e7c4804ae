"""Checkpoints with random weights, small enough to write in a test, in the format of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = (
    "a",
    "door",
    "going",
    "here",
    "is",
    "it",
    "kitchen",
    "light",
    "night",
    "not",
    "on",
    "rains",
    "the",
    "where",
    "you",
)


def open_clip_config(width: int = 16, vocabulary: int = 64) -> dict[str, Any]:
    """A vision transformer for pictures of 32 × 32, with vectors of ``width`` numbers."""
    return {
        "embed_dim": width,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 8, "vocab_size": vocabulary, "width": 16, "heads": 2, "layers": 1},
    }


def write_open_clip(folder: Path, width: int = 16, seed: int = 0, vocabulary: int = 64, **preprocess: Any) -> Path:
    """Write an open_clip folder: its config and a state dict; ``preprocess`` goes into the config.

    Its text tower can read with a ``vocabulary`` of 49408 tokens, which is CLIP's.
    """
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    config = open_clip_config(width, vocabulary)
    model = open_clip.CLIP(**config)
    described = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder


def write_speech_model(
    folder: Path, kind: str = "wav2vec2", norm: str = "group", width: int = 16, seed: int = 0, **config: Any
) -> Path:
    """Write a wav2vec2, hubert, wavlm or data2vec-audio folder: model and feature extractor."""
    settings = {
        "hidden_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": (16,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
        "conv_bias": norm == "layer",
        "feat_extract_norm": norm,
        "do_stable_layer_norm": norm == "layer",
        **config,
    }
    torch.manual_seed(seed)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **settings))
    model.eval().save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=norm == "layer").save_pretrained(
        folder
    )
    return folder


def write_bert(folder: Path, width: int = 16, seed: int = 0) -> Path:
    """Write a BERT folder: model and tokenizer, for texts of up to 16 tokens."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "passage", ":", ".", "?", *WORDS]
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {
        name: f"[{name[:-6].upper()}]" for name in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    }
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=16, **special)
    wrapped.save_pretrained(folder)
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    transformers.BertModel(config).eval().save_pretrained(folder)
    return folder
