"""What the transformer sees of a title, and what it must not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mediafm_cli.errors import TrainingError
from mediafm_cli.model.batch import collate
from mediafm_cli.model.config import ModelConfig
from mediafm_cli.model.msm import msm_loss
from mediafm_cli.model.title import Title
from mediafm_cli.model.transformer import MediaFM

MakeTitle = Callable[..., Title]


def test_output_has_one_row_a_shot_and_one_state_a_title(model: MediaFM, make_title: MakeTitle) -> None:
    output = model(collate([make_title(7), make_title(3, 1)], model.config))

    assert output.hidden.shape == (2, 7, 16)
    assert output.predicted.shape == (2, 7, 18)
    assert output.cls.shape == (2, 16)


def test_a_title_comes_out_the_same_alone_and_padded_beside_a_longer_one(model: MediaFM, make_title: MakeTitle) -> None:
    short, long = make_title(4, 1), make_title(12, 2)

    alone = model(collate([short], model.config))
    padded = model(collate([long, short], model.config))

    torch.testing.assert_close(padded.predicted[1, :4], alone.predicted[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(padded.cls[1], alone.cls[0], atol=1e-6, rtol=0)


def test_what_stands_in_the_padding_changes_nothing(model: MediaFM, make_title: MakeTitle) -> None:
    batch = collate([make_title(12, 2), make_title(4, 1)], model.config)
    vectors = batch.vectors.clone()
    vectors[1, 4:] = 1e3

    output, disturbed = model(batch), model(replace(batch, vectors=vectors))

    assert torch.equal(output.predicted[1, :4], disturbed.predicted[1, :4])
    assert torch.equal(output.cls, disturbed.cls)


def test_a_masked_shot_is_never_seen(model: MediaFM, make_title: MakeTitle) -> None:
    title, other = make_title(6, 1), make_title(6, 2)
    masked = np.array([False, False, True, False, True, False])
    changed = replace(title, vectors=np.where(masked[:, None], other.vectors, title.vectors))

    output, again = (model(collate([one], model.config, [masked])) for one in (title, changed))

    assert torch.equal(output.predicted, again.predicted)
    assert torch.equal(output.cls, again.cls)


def test_a_visible_shot_is_seen_by_every_other(model: MediaFM, make_title: MakeTitle) -> None:
    title = make_title(6, 1)
    vectors = title.vectors.copy()
    vectors[0] = make_title(6, 2).vectors[0]

    output, again = (model(collate([one], model.config)) for one in (title, replace(title, vectors=vectors)))

    assert (output.hidden[0] != again.hidden[0]).any(dim=1).all()


def test_the_order_of_the_shots_matters(model: MediaFM, make_title: MakeTitle) -> None:
    title = make_title(6)
    backwards = replace(title, vectors=title.vectors[::-1].copy())

    output, reversed_output = (model(collate([one], model.config)) for one in (title, backwards))

    assert not torch.allclose(output.hidden[0], reversed_output.hidden[0].flip(0), atol=1e-4)


def test_metadata_reaches_every_shot(model: MediaFM, make_title: MakeTitle) -> None:
    title = make_title(5)
    other = replace(title, metadata=-np.asarray(title.metadata))

    output, again = (model(collate([one], model.config)) for one in (title, other))

    assert (output.hidden[0] != again.hidden[0]).any(dim=1).all()


def test_a_title_without_metadata_gets_the_learned_stand_in(model: MediaFM, make_title: MakeTitle) -> None:
    batch = collate([make_title(5, metadata=False), make_title(5)], model.config)

    before = model(batch).hidden
    with torch.no_grad():
        model.no_metadata += 1
    after = model(batch).hidden

    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_metadata_that_the_model_has_never_seen_is_left_out(config: ModelConfig, make_title: MakeTitle) -> None:
    model = MediaFM.seeded(replace(config, layout=replace(config.layout, metadata=None)), 0).eval()

    with_metadata, without = (model(collate([make_title(5, metadata=given)], model.config)) for given in (True, False))

    assert torch.equal(with_metadata.hidden[0] @ torch.ones(16), without.hidden[0] @ torch.ones(16))


def test_every_parameter_receives_gradient(model: MediaFM, make_title: MakeTitle) -> None:
    masks = [np.arange(12) % 4 == 0, np.arange(12) % 4 == 1]
    batch = collate([make_title(12), make_title(12, 1, metadata=False)], model.config, masks)

    msm_loss(model(batch).predicted, batch).backward()

    without = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    # A softmax does not change when every key moves by the same vector.
    assert [name for name in without if not name.endswith("key.bias")] == []


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


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hidden": 10}, "4 heads do not divide hidden 10"),
        ({"hidden": 1 << 30}, "hidden is 1073741824"),
        ({"layers": 10**9}, "layers is 1000000000"),
        ({"max_shots": 0}, "max_shots is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"heads": 0}, "0 heads"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(config: ModelConfig, change: dict[str, float], why: str) -> None:
    with pytest.raises(TrainingError, match=why):
        replace(config, **change)
