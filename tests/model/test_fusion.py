"""Fusion is ``unit_norm(concat)`` to the formula, for any number of modalities and numbers of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mediafm_cli.model.fusion import NORMALIZE, fuse_shots

ROUNDING = 2.0**-23
"""Twice what rounding to float32 takes from a number, relative to it."""


def column(*rows: Sequence[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def drawn(widths: Sequence[int], shots: int = 7, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random vectors and presence, one array a modality; the first shot has everything, the last has nothing."""
    draws = np.random.default_rng(seed)
    vectors = [draws.normal(size=(shots, width)).astype(np.float32) for width in widths]
    present = [draws.random(shots) < 0.6 for _ in widths]
    for mask in present:
        mask[0], mask[-1] = True, False
    return vectors, present


def unit(row: Sequence[float]) -> list[float]:
    """The row divided by its length, in Python's float64; zeros stay."""
    length = math.hypot(*row)
    return [number / length if length else 0.0 for number in row]


def fused_by_hand(vectors: Sequence[np.ndarray], present: Sequence[np.ndarray], normalize: str) -> list[list[float]]:
    rows = []
    for shot in range(len(vectors[0])):
        parts = [
            block[shot].tolist() if mask[shot] else [0.0] * block.shape[1]
            for block, mask in zip(vectors, present, strict=True)
        ]
        if normalize == "per-modality":
            parts = [unit(part) for part in parts]
        rows.append(unit([number for part in parts for number in part]))
    return rows


def test_three_and_four_make_five() -> None:
    fused = fuse_shots([column([3, 0]), column([0, 4])], [np.array([True])] * 2)

    assert fused.vectors.dtype == np.float32
    assert fused.vectors.tolist() == [[np.float32(0.6), 0, 0, np.float32(0.8)]]
    assert fused.energy_share.tolist() == pytest.approx([9 / 25, 16 / 25])


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("widths", [[5], [6, 4], [3, 1, 8, 2, 5]], ids=["one", "two", "five"])
def test_any_number_of_modalities_is_the_formula(widths: list[int], normalize: str) -> None:
    vectors, present = drawn(widths)

    fused = fuse_shots(vectors, present, normalize)

    assert fused.vectors.shape == (7, sum(widths))
    assert fused.present.tolist() == np.stack(present, axis=1).tolist()
    np.testing.assert_allclose(fused.vectors, fused_by_hand(vectors, present, normalize), rtol=ROUNDING, atol=1e-45)


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_what_an_encoder_left_where_it_is_absent_counts_for_nothing(normalize: str) -> None:
    vectors, present = drawn([4, 3])
    clean = [block * mask[:, None] for block, mask in zip(vectors, present, strict=True)]
    junk = [np.where(mask[:, None], block, np.float32("nan")) for block, mask in zip(vectors, present, strict=True)]

    fused, expected = fuse_shots(junk, present, normalize), fuse_shots(clean, present, normalize)

    assert np.array_equal(fused.vectors, expected.vectors)
    assert np.array_equal(fused.energy_share, expected.energy_share)
    assert not fused.vectors[~present[0], :4].any()
    assert not fused.vectors[~present[1], 4:].any()


def test_a_shot_with_nothing_is_exactly_zero_and_flagged() -> None:
    vectors, present = drawn([4, 3])

    fused = fuse_shots(vectors, present)

    assert not fused.vectors[-1].any()
    assert not fused.present[-1].any()


def test_the_order_given_is_the_order_of_the_columns() -> None:
    (video, audio), (seen, heard) = drawn([4, 3])

    one, other = fuse_shots([video, audio], [seen, heard]), fuse_shots([audio, video], [heard, seen])

    np.testing.assert_allclose(other.vectors, np.roll(one.vectors, 3, axis=1), rtol=ROUNDING)
    assert np.array_equal(other.present, one.present[:, ::-1])
    assert other.energy_share == pytest.approx(one.energy_share[::-1])


def test_a_loud_modality_wins_unless_each_is_normalized() -> None:
    vectors, present = [column([30, 40]), column([0, 0.5])], [np.array([True])] * 2

    loud, even = fuse_shots(vectors, present), fuse_shots(vectors, present, "per-modality")

    assert loud.energy_share[0] > 0.999
    np.testing.assert_allclose(even.vectors, [[0.6 / 2**0.5, 0.8 / 2**0.5, 0, 1 / 2**0.5]], rtol=ROUNDING)
    assert even.energy_share == pytest.approx([0.5, 0.5])


def test_per_modality_gives_what_is_present_equal_energy() -> None:
    vectors, present = drawn([3, 8, 1, 5], shots=40)

    fused = fuse_shots(vectors, present, "per-modality")

    energy = np.stack([(block**2).sum(axis=1) for block in np.split(fused.vectors, [3, 11, 12], axis=1)], axis=1)
    expected = fused.present / np.maximum(1, fused.present.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(energy, expected, atol=1e-6)


def test_the_energy_share_is_the_mean_over_the_shots_that_have_something() -> None:
    video, audio = column([3, 0], [1, 2], [7, 7]), column([4], [9], [9])

    fused = fuse_shots([video, audio], [np.array([True, True, False]), np.array([True, False, False])])

    assert fused.energy_share.tolist() == pytest.approx([(9 / 25 + 1) / 2, 16 / 25 / 2])


def test_a_title_with_nothing_at_all_has_no_energy() -> None:
    fused = fuse_shots([column([1], [1]), column([1], [1])], [np.zeros(2, bool)] * 2)

    assert fused.energy_share.tolist() == [0, 0]


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("size", [1e30, 1e-30, 1e-44])
def test_huge_and_tiny_numbers_neither_overflow_nor_vanish(size: float, normalize: str) -> None:
    vectors = [column([size, 0]), column([0, size])]

    fused = fuse_shots(vectors, [np.array([True])] * 2, normalize)

    np.testing.assert_allclose(fused.vectors, [[0.5**0.5, 0, 0, 0.5**0.5]], rtol=ROUNDING)


def test_a_huge_and_a_tiny_modality_have_equal_energy_when_each_is_normalized() -> None:
    fused = fuse_shots([column([1e30]), column([1e-30])], [np.array([True])] * 2, "per-modality")

    assert fused.energy_share == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("normalize", NORMALIZE)
def test_what_is_fused_is_left_as_it_was(normalize: str) -> None:
    vectors, present = drawn([4, 3])
    before = [array.copy() for array in (*vectors, *present)]

    fuse_shots(vectors, present, normalize)

    assert all(np.array_equal(now, then) for now, then in zip((*vectors, *present), before, strict=True))


@given(
    shots=st.integers(1, 6),
    widths=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    normalize=st.sampled_from(NORMALIZE),
    data=st.data(),
)
def test_rows_are_unit_vectors_or_zero_whatever_the_numbers(
    shots: int, widths: list[int], normalize: str, data: st.DataObject
) -> None:
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    vectors = [data.draw(npst.arrays(np.float32, (shots, width), elements=finite)) for width in widths]
    present = [data.draw(npst.arrays(bool, shots)) for _ in widths]

    fused = fuse_shots(vectors, present, normalize)

    kept = [np.where(mask[:, None], block, 0) for block, mask in zip(vectors, present, strict=True)]
    has_numbers = np.concatenate(kept, axis=1).any(axis=1)
    norms = np.linalg.norm(fused.vectors.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, has_numbers, atol=ROUNDING)
    np.testing.assert_allclose(
        fused.vectors, fused_by_hand(vectors, present, normalize), rtol=ROUNDING, atol=np.finfo(np.float32).tiny
    )
    assert fused.energy_share.sum() == pytest.approx(float(has_numbers.any()))
