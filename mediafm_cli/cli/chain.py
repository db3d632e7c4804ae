"""All stages one after the other: what ``run`` and ``demo`` share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mediafm_cli.cli.console import Console
from mediafm_cli.cli.encoding import all_encoded, encode_titles
from mediafm_cli.cli.segmenting import segment_titles
from mediafm_cli.cli.titles import run_over_titles
from mediafm_cli.cli.training import train

if TYPE_CHECKING:
    from mediafm_cli.model.fusion import Normalize
    from mediafm_cli.stages.host import EncoderHost
    from mediafm_cli.stages.outcome import OnProgress, Outcome
    from mediafm_cli.stages.segment import SegmentSettings


@dataclass(frozen=True)
class ChainSettings:
    """What the chain leaves open.

    Attributes:
        preset: the encoders. ``normalize``: see ``fuse``.
        model: folder of the model; trained there if it holds none.
        max_steps, seed, device: of the training. ``jobs``, ``hwaccel``: see ``segment``.
    """

    preset: str
    model: Path
    normalize: Normalize = "none"
    max_steps: int = 1000
    seed: int = 0
    device: str = "auto"
    jobs: int | None = None
    hwaccel: str = ""


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
    from mediafm_cli.api import Frames
    from mediafm_cli.config import find_preset
    from mediafm_cli.device import find_device
    from mediafm_cli.model.folder import CONFIG, load_model, model_fingerprint
    from mediafm_cli.stages.embed import EmbedSettings, embed_store
    from mediafm_cli.stages.encode import EncodeSettings
    from mediafm_cli.stages.fuse import fuse_title
    from mediafm_cli.stages.host import make_host
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
        seeing = next((name for name, host in hosts.items() if isinstance(host.encoder.needs, Frames)), None)
        if seeing is None:
            paths = segment_titles(
                stores, segmenting, steps, jobs=settings.jobs, hwaccel=settings.hwaccel, overwrite=overwrite
            )
        else:
            paths = segment_and_see(stores, segmenting, seeing, hosts.pop(seeing), settings, steps, overwrite)
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


def segment_and_see(
    stores: Mapping[Path, Path],
    segmenting: Mapping[Path, SegmentSettings],
    modality: str,
    host: EncoderHost,
    settings: ChainSettings,
    console: Console,
    overwrite: bool,
) -> list[Path]:
    """Segment each title and encode its frames, kept from the same pass; they are deleted when the title is done."""
    from dataclasses import replace
    from threading import Lock

    from mediafm_cli.api import Frames
    from mediafm_cli.media.kept_frames import frames_path
    from mediafm_cli.stages.encode import EncodeSettings, encode_title

    needs = host.encoder.needs if isinstance(host.encoder.needs, Frames) else None
    left = {title for title, store in stores.items() if overwrite or not all_encoded([store], modality)}
    ours = {store for title, store in stores.items() if title in left and not frames_path(store).exists()}
    how = {title: replace(segmenting[title], keep_frames=needs if title in left else None) for title in stores}
    one_at_a_time = Lock()

    def see(cut: Outcome, progress: OnProgress) -> Outcome:
        with one_at_a_time:
            seen = encode_title(cut.store, host, EncodeSettings(modality), overwrite=overwrite, progress=progress)
        if cut.store in ours:  # at once, since those of many films fill a disk
            frames_path(cut.store).unlink(missing_ok=True)
        written = cut if cut.status == "written" else seen
        return replace(written, summary=f"{cut.summary}; {seen.summary}", notes=(*cut.notes, *seen.notes))

    try:
        return segment_titles(
            stores, how, console, jobs=settings.jobs, hwaccel=settings.hwaccel, overwrite=overwrite, then=see
        )
    finally:
        for store in ours:
            frames_path(store).unlink(missing_ok=True)
