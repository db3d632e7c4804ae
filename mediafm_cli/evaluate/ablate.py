"""``ablate``, without labels: what context and each modality are worth for predicting a hidden shot.

Rows: each modality flat, all flat, the window mean, the mean vector, the untrained transformer, the trained one, and
the trained one with each modality zeroed at inference. Titles: those that the model never learned from, where there are
any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mediafm_cli.errors import StoreError
from mediafm_cli.evaluate.masked import Scores, chance, make_folds, score, skill
from mediafm_cli.evaluate.predictors import (
    Predictor,
    flat_predictors,
    mean_predictor,
    model_predictor,
    window_predictor,
    zeroed_predictor,
)
from mediafm_cli.model.baselines import mean_vector
from mediafm_cli.model.folder import FolderConfig, load_model, model_fingerprint, read_config
from mediafm_cli.model.title import Title, require_layout
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.catalogue import Catalogue, open_catalogue

MEAN, COPY = "mean vector", "all flat"
"""The rows that skill is measured against."""


@dataclass(frozen=True)
class Row:
    """One predictor's scores.

    Attributes:
        skill_over_mean, skill_over_copy: share of the baseline's cosine distance that is gone; None where it does not
            apply: for the baseline itself, and for a predictor that speaks of one modality only.
    """

    name: str
    scores: Scores
    skill_over_mean: float | None
    skill_over_copy: float | None


@dataclass(frozen=True)
class Ablation:
    """The outcome of one ablation.

    Attributes:
        model: fingerprint of the model folder. ``steps``: that it was trained for.
        titles: ids of the titles that were measured. ``held_out``: the model never learned from any of them.
        modalities: names, in the order of the fused vector.
        chance_top1, chance_mrr: of a guess; None where no title hides two shots at once.
    """

    model: str
    steps: int
    seed: int
    titles: tuple[str, ...]
    held_out: bool
    modalities: tuple[str, ...]
    rows: tuple[Row, ...]
    chance_top1: float | None
    chance_mrr: float | None


def run_ablation(
    stores: Sequence[Path],
    model_folder: Path,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Ablation:
    """Measure ``model_folder`` on the titles in ``stores``.

    Args:
        seed: of the shots hidden together, and of the untrained transformer.
        progress: called with the rows done, and all rows.

    Raises:
        TrainingError: the model folder is damaged, or was never trained.
        StaleError: the titles were not fused like those that the model was trained on.
    """
    config = read_config(model_folder)
    model = load_model(model_folder, device)
    catalogue = open_catalogue(stores)
    require_layout(config.model.layout, catalogue.layout, "the catalogue")
    unseen, seen = _split(catalogue, config)
    measured = unseen or seen
    folds = make_folds(measured, seed)
    if not folds:
        raise StoreError("There is nothing to measure.", "No shot of these titles shows anything in any modality.")
    blocks = catalogue.layout.blocks
    predictors = list(_predictors(model, seen, device, seed))
    scores = {}
    for number, predictor in enumerate(predictors, 1):
        scores[predictor.name] = score(predictor, folds, blocks)
        progress(number, len(predictors))
    guess = chance(folds)
    return Ablation(
        model_fingerprint(model_folder),
        config.training.steps,
        seed,
        tuple(title.title_id for title in measured),
        bool(unseen),
        tuple(block.name for block in blocks),
        tuple(_row(predictor, scores) for predictor in predictors),
        *guess,
    )


def _split(catalogue: Catalogue, config: FolderConfig) -> tuple[list[Title], list[Title]]:
    """The titles that the model never learned from, and those that it did, by name or by content."""
    learned = [title for title in config.training.titles if title.split == "train"]
    names, contents = {title.title_id for title in learned}, {title.fingerprint for title in learned}
    titles = [title.load() for title in catalogue.titles]
    seen = [title for title in titles if title.title_id in names or title.fingerprint in contents]
    return [title for title in titles if title not in seen], seen


def _predictors(model: MediaFM, seen: Sequence[Title], device: torch.device | str, seed: int) -> Iterator[Predictor]:
    blocks = model.config.layout.blocks
    yield from flat_predictors(blocks)
    yield window_predictor()
    if seen:
        yield mean_predictor(mean_vector(seen))
    yield model_predictor("untrained", MediaFM.seeded(model.config, seed).to(device))
    yield model_predictor("trained", model)
    if len(blocks) > 1:
        for column in range(len(blocks)):
            yield zeroed_predictor(model, column)


def _row(predictor: Predictor, scores: dict[str, Scores]) -> Row:
    found = scores[predictor.name]

    def over(baseline: str) -> float | None:
        applies = baseline in scores and baseline != predictor.name and predictor.block is None
        return skill(found.cosine, scores[baseline].cosine) if applies else None

    return Row(predictor.name, found, over(MEAN), over(COPY))
