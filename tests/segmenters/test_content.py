"""The built-in segmenter on hand-checked real films, and on pictures made to mislead it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clip_thumbnails import read_clip

from mediafm_cli.api import Boundary, Thumbnail, Title
from mediafm_cli.evaluate.boundaries.agreement import Counts, count_cuts
from mediafm_cli.options import describe_options
from mediafm_cli.segmenters import transitions
from mediafm_cli.segmenters.content import ContentSegmenter
from mediafm_cli.segmenters.cuts import CutOptions
from mediafm_cli.segmenters.transitions import TransitionFinder, TransitionOptions

Film = list[np.ndarray]
FRAMES = 60


@pytest.fixture(scope="module")
def clips(media: Path) -> dict[str, tuple[Film, dict]]:
    """Thumbnails and truth of every hand-checked stream."""
    truth = json.loads((media / "cuts.json").read_text())["clips"]
    found = {}
    for name, clip in truth.items():
        file, _, stream = name.partition("#stream")
        found[name] = read_clip(media / file, int(stream) if stream else None), clip
    return found


def detect(film: Sequence[np.ndarray], rate: str = "24") -> list[Boundary]:
    segmenter, seconds = ContentSegmenter(), 1 / Fraction(rate)
    segmenter.begin(Title("film", Fraction(rate)))
    thumbnails = (Thumbnail(number, float(number * seconds), picture) for number, picture in enumerate(film))
    return list(segmenter.detect(thumbnails))


def hard_cuts(film: Sequence[np.ndarray], rate: str = "24") -> list[int]:
    return [boundary.frame for boundary in detect(film, rate) if boundary.kind == "cut"]


def still(seed: int, count: int = FRAMES) -> Film:
    """A picture of blocks, held."""
    blocks = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return [blocks.repeat(4, axis=0).repeat(4, axis=1)] * count


def blend(one: np.ndarray, other: np.ndarray, count: int) -> Film:
    shares = np.arange(1, count + 1) / (count + 1)
    return [((1 - share) * one + share * other).astype(np.uint8) for share in shares]


def total(clips: dict[str, tuple[Film, dict]], tolerance: int, grade: str = "plain") -> Counts:
    score = Counts()
    for film, truth in clips.values():
        graded = [GRADES[grade](picture) for picture in film]
        score += count_cuts(hard_cuts(graded), truth["hard_cuts"], tolerance)
    return score


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)


GRADES = {
    "plain": lambda picture: picture,
    "dark": lambda picture: picture // 3,
    "pale": lambda picture: (picture * 0.4 + 80).astype(np.uint8),
    "grey": grey,
    "grey and dark": lambda picture: grey(picture) // 2,
}


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_hard_cuts_of_real_films_are_found(clips: dict[str, tuple[Film, dict]], tolerance: int) -> None:
    score = total(clips, tolerance)

    assert score.f1 >= 0.97, score


@pytest.mark.parametrize("grade", ["dark", "pale", "grey", "grey and dark"])
def test_hard_cuts_are_found_in_dark_pale_and_grey_films(clips: dict[str, tuple[Film, dict]], grade: str) -> None:
    score = total(clips, 0, grade)

    assert score.f1 >= 0.94, score


def test_what_passes_before_the_lens_is_no_cut(clips: dict[str, tuple[Film, dict]]) -> None:
    assert detect(clips["caminandes_10s.mp4"][0]) == []


@pytest.mark.parametrize(("name", "middle"), [("nasa_13013.mp4", 164), ("nasa_13013.mp4#stream0", 138)])
def test_a_real_dissolve_is_found_at_its_middle(clips: dict[str, tuple[Film, dict]], name: str, middle: int) -> None:
    (dissolve,) = [boundary for boundary in detect(clips[name][0]) if boundary.kind == "gradual"]

    assert abs(dissolve.frame - middle) <= 2
    assert dissolve.first < dissolve.frame < dissolve.last


@pytest.mark.parametrize("name", ["bbb_480p_30s.mp4", "bbb_0_30_vp8.webm"])
def test_a_fade_in_that_opens_the_film_and_logos_are_no_boundary(
    clips: dict[str, tuple[Film, dict]], name: str
) -> None:
    film, truth = clips[name]

    assert [boundary.frame for boundary in detect(film)] == truth["hard_cuts"]


def test_a_cut_between_two_stills_is_found() -> None:
    assert hard_cuts(still(1) + still(2)) == [FRAMES]


@pytest.mark.parametrize("last", [5, 6, 20])
def test_a_cut_near_the_end_is_found(last: int) -> None:
    assert hard_cuts(still(1) + still(2, last)) == [FRAMES]


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_flash_is_no_cut(length: int) -> None:
    white = [np.full((36, 64, 3), 255, np.uint8)] * length

    assert hard_cuts(still(1) + white + still(1)) == []


@pytest.mark.parametrize("length", [8, 13, 24, 45, 60])
def test_a_dissolve_is_found_once(length: int) -> None:
    one, other = still(1), still(2)

    (found,) = detect(one + blend(one[0], other[0], length) + other)

    assert found.kind == "gradual"
    assert abs(found.frame - (FRAMES + length / 2)) <= 3


@pytest.mark.parametrize(
    ("rate", "length"),
    [(rate, length) for rate in ("25", "50", "60000/1001", "60", "120") for length in (90, 120, 180, 240)],
)
def test_a_long_dissolve_is_found_once_and_covered_at_any_frame_rate(rate: str, length: int) -> None:
    one, other = still(1), still(2)

    (found,) = detect(2 * one + blend(one[0], other[0], length) + 2 * other, rate)

    assert found.kind == "gradual"
    assert abs(found.frame - (2 * FRAMES + length / 2)) <= length / 15
    assert min(found.last, 2 * FRAMES + length) - max(found.first, 2 * FRAMES) >= 0.9 * length


def test_dissolves_that_follow_one_another_are_as_many_boundaries() -> None:
    stills = [still(seed, 8) for seed in range(1, 5)]
    film = stills[0]
    for one, other in itertools.pairwise(stills):
        film = film + blend(one[0], other[0], 60) + other

    assert [boundary.kind for boundary in detect(film)] == ["gradual"] * 3


@pytest.mark.parametrize("rate", ["50", "60000/1001", "60", "120", "240"])
def test_cuts_are_found_to_the_frame_at_high_frame_rates(rate: str) -> None:
    film = [picture for seed in range(12) for picture in still(seed, 61)]

    assert hard_cuts(film, rate) == list(range(61, 12 * 61, 61))


def test_a_frame_rate_that_is_none_changes_nothing() -> None:
    film = still(1) + still(2, 8) + still(3)

    assert detect(film, "90000") == detect(film) != []


@pytest.mark.parametrize(("rate", "length"), [("50", 8), ("60", 8), ("120", 20)])
def test_a_flash_lasts_as_long_at_high_frame_rates(rate: str, length: int) -> None:
    white = [np.full((36, 64, 3), 255, np.uint8)] * length

    assert detect(still(1) + white + still(1), rate) == []


def test_a_jump_in_the_middle_of_a_dissolve_is_one_boundary() -> None:
    one, other = still(0), still(1)
    shares = [*np.linspace(0, 0.36, 8), *np.linspace(0.64, 1, 8)]
    film = one + [((1 - share) * one[0] + share * other[0]).astype(np.uint8) for share in shares] + other

    assert [boundary.frame for boundary in detect(film)] == [FRAMES + 8]


@pytest.mark.parametrize(
    ("rate", "length", "between"), [("24", 20, 6), ("24", 90, 6), ("24", 180, 6), ("60", 48, 15), ("60", 240, 15)]
)
def test_a_fade_through_black_is_one_boundary(rate: str, length: int, between: int) -> None:
    one, other, black = still(1), still(2), np.zeros((36, 64, 3), np.uint8)
    film = one + blend(one[0], black, length) + [black] * between + blend(black, other[0], length) + other

    (found,) = detect(film, rate)

    assert found.kind == "gradual"
    assert FRAMES + length <= found.frame <= FRAMES + length + between + 2
    assert found.first <= FRAMES + length / 4
    assert found.last >= FRAMES + between + length * 7 / 4


def test_a_fade_out_that_ends_the_film_is_no_boundary() -> None:
    one, black = still(1), np.zeros((36, 64, 3), np.uint8)

    assert detect(one + blend(one[0], black, 24) + [black] * 12) == []


def test_boundaries_come_in_order_and_soon_after_their_frame() -> None:
    seen: list[int] = []
    film = [picture for seed in range(20) for picture in still(seed, 40)]

    def look() -> Iterator[Thumbnail]:
        for number, picture in enumerate(film):
            seen.append(number)
            yield Thumbnail(number, number / 24, picture)

    delays = []
    frames = []
    for boundary in ContentSegmenter().detect(look()):
        frames.append(boundary.frame)
        delays.append(len(seen) - boundary.frame)

    assert frames == list(range(40, 800, 40))
    assert max(delays) <= 130


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_titles_of_hardly_any_frames_have_no_boundary(count: int) -> None:
    assert detect(still(1, count)) == []


def test_the_help_tells_between_which_jumps_contrast_decides() -> None:
    contrast = describe_options(ContentSegmenter.Options)[0]

    assert f"a jump of less than {CutOptions.floor:g} (of 255) is none" in contrast.about
    assert f"one of {CutOptions.ceiling:g} or more is enough" in contrast.about


@pytest.mark.parametrize(
    ("bound", "jump", "is_cut"), [(0.0, 5, False), (0.0, 7, True), (1.0, 24, False), (1.0, 26, True)]
)
def test_at_the_bounds_of_contrast_a_jump_decides_alone(bound: float, jump: int, is_cut: bool) -> None:
    """Halves of 60 and 160, which have a standard deviation of 50, and then the same pictures lighter by ``jump``."""
    picture = np.full((36, 64, 3), 60, np.uint8)
    picture[18:] += 100
    segmenter = ContentSegmenter(ContentSegmenter.Options(contrast=bound, gradual=False))
    film = [picture] * FRAMES + [picture + np.uint8(jump)] * FRAMES

    found = list(segmenter.detect(Thumbnail(number, 0.0, rgb) for number, rgb in enumerate(film)))

    assert [boundary.frame for boundary in found] == [FRAMES] * is_cut


def test_gradual_transitions_can_be_left_out() -> None:
    one, other = still(1), still(2)
    film = one + blend(one[0], other[0], 24) + other + one
    segmenter = ContentSegmenter(ContentSegmenter.Options(gradual=False))

    found = list(segmenter.detect(Thumbnail(number, 0.0, picture) for number, picture in enumerate(film)))

    assert [boundary.frame for boundary in found] == [2 * FRAMES + 24]


@pytest.mark.parametrize("seed", range(20))
def test_what_cannot_be_a_transition_is_passed_over_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Dissolves that change by no more than a transition must, in a straight line but for rounding."""
    draws = np.random.default_rng(seed)
    length = int(draws.choice([8, 12, 16, 20, 24, 32, 40, 48, 64]))
    phase = draws.random((1, 36, 64, 3))
    bright, brighter = draws.choice([-1, 1], (2, 1, 9, 16, 3)).repeat(4, axis=2).repeat(4, axis=3)
    done = np.clip(np.arange(-70, length + 70) / length, 0, 1)[:, None, None, None]
    dissolve = (128 + 20 * bright + brighter * np.floor(20 * done + phase)).astype(np.uint8)

    found = transitions_of(dissolve)
    monkeypatch.setattr(transitions, "_ROUNDING", 1e9)  # passes over nothing

    assert found == transitions_of(dissolve) != []


def transitions_of(dissolve: np.ndarray) -> list[Boundary]:
    finder = TransitionFinder(TransitionOptions())
    return [*finder.push(dissolve), *finder.finish()]
