"""How well the boundaries found in one title agree with the true ones: what is a hit, and what the mistakes are.

**Hard cuts** match hard cuts one to one, at most 0, 1 or 2 frames apart: as many as can be matched, and of the ways to
match so many, one in which they lie nearest together.

**Gradual transitions** match gradual transitions one to one: the true ones in order of time each take, of those found
and not yet taken, the one that shares most frames with it; one frame is enough. Of two that share equally many the
shorter one is taken, then the earlier. At a tolerance of 1 or 2 frames a true one is widened by as many at either end,
and where none shares a frame with it as it is, it takes the nearest. How well the ends agree is the mean IoU of the
pairs at tolerance 0, apart from the counts.

**Any kind** matches by the same rule whatever is a boundary, a cut counting for two frames, the last of the old shot
and the first of the new one.

A boundary of the wrong kind is no hit in the first two: a hard cut found inside a true gradual transition counts there
as false, and the transition as missed where no gradual one was found over it. So it is with a gradual transition found
over a true hard cut. Both are named as confusions. What is found in an ambiguous place, and is no hit, counts neither
way.

Source: the rules for gradual transitions, the two frames of a cut, and that kinds match their own, are TRECVID's
(Shot Boundary Measures, www-nlpir.nist.gov/projects/t2002v/sbmeasures.html), less its treatment of gradual transitions
of 5 frames or fewer as cuts. "Any kind" is the group "all" of ClipShots (github.com/Tangshitao/ClipShots,
tools/evaluate.py), which also counts an overlap of one frame, but lets one found serve several true ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mediafm_cli.evaluate.boundaries.cut_pairs import pair_cuts
from mediafm_cli.evaluate.boundaries.truth import Span, Truth

TOLERANCES = (0, 1, 2)
"""Frames that a boundary may be off and still be a hit. Mistakes are those of hard cuts at the last, and of gradual
transitions at the first."""

CUT, GRADUAL = "cut", "gradual"
MistakeKind = Literal["missed cut", "false cut", "shifted cut", "missed gradual", "false gradual", "cut for gradual",
                      "gradual for cut"]  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A boundary that was found, of kind ``cut`` or ``gradual``, and how sure the segmenter was of it."""

    span: Span
    score: float = 0.0


@dataclass(frozen=True)
class Counts:
    """How many boundaries are true, were found, and are both. Shares are ``None`` where there is nothing to share."""

    true: int = 0
    found: int = 0
    hits: int = 0

    @property
    def missed(self) -> int:
        return self.true - self.hits

    @property
    def false(self) -> int:
        return self.found - self.hits

    @property
    def precision(self) -> float | None:
        return self.hits / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        return self.hits / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        return 2 * self.hits / (self.true + self.found) if self.true + self.found else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.true + other.true, self.found + other.found, self.hits + other.hits)


@dataclass(frozen=True)
class Mistake:
    """One place that a person should look at.

    Attributes:
        kind: ``missed …``, ``false …``; ``shifted cut``, a hit that is off by some frames; ``cut for gradual``, a
            confusion: a hard cut found inside a true gradual transition; ``gradual for cut``, the other one.
        true, found: what should have been found there, and what was; ``None`` where there is nothing.
        during: what misled, as the truth names it; empty where it names nothing.
    """

    kind: MistakeKind
    true: Span | None
    found: Found | None
    during: str = ""

    @property
    def spans(self) -> list[Span]:
        """What is true, then what was found, of these what there is."""
        return [*([self.true] if self.true else []), *([self.found.span] if self.found else [])]

    @property
    def frame(self) -> int:
        """Where it is: of the true boundary, else of the found one, the first frame."""
        return self.spans[0].first


@dataclass(frozen=True)
class BoundaryScore:
    """Agreement in one title.

    Attributes:
        hard, gradual: by tolerance. ``any_kind``: see the module.
        ious: intersection over union, in frames, of each gradual transition found with the true one.
        left_out: found in ambiguous places.
        mistakes: in order of time.
    """

    hard: Mapping[int, Counts]
    gradual: Mapping[int, Counts]
    any_kind: Counts
    ious: tuple[float, ...]
    left_out: int
    mistakes: tuple[Mistake, ...]


def score_boundaries(found: Sequence[Found], truth: Truth) -> BoundaryScore:
    """Hold what was found in a title, in order, against the truth, as the module says."""
    cuts = [one for one in found if one.span.kind == CUT]
    gradual = sorted((one for one in found if one.span.kind == GRADUAL), key=lambda one: one.span.first)
    pairs_of_cuts = {tolerance: _pair_cuts(cuts, truth.hard_cuts, tolerance) for tolerance in TOLERANCES}
    spans = [one.span for one in gradual]
    pairs_of_spans = {tolerance: match_spans(truth.gradual, spans, tolerance) for tolerance in TOLERANCES}
    cut_pairs, gradual_pairs = pairs_of_cuts[TOLERANCES[-1]], pairs_of_spans[TOLERANCES[0]]
    stray = [*_unpaired(cuts, cut_pairs), *_unpaired(gradual, gradual_pairs)]
    wrong = [_judge(one, truth) for one in stray if not _is_in(one.span, truth.ambiguous)]
    shown = {mistake.true for mistake in wrong}
    mistakes = [
        *wrong,
        *_shifted(truth.hard_cuts, cuts, cut_pairs),
        *_missed(truth.hard_cuts, cut_pairs, shown, "missed cut"),
        *_missed(truth.gradual, gradual_pairs, shown, "missed gradual"),
    ]
    return BoundaryScore(
        {tolerance: _count(truth.hard_cuts, cuts, pairs, truth) for tolerance, pairs in pairs_of_cuts.items()},
        {tolerance: _count(truth.gradual, gradual, pairs, truth) for tolerance, pairs in pairs_of_spans.items()},
        _count_any(found, truth),
        tuple(_iou(truth.gradual[row], gradual[place].span) for row, place in gradual_pairs.items()),
        len(stray) - len(wrong),
        tuple(sorted(mistakes, key=lambda mistake: mistake.frame)),
    )


def count_cuts(found: Sequence[int], true: Sequence[int], tolerance: int = 0) -> Counts:
    """Agreement of found with true frames of cuts, in a title without gradual transitions or ambiguous places."""
    return Counts(len(true), len(found), len(pair_cuts(found, true, tolerance)))


def match_spans(true: Sequence[Span], found: Sequence[Span], tolerance: int = 0) -> dict[int, int]:
    """Pair true with found spans, both ordered by their first frame, as the module says of gradual transitions.

    A greater tolerance never pairs fewer.

    Returns:
        Place in ``true`` → place in ``found``.
    """
    pairs: dict[int, int] = {}
    open_places = list(range(len(found)))
    for row, span in enumerate(true):
        near = Span(span.kind, span.first - tolerance, span.last + tolerance)
        while open_places and found[open_places[0]].last < near.first:
            open_places.pop(0)
        best: int | None = None
        for place in open_places:
            if found[place].first > near.last:
                break
            if found[place].overlaps(near) and (best is None or _fit(span, found[place]) > _fit(span, found[best])):
                best = place
        if best is not None:
            pairs[row] = best
            open_places.remove(best)
    return pairs


def _fit(true: Span, found: Span) -> tuple[int, int]:
    """Frames shared, or how near it is where none is, then fewest frames beside them."""
    return _reach(true, found), found.first - found.last


def _shared(one: Span, other: Span) -> int:
    return max(0, _reach(one, other))


def _reach(one: Span, other: Span) -> int:
    """Frames shared; 0 or less where none is, by how many frames lie between them."""
    return min(one.last, other.last) - max(one.first, other.first) + 1


def _iou(one: Span, other: Span) -> float:
    shared = _shared(one, other)
    return shared / (one.last - one.first + other.last - other.first + 2 - shared)


def _pair_cuts(cuts: Sequence[Found], true: Sequence[Span], tolerance: int) -> dict[int, int]:
    """Place of each true cut that is a hit → place of the one found."""
    return pair_cuts([one.span.first for one in cuts], [cut.first for cut in true], tolerance)


def _count_any(found: Sequence[Found], truth: Truth) -> Counts:
    true = sorted(map(_widen, [*truth.hard_cuts, *truth.gradual]), key=lambda span: span.first)
    ordered = sorted(found, key=lambda one: _widen(one.span).first)
    return _count(true, ordered, match_spans(true, [_widen(one.span) for one in ordered]), truth)


def _count(true: Sequence[Span], found: Sequence[Found], pairs: Mapping[int, int], truth: Truth) -> Counts:
    """Counts of one kind, less what was found in ambiguous places."""
    left_out = sum(_is_in(one.span, truth.ambiguous) for one in _unpaired(found, pairs))
    return Counts(len(true), len(found) - left_out, len(pairs))


def _unpaired(found: Sequence[Found], pairs: Mapping[int, int]) -> list[Found]:
    hits = set(pairs.values())
    return [one for place, one in enumerate(found) if place not in hits]


def _widen(span: Span) -> Span:
    """A cut as the two frames between which it is."""
    return Span(span.kind, span.first - 1, span.last) if span.kind == CUT else span


def _is_in(span: Span, places: Iterable[Span]) -> bool:
    return any(place.overlaps(span) for place in places)


def _judge(stray: Found, truth: Truth) -> Mistake:
    """What a found boundary that is no hit is: one of the wrong kind, or a false one."""
    is_cut = stray.span.kind == CUT
    others = truth.gradual if is_cut else truth.hard_cuts
    met = max(others, key=lambda other: _shared(_widen(other), _widen(stray.span)), default=None)
    during = next((span.kind for span in truth.misleading if span.overlaps(stray.span)), "")
    if met is not None and _widen(met).overlaps(_widen(stray.span)):
        return Mistake("cut for gradual" if is_cut else "gradual for cut", met, stray, during)
    return Mistake("false cut" if is_cut else "false gradual", None, stray, during)


def _shifted(true: Sequence[Span], cuts: Sequence[Found], pairs: Mapping[int, int]) -> Iterator[Mistake]:
    for row, place in pairs.items():
        if cuts[place].span.first != true[row].first:
            yield Mistake("shifted cut", true[row], cuts[place])


def _missed(
    true: Sequence[Span], pairs: Mapping[int, int], shown: set[Span | None], kind: MistakeKind
) -> Iterator[Mistake]:
    """The true boundaries that were not found and that no confusion shows already."""
    for row, span in enumerate(true):
        if row not in pairs and span not in shown:
            yield Mistake(kind, span, None)
