"""How well found cuts agree with true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CutScore:
    """Agreement of found with true boundaries.

    Attributes:
        hits: true boundaries that were found.
        missed, false: frames of those that were not found, and of those found that are not true.
    """

    hits: int
    missed: tuple[int, ...]
    false: tuple[int, ...]

    @property
    def precision(self) -> float:
        """Share of what was found that is true; 1 where nothing was found."""
        return _share(self.hits, self.hits + len(self.false))

    @property
    def recall(self) -> float:
        """Share of what is true that was found; 1 where there was nothing to find."""
        return _share(self.hits, self.hits + len(self.missed))

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.hits, 2 * self.hits + len(self.missed) + len(self.false))

    def __add__(self, other: CutScore) -> CutScore:
        """Counts of two titles together."""
        return CutScore(self.hits + other.hits, self.missed + other.missed, self.false + other.false)


def score_cuts(found: Sequence[int], truth: Sequence[int], tolerance: int = 0) -> CutScore:
    """Match found with true frames one to one, each at most ``tolerance`` frames apart, as many as can be matched.

    Both lists in order, the earliest that can still be matched first: on a line no other matching has more pairs.
    """
    waiting = sorted(found)
    missed: list[int] = []
    false: list[int] = []
    for true in sorted(truth):
        while waiting and waiting[0] < true - tolerance:
            false.append(waiting.pop(0))
        if waiting and waiting[0] <= true + tolerance:
            waiting.pop(0)
        else:
            missed.append(true)
    return CutScore(len(truth) - len(missed), tuple(missed), tuple(false + waiting))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
