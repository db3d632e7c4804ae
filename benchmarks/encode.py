"""How near encoding comes to the slower of its two parts: decoding alone, and the model alone.

    python benchmarks/encode.py                          # a synthetic film of 720p, the default models
    python benchmarks/encode.py film.mp4 --device cuda   # a film of your own, on a GPU

The weights are random, of the real models' shapes and in their files' format: nothing is downloaded, and speed does
not depend on what weights hold. Each part runs ``--repeats`` times; medians count, and only ratios within one run.

- decoding alone: reading and preparing the shots, as for the encoder, and dropping them
- model alone: prepared shots that lie in memory, in batches of the same size, through ``Encoder.encode``
- bare model: batches of that size in the form that the model itself takes, through it and nothing else
- both: the stage as the command line runs it, its commits included
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mediafm_cli.api import Frames, Shot
from mediafm_cli.stages.encode import EncodeSettings, encode_title
from mediafm_cli.stages.host import EncoderHost, make_host
from mediafm_cli.stages.material import gather_material
from mediafm_cli.stages.prefetch import prefetch
from mediafm_cli.stages.segment import segment_title
from mediafm_cli.store.read import open_store
from mediafm_cli.synthetic import write_catalogue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", nargs="?", type=Path, help="default: a synthetic one of --shots shots, 1280 × 720")
    parser.add_argument("--shots", type=int, default=48)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--video", default="ViT-L-14", help="a model that open_clip knows by this name")
    parser.add_argument("--only", choices=["video", "audio"])
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = settings.film or write_film(Path(folder) / "film", settings.shots)
        store = Path(folder) / "film.h5"
        print(segment_title(film, store).summary, f"({film.name})")
        for modality in [settings.only] if settings.only else ["video", "audio"]:
            options = write_weights(modality, settings.video, Path(folder) / modality)
            with make_host(modality, None, options, preset="mediafm", device=settings.device) as host:
                host.load()
                report(modality, store, film, host, settings.batch_size, settings.repeats)


def write_film(folder: Path, shots: int) -> Path:
    """A film of two to four seconds a shot, with sound."""
    return write_catalogue(folder, titles=1, shots=shots, size=(1280, 720), shot_s=(2.0, 4.0))[0].path


def write_weights(modality: str, video: str, folder: Path) -> list[str]:
    """Random weights in the format of the real ones, and the options that name them."""
    import open_clip
    import torch
    import transformers
    from safetensors.torch import save_file

    folder.mkdir()
    torch.manual_seed(0)
    if modality == "audio":
        transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
        return [f"model={folder}"]
    state = open_clip.create_model(video).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "weights.safetensors")
    return [f"model={video}", f"pretrained={folder / 'weights.safetensors'}"]


def report(modality: str, store: Path, film: Path, host: EncoderHost, batch_size: int, repeats: int) -> None:
    """Time the two parts and the whole, and print them."""
    with open_store(store) as opened:
        source, shots = opened.source, opened.shots
    material = gather_material(store, source, shots, modality, host.encoder.needs, film.parent)
    nothing_done = np.zeros(len(shots.start_s), bool)

    def decode() -> list[Shot]:
        read = prefetch(material.read(nothing_done), lambda item: item[1] and host.prepare(item[1]), ahead=batch_size)
        return [shot for shot in read if shot is not None]

    prepared = decode()

    def encode_prepared() -> None:
        for begin in range(0, len(prepared), batch_size):
            for _ in host.encode(prepared[begin : begin + batch_size]):
                pass

    def encode_from_film() -> None:
        encode_title(store, host, EncodeSettings(modality, batch_size, media=film.parent), overwrite=True)

    run_bare = bare_loop(host.encoder, prepared, batch_size)
    encode_prepared()  # warms up kernels and allocators
    parts: dict[str, Callable[[], object]] = {
        "decoding alone": decode,
        "model alone": encode_prepared,
        "bare model": run_bare,
        "both": encode_from_film,
    }
    taken: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            with stopwatch(taken[name]):
                part()
    medians = {name: statistics.median(times) for name, times in taken.items()}
    slower = max(medians["decoding alone"], medians["model alone"])
    amount, unit = measure_of(host, prepared, shots.end_s - shots.start_s)
    machine = f"device {host.encoder.device}, {os.cpu_count()} cores"
    print(f"\n{host.name}, {len(prepared)} shots in batches of {batch_size}, {machine}")
    within = "within" if medians["both"] <= 1.1 * slower else "not within"
    print(f"  both together take {medians['both'] / slower:.2f} of the slower part: {within} 10 %")
    for name, seconds in medians.items():
        print(
            f"  {name:<15} {seconds:8.2f} s  {amount / seconds:9.1f} {unit}  {seconds / slower:5.2f} of the slower part"
        )


def bare_loop(encoder: Any, prepared: list[Shot], batch_size: int) -> Callable[[], None]:
    """The model on the same batches, already as tensors, padded to the longest of a batch; it waits for the device."""
    import torch

    from mediafm_cli.device import autocast

    device, batches = encoder._device, []
    for begin in range(0, len(prepared), batch_size):
        shots = prepared[begin : begin + batch_size]
        if shots[0].frames is not None:
            pixels = torch.from_numpy(np.concatenate([shot.frames for shot in shots])).permute(0, 3, 1, 2)
            batches.append(pixels.to(device, torch.float32))
        else:
            sounds = [torch.from_numpy(shot.audio) for shot in shots]
            batches.append(torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True).to(device))
    is_video = prepared[0].frames is not None

    def run() -> None:
        with torch.inference_mode(), autocast(device, encoder.options.precision):
            for batch in batches:
                if not is_video:
                    encoder._alone[0].lengths = [batch.shape[1]] * len(batch)
                result = encoder._model.encode_image(batch) if is_video else encoder._model(batch).last_hidden_state
                result.flatten()[0].item()

    return run


def measure_of(host: EncoderHost, prepared: list[Shot], lengths_s: np.ndarray) -> tuple[float, str]:
    """What throughput is counted in."""
    if isinstance(host.encoder.needs, Frames):
        return len(prepared) * host.encoder.needs.count, "images/s"
    return float(sum(lengths_s[shot.index] for shot in prepared)), "seconds of sound/s"


@contextmanager
def stopwatch(times: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times.append(time.perf_counter() - began)


if __name__ == "__main__":
    main()
