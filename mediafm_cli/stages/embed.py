"""``embed``: the fused shots of titles, run through a trained model, each in the context of its title."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from mediafm_cli.device import Precision
from mediafm_cli.errors import StaleError, UsageError, command, counted
from mediafm_cli.model.config import Layer
from mediafm_cli.model.context import BATCH_SHOTS, embed_titles, find_window
from mediafm_cli.model.context import Embedding as InContext
from mediafm_cli.model.title import Title, require_layout
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.stages.outcome import Outcome
from mediafm_cli.stages.prefetch import prefetch
from mediafm_cli.store.commit import update_store
from mediafm_cli.store.freshness import parts_sha256, require_fresh, stale_parts
from mediafm_cli.store.read import Contents, Store, open_store
from mediafm_cli.store.schema import EMBEDDING_NAME, METADATA, Embedding
from mediafm_cli.train.catalogue import open_title

RECORDED_PACKAGES = ("mediafm-cli", "numpy", "torch")

TITLES_AHEAD = 16
"""Titles that are opened and verified while others are embedded."""


@dataclass(frozen=True)
class EmbedSettings:
    """How titles are embedded.

    Attributes:
        name: the group below ``/embeddings``.
        layer: ``"output"``, in the space of the fused vectors, or ``"hidden"``, the state before it; None for the
            model's own.
        window, overlap: shots the model sees at once, and shots that two windows share; None for the model's own.
        batch_shots: shots run at once on a GPU, of one title or of several.
        precision: of the matrix products.
    """

    name: str
    layer: Layer | None = None
    window: int | None = None
    overlap: int | None = None
    batch_shots: int = BATCH_SHOTS
    precision: Precision = "fp32"

    def embed(self, model: MediaFM, titles: Iterable[Title]) -> Iterator[InContext]:
        """Run ``titles`` through ``model``; see ``embed_titles``."""
        return embed_titles(
            model,
            titles,
            layer=self.layer,
            window=self.window,
            overlap=self.overlap,
            batch_shots=self.batch_shots,
            precision=self.precision,
        )


def embed_store(
    path: Path,
    model: MediaFM,
    fingerprint: str,
    settings: EmbedSettings,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Outcome:
    """One title; see ``embed_stores``."""
    return next(embed_stores([path], model, fingerprint, settings, overwrite=overwrite, dry_run=dry_run))()


def embed_stores(
    paths: Sequence[Path],
    model: MediaFM,
    fingerprint: str,
    settings: EmbedSettings,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Iterator[Callable[[], Outcome]]:
    """Embed titles, on a GPU several at once; one after the other is committed, and one that fails stops no other.

    Args:
        fingerprint: of the model's folder; see ``model_fingerprint``.

    Returns:
        For each of ``paths``, in order, a call that ends the title: it returns what came of it, or raises its error.
        That is a StoreError where the store is not valid or not fused; a StaleError where it was not fused like the
        titles that the model was trained on, is stale itself, or has other embeddings under this name; an
        UnavailableError where the GPU has too little room, which ends it for all.

    Raises:
        UsageError: the settings are not possible with this model.
    """
    if not EMBEDDING_NAME.fullmatch(settings.name):
        raise UsageError(f"{settings.name!r} cannot name embeddings.", "Letters, digits, - _ and . make a name.")
    window, overlap = find_window(model, settings.window, settings.overlap)
    made = _Made(model, fingerprint, settings, settings.layer or model.config.layer, window, overlap)
    return _embed_in_groups(paths, made, overwrite, dry_run)


@dataclass(frozen=True)
class _Made:
    """What the embeddings are made with."""

    model: MediaFM
    fingerprint: str
    settings: EmbedSettings
    layer: Layer
    window: int
    overlap: int

    @property
    def place(self) -> str:
        return f"embeddings/{self.settings.name}"


@dataclass(frozen=True)
class _Opened:
    """A title that is to be embedded, and the parts of the store that this is made from."""

    path: Path
    title: Title
    made_from: Mapping[str, str]


def _embed_in_groups(
    paths: Sequence[Path], made: _Made, overwrite: bool, dry_run: bool
) -> Iterator[Callable[[], Outcome]]:
    def open_one(path: Path) -> _Opened | Outcome | Exception:
        try:
            return _open(path, made, overwrite, dry_run)
        except Exception as error:  # raised when it is the title's turn
            return error

    def end(one: _Opened | Outcome | Exception, embeddings: Iterator[InContext]) -> Outcome:
        if isinstance(one, Exception):
            raise one
        return one if isinstance(one, Outcome) else _commit(one, next(embeddings), made)

    with closing(prefetch(iter(paths), open_one, ahead=TITLES_AHEAD, threads=1)) as opened:
        for group in _groups(opened, made.settings.batch_shots):
            titles = [one.title for one in group if isinstance(one, _Opened)]
            embeddings = made.settings.embed(made.model, titles)
            for one in group:
                yield partial(end, one, embeddings)


def _groups(
    opened: Iterable[_Opened | Outcome | Exception], shots: int
) -> Iterator[list[_Opened | Outcome | Exception]]:
    """What was opened, in order, in groups that have ``shots`` to embed, or a little more."""
    group: list[_Opened | Outcome | Exception] = []
    waiting = 0
    for one in opened:
        group.append(one)
        waiting += len(one.title) if isinstance(one, _Opened) else 0
        if waiting >= shots or not waiting:
            yield group
            group, waiting = [], 0
    if group:
        yield group


def _open(path: Path, made: _Made, overwrite: bool, dry_run: bool) -> _Opened | Outcome:
    name, config = made.settings.name, made.model.config
    found, title = open_title(path)
    require_layout(config.layout, found, str(path))
    with open_store(path) as store:
        reads_metadata = title.metadata is not None and config.layout.metadata is not None and config.global_token
        made_from = parts_sha256(store, ["fused"] + [f"encodings/{METADATA}"] * reads_metadata)
        if made.place in store and not overwrite:
            wanted = (made.fingerprint, made.layer, made.window, made.overlap)
            _require_same(store, store.embedding(name), wanted, made_from, name)
            return Outcome(path, "unchanged", f"{counted(len(title), 'shot')} embedded already")
    if dry_run:
        return Outcome(path, "planned", f"{counted(len(title), 'shot')} would be embedded as {name}")
    return _Opened(path, title.load(), made_from)


def _commit(opened: _Opened, found: InContext, made: _Made) -> Outcome:
    path, made_from = opened.path, opened.made_from
    embedding = Embedding(
        found.shots,
        found.title,
        model=made.fingerprint,
        layer=made.layer,
        window=made.window,
        overlap=made.overlap,
        versions={package: version(package) for package in RECORDED_PACKAGES},
        made_from=made_from,
    )

    def put(contents: Contents | None) -> Contents:
        if contents is None or stale_parts(contents, made_from):
            raise StaleError(f"{path} changed while it was being embedded.", hint="Run the command again.")
        return contents.with_group(made.place, embedding)

    update_store(path, put)
    n, width = found.shots.shape
    return Outcome(path, "written", f"{counted(n, 'shot')}, {width} numbers each, and {len(found.title)} for the title")


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
