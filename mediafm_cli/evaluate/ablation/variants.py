"""What ``ablate --retrain`` changes: the grid of variants of a model, each with one thing other than in the model."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from mediafm_cli.errors import TrainingError, UsageError
from mediafm_cli.evaluate.ablation.interventions import LOUDNESS, Intervention, loud, without
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.folder import FolderConfig
from mediafm_cli.model.fusion import Normalize
from mediafm_cli.model.msm import Objective
from mediafm_cli.model.records import RecordError, from_json, to_json
from mediafm_cli.model.title import Layout, Title
from mediafm_cli.options import parse_options
from mediafm_cli.train.config import TrainConfig

REFERENCE = "reference"

CHOICES: dict[str, tuple[Any, ...]] = {
    "optimizer": ("muon", "adamw"),
    "projection": ("linear", "whitened"),
    "position": ("learned", "rotary", "time"),
    "loss": ("vector", "blocks"),
    "modality_mask_ratio": (0.0,),
    "visible_ratio": (0.0,),
    "input_dropout": (0.0,),
    "missing": ("zero", "null-token"),
}
"""Options whose values are compared, by the names of the fields. The one that the model has is the reference."""

MASKS = (0.0, 0.2, 0.5)
"""Shares of the shots that are hidden whole. With none, no modality is hidden either, and what is visible is asked:
there is nothing to validate by, and the last weights are kept."""

FIXED = frozenset({"layout", "objective", "seed", "checkpoint_every", "keep_last"})
"""Fields that no variant sets."""


@dataclass(frozen=True)
class Variant:
    """A model like the given one but for one thing.

    Attributes:
        name: of its row, and of its folders.
        given: fields of ``ModelConfig``, ``TrainConfig`` and ``Objective``.
        intervention: what is done to every title, before training as before measuring. ``normalize``: how its titles
            then are fused; None for as before.
        stores: of other encoders, with the same titles; empty for the given ones.
    """

    name: str
    given: Mapping[str, Any] = field(default_factory=dict)
    intervention: Intervention | None = None
    normalize: Normalize | None = None
    stores: tuple[Path, ...] = ()

    def change(self, title: Title) -> Title:
        return self.intervention.change(title) if self.intervention else title


def grid(config: FolderConfig) -> Iterator[Variant]:
    """Every variant that is not what the model is already; the reference first."""
    yield Variant(REFERENCE)
    layout = config.model.layout
    if len(layout.blocks) > 1:
        for column, block in enumerate(layout.blocks):
            yield Variant(f"without-{block.name}", intervention=without(block, column))
    has = asdict(settings_of(config).objective) | asdict(settings_of(config)) | asdict(config.model)
    if layout.metadata and has["global_token"]:
        yield Variant("global_token=false", {"global_token": False})
    for ratio in MASKS:
        given: dict[str, Any] = {"mask_ratio": ratio}
        if not ratio:
            given |= {"modality_mask_ratio": 0.0, "visible_ratio": has["visible_ratio"] or Objective().visible_ratio}
        if any(has[name] != value for name, value in given.items()):
            yield Variant(f"mask={ratio:g}", given)
    for name, values in CHOICES.items():
        for value in values:
            if has[name] != value and _asks({**has, name: value}):
                yield Variant(_named({name: value}), {name: value})
    if len(layout.blocks) > 1:
        for factor in LOUDNESS:
            for column, block in enumerate(layout.blocks):
                louder = loud(layout.blocks, column, factor, "none")
                yield Variant(f"{block.name}-x{factor}", intervention=louder, normalize="none")
        if layout.normalize == "none":
            undone = loud(layout.blocks, 0, LOUDNESS[-1], "per-modality")  # the same, whichever is loud and however
            yield Variant("loud-normalised", intervention=undone, normalize="per-modality")


def choose(
    config: FolderConfig, only: Sequence[str] = (), pairs: Sequence[str] = (), swaps: Mapping[str, Sequence[Path]] = {}
) -> list[Variant]:
    """The reference, and what was asked for; the whole grid where nothing was.

    Args:
        only: names in the grid. ``pairs``: ``KEY=VALUE`` or several with commas, each a variant of its own.
        swaps: by the name of a folder, its stores.

    Raises:
        UsageError: a name, key or value is not known; or the settings cannot be used together.
    """
    known = {variant.name: variant for variant in grid(config)}
    for name in only:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else ""
            raise UsageError(f"There is no variant {name!r}.", f"Known: {', '.join(known)}.", hint)
    own = [_own(text) for text in pairs]
    for variant in own:
        resolve(variant, config, config.model.layout, config.training.seed, None)
    swapped = [Variant(f"swap-{name}", stores=tuple(stores)) for name, stores in swaps.items()]
    chosen = [known[name] for name in only] if only or own or swapped else list(known.values())
    return list({variant.name: variant for variant in [known[REFERENCE], *chosen, *own, *swapped]}.values())


def resolve(
    variant: Variant, config: FolderConfig, layout: Layout, seed: int, max_steps: int | None
) -> tuple[ModelConfig, TrainConfig]:
    """The configs of a variant of the model for titles of ``layout``.

    Raises:
        UsageError, TrainingError: the settings cannot be used together.
    """
    settings = settings_of(config)
    objective = replace(settings.objective, **_of(Objective, variant.given))
    length = {} if max_steps is None else {"max_steps": max_steps, "epochs": None}
    layout = replace(layout, normalize=variant.normalize) if variant.normalize else layout
    return (
        replace(config.model, layout=layout, **_of(ModelConfig, variant.given)),
        replace(settings, objective=objective, seed=seed, **{**_of(TrainConfig, variant.given), **length}),
    )


def settings_of(config: FolderConfig) -> TrainConfig:
    """What the model was trained with; a setting that it does not name has its default.

    Raises:
        TrainingError: it names one that is not known here.
    """
    given, usual = dict(config.training.settings), to_json(TrainConfig())
    objective = usual["objective"] | dict(given.get("objective", {}))
    try:
        return from_json(TrainConfig, {**usual, **given, "objective": objective})
    except RecordError as error:
        hint = "Retrain with the release that trained the model, or train it again."
        raise TrainingError(
            "The model was trained with settings that are not known here.", f"{error}.", hint
        ) from error


def _own(text: str) -> Variant:
    """A variant of the pairs in ``text``."""
    schema = make_dataclass("Settings", [(name, hint, field(default=None)) for name, hint in _hints().items()])
    pairs = [pair.strip() for pair in text.split(",")]
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"--set {pair} has no value.", hint="Write it as --set KEY=VALUE")
    values = parse_options(schema, pairs)
    given = {name: getattr(values, name) for name in (pair.partition("=")[0] for pair in pairs)}
    return Variant(_named(given), given)


def _named(given: Mapping[str, Any]) -> str:
    """As it is typed after ``--set``, but for the commas."""
    return "+".join(f"{name}={_typed(value)}" for name, value in given.items())


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _hints() -> dict[str, Any]:
    kinds = (ModelConfig, Objective, TrainConfig)
    return {name: hint for kind in kinds for name, hint in get_type_hints(kind).items() if name not in FIXED}


def _of(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in given.items() if name in names}


def _asks(has: Mapping[str, Any]) -> bool:
    """Whether the objective asks for anything; see ``Objective``."""
    return any(has[name] for name in ("mask_ratio", "modality_mask_ratio", "visible_ratio"))
