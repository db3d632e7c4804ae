"""An ablation as tables for people, as JSON and CSV for programs, and as a plot."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mediafm_cli.evaluate.ablation.ablate import ISOLATED, Ablation
from mediafm_cli.evaluate.ablation.bars import plot
from mediafm_cli.evaluate.ablation.comparison import Row
from mediafm_cli.evaluate.ablation.dependence import Dependence
from mediafm_cli.evaluate.ablation.probes import WHOLE as PROBED
from mediafm_cli.evaluate.ablation.probes import ProbeRecord
from mediafm_cli.evaluate.ablation.variants import REFERENCE
from mediafm_cli.evaluate.bootstrap import ENOUGH_TITLES, Interval
from mediafm_cli.evaluate.probes.results import SHARED_TRAINING
from mediafm_cli.evaluate.writing import align, between, plain, write_files

SCHEMA = "mediafm.ablation"
SCHEMA_VERSION = 2

WHOLE = ("cosine", "top-1", "MRR", "over mean", "over copy")
"""The measures of all modalities together."""

RETRAINED = ("mean cosine", "MRR")

ENOUGH_SEEDS = 5
"""Runs from which on it shows how far training varies."""


def table(ablation: Ablation) -> str:
    """Aligned plain text: what was predicted, modality by modality, what changes do, and on what it was measured."""
    models = [row for row in ablation.rows if row.kind != "intervention" or row.name == ISOLATED]
    shown = [row for row in ablation.rows if row.kind != "baseline"]
    by_modality = [f"cos {name}" for name in ablation.modalities]
    parts = [
        _figures("predicting hidden shots", models, WHOLE, ablation.best),
        _figures("by modality", models, by_modality, ablation.best),
        _changes("shown something else", shown, "cosine", ("MRR",)),
        _gains("shown something else, by modality", shown, by_modality),
    ]
    if ablation.retrained:
        parts.append(_changes("trained anew", ablation.retrained, RETRAINED[0], RETRAINED[1:]))
    if ablation.probed:
        parts += _probe_parts(ablation, ablation.probed)
    parts.append([*_answers(ablation)])
    return "\n\n".join("\n".join(part) for part in [*parts, list(_legend(ablation))] if part)


def _probe_parts(ablation: Ablation, probed: ProbeRecord) -> Iterator[list[str]]:
    """Figures of every row, then the changes; and so of the variants, if there are any."""
    measures = list(probed.chance)
    name = f"probing {probed.column}"
    models = [row for row in ablation.probes if row.kind != "intervention"]
    yield _figures(name, models, measures, ablation.best)
    yield _changes(f"{name}, changed", [row for row in ablation.probes if row.kind != "baseline"], measures[0])
    if ablation.probes_retrained:
        yield _changes(f"{name}, trained anew", ablation.probes_retrained, measures[0])


def describe(dependence: Dependence) -> str:
    """Which modality something depends on, as a sentence."""
    (first, cost), (second, _) = list(dependence.costs.items())[:2]
    question = f"Which modality does {dependence.of} depend on?"
    if cost.value <= 0:
        rise = Interval(-cost.value, -cost.high, -cost.low, cost.level)
        return (
            f"{question} None: {dependence.measured} rises whichever is left out, least without {first}: "
            f"{between(rise, '+')}."
        )
    falls = f"without {first}, {dependence.measured} falls by {between(cost)}"
    lead = f"{between(dependence.lead)} more than without {second}"
    if dependence.modality:
        return f"{question} {first}: {falls}, {lead}."
    if not math.isfinite(cost.low):
        return f"{question} A single title cannot tell: {falls}, {lead}."
    why = "that includes zero" if cost.includes_zero else "the lead includes zero"
    return f"{question} None stands out: {falls}, {lead}, and {why}."


def _answers(ablation: Ablation) -> Iterator[str]:
    """What the tables come to."""
    measures = [*(f"cos {name}" for name in ablation.modalities), "cosine", "MRR"]
    wholes = [(row, measures) for row in ablation.rows if row.kind == "trained"]
    wholes += [(row, list(row.cells)) for row in ablation.probes if row.name == PROBED]
    for row, measures in wholes:
        for measure in (name for name in measures if name in row.over_best):
            over = row.over_best[measure]
            best = f"the best baseline, {ablation.best[measure]}"
            told = f"{measure} of {row.name}, over {best}: {_difference(over).rstrip()}"
            yield f"Does context help? {_verdict(over)}: {told}."
    yield from map(describe, ablation.dependences)
    if ablation.dependences and not ablation.probed:
        yield "What a task depends on may be another: predicting misses most what stays alike. --labels asks the task."


def _verdict(over: Interval) -> str:
    if not math.isfinite(over.low):
        return "A single title cannot tell"
    if over.includes_zero:
        return "These titles cannot tell"
    return "Yes" if over.value > 0 else "No"


def _figures(title: str, rows: Sequence[Row], measures: Sequence[str], best: dict[str, str]) -> list[str]:
    """A line a row: figures, each with the larger half of its interval."""
    shown = [name for name in measures if any(name in row.cells for row in rows)]
    lines = [[row.name, *(_figure(row.cells.get(name), best.get(name) == row.name) for name in shown)] for row in rows]
    return align([[title, *shown], *lines], left=1)


def _changes(title: str, rows: Sequence[Row], measure: str, others: Sequence[str] = ()) -> list[str]:
    """A line a row: how much higher it is than the best baseline, and than what it is a change of; what it is shown."""
    of = next((row.changed_from for row in rows if row.changed_from), "")
    names = next((list(row.energy) for row in rows if row.energy), [])
    columns = [
        (measure, [_figure(row.cells.get(measure), False) for row in rows]),
        ("over best baseline", [_difference(row.over_best.get(measure)) for row in rows]),
        *((f"{one}, over {of}", [_difference(row.change.get(one)) for row in rows]) for one in (measure, *others)),
        ("by seed", [" ".join(f"{value:+z.3f}" for value in row.seeds) if row.seeds[1:] else "" for row in rows]),
        (
            f"energy {' '.join(names)}",
            [" ".join(f"{share:.0%}" for share in row.energy.values()) if row.energy else "" for row in rows],
        ),
    ]
    used = [(heading, cells) for heading, cells in columns if any(cells)]
    lines = [[title, *(heading for heading, _ in used)]]
    lines += [[row.name, *(cells[place] for _, cells in used)] for place, row in enumerate(rows)]
    return align(lines, left=1)


def _gains(title: str, rows: Sequence[Row], measures: Sequence[str]) -> list[str]:
    """A line for each row that is a change of another: how much higher it is than that one, by each measure."""
    changed = [row for row in rows if row.changed_from]
    used = [name for name in measures if any(name in row.change for row in changed)]
    lines = [[row.name, *(_difference(row.change.get(name)) for name in used)] for row in changed]
    heading = [title, *(f"{name}, over {row.changed_from}" for row in changed[:1] for name in used)]
    return align([heading, *lines], left=1) if used else []


def _figure(interval: Interval | None, is_best: bool) -> str:
    if interval is None:
        return "–" + " " * 7
    half = max(interval.high - interval.value, interval.value - interval.low)
    mark = "*" if is_best else " "
    return f"{interval.value:z.3f}{mark}" + (f" ±{half:.3f}".replace("±0", "±") if math.isfinite(half) else "")


def _difference(interval: Interval | None) -> str:
    if interval is None:
        return ""
    includes_zero = interval.includes_zero and math.isfinite(interval.low)  # of a single title there is no interval
    return f"{between(interval, '+')}{', includes 0' if includes_zero else ' ' * 12}"


def _legend(ablation: Ablation) -> Iterator[str]:
    scores = ablation.rows[0].scores
    assert scores is not None, "every row of hidden shots has its scores"
    unseen = "that the model never learned from" if ablation.held_out else "THAT THE MODEL LEARNED FROM"
    yield f"{scores.measured} {unseen}; each hidden once, a fifth of a title at a time."
    if ablation.chosen_by:
        yield f"By {ablation.chosen_by} of them the step that was kept was chosen: on these it does a little better."
    if absent := [name for name, cosine in scores.by_modality.items() if cosine is None]:
        yield f"None of these shots has {' or '.join(absent)}: nothing is told of what hangs on that."
    yield "cosine: of prediction and hidden shot, on the whole vector and on each modality where it is present."
    yield "The whole also asks how loud modalities are beside each other, which a loss for each of them does not teach."
    guess = ""
    if ablation.chance_top1 is not None and ablation.chance_mrr is not None:
        guess = f" A guess: top-1 {ablation.chance_top1:.3f}, MRR {ablation.chance_mrr:.3f}."
    yield f"top-1, MRR: finding the hidden shot among those of its title hidden at the same time.{guess}"
    yield "over mean, over copy: share of the cosine distance of the mean vector, and of all flat, that is gone."
    if ablation.retrained:
        yield "mean cosine: over the modalities, of those that a variant could learn to predict."
        yield f"Variants were trained like the {REFERENCE}, on the model's training titles, none of which is measured."
        seeds = max(1, *(len(row.seeds) for row in ablation.retrained))
        few = "" if seeds >= ENOUGH_SEEDS else f"; {seeds} {'is' if seeds == 1 else 'are'} few, {ENOUGH_SEEDS} would do"
        yield f"Their intervals are over titles alone; how far training itself varies, --seeds show: by seed{few}."
    if ablation.probed:
        yield from _probe_legend(ablation.probed)
    if len(ablation.modalities) > 1 and ablation.normalize == "per-modality":
        yield "×: as it would be fused without normalisation; with it, as here, no modality is louder than another."
    yield "energy: share of each modality in the squared length of the vectors that the model is shown."
    yield "*: the best baseline, of those that need no training or no context."
    if scores.titles == 1:
        yield "A single title: there are no intervals, and no difference can be told from chance."
    if scores.titles > 1 or ablation.probed:
        percent = f"{ablation.level:.0%}".replace("%", " %")
        yield f"±, […]: {percent} intervals of a paired bootstrap over titles; ± is the larger half."
    if 1 < scores.titles < ENOUGH_TITLES:
        yield f"{scores.titles} titles are few: intervals are widened, and below {ENOUGH_TITLES} not to be trusted."


def _probe_legend(probed: ProbeRecord) -> Iterator[str]:
    classes = f" in {len(probed.classes)} classes" if probed.classes else ""
    guess = ", ".join(f"{measure} {value:.3f}" for measure, value in probed.chance.items())
    yield f"Probes: {probed.clips} clips of {len(probed.titles)} titles{classes}, split by title. A guess: {guess}."
    if probed.learned:
        yield f"The model was trained on {probed.learned} of these {len(probed.titles)} titles, without labels."
    yield SHARED_TRAINING
    if len(probed.titles) < ENOUGH_TITLES:
        yield f"{len(probed.titles)} titles are few to probe: below {ENOUGH_TITLES}, intervals are not to be trusted."
    if probed.left_out:
        yield f"Left out, since they are too rare or too common to be learned: {'; '.join(probed.left_out)}."


def records(ablation: Ablation) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema and fields of each record of ``--json``: the rows, the answers, and on what they were measured."""
    for row in _every_row(ablation):
        yield "ablation.row", {"held_out": _is_held_out(ablation, row), **plain(dataclasses.asdict(row))}
    for dependence in ablation.dependences:
        answer = {"modality": dependence.modality, **plain(dataclasses.asdict(dependence))}
        yield "ablation.dependence", answer
    said = {"rows", "retrained", "probes", "probes_retrained", "dependences"}
    whole = plain(dataclasses.asdict(ablation))
    yield "ablation.total", {name: value for name, value in whole.items() if name not in said}


def write_results(ablation: Ablation, folder: Path) -> list[Path]:
    """Write ``results.json``, ``results.csv`` and ``results.png`` into ``folder``; their paths."""
    record = {"schema": SCHEMA, "version": SCHEMA_VERSION, **plain(dataclasses.asdict(ablation))}
    for dependence, found in zip(record["dependences"], ablation.dependences, strict=True):
        dependence["modality"] = found.modality
    return write_files(folder, record, _csv(ablation), plot(ablation))


def _every_row(ablation: Ablation) -> tuple[Row, ...]:
    return (*ablation.rows, *ablation.retrained, *ablation.probes, *ablation.probes_retrained)


def _is_held_out(ablation: Ablation, row: Row) -> bool:
    """Whether the model never learned from the titles of a row; those of a probe are all that are labelled."""
    if ablation.probed and row in (*ablation.probes, *ablation.probes_retrained):
        return not ablation.probed.learned
    return ablation.held_out


def _csv(ablation: Ablation) -> str:
    """One line a row; a figure, then its interval, then differences; empty where a thing does not apply."""
    rows = _every_row(ablation)
    measures = list(dict.fromkeys(name for row in rows for name in row.cells))
    differences: list[tuple[str, str]] = [(side, name) for side in ("over best", "change") for name in measures]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "row",
            *measures,
            *("shots", "titles", "held_out", "kind"),
            *(f"{name} {end}" for name in measures for end in ("low", "high")),
            *(f"energy {name}" for name in ablation.modalities),
            "changed_from",
            *(f"{side} {name}{end}" for side, name in differences for end in ("", " low", " high")),
        ]
    )
    for row in rows:
        sides = {"over best": row.over_best, "change": row.change}
        of = [sides[side].get(name) for side, name in differences]
        values = [
            *(_ends(row.cells.get(name))[0] for name in measures),
            *((row.scores.shots, row.scores.titles) if row.scores else (None, None)),
            *(_is_held_out(ablation, row), row.kind),
            *(end for name in measures for end in _ends(row.cells.get(name))[1:]),
            *((row.energy or {}).get(name) for name in ablation.modalities),
            row.changed_from,
            *(end for interval in of for end in _ends(interval)),
        ]
        writer.writerow([row.name, *("" if value is None else value for value in values)])
    return out.getvalue()


def _ends(interval: Interval | None) -> tuple[float | None, float | None, float | None]:
    if interval is None:
        return None, None, None
    value, low, high = plain([interval.value, interval.low, interval.high])
    return value, low, high
