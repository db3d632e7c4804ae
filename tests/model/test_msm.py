"""Masked shot modelling: what is hidden of a title, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from mediafm_cli.errors import UsageError
from mediafm_cli.model.batch import Masks, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import MEDIAFM, Objective, draw_masks, hide_shots
from mediafm_cli.model.title import Block, Title

MakeTitle = Callable[..., Title]
BLOCKS = (Block("video", 0, 2, "v", "1"), Block("audio", 2, 3, "a", "1"), Block("text", 3, 5, "t", "1"))
WHOLE = Objective(mask_ratio=0.2, modality_mask_ratio=0.0, visible_ratio=0.0)


def long_title(shots: int) -> Title:
    """Every shot shows something in each of three modalities."""
    return Title("long", np.ones((shots, 5), np.float32), np.ones((shots, 3), bool), np.arange(shots, dtype=float))


def draw(title: Title, objective: Objective, seed: int = 0) -> Masks:
    return draw_masks(title, BLOCKS, objective, np.random.default_rng(seed))


def within(share: float, expected: float, draws: int) -> bool:
    """Whether a share of so many draws lies within five standard errors of its expectation."""
    return abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / draws)


# --- shots and modalities ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shots", "expected"), [(1, 1), (2, 1), (5, 1), (10, 2), (100, 20), (512, 102)])
def test_a_fifth_of_the_shots_is_hidden_whole_and_at_least_one(shots: int, expected: int) -> None:
    masks = draw(long_title(shots), WHOLE)

    assert masks.masked.all(axis=1).sum() == expected
    assert np.array_equal(masks.masked.any(axis=1), masks.masked.all(axis=1))
    assert np.array_equal(masks.weights, masks.masked)


def test_every_shot_is_hidden_as_often_as_another() -> None:
    drawn = np.mean([draw(long_title(10), WHOLE, seed).masked[:, 0] for seed in range(2000)], axis=0)

    assert all(within(share, 0.2, 2000) for share in drawn)


def test_modalities_are_hidden_one_by_one_each_for_itself() -> None:
    masked = draw(long_title(20_000), Objective(mask_ratio=0.0, modality_mask_ratio=0.3)).masked

    assert all(within(share, 0.3, 20_000) for share in masked.mean(axis=0))
    assert within(masked.all(axis=1).mean(), 0.3**3, 20_000)
    assert within((masked[:, 0] & masked[:, 1]).mean(), 0.3**2, 20_000)


def test_both_ratios_go_together() -> None:
    masked = draw(long_title(20_000), Objective(mask_ratio=0.15, modality_mask_ratio=0.2)).masked

    # Hidden whole 0.15, and of the others 0.2 of each modality.
    assert all(within(share, 0.15 + 0.85 * 0.2, 20_000) for share in masked.mean(axis=0))
    assert within(masked.all(axis=1).mean(), 0.15 + 0.85 * 0.2**3, 20_000)


@pytest.mark.parametrize("shots", [1, 3])
def test_something_is_asked_for_however_little_is_hidden(shots: int) -> None:
    rarely = Objective(mask_ratio=0.0, modality_mask_ratio=0.001, visible_ratio=0.0)

    assert all(draw(long_title(shots), rarely, seed).weights.any() for seed in range(50))


@pytest.mark.parametrize("span", [1.0, 3.0, 8.0])
def test_shots_are_hidden_in_runs_of_the_mean_length_asked_for(span: float) -> None:
    objective = Objective(mask_ratio=0.02, modality_mask_ratio=0.0, mask_span=span)

    drawn = [draw(long_title(20_000), objective, seed).masked[:, 0] for seed in range(20)]

    runs = [len([*run]) for masked in drawn for hidden, run in groupby(masked) if hidden]
    assert {int(masked.sum()) for masked in drawn} == {400}
    assert np.mean(runs) == pytest.approx(span, rel=0.1)  # some runs touch: about one in fifty
    assert np.std(runs) == pytest.approx(np.sqrt(span * (span - 1)), rel=0.15, abs=0.2)  # as a geometric draw has it


def test_a_run_of_hidden_shots_may_lie_anywhere() -> None:
    objective = Objective(mask_ratio=0.5, modality_mask_ratio=0.0, mask_span=3.0)

    drawn = np.array([draw(long_title(8), objective, seed).masked[:, 0] for seed in range(300)])

    assert set(drawn.sum(axis=1)) == {4}
    assert drawn.any(axis=0).all()
    assert not drawn.all(axis=0).any()


# --- what has no direction --------------------------------------------------------------------------------------------


def gaps() -> Title:
    """Audio is absent in every third shot, text is zero in every fourth, and shots 1, 4, 7 show nothing at all."""
    title = long_title(24)
    vectors, present = title.vectors.copy(), title.present.copy()
    present[::3, 1] = False
    vectors[::4, 3:] = 0
    vectors[[1, 4, 7]] = 0
    return replace(title, vectors=vectors, present=present)


@pytest.mark.parametrize("mask_by", ["mask", "bert"])
@pytest.mark.parametrize("visible_ratio", [0.0, 0.3])
def test_absent_and_zero_blocks_are_never_targets(mask_by: str, visible_ratio: float) -> None:
    title = gaps()
    objective = Objective(0.3, 0.3, mask_by=mask_by, visible_ratio=visible_ratio)  # type: ignore[arg-type]
    lost = np.zeros((24, 3), bool)
    lost[::3, 1] = lost[::4, 2] = lost[[1, 4, 7]] = True

    drawn = [draw(title, objective, seed) for seed in range(100)]

    asked = np.any([masks.weights > 0 for masks in drawn], axis=0)
    assert np.array_equal(asked, ~lost)
    assert not any(masks.weights[lost].any() for masks in drawn)


def test_a_shot_that_shows_nothing_is_never_hidden_and_does_not_count() -> None:
    drawn = [draw(gaps(), WHOLE, seed).masked.any(axis=1) for seed in range(100)]

    assert {int(masked.sum()) for masked in drawn} == {round(0.2 * 21)}
    assert np.flatnonzero(~np.any(drawn, axis=0)).tolist() == [1, 4, 7]


def test_a_shot_that_is_hidden_whole_does_not_tell_what_it_lacks() -> None:
    masks = draw(gaps(), Objective(mask_ratio=0.5, modality_mask_ratio=0.0))

    assert masks.masked[::3].any()
    assert np.array_equal(masks.masked.any(axis=1), masks.masked.all(axis=1))


@pytest.mark.parametrize("mask_by", ["mask", "bert"])
def test_nothing_is_hidden_where_no_shot_shows_anything(mask_by: str) -> None:
    title = replace(long_title(4), vectors=np.zeros((4, 5), np.float32))

    masks = draw(title, Objective(mask_by=mask_by))  # type: ignore[arg-type]

    assert not masks.masked.any()
    assert not masks.weights.any()


def test_where_nothing_is_to_be_hidden_nothing_is_and_all_is_asked_for() -> None:
    masks = draw(long_title(30), Objective(0.0, 0.0, visible_ratio=1.0))

    assert not masks.masked.any()
    assert masks.weights.all()


def test_of_some_shots_what_is_visible_is_asked_for_too() -> None:
    shots = 20_000
    masks = draw(long_title(shots), Objective(0.2, 0.2, visible_ratio=0.25))
    visible = masks.weights.astype(bool) & ~masks.masked
    untouched = ~masks.masked.any(axis=1)

    assert np.array_equal(masks.weights[masks.masked], np.ones(int(masks.masked.sum())))
    assert np.array_equal(visible[untouched].all(axis=1), visible[untouched].any(axis=1))
    assert visible[untouched].any(axis=1).mean() == pytest.approx(0.25, abs=0.015)


def test_nothing_visible_is_asked_for_unless_wanted() -> None:
    masks = draw(long_title(50), Objective(0.2, 0.2, visible_ratio=0.0))

    assert np.array_equal(masks.weights, masks.masked)


def test_shots_that_are_chosen_are_hidden_whole_and_all_asked_for() -> None:
    masks = hide_shots(np.array([False, True, False, True]), 3)

    assert masks.masked.tolist() == [[False] * 3, [True] * 3, [False] * 3, [True] * 3]
    assert np.array_equal(masks.weights, masks.masked)


# --- bert -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratios", [(0.3, 0.0), (0.0, 0.3)], ids=["shots", "modalities"])
def test_of_what_is_asked_for_eight_tenths_are_hidden_one_swapped_and_one_shown(ratios: tuple[float, float]) -> None:
    shots = 30_000
    masks = draw(long_title(shots), Objective(*ratios, mask_by="bert", visible_ratio=0.0))
    asked = masks.weights > 0
    swapped = asked & ~masks.masked & (masks.shown_from != np.arange(shots)[:, None])

    # Devlin et al. 2019, section 3.1. Modalities of a shot that is hidden whole share a fate.
    count = int(asked[:, 0].sum())
    for column in range(3):
        assert within(masks.masked[asked[:, column], column].mean(), 0.8, count)
        assert within(swapped[asked[:, column], column].mean(), 0.1, count)
    assert not masks.masked[~asked].any()
    assert np.array_equal(masks.shown_from != np.arange(shots)[:, None], swapped)


def test_the_modalities_of_a_shot_that_is_hidden_whole_share_a_fate() -> None:
    masks = draw(long_title(2000), Objective(0.5, 0.0, mask_by="bert"))

    assert np.array_equal(masks.masked.any(axis=1), masks.masked.all(axis=1))
    assert (masks.shown_from == masks.shown_from[:, :1]).all()


def test_modalities_that_are_hidden_one_by_one_have_a_fate_each() -> None:
    masks = draw(long_title(2000), Objective(0.0, 0.5, mask_by="bert", visible_ratio=0.0))
    asked = masks.weights > 0
    pairs = asked[:, 0] & asked[:, 1] & ~asked[:, 2]

    assert within((masks.masked[pairs, 0] & masks.masked[pairs, 1]).mean(), 0.8**2, int(pairs.sum()))


def test_what_is_swapped_in_is_shown_and_comes_from_another_shot_of_the_title(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    titles, objective = [make_title(12, 1), make_title(12, 2)], Objective(0.5, 0.2, mask_by="bert")
    blocks = config.layout.blocks
    seen = 0

    for seed in range(40):
        masks = [
            draw_masks(title, blocks, objective, np.random.default_rng([seed, row])) for row, title in enumerate(titles)
        ]
        batch = collate(titles, config, masks)
        for title, mask, shown in zip(titles, masks, batch.shown.numpy().reshape(2, 12, -1), strict=True):
            for column, block in enumerate(blocks):
                own = slice(block.start, block.stop)
                rows = np.flatnonzero((shown[:, own] != title.vectors[:, own]).any(axis=1))
                sources = mask.shown_from[rows, column]
                assert (sources != rows).all()
                assert np.array_equal(shown[rows, own], title.vectors[sources, own])
                assert (mask.weights[rows, column] == 1).all()
                seen += len(rows)

    assert within(seen / (40 * 2 * 12 * 3), (0.5 + 0.5 * 0.2) * 0.1 * 11 / 12, 40 * 2 * 12)  # 1 in 12 draws itself


def test_a_title_in_which_nothing_is_swapped_is_packed_beside_one_in_which_something_is(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    title, other = make_title(4), make_title(5, 1)
    shown_from = np.tile(np.arange(5)[:, None], 3)
    shown_from[0] = 4
    nothing = np.zeros((4, 3))

    batch = collate(
        [title, other],
        config,
        [Masks(nothing > 0, nothing), Masks(np.zeros((5, 3), bool), np.ones((5, 3)), shown_from)],
    )

    expected = np.concatenate([title.vectors, other.vectors[[4, 1, 2, 3, 4]]])
    assert np.array_equal(batch.shown.numpy(), expected)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_published_objective_hides_a_fifth_of_the_shots_and_compares_whole_vectors() -> None:
    assert Objective(mask_ratio=0.2, modality_mask_ratio=0.0, loss="vector", visible_ratio=0.0) == MEDIAFM


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mask_ratio": 1.0}, "mask_ratio is 1.0"),
        ({"modality_mask_ratio": -0.1}, "modality_mask_ratio is -0.1"),
        ({"mask_ratio": 0.0, "modality_mask_ratio": 0.0, "visible_ratio": 0.0}, "nothing is masked"),
        ({"mask_span": 0.5}, "mask_span is 0.5"),
        ({"mask_span": float("inf")}, "mask_span is inf"),
        ({"visible_ratio": 1.1}, "visible_ratio is 1.1"),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(change: dict[str, float], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Objective(**change)  # type: ignore[arg-type]
