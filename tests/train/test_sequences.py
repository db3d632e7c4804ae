"""Splits, windows and batches of titles."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_world import TINY, WITH_METADATA, make_titles

from mediafm_cli.model.batch import Batch
from mediafm_cli.model.title import Title
from mediafm_cli.train.config import TrainConfig
from mediafm_cli.train.sequences import Sequences, split_titles


def sequences(titles: list[Title], max_shots: int = 512, **settings: float) -> Sequences:
    config = replace(TINY, layout=WITH_METADATA, max_shots=max_shots)
    return Sequences(titles, config, TrainConfig(**settings))


def same(one: Batch, other: Batch) -> bool:
    return one.title_ids == other.title_ids and torch.equal(one.vectors, other.vectors)


@pytest.mark.parametrize(("titles", "validation"), [(1, 0), (2, 1), (3, 1), (10, 1), (24, 2), (40, 4)])
def test_a_tenth_of_the_titles_validate_and_at_least_one_of_two(titles: int, validation: int) -> None:
    split = split_titles(make_titles(titles), 0.1, seed=0)

    assert len(split.validation) == validation
    assert len(split.train) == titles - validation


def test_no_title_stands_on_both_sides_and_none_is_lost() -> None:
    titles = make_titles(20)

    split = split_titles(titles, 0.3, seed=0)

    assert sorted(title.title_id for title in split.train + split.validation) == [title.title_id for title in titles]


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_titles() -> None:
    titles = make_titles(20)

    forward, backward, other = (
        [title.title_id for title in split_titles(given, 0.3, seed).validation]
        for given, seed in ((titles, 0), (titles[::-1], 0), (titles, 1))
    )

    assert forward == backward
    assert forward != other


def test_a_batch_depends_on_nothing_but_seed_and_step() -> None:
    data = sequences(make_titles(7), batch_size=3)

    straight = list(data.batches(0, 10))
    resumed = list(data.batches(6, 10))

    assert all(same(*pair) for pair in zip(straight[6:], resumed, strict=True))
    assert not same(straight[0], straight[3])  # the first steps of two epochs


def test_each_epoch_shows_each_title_once() -> None:
    titles = make_titles(7)
    data = sequences(titles, batch_size=3)

    epochs = [[t for batch in data.batches(3 * epoch, 3 * epoch + 3) for t in batch.title_ids] for epoch in range(3)]

    assert data.steps_per_epoch == 3
    assert all(sorted(seen) == [title.title_id for title in titles] for seen in epochs)
    assert epochs[0] != epochs[1]


def test_a_long_title_is_seen_in_windows_as_often_as_it_takes_to_cover_it() -> None:
    titles = make_titles(2, shots=(25, 26)) + make_titles(3, shots=(5, 6))[2:]
    data = sequences(titles, max_shots=10, batch_size=100)

    (batch,) = data.batches(0, 1)

    assert Counter(batch.title_ids) == {"title-00": 3, "title-01": 3, "title-02": 1}
    assert batch.real.sum(dim=1).max() == 10


def test_windows_of_a_long_title_reach_all_of_its_shots() -> None:
    (title,) = make_titles(1, shots=(25, 26))
    data = sequences([title], max_shots=10)

    starts = set()
    for batch in data.batches(0, 60):
        starts |= {int(np.abs(title.vectors - row).sum(axis=1).argmin()) for row in batch.vectors[:, 0].numpy()}

    assert starts == set(range(16))


def test_every_sequence_of_a_batch_has_its_share_of_masked_shots() -> None:
    data = sequences(make_titles(16), batch_size=16)

    (batch,) = data.batches(0, 1)

    expected = [max(1, round(0.2 * int(shots))) for shots in batch.real.sum(dim=1)]
    assert batch.masked.sum(dim=1).tolist() == expected
    assert not (batch.masked & ~batch.real).any()


@pytest.mark.parametrize(("dropout", "seen"), [(0.0, 1.0), (0.25, 0.75)])
def test_metadata_is_left_out_as_often_as_asked(dropout: float, seen: float) -> None:
    titles = [title for title in make_titles(40) if title.metadata is not None]
    data = sequences(titles, batch_size=20, metadata_dropout=dropout)

    given = torch.cat([batch.has_metadata for batch in data.batches(0, 100)])

    assert given.float().mean().item() == pytest.approx(seen, abs=0.04)  # 2000 draws: 4 standard errors


def test_epochs_take_the_place_of_steps() -> None:
    data = sequences(make_titles(7), batch_size=3, epochs=4, max_steps=5)

    assert data.total_steps == 12
