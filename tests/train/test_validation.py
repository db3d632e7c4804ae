"""Validation: the same windows each time, and losses that baselines are held against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from short_runs import TITLES
from toy_world import SHORT, TINY, make_titles

from mediafm_cli.model.batch import Batch
from mediafm_cli.model.msm import MEDIAFM, Objective
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM
from mediafm_cli.train.distributed import World
from mediafm_cli.train.sequences import Split, split_titles
from mediafm_cli.train.validation import ValidationSet, validate, validation_set

ALONE = World(torch.device("cpu"))
SPLIT = split_titles(TITLES, 0.3, 0)
BLOCKS = (slice(0, 16), slice(16, 24))


def held_out_of(split: Split = SPLIT, objective: Objective = Objective(), max_shots: int = 512) -> ValidationSet:  # noqa: B008
    model = MediaFM.seeded(replace(TINY, max_shots=max_shots), 0)
    found = validation_set(split, model, replace(SHORT, objective=objective))
    assert found is not None
    return found


def distance(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return 1 - a @ b / norms if norms else 1.0


def hidden_rows(batches: list[Batch]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Every hidden block: (vectors of its title, what is hidden of it, which is asked for in it, its shot)."""
    found = []
    for batch in batches:
        asked = torch.zeros_like(batch.masked)
        asked[batch.target_rows] = batch.weights == 1
        parts = zip(*(part.split(batch.lengths) for part in (batch.vectors, batch.masked, asked)), strict=True)
        for vectors, masked, wanted in parts:
            arrays = vectors.numpy(), masked.numpy(), wanted.numpy()
            found += [(*arrays, int(shot)) for shot in np.flatnonzero(arrays[2].any(axis=1))]
    return found


def copy_of(vectors: np.ndarray, masked: np.ndarray, shot: int) -> np.ndarray:
    """Each block of a shot from the nearest shot where it is visible, the earlier of two."""
    parts = []
    for column, own in enumerate(BLOCKS):
        shown = [other for other in range(len(vectors)) if not masked[other, column]]
        nearest = min(shown, key=lambda other: (abs(other - shot), other))
        parts.append(vectors[nearest, own] if masked[shot, column] else vectors[shot, own])
    return np.concatenate(parts)


def mean_in(mean: np.ndarray, vectors: np.ndarray, masked: np.ndarray, shot: int) -> np.ndarray:
    """The mean vector in the place of what is hidden of a shot."""
    pairs = zip(BLOCKS, masked[shot], strict=True)
    return np.concatenate([mean[own] if hidden else vectors[shot, own] for own, hidden in pairs])


@pytest.mark.parametrize("max_shots", [512, 10])
@pytest.mark.parametrize("objective", [MEDIAFM, Objective(loss="vector")])
def test_the_baselines_of_whole_vectors_are_those_of_an_independent_formula(
    objective: Objective, max_shots: int
) -> None:
    held_out = held_out_of(objective=objective, max_shots=max_shots)

    mean = np.concatenate([title.vectors for title in SPLIT.train]).mean(axis=0)
    rows = hidden_rows(list(held_out.batches(ALONE)))
    means = [distance(mean_in(mean, v, masked, shot), v[shot]) for v, masked, _, shot in rows]
    assert held_out.mean_loss == pytest.approx(np.mean(means), abs=1e-6)
    copies = [distance(copy_of(v, masked, shot), v[shot]) for v, masked, _, shot in rows]
    assert held_out.neighbour_loss == pytest.approx(np.mean(copies), abs=1e-6)


def test_the_baselines_of_modalities_are_those_of_an_independent_formula() -> None:
    held_out = held_out_of()

    mean = np.concatenate([title.vectors for title in SPLIT.train]).mean(axis=0)
    means, copies = [], []
    for column, own in enumerate(BLOCKS):
        rows = [row for row in hidden_rows(list(held_out.batches(ALONE))) if row[2][row[3], column]]
        means.append(np.mean([distance(mean[own], v[shot, own]) for v, _, _, shot in rows]))
        copies.append(np.mean([distance(copy_of(v, masked, shot)[own], v[shot, own]) for v, masked, _, shot in rows]))
    assert held_out.mean_loss == pytest.approx(np.mean(means), abs=1e-6)
    assert held_out.neighbour_loss == pytest.approx(np.mean(copies), abs=1e-6)


def test_a_whitened_model_is_held_against_baselines_in_its_own_coordinates() -> None:
    model = MediaFM.seeded(replace(TINY, projection="whitened"), 0)
    assert model.whitening is not None
    model.whitening.fit(title.vectors for title in SPLIT.train)
    found = validation_set(SPLIT, model, SHORT)
    assert found is not None

    def seen(title: Title) -> Title:
        return replace(title, vectors=model.coordinates(torch.from_numpy(title.vectors)).numpy())

    whitened = Split(*(tuple(map(seen, side)) for side in (SPLIT.train, SPLIT.validation)))
    expected = validation_set(whitened, MediaFM.seeded(TINY, 0), SHORT)
    assert expected is not None
    assert found.mean_loss == pytest.approx(expected.mean_loss, abs=1e-6)
    assert found.neighbour_loss == pytest.approx(expected.neighbour_loss, abs=1e-6)


@pytest.mark.parametrize("objective", [Objective(), MEDIAFM])
def test_skill_is_the_share_of_a_baselines_loss_that_is_gone(objective: Objective) -> None:
    held_out = held_out_of(objective=objective)

    found = validate(MediaFM.seeded(TINY, 0), held_out, ALONE)

    assert found.skill_over_mean == pytest.approx(1 - found.loss / held_out.mean_loss)
    assert found.skill_over_neighbour == pytest.approx(1 - found.loss / held_out.neighbour_loss)


@pytest.mark.parametrize("batch_shots", [1, 30, 4096])
def test_how_many_windows_are_run_at_once_changes_nothing_beyond_rounding(batch_shots: int) -> None:
    model = MediaFM.seeded(TINY, 0)

    found = validate(model, held_out_of(), ALONE)

    other = validate(model, replace(held_out_of(), settings=replace(SHORT, batch_shots=batch_shots)), ALONE)
    assert other.loss == pytest.approx(found.loss, abs=1e-6)
    assert other.cosine == pytest.approx(found.cosine, abs=1e-6)


def test_validation_is_the_same_each_time_and_without_dropout() -> None:
    held_out = held_out_of()
    model = MediaFM.seeded(replace(TINY, dropout=0.5), 0).train()

    assert validate(model, held_out, ALONE) == validate(model.train(), held_out, ALONE)


@pytest.mark.parametrize("max_shots", [4, 10, 512])
def test_windows_cover_each_title_once(max_shots: int) -> None:
    held_out = held_out_of(max_shots=max_shots)

    seen = {title.title_id: np.zeros(len(title), int) for title in SPLIT.validation}
    for window in held_out.windows:
        assert len(window) <= max_shots
        seen[window.title.title_id][window.start : window.stop] += 1
    assert all((counts == 1).all() for counts in seen.values())


def test_what_is_asked_for_is_hidden_even_where_training_shows_or_swaps_it() -> None:
    held_out = held_out_of(objective=Objective(0.3, 0.3, mask_by="bert", visible_ratio=0.5))

    for batch in held_out.batches(ALONE):
        assert batch.shown is None
        assert set(batch.weights.unique().tolist()) <= {0, 1}
        assert batch.masked[batch.target_rows][batch.weights == 1].all()


def test_processes_share_the_windows_and_each_has_as_many_batches() -> None:
    held_out = replace(held_out_of(split_titles(TITLES, 0.5, 0)), settings=replace(SHORT, batch_shots=30))
    whole = list(held_out.batches(ALONE))

    shares = [list(held_out.batches(World(torch.device("cpu"), rank, 3))) for rank in range(3)]

    assert {len(share) for share in shares} == {len(whole)}
    asked = sum(int((batch.weights > 0).sum()) for share in shares for batch in share)
    assert asked == sum(int((batch.weights > 0).sum()) for batch in whole)


def test_there_is_nothing_to_validate_on_where_no_title_is_held_out_or_none_shows_anything() -> None:
    blank = [replace(title, vectors=0 * title.vectors) for title in make_titles(2)]

    assert validation_set(Split(tuple(TITLES), ()), MediaFM.seeded(TINY, 0), SHORT) is None
    assert validation_set(Split(tuple(TITLES), tuple(blank)), MediaFM.seeded(TINY, 0), SHORT) is None


def test_of_many_titles_a_fixed_sample_is_validated_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediafm_cli.train.sequences.MOST_TITLES", 2)

    samples = [{window.title.title_id for window in held_out_of().windows} for _ in range(2)]

    assert samples[0] == samples[1]
    assert len(samples[0]) == 2
    assert samples[0] < {title.title_id for title in SPLIT.validation}


def test_titles_of_one_shot_can_be_validated_on() -> None:
    single: list[Title] = make_titles(4, shots=(1, 2))

    found = validate(MediaFM.seeded(TINY, 0), held_out_of(split_titles(single, 0.5, 0)), ALONE)

    assert np.isfinite(found.loss)
