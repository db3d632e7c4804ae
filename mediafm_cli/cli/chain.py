"""All stages one after the other: what ``run`` and ``demo`` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mediafm_cli.cli.console import Console
from mediafm_cli.cli.encoding import all_encoded, encode_titles
from mediafm_cli.cli.segmenting import segment_titles
from mediafm_cli.cli.titles import run_over_titles
from mediafm_cli.cli.training import EngineChoice, ModelChoice, train
from mediafm_cli.errors import TERMINATED, OthersDoneError

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

    Raises:
        OthersDoneError: some titles failed, in whatever stage; all stages are done for the others.
    """
    from mediafm_cli.api import Audio, Frames
    from mediafm_cli.config import find_preset
    from mediafm_cli.device import find_device
    from mediafm_cli.model.folder import CONFIG, load_model, model_fingerprint
    from mediafm_cli.stages.embed import EmbedSettings, embed_stores
    from mediafm_cli.stages.encode import EncodeSettings
    from mediafm_cli.stages.fuse import fuse_title
    from mediafm_cli.stages.host import make_host
    from mediafm_cli.stages.metadata import has_metadata
    from mediafm_cli.store.schema import METADATA
    from mediafm_cli.train.config import TrainConfig

    find_device(settings.device)  # which training would ask for when all else is done
    steps = Console(quiet=console.quiet, verbose=console.verbose, results=False)
    paths: list[Path] = list(stores.values())
    failed: list[Path] = []
    with ExitStack() as to_close:
        hosts = {}
        for modality in [*find_preset(settings.preset).encoders, METADATA]:
            host = make_host(modality, preset=settings.preset, device=settings.device)
            hosts[modality] = to_close.enter_context(host)
        wanted = [
            host
            for modality, host in hosts.items()
            if modality != METADATA and (overwrite or not all_encoded(stores.values(), modality))
        ]
        for host in wanted:
            host.preflight()
        for host in wanted:
            steps.detail(f"encoder: {host.described}, {host.dim} numbers, {host.fingerprint}")
        seeing = next((name for name, host in hosts.items() if isinstance(host.encoder.needs, Frames)), None)
        with going_on(paths, failed):
            if seeing is None:
                segment_titles(
                    stores, segmenting, steps, jobs=settings.jobs, hwaccel=settings.hwaccel, overwrite=overwrite
                )
            else:
                hearing = [name for name, host in hosts.items() if isinstance(host.encoder.needs, Audio)]
                first = {name: hosts.pop(name) for name in (seeing, *hearing)}
                segment_and_encode(stores, segmenting, first, settings, steps, overwrite)
        if not any(map(has_metadata, paths)):
            del hosts[METADATA]
        for modality, host in hosts.items():
            with going_on(paths, failed):
                encode_titles(paths, host, EncodeSettings(modality), steps, overwrite=overwrite)
            host.close()
    with going_on(paths, failed):
        run_over_titles(
            "fuse", paths, lambda path, _: fuse_title(path, normalize=settings.normalize, overwrite=overwrite), steps
        )
    if overwrite or not (settings.model / CONFIG).exists():
        training = TrainConfig(max_steps=settings.max_steps, seed=settings.seed)
        started = settings.model.exists() and not overwrite
        engine = EngineChoice(settings.device)
        again = "the same command goes on" if not overwrite else "the same command without --overwrite goes on"
        if not train(
            *(paths, settings.model, training, ModelChoice(), engine, steps),
            resume=started,
            overwrite=overwrite,
            again=again,
        ):
            raise typer.Exit(TERMINATED)
    else:
        steps.say(f"pretrain {settings.model}: unchanged: there is a model already")
    model, fingerprint = load_model(settings.model, find_device(settings.device)), model_fingerprint(settings.model)
    named = EmbedSettings(settings.model.resolve().name)
    ends = embed_stores(paths, model, fingerprint, named, overwrite=overwrite)
    with going_on(paths, failed):
        run_over_titles("embed", paths, lambda *_: next(ends)(), console)
    if failed:
        raise OthersDoneError(failed, paths)
    return paths


@contextmanager
def going_on(paths: list[Path], failed: list[Path]) -> Iterator[None]:
    """A stage over ``paths``. Titles that fail in it move from there to ``failed``, as long as there are others."""
    try:
        yield
    except OthersDoneError as error:
        paths[:] = error.done
        failed += error.failed


def segment_and_encode(
    stores: Mapping[Path, Path],
    segmenting: Mapping[Path, SegmentSettings],
    hosts: Mapping[str, EncoderHost],
    settings: ChainSettings,
    console: Console,
    overwrite: bool,
) -> None:
    """Segment each title and encode its frames and its sound, kept from the same pass and deleted when both are done.

    Args:
        hosts: of each modality that is encoded. The first one needs frames.
    """
    from dataclasses import replace
    from threading import Lock

    from mediafm_cli.api import Frames
    from mediafm_cli.media.kept import kept_path
    from mediafm_cli.stages.encode import EncodeSettings, encode_title

    seeing, host = next(iter(hosts.items()))
    needs = host.encoder.needs if isinstance(host.encoder.needs, Frames) else None
    left = {title for title, store in stores.items() if overwrite or not all_encoded([store], seeing)}
    ours = {store for title, store in stores.items() if title in left and not kept_path(store).exists()}
    how = {title: replace(segmenting[title], keep_frames=needs if title in left else None) for title in stores}
    one_at_a_time = Lock()

    def encode(cut: Outcome, progress: OnProgress) -> Outcome:
        done = [cut]
        try:
            with one_at_a_time:
                for modality, host in hosts.items():
                    only = EncodeSettings(modality)
                    done.append(encode_title(cut.store, host, only, overwrite=overwrite, progress=progress))
        finally:
            if cut.store in ours:  # at once, since those of many films fill a disk
                kept_path(cut.store).unlink(missing_ok=True)
        written = next((outcome for outcome in done if outcome.status == "written"), cut)
        notes = tuple(note for outcome in done for note in outcome.notes)
        return replace(written, summary="; ".join(outcome.summary for outcome in done), notes=notes)

    try:
        segment_titles(
            stores, how, console, jobs=settings.jobs, hwaccel=settings.hwaccel, overwrite=overwrite, then=encode
        )
    finally:
        for kept in filter(Path.exists, map(kept_path, ours)):
            kept.unlink()
        for host in hosts.values():
            host.close()
