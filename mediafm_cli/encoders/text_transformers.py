"""``text.transformers``: a shot's text through a sentence-embedding model that runs on this machine.

Any checkpoint of transformers, pooled as its own ``modules.json`` says (the files that the library
sentence-transformers writes: Reimers & Gurevych 2019, arXiv 1908.10084); without that file, the mean over tokens.

Text longer than the model takes is cut into windows of tokens, and their vectors are averaged, each with the weight of
its tokens: nothing is cut off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mediafm_cli.api import Encoder, Shot, Text
from mediafm_cli.errors import UnavailableError, UsageError

_WINDOWS = 32  # encoded at once
_HOW = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
)


@dataclass(frozen=True)
class TextTransformersOptions:
    """Options of ``text.transformers``.

    Attributes:
        model: a repository on the hub, or a folder.
        revision: branch, tag or commit of the repository.
        pooling: ``mean`` over tokens, or the state of the first one, ``cls``; ``auto`` is what the model says.
        prefix: put before each text, where the model was trained so: ``passage: `` for E5, for example.
        precision: ``auto`` is bf16 on a GPU and fp32 elsewhere.
    """

    model: str = field(default="sentence-transformers/all-mpnet-base-v2", compare=False)
    revision: str | None = field(default=None, compare=False)
    pooling: Literal["auto", "mean", "cls"] = "auto"
    prefix: str = ""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


@dataclass(frozen=True)
class _Recipe:
    """How the states of the tokens become one vector: ``mean`` or ``cls``, and whether it is made a unit vector."""

    pooling: str
    normalize: bool


class TextTransformers(Encoder):
    """Sentence embeddings: float32 [n, hidden size of the model]."""

    needs = Text()
    Options = TextTransformersOptions

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._config.hidden_size)

    def fingerprint(self) -> Mapping[str, str]:
        """A hash of the weights and of the files that say how they are used."""
        from mediafm_cli.hub import find_weights, sha256_of_files

        how = [self._folder / name for name in _HOW]
        recipe = f"{self._recipe.pooling}{', normalised' * self._recipe.normalize}"
        return {"weights_sha256": sha256_of_files([*how, *find_weights(self._folder)]), "pooling": recipe}

    def load(self) -> None:
        """Load the model and its tokenizer."""
        from transformers import AutoTokenizer

        from mediafm_cli.device import find_device
        from mediafm_cli.hub import load_model

        self._tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
        self._device = find_device(self.device)
        self._model = load_model(self._folder, self._config, unused=["pooler"]).to(self._device)

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Encode the text of each shot: float32 [len(shots), dim]."""
        sums, tokens = np.zeros((len(shots), self.dim)), np.zeros((len(shots), 1))
        windows = self._cut([self.options.prefix + (shot.text or "") for shot in shots]) if shots else []
        windows.sort(key=lambda numbered: -len(numbered[1]["input_ids"]))
        for begin in range(0, len(windows), _WINDOWS):
            rows, inputs = zip(*windows[begin : begin + _WINDOWS], strict=True)
            weights = np.array([[len(window["input_ids"])] for window in inputs])
            np.add.at(sums, list(rows), weights * self._run(inputs))
            np.add.at(tokens, list(rows), weights)
        vectors = sums / tokens
        if self._recipe.normalize:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors.astype(np.float32)

    def close(self) -> None:
        """Drop the model."""
        self.__dict__.pop("_model", None)

    def _cut(self, texts: Sequence[str]) -> list[tuple[int, dict[str, list[int]]]]:
        """Windows of tokens, each with the number of its text."""
        cut = self._tokenizer(list(texts), truncation=True, max_length=self._longest, return_overflowing_tokens=True)
        rows = cut.pop("overflow_to_sample_mapping")
        names = [name for name in self._tokenizer.model_input_names if name in cut]
        return [(row, {name: cut[name][place] for name in names}) for place, row in enumerate(rows)]

    def _run(self, windows: Sequence[dict[str, list[int]]]) -> np.ndarray:
        """The vector of each window: float64 [len(windows), dim]."""
        import torch

        from mediafm_cli.device import autocast

        batch = self._tokenizer.pad(list(windows), return_tensors="pt").to(self._device)
        with torch.inference_mode(), autocast(self._device, self.options.precision):
            states = self._model(**batch).last_hidden_state.double()  # (B, T, dim)
        if self._recipe.pooling == "cls":
            vectors = states[:, 0]
        else:
            mask = batch["attention_mask"][..., None]  # (B, T, 1)
            vectors = (states * mask).sum(dim=1) / mask.sum(dim=1)
        if self._recipe.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        return vectors.cpu().numpy()

    @cached_property
    def _folder(self) -> Path:
        from mediafm_cli.hub import fetch_model

        return fetch_model(self.options.model, self.options.revision)

    @cached_property
    def _config(self) -> Any:
        from mediafm_cli.hub import fetch_file, load_config

        return load_config(fetch_file(self.options.model, "config.json", revision=self.options.revision).parent)

    @cached_property
    def _recipe(self) -> _Recipe:
        return _read_recipe(self._folder, self.options.pooling)

    @cached_property
    def _longest(self) -> int:
        """Tokens of the longest text that the model takes at once."""
        stated = _read_json(self._folder / "sentence_bert_config.json", {}).get("max_seq_length")
        return int(stated or min(self._tokenizer.model_max_length, self._config.max_position_embeddings))


def _read_recipe(folder: Path, asked: str) -> _Recipe:
    """Read the modules of sentence-transformers: the model, its pooling unless another is asked for, and normalising.

    Raises:
        UsageError: there is a module, or a way of pooling, of another kind.
    """
    pooling, normalize = "mean" if asked == "auto" else asked, False
    for module in _read_json(folder / "modules.json", []):
        match str(module["type"]).rpartition(".")[2]:
            case "Transformer":
                continue
            case "Pooling" if asked != "auto":
                continue
            case "Pooling":
                pooling = _read_pooling(folder / module["path"] / "config.json")
            case "Normalize":
                normalize = True
            case other:
                raise UsageError(f"{folder} has a module {other}.", "text.transformers knows Pooling and Normalize.")
    return _Recipe(pooling, normalize)


def _read_pooling(path: Path) -> str:
    config = _read_json(path, {})
    older = [key for key, chosen in config.items() if key.startswith("pooling_mode_") and chosen]
    names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    chosen = config.get("pooling_mode") or [names.get(key, key) for key in older] or "mean"
    modes = [chosen] if isinstance(chosen, str) else list(chosen)
    if len(modes) != 1 or modes[0] not in ("mean", "cls"):
        hint = "Choose another model, or say --opt pooling=mean if that is what you want."
        raise UsageError(f"{path} pools by {', '.join(modes)}.", "text.transformers knows mean and cls.", hint)
    return modes[0]


def _read_json(path: Path, otherwise: Any) -> Any:
    if not path.is_file():
        return otherwise
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UnavailableError(f"{path} is damaged.", f"{error}.") from error
