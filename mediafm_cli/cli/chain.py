"""All stages one after the other: what ``run`` and ``demo`` share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mediafm_cli.cli.console import Console
from mediafm_cli.cli.encoding import all_encoded, encode_titles
from mediafm_cli.cli.titles import run_over_titles
from mediafm_cli.cli.training import train

if TYPE_CHECKING:
    from mediafm_cli.model.fusion import Normalize
    from mediafm_cli.stages.segment import SegmentSettings


@dataclass(frozen=True)
class ChainSettings:
    """What the chain leaves open.

    Attributes:
        preset: the encoders. ``normalize``: see ``fuse``.
        model: folder of the model; trained there if it holds none.
        max_steps, seed, device: of the training.
    """

    preset: str
    model: Path
    normalize: Normalize = "none"
    max_steps: int = 1000
    seed: int = 0
    device: str = "auto"


def run_chain(
    stores: Mapping[Path, Path],
    segmenting: Mapping[Path, SegmentSettings],
    settings: ChainSettings,
    console: Console,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Segment, encode, fuse, pretrain unless there is a model, and embed.

    What an encoder lacks, a key or weights, is an error before any of it.

    Args:
        stores: the store of each media file. ``segmenting``: how each is segmented.
    """
    from mediafm_cli.config import find_preset
    from mediafm_cli.device import find_device
    from mediafm_cli.model.folder import CONFIG, load_model, model_fingerprint
    from mediafm_cli.stages.embed import EmbedSettings, embed_store
    from mediafm_cli.stages.encode import EncodeSettings
    from mediafm_cli.stages.fuse import fuse_title
    from mediafm_cli.stages.host import make_host
    from mediafm_cli.stages.segment import segment_title
    from mediafm_cli.train.config import TrainConfig

    steps = Console(quiet=console.quiet, verbose=console.verbose, results=False)
    with ExitStack() as to_close:
        hosts = {}
        for modality in [*find_preset(settings.preset).encoders, "metadata"]:
            host = make_host(modality, preset=settings.preset, device=settings.device)
            hosts[modality] = to_close.enter_context(host)
        wanted = [host for modality, host in hosts.items() if overwrite or not all_encoded(stores.values(), modality)]
        for host in wanted:
            host.preflight()
        for host in wanted:
            steps.detail(f"encoder: {host.described}, {host.dim} numbers, {host.fingerprint}")
        paths = run_over_titles(
            "segment",
            list(stores),
            lambda title, progress: segment_title(
                title, stores[title], segmenting[title], overwrite=overwrite, progress=progress
            ),
            steps,
        )
        for modality, host in hosts.items():
            encode_titles(paths, host, EncodeSettings(modality), steps, overwrite=overwrite)
            host.close()
    run_over_titles(
        "fuse", paths, lambda path, _: fuse_title(path, normalize=settings.normalize, overwrite=overwrite), steps
    )
    if overwrite or not (settings.model / CONFIG).exists():
        training = TrainConfig(max_steps=settings.max_steps, seed=settings.seed)
        started = settings.model.exists() and not overwrite
        train(paths, settings.model, training, {}, steps, device=settings.device, resume=started, overwrite=overwrite)
    else:
        steps.say(f"pretrain {settings.model}: unchanged: there is a model already")
    model, fingerprint = load_model(settings.model, find_device(settings.device)), model_fingerprint(settings.model)
    named = EmbedSettings(settings.model.resolve().name)
    return run_over_titles(
        "embed", paths, lambda path, _: embed_store(path, model, fingerprint, named, overwrite=overwrite), console
    )
