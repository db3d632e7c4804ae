"""Changed titles: what is taken away, swapped, made loud or said of the title, against fusing the encodings anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_titles import BLOCKS, LAYOUT, make_parts, make_title

from mediafm_cli.evaluate.ablation.interventions import (
    energy_share,
    interventions,
    louden,
    swap_modality,
    without_modality,
)
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.fusion import NORMALIZE, Normalize, fuse_shots
from mediafm_cli.model.title import MetadataSource, Title

CONFIG = ModelConfig(LAYOUT, hidden=16, layers=1, heads=2)
WITH_METADATA = replace(CONFIG, layout=replace(LAYOUT, metadata=MetadataSource(4, "text.a", "9")))
WITHOUT_GLOBAL = replace(WITH_METADATA, global_token=False)
ZEROED = ["video zeroed", "audio zeroed", "text zeroed"]
SWAPPED = ["video swapped", "audio swapped", "text swapped"]
LOUD = [f"{block.name} ×{factor}" for factor in (5, 10) for block in BLOCKS]
NORMALISED = ["any loudness, normalised"]


def tell(title: Title, number: float) -> Title:
    return replace(title, metadata=np.full(4, number, np.float32))


def names(titles: list[Title], config: ModelConfig) -> list[str]:
    return [one.name for one in interventions(titles, config)]


def changed(titles: list[Title], config: ModelConfig, name: str) -> list[Title]:
    (found,) = (one for one in interventions(titles, config) if one.name == name)
    return [found.change(title) for title in titles]


# --- which there are --------------------------------------------------------------------------------------------------


def test_every_intervention_that_applies_is_made() -> None:
    plain, told = [make_title(9, 1), make_title(7, 2)], [tell(make_title(9, 1), 1), tell(make_title(7, 2), 2)]

    assert names(plain, CONFIG) == names(plain, WITH_METADATA) == [*ZEROED, *SWAPPED, *LOUD, *NORMALISED]
    metadata = ["[GLOBAL] off", "[GLOBAL] shuffled"]
    assert names(told, WITH_METADATA) == [*ZEROED, *SWAPPED, *metadata, *LOUD, *NORMALISED]
    assert names(told, WITHOUT_GLOBAL) == names(plain, CONFIG)


def test_of_a_single_title_nothing_is_swapped_or_shuffled() -> None:
    assert names([tell(make_title(9, 1), 1)], WITH_METADATA) == [*ZEROED, "[GLOBAL] off", *LOUD, *NORMALISED]


def test_a_modality_that_one_title_has_alone_is_not_swapped() -> None:
    silent = without_modality(make_title(7, 2), BLOCKS[1], 1)

    found = names([make_title(9, 1), silent], CONFIG)

    assert "audio swapped" not in found
    assert {"video swapped", "text swapped"} <= set(found)


def test_a_modality_that_no_title_has_is_left_alone() -> None:
    silent = [without_modality(make_title(7, seed), BLOCKS[1], 1) for seed in (1, 2)]

    found = names(silent, CONFIG)

    assert found == [name for name in [*ZEROED, *SWAPPED, *LOUD, *NORMALISED] if "audio" not in name]


def test_the_only_modality_that_titles_have_is_neither_taken_away_nor_loud() -> None:
    speechless = without_modality(without_modality(make_title(7, 1), BLOCKS[1], 1), BLOCKS[2], 2)

    assert names([speechless], CONFIG) == []


def test_titles_that_were_normalised_need_no_row_that_normalises_them() -> None:
    titles = [make_title(9, 1, normalize="per-modality")]
    config = replace(CONFIG, layout=replace(LAYOUT, normalize="per-modality"))

    assert names(titles, config) == [*ZEROED, *LOUD]


def test_a_single_modality_is_neither_taken_away_nor_loud() -> None:
    block = replace(BLOCKS[0], stop=13)
    titles = [replace(make_title(5, seed), present=np.ones((5, 1), bool)) for seed in (1, 2)]

    assert names(titles, replace(CONFIG, layout=replace(LAYOUT, blocks=(block,)))) == []


# --- taken away, and swapped ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("column", [0, 1, 2])
def test_without_a_modality_a_title_is_as_if_it_had_been_fused_without_it(column: int, normalize: Normalize) -> None:
    title = make_title(30, 2, normalize=normalize)
    vectors, present = make_parts(30, 2)
    present[column] = np.zeros(30, bool)
    expected = fuse_shots(vectors, present, normalize)

    found = without_modality(title, BLOCKS[column], column)

    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)
    np.testing.assert_array_equal(found.present, expected.present)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_swapped_modality_has_the_directions_of_the_next_title_and_its_own_presence_and_loudness(column: int) -> None:
    titles = [make_title(20, 1), make_title(6, 2, blank=(0,)), make_title(9, 3)]
    block = BLOCKS[column]
    own, others = (
        slice(block.start, block.stop),
        [place for place in range(13) if not block.start <= place < block.stop],
    )

    found = [swap_modality(titles, block, column)(title) for title in titles]

    for title, swapped, donor in zip(titles, found, [titles[1], titles[2], titles[0]], strict=True):
        has = title.present[:, column]
        taken = donor.vectors[donor.present[:, column], own]
        wanted = np.resize(taken / np.linalg.norm(taken, axis=1, keepdims=True), (has.sum(), block.stop - block.start))
        lengths = np.linalg.norm(title.vectors[has, own], axis=1)
        np.testing.assert_allclose(swapped.vectors[has, own], wanted * lengths[:, None], atol=1e-6)
        assert not swapped.vectors[~has, own].any()
        np.testing.assert_array_equal(swapped.vectors[:, others], title.vectors[:, others])
        np.testing.assert_array_equal(swapped.present, title.present)
        np.testing.assert_allclose(np.linalg.norm(swapped.vectors, axis=1), np.linalg.norm(title.vectors, axis=1))


def test_a_title_without_the_modality_is_left_as_it_is_and_gives_nothing() -> None:
    silent = without_modality(make_title(7, 2), BLOCKS[1], 1)
    titles = [make_title(9, 1), silent, make_title(8, 3)]

    swap = swap_modality(titles, BLOCKS[1], 1)

    assert swap(silent) is silent
    assert swap(titles[0]).vectors[titles[0].present[:, 1], 6:10].all()


# --- loudness ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [5, 10])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_loud_modality_is_as_if_its_encodings_had_been_so_much_longer(column: int, factor: int) -> None:
    vectors, present = make_parts(30, 2)
    vectors[column] = factor * vectors[column]
    expected = fuse_shots(vectors, present, "none")

    found = louden(make_title(30, 2), BLOCKS, column, factor, "none")

    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)
    np.testing.assert_array_equal(found.present, present_of(present))
    shares = energy_share([found], BLOCKS)
    np.testing.assert_allclose(list(shares.values()), expected.energy_share, atol=1e-6)
    assert shares[BLOCKS[column].name] > energy_share([make_title(30, 2)], BLOCKS)[BLOCKS[column].name]


def present_of(masks: list[np.ndarray]) -> np.ndarray:
    return np.stack(masks, axis=1)


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("column", [0, 1, 2])
def test_normalisation_undoes_any_loudness(column: int, normalize: Normalize) -> None:
    expected = fuse_shots(*make_parts(30, 2), "per-modality")

    found = louden(make_title(30, 2, normalize=normalize), BLOCKS, column, 10, "per-modality")

    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)


def test_of_a_title_that_was_normalised_a_modality_is_loud_by_so_much_more_than_the_others() -> None:
    title = replace(make_title(30, 2, normalize="per-modality"), present=np.ones((30, 3), bool))
    everywhere = replace(title, vectors=make_everywhere(30))

    found = louden(everywhere, BLOCKS, 1, 10, "none")

    # Three blocks of equal length, one ten times as long: 100 of 102 parts.
    assert energy_share([found], BLOCKS) == pytest.approx({"video": 1 / 102, "audio": 100 / 102, "text": 1 / 102})


def make_everywhere(shots: int) -> np.ndarray:
    """Vectors of shots that have every modality, normalised."""
    vectors, _ = make_parts(shots, 4)
    return fuse_shots(vectors, [np.ones(shots, bool)] * 3, "per-modality").vectors


# --- [GLOBAL] ---------------------------------------------------------------------------------------------------------


def test_global_is_off_or_tells_of_the_next_title_that_has_metadata() -> None:
    titles = [tell(make_title(5, 1), 1), make_title(5, 2), tell(make_title(5, 3), 3)]

    off, shuffled = (changed(titles, WITH_METADATA, f"[GLOBAL] {how}") for how in ("off", "shuffled"))

    assert [title.metadata for title in off] == [None, None, None]
    assert [None if title.metadata is None else title.metadata[0] for title in shuffled] == [3, None, 1]


# --- energy -----------------------------------------------------------------------------------------------------------


def test_the_energy_share_is_the_one_that_fusion_states() -> None:
    expected = fuse_shots(*make_parts(30, 2)).energy_share

    assert list(energy_share([make_title(30, 2)], BLOCKS).values()) == pytest.approx(expected)


def test_of_titles_that_show_nothing_there_is_no_energy() -> None:
    assert energy_share([make_title(2, blank=(0, 1))], BLOCKS) == {"video": 0, "audio": 0, "text": 0}
