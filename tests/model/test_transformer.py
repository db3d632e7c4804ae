"""What the transformer sees of a title, and what it must not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partialmethod

import numpy as np
import pytest
import torch
from references import vivid
from torch._dynamo.utils import counters

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.batch import Batch, Masks, collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import hide_shots, mean_distance, measure, term_weights
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import EncoderBlock, MediaFM, Output

MakeTitle = Callable[..., Title]
HIDDEN = np.array([False, False, True, False, True, False])


def run(model: MediaFM, *titles: Title, masks: list[Masks] | None = None) -> Output:
    with torch.no_grad():
        return model(collate(titles, model.config, masks))


def hiding(shots: int, *places: tuple[int, int]) -> Masks:
    """Hide single blocks, given as (shot, column), and ask for them."""
    masked = np.zeros((shots, 3), bool)
    masked[tuple(zip(*places, strict=True))] = True
    return Masks(masked, masked.astype(np.float64))


def changed(title: Title, *places: tuple[int, int]) -> Title:
    """Other numbers in single blocks, given as (shot, column)."""
    vectors = title.vectors.copy()
    edges = (0, 8, 12, 18)
    for shot, column in places:
        vectors[shot, edges[column] : edges[column + 1]] += 1
    return replace(title, vectors=vectors)


def emptied(title: Title, shot: int, column: int, *, present: bool) -> Title:
    """A block of zeros that is absent, or present all the same."""
    vectors, known = title.vectors.copy(), title.present.copy()
    edges = (0, 8, 12, 18)
    vectors[shot, edges[column] : edges[column + 1]] = 0
    known[shot, column] = present
    return replace(title, vectors=vectors, present=known)


def test_output_has_one_row_a_shot_and_one_state_a_title(model: MediaFM, make_title: MakeTitle) -> None:
    output = run(model, make_title(7), make_title(3, 1))

    assert output.hidden.shape == (10, 16)
    assert output.predicted.shape == (10, 18)
    assert output.cls.shape == (2, 16)


def test_only_what_is_asked_for_is_predicted(model: MediaFM, make_title: MakeTitle) -> None:
    masks = [hiding(7, (1, 0), (1, 2), (4, 1)), hiding(3, (2, 0))]

    output = run(model, make_title(7), make_title(3, 1), masks=masks)

    with torch.no_grad():
        assert torch.equal(output.predicted, model.predict(output.hidden[[1, 4, 9]]))


# --- what is hidden ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["zero", "null-token", "masked"])
@pytest.mark.parametrize("projection", ["linear", "per-modality", "whitened"])
def test_a_masked_shot_is_never_seen(config: ModelConfig, make_title: MakeTitle, projection: str, missing: str) -> None:
    model = vivid(replace(config, projection=projection, missing=missing))
    title, other = make_title(6, 1), make_title(6, 2)
    rows = HIDDEN[:, None]
    disturbed = replace(
        title, vectors=np.where(rows, other.vectors, title.vectors), present=np.where(rows, [True, False, False], True)
    )

    output, again = (run(model, one, masks=[hide_shots(HIDDEN, 3)]) for one in (title, disturbed))

    assert torch.equal(output.predicted, again.predicted)
    assert torch.equal(output.hidden, again.hidden)
    assert torch.equal(output.cls, again.cls)


@pytest.mark.parametrize("projection", ["linear", "per-modality", "whitened"])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_masked_block_is_never_seen_and_the_others_of_its_shot_are(
    config: ModelConfig, make_title: MakeTitle, column: int, projection: str
) -> None:
    model, title = vivid(replace(config, projection=projection)), make_title(6)
    masks = [hiding(6, (2, column))]

    output = run(model, title, masks=masks).hidden

    assert torch.equal(output, run(model, changed(title, (2, column)), masks=masks).hidden)
    for other in {0, 1, 2} - {column}:
        assert not torch.allclose(output, run(model, changed(title, (2, other)), masks=masks).hidden, atol=1e-3)


def test_each_masked_block_has_a_vector_of_its_own(config: ModelConfig, make_title: MakeTitle) -> None:
    model, title = vivid(config), make_title(6)
    empty = replace(title, vectors=title.vectors * 0)

    found = [run(model, empty, masks=[hiding(6, (2, column))]).hidden for column in range(3)]

    assert not torch.allclose(found[0], found[1], atol=1e-3)
    assert not torch.allclose(found[1], found[2], atol=1e-3)


def test_a_block_that_is_swapped_shows_the_other_shots_and_is_judged_by_its_own(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    model, title = vivid(config), make_title(6)
    shown_from = np.repeat(np.arange(6)[:, None], 3, axis=1)
    shown_from[2, 1] = 5
    weights = np.zeros((6, 3))
    weights[2, 1] = 1
    swapped = title.vectors.copy()
    swapped[2, 8:12] = title.vectors[5, 8:12]

    batch = collate([title], config, [Masks(np.zeros((6, 3), bool), weights, shown_from)])

    with torch.no_grad():
        found = model(batch).hidden
    assert torch.equal(found, run(model, replace(title, vectors=swapped)).hidden)
    assert np.array_equal(batch.vectors.numpy(), title.vectors)


# --- what is absent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_while_training_a_share_of_what_is_visible_is_dropped_and_the_rest_is_raised(
    config: ModelConfig, make_title: MakeTitle, share: float
) -> None:
    model = MediaFM.seeded(replace(config, input_dropout=share, max_shots=2000), 0)
    batch = collate([make_title(2000)], model.config, [hide_shots(np.arange(2000) % 2 == 0, 3)])
    seen = model.train()._visible(batch, batch.vectors)[1::2]
    kept = seen != 0

    assert kept.float().mean().item() == pytest.approx(1 - share, abs=0.01)
    torch.testing.assert_close(seen[kept], batch.vectors[1::2][kept] / (1 - share))
    assert not model._visible(batch, batch.vectors)[::2].any()


def test_nothing_that_is_visible_is_dropped_after_training(config: ModelConfig, make_title: MakeTitle) -> None:
    dropping = MediaFM.seeded(replace(config, input_dropout=0.5), 0).eval()
    plain = MediaFM.seeded(config, 0).eval()

    assert torch.equal(run(dropping, make_title(7)).predicted, run(plain, make_title(7)).predicted)


@pytest.mark.parametrize(("missing", "tells"), [("zero", False), ("null-token", True), ("masked", True)])
def test_whether_a_modality_is_absent_or_zero_is_told_or_not(
    config: ModelConfig, make_title: MakeTitle, missing: str, tells: bool
) -> None:
    model, title = vivid(replace(config, missing=missing)), make_title(6)

    absent, zero = (run(model, emptied(title, 3, 1, present=present)).hidden for present in (False, True))

    assert torch.equal(absent, zero) is not tells


@pytest.mark.parametrize(("missing", "alike"), [("zero", False), ("null-token", False), ("masked", True)])
def test_an_absent_modality_looks_like_a_masked_one_only_where_that_is_chosen(
    config: ModelConfig, make_title: MakeTitle, missing: str, alike: bool
) -> None:
    model, title = vivid(replace(config, missing=missing)), make_title(6)

    absent = run(model, emptied(title, 3, 1, present=False)).hidden
    masked = run(model, title, masks=[hiding(6, (3, 1))]).hidden

    assert torch.equal(absent, masked) is alike


def test_each_absent_modality_has_a_vector_of_its_own(config: ModelConfig, make_title: MakeTitle) -> None:
    model, title = vivid(config), make_title(6)
    empty = replace(title, vectors=title.vectors * 0)

    found = [run(model, emptied(empty, 3, column, present=False)).hidden for column in range(3)]

    assert not torch.allclose(found[0], found[1], atol=1e-3)
    assert not torch.allclose(found[1], found[2], atol=1e-3)


# --- what is visible --------------------------------------------------------------------------------------------------


def test_a_visible_shot_is_seen_by_every_other(model: MediaFM, make_title: MakeTitle) -> None:
    title = make_title(6, 1)
    vectors = title.vectors.copy()
    vectors[0] = make_title(6, 2).vectors[0]

    output, again = (run(model, one) for one in (title, replace(title, vectors=vectors)))

    assert (output.hidden != again.hidden).any(dim=1).all()


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize(("projection", "changes"), [("linear", True), ("per-modality", False)])
def test_how_loud_a_modality_is_counts_only_without_unit_vectors(
    config: ModelConfig, make_title: MakeTitle, column: int, projection: str, changes: bool
) -> None:
    model, title = vivid(replace(config, projection=projection)), make_title(6)
    louder = title.vectors.copy()
    louder[:, slice(*((0, 8), (8, 12), (12, 18))[column])] *= 10

    output, again = (run(model, one).hidden for one in (title, replace(title, vectors=louder)))

    assert torch.allclose(output, again, atol=1e-5) is not changes


def test_the_per_modality_projection_is_that_of_unit_blocks(config: ModelConfig, make_title: MakeTitle) -> None:
    title = emptied(make_title(6), 3, 1, present=False)
    blocks = np.split(title.vectors, [8, 12], axis=1)
    units = [block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-12) for block in blocks]

    found = run(vivid(replace(config, projection="per-modality")), title).hidden

    expected = run(vivid(config), replace(title, vectors=np.concatenate(units, axis=1))).hidden
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_metadata_reaches_every_shot(model: MediaFM, make_title: MakeTitle) -> None:
    title = make_title(5)
    other = replace(title, metadata=-np.asarray(title.metadata))

    output, again = (run(model, one) for one in (title, other))

    assert (output.hidden != again.hidden).any(dim=1).all()


def test_a_title_without_metadata_gets_the_learned_stand_in(model: MediaFM, make_title: MakeTitle) -> None:
    titles = make_title(5, metadata=False), make_title(5)

    before = run(model, *titles).hidden.split(5)
    with torch.no_grad():
        model.no_metadata += 1
    after = run(model, *titles).hidden.split(5)

    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


@pytest.mark.parametrize(("described", "global_token"), [(False, True), (True, False)])
def test_metadata_that_the_model_does_not_take_has_no_effect(
    config: ModelConfig, make_title: MakeTitle, described: bool, global_token: bool
) -> None:
    layout = config.layout if described else replace(config.layout, metadata=None)
    model = vivid(replace(config, layout=layout, global_token=global_token))
    title = make_title(5)

    found = [run(model, one) for one in (title, replace(title, metadata=None))]

    assert torch.equal(found[0].hidden, found[1].hidden)
    assert torch.equal(found[0].cls, found[1].cls)


# --- learning ---------------------------------------------------------------------------------------------------------


def learnable(config: ModelConfig, make_title: MakeTitle) -> Batch:
    """Two titles, one without metadata; each has something hidden and something absent, and they reach every place."""
    titles = [make_title(12), make_title(12, 1, metadata=False)]
    for column in range(3):
        titles = [emptied(title, 5 + column, column, present=False) for title in titles]
    masks = [hiding(12, (0, 0), (4, 1), (8, 2)), hiding(12, (1, 0), (1, 1), (1, 2))]
    return collate(titles, config, masks)


@pytest.mark.parametrize("global_token", [True, False])
@pytest.mark.parametrize("missing", ["zero", "null-token", "masked"])
@pytest.mark.parametrize("position", ["learned", "rotary", "time"])
def test_every_parameter_receives_gradient(
    config: ModelConfig, make_title: MakeTitle, position: str, missing: str, global_token: bool
) -> None:
    config = replace(config, position=position, missing=missing, global_token=global_token)
    model, batch = MediaFM.seeded(config, 0), learnable(config, make_title)

    output = model(batch)
    distances = measure(output.predicted, output.truth, batch, config.layout.blocks, "blocks")
    mean_distance(distances.sums, term_weights(batch, "blocks")).backward()

    without = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []
    rows = [model.mask, *(weight for weight in (model.absent, model.position) if weight is not None)]
    assert all(weight.grad.any(dim=1).all() for weight in rows)


@pytest.mark.parametrize("position", ["learned", "rotary", "time"])
def test_in_half_precision_so_is_what_blocks_pass_on_and_what_comes_out_is_exact(
    config: ModelConfig, make_title: MakeTitle, position: str
) -> None:
    model, batch = MediaFM.seeded(replace(config, position=position), 0).eval(), learnable(config, make_title)
    passed: list[torch.dtype] = []
    for block in model.blocks:
        block.register_forward_hook(lambda block, taken, given: passed.extend([taken[0].dtype, given.dtype]))

    with torch.autocast("cpu", torch.bfloat16):
        half = model(batch)

    assert passed == [torch.bfloat16] * 2 * len(model.blocks)
    assert half.hidden.dtype == half.cls.dtype == torch.float32
    torch.testing.assert_close(half.hidden, model(batch).hidden, atol=0.1, rtol=0)


def test_a_seed_gives_the_same_weights_and_leaves_torchs_generator_alone(config: ModelConfig) -> None:
    state = torch.get_rng_state()

    first, second, other = (MediaFM.seeded(config, seed).state_dict() for seed in (1, 1, 2))

    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["project.weight"], other["project.weight"])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_title_that_does_not_fit_is_named(config: ModelConfig, make_title: MakeTitle) -> None:
    title = make_title(3)
    narrow = replace(title, vectors=title.vectors[:, :5])
    other_metadata = replace(title, metadata=np.zeros(9, np.float32))

    for wrong, why in ((narrow, "5 numbers"), (other_metadata, r"\(9,\)"), (make_title(13), "13 shots")):
        with pytest.raises(TrainingError, match=f"title-0.*{why}"):
            collate([wrong], config)


def packed_batches(config: ModelConfig, make_title: MakeTitle) -> list[Batch]:
    """Of two sequences to five, of other lengths in each."""
    lengths = ((5, 6), (3, 9, 4), (7, 2, 6, 5), (3, 8), (2, 4, 3, 7, 5))
    return [collate([make_title(shots, shots) for shots in of], config) for of in lengths]


def test_batches_of_other_lengths_are_not_compiled_anew(
    model: MediaFM, make_title: MakeTitle, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is compiled for is of no concern here, and needs no compiler.
    monkeypatch.setattr(EncoderBlock, "compile", partialmethod(EncoderBlock.compile, backend="eager"))
    packed = packed_batches(model.config, make_title)
    plain = [model(batch).hidden for batch in packed]
    model.compile_blocks()
    counters.clear()
    model(packed[0])
    before = counters["frames"]["total"]

    compiled = [model(batch).hidden for batch in packed]

    assert before > 0
    assert counters["frames"]["total"] == before
    for one, other in zip(plain, compiled, strict=True):
        torch.testing.assert_close(one, other)


def test_with_attention_of_variable_lengths_a_block_is_compiled_as_one(
    config: ModelConfig, make_title: MakeTitle, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MediaFM.seeded(replace(config, hidden=16, heads=2), 0)  # it takes heads of 8

    def attend_to_nothing_else(query: torch.Tensor, *_: object) -> torch.Tensor:
        return query.clone()

    monkeypatch.setattr("mediafm_cli.model.attention._has_variable", lambda device: True)
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", attend_to_nothing_else)
    monkeypatch.setattr(EncoderBlock, "compile", partialmethod(EncoderBlock.compile, backend="eager"))
    model.compile_blocks()
    counters.clear()

    with torch.autocast("cpu", torch.bfloat16):
        for batch in packed_batches(model.config, make_title):
            model(batch)

    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
