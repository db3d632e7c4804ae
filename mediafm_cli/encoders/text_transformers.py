"""``text.transformers``: a shot's text through a sentence-embedding model that runs on this machine.

An encoder of transformers, pooled as its own ``modules.json`` says, by the mean or by the first token (the files that
the library sentence-transformers writes: Reimers & Gurevych 2019, arXiv 1908.10084); without that file, by the mean.

Text longer than the model takes is cut into windows of tokens, and their vectors are averaged, each with the weight of
its tokens: nothing is cut off. The prefix stands before every window.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mediafm_cli.api import Encoder, Shot, Text
from mediafm_cli.errors import UnavailableError, UsageError

_WINDOWS = 32  # encoded at once
_TRANSFORMER_CONFIGS = [
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
]
_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")  # they number positions from pad + 1


@dataclass(frozen=True)
class TextTransformersOptions:
    """Options of ``text.transformers``.

    Attributes:
        model: a repository on the hub, or a folder.
        revision: branch, tag or commit of the repository.
        pooling: ``mean`` over tokens, or the state of the first one, ``cls``; ``auto`` is what the model says.
        prefix: put before each text, where the model was trained so: ``passage: `` for E5, for example. ``None`` is
            the default prompt that the model states, if it states one.
        precision: ``auto`` is bf16 on a GPU and fp32 elsewhere.
    """

    model: str = field(default="sentence-transformers/all-mpnet-base-v2", compare=False)
    revision: str | None = field(default=None, compare=False)
    pooling: Literal["auto", "mean", "cls"] = "auto"
    prefix: str | None = None
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


@dataclass(frozen=True)
class _Recipe:
    """How a text becomes one vector.

    Attributes:
        pooling: ``mean`` or ``cls``. ``normalize``: whether the vector is made a unit vector.
        prefix: put before the text. ``lower``: whether its case is folded.
        longest: tokens that the model takes at once.
    """

    pooling: str
    normalize: bool
    prefix: str
    longest: int
    lower: bool


class TextTransformers(Encoder):
    """Sentence embeddings: float32 [n, hidden size of the model]."""

    needs = Text()
    Options = TextTransformersOptions
    packages = ("torch", "transformers")

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._config.hidden_size)

    def fingerprint(self) -> Mapping[str, str]:
        """The version of the method, and a hash of the weights and of the files that say how they are used."""
        from mediafm_cli.hub import find_configuration, find_weights, sha256_of_files

        files = [*find_configuration(self._folder), *find_weights(self._folder)]
        recipe = json.dumps(asdict(self._recipe), sort_keys=True)  # the files of the modules all have one name
        return {"version": "1", "weights_sha256": sha256_of_files(files), "recipe": recipe}

    def load(self) -> None:
        """Load the model and its tokenizer."""
        from mediafm_cli.device import find_device
        from mediafm_cli.hub import load_model

        self._device = find_device(self.device)
        self._model = load_model(self._folder, self._config, unused=["pooler"]).to(self._device)

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Encode the text of each shot: float32 [len(shots), dim]."""
        sums, tokens = np.zeros((len(shots), self.dim)), np.zeros((len(shots), 1))
        windows = self._cut([shot.text or "" for shot in shots])
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
        if not texts:
            return []
        prefix = self._recipe.prefix
        room = self._recipe.longest - len(self._tokenizer(prefix, add_special_tokens=False)["input_ids"])
        folded = [text.lower() if self._recipe.lower else text for text in texts]
        cut = self._tokenizer(
            folded, truncation=True, max_length=room, return_overflowing_tokens=True, return_offsets_mapping=True
        )
        rows = cut["overflow_to_sample_mapping"]
        pieces = [folded[row] for row in rows]
        for place, row in enumerate(rows):
            if rows.count(row) > 1:
                begins, ends = zip(*[span for span in cut["offset_mapping"][place] if span[1] > span[0]], strict=True)
                pieces[place] = folded[row][min(begins) : max(ends)]
        whole = self._tokenizer([prefix + piece for piece in pieces], truncation=True, max_length=self._recipe.longest)
        names = [name for name in self._tokenizer.model_input_names if name in whole]
        return [(row, {name: whole[name][place] for name in names}) for place, row in enumerate(rows)]

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

        config = load_config(fetch_file(self.options.model, "config.json", revision=self.options.revision).parent)
        if config.is_encoder_decoder or not hasattr(config, "max_position_embeddings"):
            raise UsageError(
                f"{self.options.model} is a {config.model_type} model.", "text.transformers takes encoders."
            )
        return config

    @cached_property
    def _tokenizer(self) -> Any:
        from mediafm_cli.hub import load_processor

        return load_processor(self._folder, "AutoTokenizer")

    @cached_property
    def _recipe(self) -> _Recipe:
        folder, asked = self._folder, self.options
        pooling, normalize = _read_modules(folder, asked.pooling)
        prompts = _read_json(folder / "config_sentence_transformers.json", {})
        stated = prompts.get("prompts", {}).get(prompts.get("default_prompt_name"), "")
        configs: list[dict[str, Any]] = [_read_json(folder / name, {}) for name in _TRANSFORMER_CONFIGS]
        transformer = next(filter(None, configs), {})
        positions = self._config.max_position_embeddings
        if self._config.model_type in _POSITIONS_AFTER_PADDING:
            positions -= self._config.pad_token_id + 1
        longest = int(transformer.get("max_seq_length") or min(self._tokenizer.model_max_length, positions))
        prefix = stated if asked.prefix is None else asked.prefix
        return _Recipe(pooling, normalize, prefix, longest, bool(transformer.get("do_lower_case", False)))


def _read_modules(folder: Path, asked: str) -> tuple[str, bool]:
    """Read the modules of sentence-transformers: the pooling unless another is asked for, and whether to normalise.

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
    return pooling, normalize


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
