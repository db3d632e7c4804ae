"""Which found cut is which true one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple


def pair_cuts(found: Sequence[int], truth: Sequence[int], tolerance: int = 0) -> dict[int, int]:
    """Pair true with found frames one to one, each at most ``tolerance`` frames apart.

    As many as can be paired; of the ways to pair so many, one in which the frames lie nearest together in sum. On a
    line such a one never crosses, so that both lists are gone through once, in order.

    Returns:
        Place in ``truth`` → place in ``found``.
    """
    places = sorted(range(len(found)), key=found.__getitem__)
    frames = [found[place] for place in places]
    best = {0: _Pairing()}  # number of found frames that are passed → the best pairing of the true ones up to here
    for row in sorted(range(len(truth)), key=truth.__getitem__):
        near = range(bisect_left(frames, truth[row] - tolerance), bisect_right(frames, truth[row] + tolerance))
        before, best = best, {}
        for passed, pairing in before.items():
            _keep_better(best, max(passed, near.start), pairing)
            for number in near[max(0, passed - near.start) :]:
                _keep_better(best, number + 1, pairing.add(row, places[number], abs(frames[number] - truth[row])))
    pairs: dict[int, int] = {}
    chain = max(best.values(), key=_Pairing.rank).chain
    while chain:
        row, place, chain = chain
        pairs[row] = place
    return dict(sorted(pairs.items()))


class _Pairing(NamedTuple):
    """``chain`` is the last pair and the chain before it; ``apart`` the frames between all that are paired."""

    hits: int = 0
    apart: int = 0
    chain: tuple[int, int, Any] | None = None

    def add(self, row: int, place: int, apart: int) -> _Pairing:
        return _Pairing(self.hits + 1, self.apart + apart, (row, place, self.chain))

    def rank(self) -> tuple[int, int]:
        return self.hits, -self.apart


def _keep_better(best: dict[int, _Pairing], passed: int, pairing: _Pairing) -> None:
    if passed not in best or pairing.rank() > best[passed].rank():
        best[passed] = pairing
