"""Sequences laid end to end are attended to as if each were alone, and rotary positions are relative."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from references import padded_states, turned, vivid

from mediafm_cli.model.attention import Spans, attend, rotate, rotation_at, spans_of
from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.title import Title

MakeTitle = Callable[..., Title]
UNEVEN, EVEN = (5, 1, 12, 3), (4, 4, 4)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def spans(lengths: tuple[int, ...], device: str = "cpu") -> Spans:
    offsets = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32, device=device)
    return spans_of(lengths, offsets)


def drawn(tokens: int, device: str = "cpu") -> list[torch.Tensor]:
    """Query, key and value: [T, 2, 8] each."""
    generator = torch.manual_seed(0)
    return [2 * torch.randn(tokens, 2, 8, generator=generator).to(device) for _ in range(3)]


def by_hand(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """softmax(q kᵀ / √w) v of one sequence: Vaswani et al. 2017, equation 1."""
    scores = torch.einsum("ihw,jhw->hij", query, key) / query.shape[-1] ** 0.5
    return torch.einsum("hij,jhw->ihw", scores.softmax(dim=-1), value)


@pytest.mark.parametrize("lengths", [UNEVEN, EVEN, (6,)])
def test_attention_is_the_published_formula_in_each_sequence(lengths: tuple[int, ...]) -> None:
    query, key, value = drawn(sum(lengths))

    found = attend(query, key, value, spans(lengths))

    parts = zip(*(x.split(list(lengths)) for x in (query, key, value)), strict=True)
    torch.testing.assert_close(found, torch.cat([by_hand(*part) for part in parts]))


@needs_gpu
@pytest.mark.parametrize("lengths", [UNEVEN, EVEN])
def test_attention_on_a_gpu_in_half_precision_is_the_formula_too(lengths: tuple[int, ...]) -> None:
    inputs = [x.bfloat16().requires_grad_() for x in drawn(sum(lengths), "cuda")]
    exact = [x.detach().float().requires_grad_() for x in inputs]
    factors = torch.randn(sum(lengths), 2, 8, generator=torch.manual_seed(1)).to("cuda")

    found = attend(*inputs, spans(lengths, "cuda"))

    parts = zip(*(x.split(list(lengths)) for x in exact), strict=True)
    expected = torch.cat([by_hand(*part) for part in parts])
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)  # bfloat16 has 8 bits
    slopes = torch.autograd.grad((found.float() * factors).sum(), inputs)
    expected_slopes = torch.autograd.grad((expected * factors).sum(), exact)
    for slope, expected_slope in zip(slopes, expected_slopes, strict=True):
        torch.testing.assert_close(slope.float(), expected_slope, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("global_token", [True, False])
@pytest.mark.parametrize("position", ["learned", "rotary", "time"])
@pytest.mark.parametrize("lengths", [UNEVEN, EVEN])
def test_a_packed_batch_is_the_padded_and_masked_one(
    config: ModelConfig, make_title: MakeTitle, lengths: tuple[int, ...], position: str, global_token: bool
) -> None:
    model = vivid(replace(config, position=position, global_token=global_token))
    titles = [make_title(shots, seed, metadata=seed % 2 == 0) for seed, shots in enumerate(lengths)]

    output = model(collate(titles, model.config))

    states = padded_states(model, titles)
    first = model.config.prefix
    hidden = torch.cat([row[first : first + shots] for row, shots in zip(states, lengths, strict=True)])
    torch.testing.assert_close(output.hidden, hidden, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.cls, states[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.predicted, model.predict(hidden), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("global_token", [True, False])
@pytest.mark.parametrize("position", ["learned", "rotary", "time"])
@pytest.mark.parametrize("lengths", [UNEVEN, EVEN])
def test_a_title_comes_out_the_same_alone_and_beside_others(
    config: ModelConfig, make_title: MakeTitle, lengths: tuple[int, ...], position: str, global_token: bool
) -> None:
    model = vivid(replace(config, position=position, global_token=global_token))
    titles = [make_title(shots, seed) for seed, shots in enumerate(lengths)]

    together = model(collate(titles, model.config))

    alone = [model(collate([title], model.config)) for title in titles]
    torch.testing.assert_close(together.hidden, torch.cat([one.hidden for one in alone]), atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(together.cls, torch.cat([one.cls for one in alone]), atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("lengths", [UNEVEN, EVEN])
@pytest.mark.parametrize("position", ["learned", "rotary", "time"])
def test_nothing_of_a_title_leaks_into_another(
    config: ModelConfig, make_title: MakeTitle, lengths: tuple[int, ...], position: str
) -> None:
    model = vivid(replace(config, position=position))
    batch = collate([make_title(shots, seed) for seed, shots in enumerate(lengths)], model.config)
    vectors, metadata = batch.vectors.requires_grad_(), batch.metadata.requires_grad_()
    output = model(replace(batch, vectors=vectors, metadata=metadata))

    for number, own in enumerate(output.hidden.split(lengths)):
        asked = own.square().sum() + output.cls[number].square().sum() + own[0].sum()
        by_shot, by_title = torch.autograd.grad(asked, (vectors, metadata), retain_graph=True)
        reached = [bool(rows.any()) for rows in by_shot.split(lengths)]
        assert reached == [other == number for other in range(len(lengths))]
        assert by_title.any(dim=1).tolist() == reached


# --- positions --------------------------------------------------------------------------------------------------------


def test_a_rotation_is_a_multiplication_of_complex_numbers() -> None:
    (x, *_), places = drawn(6), torch.tensor([0.0, 1, 2.5, 17, 400, 1799])

    found = rotate(x, rotation_at(places, 8))

    expected = turned(x.transpose(0, 1), places.double()).transpose(0, 1)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)  # float32 has 1e-4 of an angle of 1799


def test_only_differences_of_positions_count() -> None:
    query, key, value = drawn(6)
    places = torch.tensor([0.0, 1, 2.5, 4, 9, 9.5])

    near, far, other = (
        attend(rotate(query, rotation_at(at, 8)), rotate(key, rotation_at(at, 8)), value, spans((6,)))
        for at in (places, places + 50, 2 * places)
    )

    torch.testing.assert_close(near, far, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(near, other, atol=1e-2)


def test_when_a_title_begins_does_not_matter(config: ModelConfig, make_title: MakeTitle) -> None:
    model, title = vivid(replace(config, position="time")), make_title(9)

    output, later = (
        model(collate([replace(title, start_s=title.start_s + shift)], model.config)) for shift in (0, 5000.0)
    )

    torch.testing.assert_close(output.hidden, later.hidden, atol=1e-5, rtol=1e-5)


def test_how_long_shots_are_matters_by_time_and_by_number_it_does_not(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    title = make_title(9)
    slower = replace(title, start_s=2 * title.start_s)

    def changes(position: str) -> float:
        model = vivid(replace(config, position=position))
        output, other = (model(collate([one], model.config)).hidden for one in (title, slower))
        return (output - other).abs().max().item()

    assert changes("time") > 0.01
    assert changes("rotary") == changes("learned") == 0


def test_time_turns_as_numbers_do_where_a_shot_begins_every_four_seconds(
    config: ModelConfig, make_title: MakeTitle
) -> None:
    title = replace(make_title(9), start_s=100 + 4.0 * np.arange(9))

    by_time, by_number = (
        vivid(replace(config, position=position))(collate([title], config)) for position in ("time", "rotary")
    )

    assert torch.equal(by_time.hidden, by_number.hidden)


@pytest.mark.parametrize("position", ["learned", "rotary", "time"])
def test_the_order_of_the_shots_matters(config: ModelConfig, make_title: MakeTitle, position: str) -> None:
    model, title = vivid(replace(config, position=position)), make_title(6)
    backwards = replace(title, vectors=title.vectors[::-1].copy())

    output, reversed_output = (model(collate([one], model.config)).hidden for one in (title, backwards))

    assert not torch.allclose(output, reversed_output.flip(0), atol=1e-2)
