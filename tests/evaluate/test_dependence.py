"""Which modality stands out, and when none does."""

from __future__ import annotations

import numpy as np
import pytest

from mediafm_cli.evaluate.ablation.dependence import Dependence, cosine_lost, find_dependence, mean_cosine
from mediafm_cli.evaluate.ablation.masked import Tallies, Tally
from mediafm_cli.evaluate.bootstrap import Statistic, draw_counts, mean_of

TITLES = 40
DRAWS = draw_counts(TITLES)
SPREAD = np.random.default_rng(0).normal(size=(3, TITLES))


def costs(video: float, audio: float, text: float, noise: float = 0.1) -> dict[str, Statistic]:
    """Titles in which taking each modality away costs so much on average, give or take ``noise``."""
    spread = SPREAD - SPREAD.mean(axis=1, keepdims=True)
    rows = zip(("video", "audio", "text"), (video, audio, text), spread, strict=True)
    return {name: mean_of(mean + noise * row, np.ones(TITLES)) for name, mean, row in rows}


def find(**means: float) -> Dependence:
    return find_dependence("it", "the figure", costs(**means), DRAWS, 0.95)


def tallies(**cosines: tuple[list[float], list[float]]) -> Tallies:
    of = {name: Tally(np.array(sums), np.array(counts)) for name, (sums, counts) in cosines.items()}
    nothing = Tally(np.zeros(2), np.zeros(2))
    return Tallies(nothing, of, nothing, nothing)


def test_the_modality_that_costs_most_stands_out_where_it_leads_the_second_for_sure() -> None:
    found = find(video=0.1, audio=0.4, text=0.2)

    assert found.modality == "audio"
    assert list(found.costs) == ["audio", "text", "video"]
    assert found.costs["audio"].value == pytest.approx(0.4)
    assert found.lead.value == pytest.approx(0.2)


def test_none_stands_out_where_two_cost_about_as_much() -> None:
    found = find(video=0.1, audio=0.4, text=0.39)

    assert found.lead.includes_zero
    assert found.modality is None


def test_none_stands_out_where_none_costs_anything() -> None:
    found = find(video=-0.5, audio=0.01, text=-0.4)

    assert not found.lead.includes_zero
    assert found.costs["audio"].includes_zero
    assert found.modality is None


def test_the_mean_cosine_weighs_modalities_alike_however_many_shots_have_them() -> None:
    found = tallies(video=([8.0, 12.0], [20.0, 20.0]), text=([0.9, 0.0], [1.0, 0.0]), audio=([0.0, 0.0], [0.0, 0.0]))

    both = mean_cosine(found, ["video", "text", "audio"])

    assert both(np.ones((1, 2))) == pytest.approx([(0.5 + 0.9) / 2])
    assert both(np.array([[2, 1]])) == pytest.approx([(28 / 60 + 0.9) / 2])


def test_what_is_lost_is_what_was_there_less_what_is_left() -> None:
    whole, left = (tallies(video=([sums, sums], [2.0, 2.0])) for sums in (1.6, 0.6))

    assert cosine_lost(whole, left, ["video"])(np.ones((1, 2))) == pytest.approx([0.5])
