"""A Whisper small enough to be written down: it says which of two tones it hears, in English or in German.

The weights are set by hand, so that what it says is known:

- the encoder counts how many of the 30 s sound below, and how many above, 1.1 kHz;
- the decoder says token n of a script at position n, whatever it said before;
- where the script leaves a choice (``HEARD``, or the language), the tone that is heard longer decides.

The files are those that ``save_pretrained`` writes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import AddedToken
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

WIDTH, MELS, SPLIT = 128, 80, 28  # mel band 28 of 80 begins at about 1.1 kHz
LOW, HIGH = " low", " high"
HEARD = "<heard>"
ALL_IN_ONE = ["<|0.00|>", HEARD, " tone", "<|4.00|>", "<|6.00|>", HEARD, " again", "<|9.50|>"]
"""Ends with one time stamp: there is no more speech, so the next 30 s follow."""
SEEKING = ["<|0.00|>", HEARD, " tone", "<|12.00|>", "<|12.00|>"]
"""Ends with two: there is more speech, so the next 30 s begin there, 12 s later."""
_SPECIAL = ["<|startoftranscript|>", "<|en|>", "<|zh|>", "<|de|>", "<|translate|>", "<|transcribe|>"]
_SPECIAL += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]


def save_processor(folder: Path) -> WhisperTokenizer:
    """A tokenizer of bytes, four words, and the tokens that Whisper needs; the feature extractor of the real models."""
    letters = [*sorted(ByteLevel.alphabet()), "Ġlow", "Ġhigh", "Ġtone", "Ġagain", "<|endoftext|>"]
    tokenizer = WhisperTokenizer(
        vocab={letter: number for number, letter in enumerate(letters)}, merges=[], extra_special_tokens=_SPECIAL
    )
    tokenizer.add_tokens([AddedToken(f"<|{stamp * 0.02:.2f}|>", special=False) for stamp in range(1501)])
    WhisperProcessor(WhisperFeatureExtractor(feature_size=MELS), tokenizer).save_pretrained(folder)
    return tokenizer


def make_model(tokenizer: WhisperTokenizer) -> WhisperForConditionalGeneration:
    """A model of one layer each with random weights."""
    torch.manual_seed(0)
    identify = tokenizer.convert_tokens_to_ids
    end = identify("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=MELS,
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=WIDTH,
        decoder_ffn_dim=WIDTH,
        max_target_positions=64,
        decoder_start_token_id=identify("<|startoftranscript|>"),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=identify("<|startoftranscript|>"),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        max_length=64,
        is_multilingual=True,
        lang_to_id={token: identify(token) for token in ("<|en|>", "<|zh|>", "<|de|>")},
        task_to_id={"transcribe": identify("<|transcribe|>"), "translate": identify("<|translate|>")},
        no_timestamps_token_id=identify("<|notimestamps|>"),
        prev_sot_token_id=identify("<|startofprev|>"),
        max_initial_timestamp_index=50,
        return_timestamps=False,
    )
    return model.eval()


def save_random_whisper(folder: Path) -> Path:
    """Random weights, which say rubbish; little of it, since each 30 s of it are heard at six temperatures."""
    model = make_model(save_processor(folder))
    model.generation_config.max_length = 12
    model.save_pretrained(folder)
    return folder


def save_tone_whisper(folder: Path, script: list[str], *, english_only: bool = False) -> Path:
    """The model that this file describes, saved in ``folder``."""
    tokenizer = save_processor(folder)
    model = make_model(tokenizer)
    with torch.no_grad():
        _write_encoder(model)
        _write_decoder(model, tokenizer, script, prompt=1 if english_only else 3)
    if english_only:
        config = model.generation_config
        config.is_multilingual = False
        del config.lang_to_id, config.task_to_id
    model.save_pretrained(folder)
    return folder


def _write_encoder(model: WhisperForConditionalGeneration) -> None:
    """State 0 of a moment is on where the low tone sounds, state 1 where the high one does."""
    encoder = model.model.encoder
    for weights in (encoder.conv1, encoder.conv2, *_blocks(encoder.layers[0])):
        weights.weight.zero_()
        weights.bias.zero_()
    encoder.embed_positions.weight.zero_()
    contrast = torch.cat([torch.full((SPLIT,), 1 / SPLIT), torch.full((MELS - SPLIT,), -1 / (MELS - SPLIT))])
    encoder.conv1.weight[0, :, 1] = 50 * contrast
    encoder.conv1.weight[1, :, 1] = -50 * contrast
    encoder.conv2.weight[:2, :2, 1] = torch.eye(2)


def _write_decoder(
    model: WhisperForConditionalGeneration, tokenizer: WhisperTokenizer, script: list[str], prompt: int
) -> None:
    decoder = model.model.decoder
    layer = decoder.layers[0]
    tokens = torch.nn.functional.normalize(torch.randn(len(tokenizer), WIDTH), dim=-1)

    def find(*names: str) -> torch.Tensor:
        return sum(tokens[tokenizer.convert_tokens_to_ids(name.replace(" ", "Ġ"))] for name in names)

    for block in (*_blocks(layer), layer.encoder_attn.q_proj, layer.encoder_attn.v_proj, layer.encoder_attn.out_proj):
        block.weight.zero_()
        block.bias.zero_()
    layer.encoder_attn.v_proj.weight[:2, :2] = torch.eye(2)  # attention to all moments alike: the mean over time
    layer.encoder_attn.out_proj.weight[:, 0] = 0.3 * find(LOW, "<|en|>")
    layer.encoder_attn.out_proj.weight[:, 1] = 0.3 * find(HIGH, "<|de|>")
    decoder.embed_tokens.weight.copy_(tokens)
    decoder.embed_positions.weight.zero_()
    decoder.embed_positions.weight[0] = 7 * find("<|en|>", "<|de|>")
    for position, name in enumerate([*script, "<|endoftext|>"], prompt - 1):
        decoder.embed_positions.weight[position] = 7 * find(LOW, HIGH) if name == HEARD else 10 * find(name)
    decoder.layer_norm.weight.fill_(5.0)


def _blocks(layer: torch.nn.Module) -> list[torch.nn.Linear]:
    """What a layer adds to its input, but for cross-attention."""
    return [layer.self_attn.out_proj, layer.fc2]
