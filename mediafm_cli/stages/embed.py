"""``embed``: the fused shots of a title, run through a trained model, each in the context of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from mediafm_cli.errors import StaleError, UsageError, command
from mediafm_cli.model.context import Layer, embed_title, find_window
from mediafm_cli.model.title import require_layout
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256, require_fresh, stale_parts
from mediafm_cli.store.read import Contents, Store, open_store
from mediafm_cli.store.schema import EMBEDDING_NAME, METADATA, Embedding
from mediafm_cli.train.catalogue import open_title

RECORDED_PACKAGES = ("mediafm-cli", "numpy", "torch")


@dataclass(frozen=True)
class EmbedSettings:
    """How titles are embedded.

    Attributes:
        name: the group below ``/embeddings``.
        layer: ``"output"``, in the space of the fused vectors, or ``"hidden"``, the state before it.
        window, overlap: shots the model sees at once, and shots that two windows share; None for the model's own.
        batch_size: windows run at once on a GPU.
    """

    name: str
    layer: Layer = "output"
    window: int | None = None
    overlap: int | None = None
    batch_size: int = 8


def embed_store(
    path: Path,
    model: MediaFM,
    fingerprint: str,
    settings: EmbedSettings,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Outcome:
    """Embed one title and commit the result.

    Args:
        fingerprint: of the model's folder; see ``model_fingerprint``.

    Raises:
        StaleError: the title was not fused like the titles that the model was trained on, is stale itself, or has
            other embeddings under this name.
    """
    if not EMBEDDING_NAME.fullmatch(settings.name):
        raise UsageError(f"{settings.name!r} cannot name embeddings.", "Letters, digits, - _ and . make a name.")
    place = f"embeddings/{settings.name}"
    window, overlap = find_window(model, settings.window, settings.overlap)
    layout, title = open_title(path)
    require_layout(model.config.layout, layout, str(path))
    with open_store(path) as store:
        reads_metadata = title.metadata is not None and model.config.layout.metadata is not None
        made_from = parts_sha256(store, ["fused"] + [f"encodings/{METADATA}"] * reads_metadata)
        if place in store and not overwrite:
            wanted = (fingerprint, settings.layer, window, overlap)
            _require_same(store, store.embedding(settings.name), wanted, made_from, settings.name)
            return Outcome(path, "unchanged", f"{len(title)} shots are embedded already")
    if dry_run:
        return Outcome(path, "planned", f"{len(title)} shots would be embedded as {settings.name}")
    found = embed_title(
        model, title, layer=settings.layer, window=window, overlap=overlap, batch_size=settings.batch_size
    )
    embedding = Embedding(
        found.shots,
        found.title,
        model=fingerprint,
        layer=settings.layer,
        window=window,
        overlap=overlap,
        versions={package: version(package) for package in RECORDED_PACKAGES},
        made_from=made_from,
    )

    def put(contents: Contents | None) -> Contents:
        if contents is None or stale_parts(contents, made_from):
            raise StaleError(f"{path} changed while it was being embedded.", hint="Run the command again.")
        return contents.with_group(place, embedding)

    update_store(path, put)
    n, width = found.shots.shape
    return Outcome(path, "written", f"{n} shots, {width} numbers each, and {len(found.title)} for the title")


def _require_same(
    store: Store, there: Embedding, wanted: tuple[str, str, int, int], made_from: Mapping[str, str], name: str
) -> None:
    found = (there.model, there.layer, there.window, there.overlap)
    if found != wanted:
        names = ("model", "layer", "window", "overlap")
        pairs = zip(names, found, wanted, strict=True)
        different = "; ".join(f"{name} {_short(was)}, now {_short(now)}" for name, was, now in pairs if was != now)
        raise StaleError(
            f"{store.path} has embeddings called {name!r} already, and they are not the same.",
            f"They were made with {different}.",
            "Replace them by adding --overwrite, or keep both with --name.",
        )
    repair = command("mediafm", "embed", store.path, "--model", "MODEL", "--name", name, "--overwrite")
    require_fresh(store, f"embeddings/{name}", there.made_from, repair)
    if there.made_from.keys() != made_from.keys():
        why = f"They were made from {', '.join(there.made_from)}; now there is {', '.join(made_from)}."
        raise StaleError(f"{store.path}: embeddings/{name} is stale.", why, f"Make it again with: {repair}")


def _short(value: object) -> str:
    return str(value)[:12]
