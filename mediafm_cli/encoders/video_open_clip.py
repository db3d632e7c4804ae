"""``video.open-clip``: the frames of a shot through the image tower of a CLIP-style model, pooled to one vector.

Any model that open_clip knows by name (with the tag of its weights, or a file of them), a repository on the hub that
has an ``open_clip_config.json``, or a folder with the same files. CLIP: Radford et al. 2021, arXiv 2103.00020; the
default weights: Gadre et al. 2023 (DataComp), arXiv 2304.14108.

A frame is resized and cropped as the model's own preprocessing does it, in Pillow and ahead of the device: resizing on
the device gives other pixels (up to 3 of 255, in a tenth of the places). It is scaled and normalised on the device, all
frames of a batch of shots at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mediafm_cli.api import Encoder, Frames, Shot
from mediafm_cli.errors import UnavailableError, UsageError

_CONFIG = "open_clip_config.json"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_FOLDER = "local-dir:"  # as open_clip's factory marks a folder


@dataclass(frozen=True)
class VideoOpenClipOptions:
    """Options of ``video.open-clip``.

    Attributes:
        model: a name that open_clip knows, ``hf-hub:OWNER/NAME``, or a folder with an ``open_clip_config.json``.
        pretrained: for a name that open_clip knows: the tag of its weights, or a file of them.
        revision: branch, tag or commit of the repository that the weights come from.
        frames: frames sampled per shot.
        pooling: of the frames' unit vectors: ``mean``; ``max`` of each number; ``frames``, one after the other in their
            order, so that the vector is ``frames`` times as wide.
        precision: ``auto`` is bf16 on a GPU and fp32 elsewhere.
    """

    model: str = field(default="ViT-L-14", compare=False)
    pretrained: str = field(default="datacomp_xl_s13b_b90k", compare=False)
    revision: str | None = field(default=None, compare=False)
    frames: int = 4
    pooling: Literal["mean", "max", "frames"] = "mean"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UsageError("video.open-clip needs frames of at least 1.")


@dataclass(frozen=True)
class _Design:
    """What is known of a model without its weights.

    Attributes:
        name: as ``open_clip.create_model`` takes it.
        config: its architecture; ``quick_gelu`` is as its weights were trained.
        preprocess: how its weights want frames prepared: mean, std, interpolation, resize_mode.
        weights: where they are: a folder, repository or file, and the names that the file may have in the first two.
    """

    name: str
    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    weights: tuple[str, Sequence[str]]


class VideoOpenClip(Encoder):
    """Pooled CLIP image embeddings: float32 [n, width of the model], or [n, frames × width]."""

    needs = Frames()
    Options = VideoOpenClipOptions
    packages = ("torch", "open_clip_torch", "pillow")

    def __init__(self, options: Any = None, *, device: str = "cpu") -> None:
        super().__init__(options, device=device)
        self.needs = Frames(self.options.frames)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        width = int(self._design.config["embed_dim"])
        return width * self.options.frames if self.options.pooling == "frames" else width

    def fingerprint(self) -> Mapping[str, str]:
        """The version of the method, and hashes of the weights, of the architecture and of how frames are prepared."""
        from mediafm_cli.hub import sha256_of_file

        how = json.dumps([self._design.config, self._design.preprocess], sort_keys=True)
        return {
            "version": "1",
            "weights_sha256": sha256_of_file(self._weights),
            "config_sha256": hashlib.sha256(how.encode()).hexdigest(),
        }

    def load(self) -> None:
        """Build the model with open_clip, and take its preprocessing apart: Pillow's part, and the device's."""
        import open_clip
        import torch
        from torchvision.transforms import ToTensor

        from mediafm_cli.device import find_device

        design = self._design
        self._device = find_device(self.device)
        with _quiet_logging():  # of a model without weights: they come next
            model, _, preprocess = open_clip.create_model_and_transforms(
                design.name,
                load_weights=False,
                pretrained_hf=False,
                force_quick_gelu=bool(design.config["quick_gelu"]),
                **{f"image_{name}": value for name, value in design.preprocess.items()},
            )
        _load_weights(model, self._weights)
        self._model = model.eval().requires_grad_(False).to(self._device)
        steps = list(preprocess.transforms)
        places = [place for place, step in enumerate(steps) if isinstance(step, ToTensor)]
        if len(places) != 1 or len(steps) != places[0] + 2:
            raise UsageError(f"{self.options.model} prepares its frames in a way that video.open-clip does not know.")
        self._resize = steps[: places[0]]
        mean, std = (torch.tensor(steps[-1].__dict__[name], device=self._device) for name in ("mean", "std"))
        self._mean, self._std = mean[:, None, None], std[:, None, None]  # (3, 1, 1)

    def prepare(self, shot: Shot) -> Shot:
        """Resize and crop each frame as the model wants it: uint8 [frames, size, size, 3]."""
        from PIL import Image

        assert shot.frames is not None  # the host fills in what the encoder needs
        prepared = []
        for frame in shot.frames:
            picture = Image.fromarray(frame)
            for step in self._resize:
                picture = step(picture)
            prepared.append(np.asarray(picture))
        return replace(shot, frames=np.stack(prepared))

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Encode prepared shots: float32 [len(shots), dim]."""
        import torch

        from mediafm_cli.device import autocast

        if not shots:
            return np.zeros((0, self.dim), np.float32)
        pixels = torch.from_numpy(np.concatenate([shot.frames for shot in shots if shot.frames is not None]))
        with torch.inference_mode(), autocast(self._device, self.options.precision):
            pixels = pixels.to(self._device, non_blocking=True).permute(0, 3, 1, 2)  # (shots · frames, 3, size, size)
            images = pixels.to(torch.float32).div_(255).sub_(self._mean).div_(self._std)
            vectors = self._model.encode_image(images)
            vectors = torch.nn.functional.normalize(vectors.float(), dim=-1)  # (shots · frames, width)
            vectors = vectors.unflatten(0, (len(shots), self.options.frames))  # (shots, frames, width)
            return self._pool(vectors).cpu().numpy()

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Encode sentences by the text tower, as vectors of shots that show them: float32 [len(texts), dim].

        Raises:
            UnavailableError: the model's tokenizer cannot be had.
        """
        import torch

        from mediafm_cli.device import autocast

        if not texts:
            return np.zeros((0, self.dim), np.float32)
        tokens = self._tokenizer(list(texts)).to(self._device)  # (texts, longest)
        with torch.inference_mode(), autocast(self._device, self.options.precision):
            vectors = self._model.encode_text(tokens)
        vectors = torch.nn.functional.normalize(vectors.float(), dim=-1)  # (texts, width)
        frames = vectors[:, None].expand(-1, self.options.frames, -1)  # each frame shows it
        return self._pool(frames).cpu().numpy()

    def close(self) -> None:
        """Drop the model."""
        self.__dict__.pop("_model", None)

    @cached_property
    def _tokenizer(self) -> Any:
        import open_clip

        place = self._design.weights[0]
        of_hub = self._design.name.startswith(_FOLDER) and not Path(place).expanduser().is_dir()
        try:
            with _quiet_logging():
                return open_clip.get_tokenizer(f"hf-hub:{place}" if of_hub else self._design.name)
        except Exception as error:  # whatever fetching and reading the files of a tokenizer may raise
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}."
            raise UnavailableError(f"The tokenizer of {self.options.model} cannot be loaded.", why) from error

    def _pool(self, vectors: Any) -> Any:
        if self.options.pooling == "mean":
            return vectors.mean(dim=1)
        return vectors.amax(dim=1) if self.options.pooling == "max" else vectors.flatten(1)

    @cached_property
    def _design(self) -> _Design:
        from mediafm_cli.hub import fetch_file

        name, revision = self.options.model, self.options.revision
        if name.startswith("hf-hub:") or Path(name).expanduser().is_dir():
            name = name.removeprefix("hf-hub:")
            return _read_folder(name, fetch_file(name, _CONFIG, revision=revision))
        return _look_up(name, self.options.pretrained)

    @cached_property
    def _weights(self) -> Path:
        from mediafm_cli.hub import fetch_file

        place, names = self._design.weights
        return fetch_file(place, *names, revision=self.options.revision) if names else Path(place)


def _load_weights(model: Any, weights: Path) -> None:
    import open_clip

    try:
        open_clip.load_checkpoint(model, str(weights))
    except Exception as error:  # whatever reading a file of another kind may raise
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}."
        raise UnavailableError(f"{weights} holds no weights of this model.", why, "Fetch it again.") from error


def _read_folder(place: str, path: Path) -> _Design:
    """The design of a model whose folder or repository, ``place``, describes it in ``path``."""
    try:
        described = json.loads(path.read_text("utf-8"))
        config, preprocess = described["model_cfg"], described.get("preprocess_cfg", {})
        int(config["embed_dim"])
    except (ValueError, TypeError, KeyError) as error:
        raise UnavailableError(f"{path} does not describe a model.", f"{type(error).__name__}: {error}.") from error
    return _design(f"{_FOLDER}{path.parent}", config, preprocess, (place, _WEIGHTS))


def _look_up(name: str, pretrained: str) -> _Design:
    """The design of a model that open_clip knows by ``name``, with the weights of a tag or in a file."""
    import difflib

    import open_clip

    config = open_clip.get_model_config(name)
    if config is None:
        close = difflib.get_close_matches(name, open_clip.list_models(), n=1)
        hint = f"Did you mean {close[0]}?" if close else "Name a folder, hf-hub:OWNER/NAME, or a model of open_clip."
        raise UsageError(f"There is no model {name!r}.", "It is no folder, and open_clip does not know it.", hint)
    file = Path(pretrained).expanduser()
    if file.is_file():
        return _design(name, config, {}, (str(file), ()))
    tag = open_clip.get_pretrained_cfg(name, pretrained)
    if not tag:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise UsageError(f"{pretrained!r} is no file, and no weights of {name}.", f"There are: {tags}.")
    repository, _, filename = tag["hf_hub"].rpartition("/")
    weights = (repository, (filename,) if filename else _WEIGHTS)
    return _design(name, {**config, "quick_gelu": config.get("quick_gelu") or tag.get("quick_gelu")}, tag, weights)


def _design(
    name: str, config: Mapping[str, Any], preprocess: Mapping[str, Any], weights: tuple[str, Sequence[str]]
) -> _Design:
    """A design with all that open_clip would fill in: by whatever way a model is named, it is the same one."""
    from dataclasses import asdict

    from open_clip.transform import PreprocessCfg

    resolved = {**asdict(PreprocessCfg()), **preprocess}
    prepared = {key: resolved[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    return _Design(name, {**config, "quick_gelu": bool(config.get("quick_gelu"))}, prepared, weights)


@contextmanager
def _quiet_logging() -> Iterator[None]:
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
