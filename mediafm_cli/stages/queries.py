"""A picture or a sentence as a vector among those of a store: by the encoder that the store names, as it was then.

A picture is a shot that stands still. A sentence is the text of a shot to an encoder of text; an encoder of pictures or
of sound needs a text tower for it (``api.TextTower``).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mediafm_cli.api import Frames, Shot, Text, TextTower
from mediafm_cli.errors import MediaError, PluginError, StaleError, UsageError, command
from mediafm_cli.options import compared_options, options_as_json
from mediafm_cli.registry import blame
from mediafm_cli.stages.host import EncoderHost, make_host
from mediafm_cli.store.read import open_store
from mediafm_cli.store.schema import Encoding

ANOTHER = (
    "Encode the video with one that has: mediafm encode STORES --modality video --encoder video.open-clip --overwrite"
)


def read_encoding(store: Path, place: str) -> Encoding:
    """What made the vectors at ``place``.

    Raises:
        UsageError: no single encoder did: they are fused, or of a model.
        StoreError: they are not there.
    """
    with open_store(store) as opened:
        group = opened.read(place)
    if not isinstance(group, Encoding):
        why = "A picture or a sentence has a vector of one encoder, and these are made of several."
        raise UsageError(f"{place} can be searched for shots only.", why, "Name a modality, such as --in video.")
    return group


def host_of(encoding: Encoding, options: Sequence[str] = (), *, device: str = "auto") -> EncoderHost:
    """The encoder that made ``encoding``, with the options and weights of then; close it afterwards.

    Args:
        options: ``key=value``, instead of what is recorded: where the weights are now.

    Raises:
        PluginError: the encoder cannot be found or loaded.
        StaleError: its options, its weights or its method are not those of then.
    """
    changed = {pair.partition("=")[0] for pair in options}
    recorded = [f"{key}={value}" for key, value in encoding.options.items() if key not in changed]
    host = make_host(encoding.modality, encoding.encoder, [*recorded, *options], preset="offline", device=device)
    now = options_as_json(host.encoder.options)
    differing = [key for key in compared_options(host.encoder.options) if now[key] != encoding.options.get(key)]
    what = f"{encoding.encoder} is not as it was when encodings/{encoding.modality} was made."
    if differing:
        raise StaleError(what, f"Other options: {', '.join(f'{key}={now[key]}' for key in differing)}.")
    if host.fingerprint != dict(encoding.fingerprint):
        repair = command("mediafm", "encode", "STORES", "--modality", encoding.modality, "--overwrite")
        why = f"Its fingerprint was {dict(encoding.fingerprint)}, and is now {host.fingerprint}."
        raise StaleError(what, why, f"Encode the stores again: {repair}. Or name the weights of then with --opt.")
    return host


def encode_image(host: EncoderHost, path: Path) -> np.ndarray:
    """The vector of a shot that shows nothing but a picture: float32 [dim].

    Raises:
        UsageError: the encoder does not look at pictures.
        MediaError: the file is no picture that can be read.
        PluginError: the encoder failed.
    """
    needs = host.encoder.needs
    if not isinstance(needs, Frames):
        raise UsageError(f"{host.name} does not look at pictures.", hint="Search in a modality that does: --in video")
    frames = np.stack([read_image(path, needs.max_side)] * needs.count)
    return _encode(host, Shot(0, 0.0, 1.0, frames=frames))


def encode_text(host: EncoderHost, text: str) -> np.ndarray:
    """The vector of a sentence among those of ``host``'s shots: float32 [dim].

    Raises:
        UsageError: the encoder has no text tower, or the sentence is empty.
        PluginError: the encoder failed.
    """
    if not text.strip():
        raise UsageError("The sentence to search for is empty.")
    if isinstance(host.encoder.needs, Text):
        return _encode(host, Shot(0, 0.0, 1.0, text=text))
    encoder = host.encoder
    if not isinstance(encoder, TextTower):
        raise UsageError(f"{host.name} cannot be asked by a sentence.", "It has no text tower.", ANOTHER)
    host.load()
    with blame(host.described, "on the sentence"):
        vectors = encoder.encode_texts([text])
    if vectors.shape != (1, host.dim) or not np.isfinite(vectors).all() or not vectors.any():
        what = f"{host.described} gave {list(vectors.shape)} for a sentence."
        raise PluginError(what, f"A text tower gives finite [1, {host.dim}], and not all zero.")
    return vectors[0]


def read_image(path: Path, max_side: int | None) -> np.ndarray:
    """A picture as an encoder is given frames: upright, RGB, scaled like them: uint8 [height, width, 3].

    Raises:
        MediaError: it cannot be read, or is too large.
    """
    from av.video.frame import VideoFrame
    from PIL import Image, ImageOps, UnidentifiedImageError

    from mediafm_cli.media.container import MAX_PIXELS
    from mediafm_cli.media.display import Display, Picture

    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            if image.width * image.height > MAX_PIXELS:
                raise MediaError(
                    f"{path} has {image.width} × {image.height} pixels.", f"At most {MAX_PIXELS:,} are read."
                )
            rgb = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except UnidentifiedImageError as error:
        raise MediaError(f"{path} cannot be read as a picture.", "It is of no kind that is known.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = f"{getattr(error, 'strerror', None) or error}."
        raise MediaError(f"{path} cannot be read as a picture.", why) from error
    if max_side is None:
        return rgb
    return Picture(Display(rgb.shape[1], rgb.shape[0], 0), max_side).render(VideoFrame.from_ndarray(rgb, "rgb24"))


def _encode(host: EncoderHost, shot: Shot) -> np.ndarray:
    host.load()
    ((_, vectors),) = host.encode([host.prepare(shot)])
    return np.asarray(vectors[0])
