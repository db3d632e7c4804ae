"""The labels of clips: read from a column of their list, and left out where they are too few to be probed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mediafm_cli.errors import UsageError
from mediafm_cli.evaluate.clips import Clip
from mediafm_cli.evaluate.probes.probing import Task

LEAST_TITLES = 3
"""To split by: one to ask, and two to learn from, which choose the strength of the penalty between them."""

LEAST_OF_CLASS = 2
"""Titles with a class, and without it, that each probe learns from."""

SEPARATOR = "|"
"""Between the labels of one clip, where it may have several."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What probes are asked.

    Attributes:
        task: see ``probing``. ``classes``: the names of the k classes, in order; none for a ranking.
        values: the labels of each title's clips, as ``probing`` takes them.
        left_out: a phrase for each class that is too rare, or everywhere.
    """

    task: Task
    classes: tuple[str, ...]
    values: list[np.ndarray]
    left_out: tuple[str, ...] = ()

    @property
    def labelled(self) -> int:
        """Clips that have a label; those of ``multilabel`` and ``retrieval`` that have none of the classes count."""
        if self.task in ("multilabel", "retrieval"):
            return sum(map(len, self.values))
        known = np.isfinite if self.task == "ranking" else (lambda values: values >= 0)
        return int(sum(known(values).sum() for values in self.values))

    @property
    def asked(self) -> list[int]:
        """The places of the titles of which anything is asked."""
        if self.task == "ranking":
            return [place for place, values in enumerate(self.values) if _can_be_ranked(values)]
        if self.task == "multiclass":
            return [place for place, values in enumerate(self.values) if (values >= 0).any()]
        return list(range(len(self.values)))


def read_labels(clips: Sequence[Sequence[Clip]], column: str, task: Task, source: Path) -> Labels:
    """The labels in a column of the list ``source``: the clips of each title in turn.

    A clip without a label: has none of the classes (``multilabel``, ``retrieval``), or is not asked (``multiclass``,
    ``ranking``).

    Raises:
        UsageError: there is no such column; a number that was wanted is none; no clip has a label.
    """
    every = [clip for of_title in clips for clip in of_title]
    for clip in every:
        if column not in clip.more:
            named = ", ".join(clip.more) or "none beside title, start_s and end_s"
            hint = "Name the column of the labels with --column."
            raise UsageError(f"{source} has no column {column!r}.", f"Its columns are {named}.", hint)
    if not any(clip.more[column].strip() for clip in every):
        hint = "Fill it in, or name the column of the labels with --column."
        raise UsageError(f"{source} labels no clip.", f"The column {column!r} is empty.", hint)
    if task == "ranking":
        return Labels(task, (), [np.array([_number(clip, column, source) for clip in some]) for some in clips])
    several = task != "multiclass"
    named_by = [[_names(clip.more[column], several) for clip in of_title] for of_title in clips]
    classes = tuple(sorted({name for of_title in named_by for names in of_title for name in names}))
    hits = [np.array([[name in names for name in classes] for names in of_title]) for of_title in named_by]
    if several:
        return Labels(task, classes, hits)
    return Labels(task, classes, [np.where(one.any(axis=1), one.argmax(axis=1), -1) for one in hits])


def leave_out_rare(labels: Labels, folds: np.ndarray) -> Labels:
    """The labels less the classes that cannot be learned in every fold, or told apart from nothing.

    Args:
        folds: int [titles], the fold of each title.

    Raises:
        UsageError: too little is left to be asked.
    """
    if labels.task == "ranking":
        ranked = np.array([_can_be_ranked(values) for values in labels.values])
        if ranked.sum() < LEAST_TITLES or _least(ranked, folds) < LEAST_OF_CLASS:
            can = _titles(int(ranked.sum())).capitalize()
            why = f"{can} of {len(ranked)} can be: two clips or more, with numbers that differ."
            what = f"A ranking within titles takes {LEAST_TITLES} titles that can be ranked."
            raise UsageError(what, why, f"Each fold has to leave {LEAST_OF_CLASS} of them to learn from.")
        return labels
    several = labels.task != "multiclass"
    hits = [values if several else values[:, None] == np.arange(len(labels.classes)) for values in labels.values]
    of_titles = np.array([one.any(axis=0) for one in hits])  # [titles, k]
    without = np.array([(~one).any(axis=0) for one in hits]) if several else np.ones_like(of_titles)
    kept, left_out = [], list(labels.left_out)
    for number, name in enumerate(labels.classes):
        if _least(of_titles[:, number], folds) < LEAST_OF_CLASS:
            left_out.append(f"{name!r}, in {_titles(int(of_titles[:, number].sum()))}")
        elif _least(without[:, number], folds) < LEAST_OF_CLASS:
            left_out.append(f"{name!r}, missing from clips of {_titles(int(without[:, number].sum()))}")
        else:
            kept.append(number)
    if len(kept) < (1 if several else 2):
        some = f"{len(kept)} of {len(labels.classes)} {'class' if len(labels.classes) == 1 else 'classes'}"
        why = f"Each probe learns from {LEAST_OF_CLASS} titles with a class at least" + " and as many without" * several
        what = f"The labels leave {'nothing to find' if several else 'nothing to tell apart'}: {some} can be used."
        hint = "Label clips of more titles" if several else "Label clips of more titles, or with more classes"
        raise UsageError(what, f"{why}. Left out: {'; '.join(left_out) or 'none'}.", f"{hint}.")
    if several:
        values = [one[:, kept] for one in labels.values]
    else:
        renumbered = np.full(len(labels.classes) + 1, -1)  # the last one for clips without a class
        renumbered[kept] = np.arange(len(kept))
        values = [renumbered[one] for one in labels.values]
    classes = tuple(labels.classes[number] for number in kept)
    return replace(labels, classes=classes, values=values, left_out=tuple(left_out))


def _can_be_ranked(values: np.ndarray) -> bool:
    return len(np.unique(values[np.isfinite(values)])) > 1


def _least(has: np.ndarray, folds: np.ndarray) -> int:
    """Of the sides that probes learn from, the fewest titles that have something."""
    return min(int(has[folds != fold].sum()) for fold in np.unique(folds))


def _names(text: str, several: bool) -> list[str]:
    parts = text.split(SEPARATOR) if several else [text]
    return [part.strip() for part in parts if part.strip()]


def _number(clip: Clip, column: str, source: Path) -> float:
    text = clip.more[column].strip()
    if not text:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        what = f"{source}, line {clip.line}: {column} is {text!r}, which is no number."
        raise UsageError(what, "A ranking orders the clips of a title by a number.")
    return number


def _titles(count: int) -> str:
    return f"{count or 'no'} {'titles' if count > 1 else 'title'}"
