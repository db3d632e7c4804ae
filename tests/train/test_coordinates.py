"""The coordinates of a model are measured on all kinds of titles that it is to learn from."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import torch
from toy_world import TINY, make_titles

from mediafm_cli.model.title import Title
from mediafm_cli.train.coordinates import measure_whitening


def read_by(titles: list[Title], seed: int = 0) -> list[tuple[str, int, int]]:
    """What of which titles is read to measure coordinates."""
    read: list[tuple[str, int, int]] = []

    class Watched(Title):
        def window(self, start: int, stop: int) -> Title:
            read.append((self.title_id, start, stop))
            return super().window(start, stop)

    watched = [Watched(**{field.name: getattr(title, field.name) for field in fields(Title)}) for title in titles]
    measure_whitening(watched, TINY, seed)
    return read


def test_every_title_has_the_same_say() -> None:
    titles = make_titles(200, shots=(8, 20))

    read = read_by(titles)

    assert [title_id for title_id, _, _ in read] == [title.title_id for title in titles]
    assert {stop - start for _, start, stop in read} == {3}  # 32 shots for each of 16 numbers, of 200 titles
    assert len({start for _, start, _ in read}) > 5


def test_of_few_titles_all_is_read() -> None:
    titles = make_titles(5)

    assert read_by(titles) == [(title.title_id, 0, len(title)) for title in titles]


def test_the_same_seed_measures_the_same_and_another_does_not() -> None:
    titles = make_titles(300)

    one, two, other = (measure_whitening(titles, TINY, seed) for seed in (0, 0, 1))

    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["center"], other["center"])


def test_a_modality_that_no_title_has_is_left_as_it_is() -> None:
    video_alone = np.repeat([1, 0], [16, 8]).astype(np.float32)
    titles = [replace(title, vectors=title.vectors * video_alone) for title in make_titles(5)]

    found = measure_whitening(titles, TINY, 0)

    assert torch.equal(found["axes_1"], torch.eye(8))
    assert torch.equal(found["scale"][16:], torch.ones(8))
    assert not torch.equal(found["axes_0"], torch.eye(16))
