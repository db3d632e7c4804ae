"""Splits, windows, masks, and the steps that they are dealt to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_world import TINY, WITH_METADATA, make_titles

from mediafm_cli.model.batch import Batch
from mediafm_cli.model.title import Title
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.sequences import Draw, Sequences, generator, split_titles, torch_seed


def sequences(
    titles: list[Title], max_shots: int = 512, *, rank: int = 0, ranks: int = 1, **settings: float
) -> Sequences:
    config = replace(TINY, layout=WITH_METADATA, max_shots=max_shots)
    return Sequences(titles, config, TrainConfig(**settings), rank, ranks)  # type: ignore[arg-type]


def batches(data: Sequences, first: int, last: int) -> list[Batch]:
    return [batch for step in range(first, last) for batch in data[step]]


def epoch_of(data: Sequences, epoch: int) -> list[Batch]:
    return batches(data, epoch * data.steps_per_epoch, (epoch + 1) * data.steps_per_epoch)


def title_ids(found: Iterable[Batch]) -> list[str]:
    return [title_id for batch in found for title_id in batch.title_ids]


def contents(batch: Batch) -> list[tuple]:
    """Each sequence of a batch that is asked anything: what it shows, what is hidden of it, and what is asked."""
    asked = torch.zeros(len(batch), batch.weights.shape[1])
    asked[batch.target_rows] = batch.weights
    parts = (batch.vectors, batch.masked, asked, batch.start_s)
    split = zip(batch.title_ids, batch.has_metadata.tolist(), *(x.split(batch.lengths) for x in parts), strict=True)
    return [
        (title_id, described, *(part.numpy().tobytes() for part in (vectors, masked, weights, start_s)))
        for title_id, described, vectors, masked, weights, start_s in split
        if weights.any()
    ]


# --- split ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("titles", "validation"), [(1, 0), (2, 1), (3, 1), (10, 1), (24, 2), (40, 4)])
def test_a_tenth_of_the_titles_validate_and_at_least_one_of_two(titles: int, validation: int) -> None:
    split = split_titles(make_titles(titles), 0.1, seed=0)

    assert len(split.validation) == validation
    assert len(split.train) == titles - validation


def test_no_title_stands_on_both_sides_and_none_is_lost() -> None:
    titles = make_titles(20)

    split = split_titles(titles, 0.3, seed=0)

    assert sorted(title.title_id for title in split.train + split.validation) == [title.title_id for title in titles]


@pytest.mark.parametrize("seed", range(4))
def test_a_title_of_a_single_shot_is_learned_from_as_long_as_there_are_others(seed: int) -> None:
    titles = [title.window(0, 1) if number < 6 else title for number, title in enumerate(make_titles(8))]

    two, all_but_one = (split_titles(titles, fraction, seed).validation for fraction in (0.25, 1.0))

    assert [len(title) > 1 for title in two] == [True, True]
    assert sum(len(title) == 1 for title in all_but_one) == 5


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_titles() -> None:
    titles = make_titles(20)

    forward, backward, other = (
        [title.title_id for title in split_titles(given, 0.3, seed).validation]
        for given, seed in ((titles, 0), (titles[::-1], 0), (titles, 1))
    )

    assert forward == backward
    assert forward != other


# --- steps ------------------------------------------------------------------------------------------------------------


def test_a_step_depends_on_nothing_but_its_number_and_the_seed() -> None:
    titles = make_titles(7)

    backwards = {
        step: [contents(batch) for batch in sequences(titles, batch_shots=30)[step]] for step in range(9, -1, -1)
    }
    data = sequences(titles, batch_shots=30)

    assert all([contents(batch) for batch in data[step]] == backwards[step] for step in range(10))
    assert backwards[0] != backwards[data.steps_per_epoch]  # the first steps of two epochs
    assert backwards[0] != [contents(batch) for batch in sequences(titles, batch_shots=30, seed=1)[0]]


@pytest.mark.parametrize("batch_shots", [1, 7, 25, 30, 56, 80, 1000])
@pytest.mark.parametrize("max_shots", [3, 10, 512])
def test_each_epoch_shows_each_window_once_and_no_step_is_empty(batch_shots: int, max_shots: int) -> None:
    titles = make_titles(7)
    data = sequences(titles, max_shots, batch_shots=batch_shots)

    epochs = [title_ids(epoch_of(data, epoch)) for epoch in range(3)]

    expected = {title.title_id: -(-len(title) // max_shots) for title in titles}
    assert all(Counter(seen) == expected for seen in epochs)
    assert epochs[0] != epochs[1]
    assert all(len(batch) for batch in batches(data, 0, 3 * data.steps_per_epoch))


@pytest.mark.parametrize("batch_shots", [60, 100, 250])
def test_steps_have_about_as_many_shots_as_asked(batch_shots: int) -> None:
    data = sequences(make_titles(60), batch_shots=batch_shots)

    shots = [sum(map(len, data[step])) for step in range(2 * data.steps_per_epoch)]

    # A step begins and ends half a window too early or too late at most; 19 shots are the longest.
    assert max(shots) - min(shots) <= 2 * 19
    assert np.mean(shots) == pytest.approx(batch_shots, rel=0.1)


def test_a_window_longer_than_a_step_is_a_step() -> None:
    titles = make_titles(7)
    data = sequences(titles, batch_shots=3)

    assert data.steps_per_epoch == 7
    assert all(len(data[step]) == len(data[step][0].title_ids) == 1 for step in range(14))


def test_a_long_title_is_seen_in_windows_as_often_as_it_takes_to_cover_it() -> None:
    titles = make_titles(2, shots=(25, 26)) + make_titles(3, shots=(5, 6))[2:]
    data = sequences(titles, max_shots=10, batch_shots=100)

    (batch,) = data[0]

    assert Counter(batch.title_ids) == {"title-00": 3, "title-01": 3, "title-02": 1}
    assert sorted(batch.lengths) == [5, *[10] * 6]


def test_windows_of_a_long_title_reach_all_of_its_shots() -> None:
    (title,) = make_titles(1, shots=(25, 26))
    data = sequences([title], max_shots=10, batch_shots=30)

    starts = set()
    for batch in batches(data, 0, 60):
        firsts = np.cumsum([0, *batch.lengths[:-1]])
        starts |= {int(np.abs(title.vectors - row).sum(axis=1).argmin()) for row in batch.vectors[firsts].numpy()}

    assert starts == set(range(16))


def test_epochs_take_the_place_of_steps() -> None:
    data = sequences(make_titles(7), batch_shots=30, epochs=4, max_steps=5)

    assert (data.steps_per_epoch, data.total_steps, len(data)) == (3, 12, 12)


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ranks", "accumulate"), [(1, 3), (2, 1), (3, 2), (1, 20), (8, 2)])
@pytest.mark.parametrize("batch_shots", [56, 200])
def test_the_parts_of_processes_and_of_a_step_are_the_same_windows_and_masks_together(
    ranks: int, accumulate: int, batch_shots: int
) -> None:
    titles = make_titles(25)
    whole = sequences(titles, max_shots=12, batch_shots=batch_shots)

    for step in range(4):
        parts = [
            sequences(titles, 12, rank=rank, ranks=ranks, accumulate=accumulate, batch_shots=batch_shots)[step]
            for rank in range(ranks)
        ]
        assert {len(own) for own in parts} == {accumulate}
        assert all(len(part) for own in parts for part in own)
        shared = [one for own in parts for part in own for one in contents(part)]
        (batch,) = whole[step]
        assert sorted(shared) == sorted(contents(batch))


@pytest.mark.parametrize("ranks", [2, 3])
def test_processes_have_about_as_much_to_do(ranks: int) -> None:
    titles = make_titles(40)

    for step in range(2):
        shots = [len(sequences(titles, rank=rank, ranks=ranks, batch_shots=200)[step][0]) for rank in range(ranks)]
        assert max(shots) - min(shots) <= 19  # the longest window


def test_dropout_draws_anew_for_each_part_of_each_step() -> None:
    seeds = {torch_seed(seed, step, part) for seed in range(3) for step in range(20) for part in range(4)}

    assert len(seeds) == 3 * 20 * 4


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_every_sequence_of_a_batch_has_its_share_of_masked_shots() -> None:
    objective = replace(TrainConfig().objective, mask_ratio=0.2, modality_mask_ratio=0.0)
    data = sequences(make_titles(16), batch_shots=300, objective=objective)  # type: ignore[arg-type]

    (batch,) = data[0]

    masked = [rows.all(dim=1).sum().item() for rows in batch.masked.split(batch.lengths)]
    assert masked == [max(1, round(0.2 * shots)) for shots in batch.lengths]


def test_a_title_is_masked_otherwise_each_time() -> None:
    data = sequences(make_titles(1), batch_shots=20)

    masks = {batch.masked.numpy().tobytes() for batch in batches(data, 0, 20)}

    assert len(masks) == 20


@pytest.mark.parametrize(("dropout", "seen"), [(0.0, 1.0), (0.25, 0.75)])
def test_metadata_is_left_out_as_often_as_asked(dropout: float, seen: float) -> None:
    titles = [title for title in make_titles(40) if title.metadata is not None]
    data = sequences(titles, batch_shots=1000, metadata_dropout=dropout)

    given = torch.cat([batch.has_metadata for batch in batches(data, 0, 100)])

    assert len(given) == 2000
    assert given.float().mean().item() == pytest.approx(seen, abs=0.04)  # 4 standard errors


def test_the_order_of_an_epoch_is_drawn_once_whatever_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, ...]] = []

    def noted(seed: int, draw: Draw, *place: int) -> np.random.Generator:
        if draw is Draw.ORDER:
            drawn.append(place)
        return generator(seed, draw, *place)

    monkeypatch.setattr("mediafm_cli.train.sequences.generator", noted)
    data = sequences(make_titles(9), batch_shots=30)

    batches(data, 0, 2 * data.steps_per_epoch)

    assert data.steps_per_epoch > 1
    assert drawn == [(0,), (1,)]
