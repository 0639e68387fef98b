"""One skill of the candidate against the current bundle, on rows that neither was trained on.

    better         the 95 % interval of the change is above 0, and the swap test agrees (p at most 0.025)
    non-inferior   the change is surely (95 %, one-sided) above -margin
    worse          the interval is below 0, and the swap test agrees
    inconclusive   none of these: too few rows to tell

Rows whose label only one bundle knows are not compared: adding an intent is normal, and its own figure is reported. The
first bundle is held to a floor above chance instead, unless it is measured on too few rows to say anything: a small
project must be able to start.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bot.manifest import Metric
from training import metrics as m
from training.gate import stats
from training.gate.measured import Measured, groups_of
from training.gate.verdict import Comparison, Finding

FEW = 20
"""With fewer rows that count, a first bundle is not held to a floor."""
FEWEST = 50
"""With fewer rows nothing is claimed of a skill that is no classifier, unless it is worse."""
_CLASSIFIERS = ("intent", "entities")
SHADED = ("generator",)
"""Skills of which no row is right or wrong: an answer in other words is none that was lost."""


def compare(candidate: Measured, current: Measured | None) -> Comparison:
    """Judge one skill. `current` is measured on the same rows, or None where there is nothing to compare with."""
    if not candidate.right:
        return Comparison(skill=candidate.skill, metric=candidate.metric, finding="unmeasured")
    if current is None:
        return _first(candidate)
    shared = shared_rows(candidate, current)
    fresh = sorted(set(range(len(candidate.rows))) - set(shared))
    added = {
        "added": tuple(sorted(candidate.labels - current.labels)),
        "added_score": candidate.metric_on(fresh) if fresh else None,
    }
    found = _paired(candidate, current, shared) if shared else _first(candidate)
    return found.model_copy(update=added)


def shared_rows(candidate: Measured, current: Measured) -> list[int]:
    """The rows whose labels the current bundle knows."""
    return [row for row, labels in enumerate(candidate.row_labels) if labels <= current.labels]


def sums_of(candidate: Measured, current: Measured, rows: Sequence[int]) -> stats.Floats:
    """Hits and totals of both by group, shape (groups, 4), as `stats.changed` takes them."""
    groups = groups_of([candidate.rows[row] for row in rows])
    sides = (candidate.hits, candidate.total, current.hits, current.total)
    columns = [np.bincount(groups, weights=[side[row] for row in rows]) for side in sides]
    return np.stack(columns, axis=1).astype(np.float64)


def moves(candidate: Measured, current: Measured, rows: Sequence[int]) -> stats.Floats:
    """1 for rows that are right now and were not, -1 the other way round, else 0."""
    return np.array([int(candidate.right[row]) - int(current.right[row]) for row in rows], dtype=np.float64)


def _paired(candidate: Measured, current: Measured, rows: Sequence[int]) -> Comparison:
    moved, groups = moves(candidate, current, rows), groups_of([candidate.rows[row] for row in rows])
    spread = _spread(candidate, current, rows)
    effect = stats.design_effect(spread, groups)
    margin = stats.margin(len(rows), float(np.square(spread).sum()), effect)
    change = stats.changed(sums_of(candidate, current, rows), margin)
    return Comparison(
        skill=candidate.skill,
        metric=candidate.metric,
        finding=_claimed(candidate.skill, finding(change, margin), len(rows)),
        candidate=candidate.metric_on(rows),
        current=current.metric_on(rows),
        change=Metric(value=change.value, low=change.low, high=change.high, n=len(rows)),
        sure=change.sure,
        margin=round(margin, 5),
        groups=int(groups.max()) + 1,
        effect=round(effect, 3),
        draws=change.draws,
        flips=int((moved < 0).sum()),
        gains=int((moved > 0).sum()),
        p=change.p,
        p_rows=m.mcnemar([candidate.right[row] for row in rows], [current.right[row] for row in rows]),
    )


def _spread(candidate: Measured, current: Measured, rows: Sequence[int]) -> stats.Floats:
    """The change of each row: of its score where rows have one, else whether it is right. Squares add up to what the
    margin calls discordance."""
    if any(side.total[row] != 2 for side in (candidate, current) for row in rows):
        return moves(candidate, current, rows)
    return np.array([candidate.hits[row] - current.hits[row] for row in rows], dtype=np.float64)


def tells(skill: str, rows: int) -> bool:
    """Whether so many rows are enough to hold a skill to them."""
    return skill in _CLASSIFIERS or rows >= FEWEST


def _claimed(skill: str, found: Finding, rows: int) -> Finding:
    """Too few rows to tell do not stop a skill that few projects have many rows of."""
    return found if found in ("better", "worse") or tells(skill, rows) else "too few rows"


def finding(change: stats.Change, margin: float) -> Finding:
    """What a change means."""
    told = change.p <= stats.FOUND
    if change.low > 0 and told:
        return "better"
    if change.sure > -margin:
        return "non-inferior"
    return "worse" if change.high < 0 and told else "inconclusive"


def _first(candidate: Measured) -> Comparison:
    rows = range(len(candidate.right))
    telling = sum(total > 0 for total in candidate.total)
    held = telling >= FEW and candidate.skill in _CLASSIFIERS
    figure, floor = candidate.metric_on(rows), round(_floor(candidate), 5) if held else None
    said: Finding = "first" if floor is None or figure.value >= floor else "below floor"
    return Comparison(skill=candidate.skill, metric=candidate.metric, finding=said, candidate=figure, floor=floor)


def _floor(candidate: Measured) -> float:
    """Twice chance, or half-way between chance and perfect where that is less. Slots have no useful chance level."""
    if candidate.skill != "intent":
        return 0.1
    chance = 1 / max(1, len(candidate.labels))
    return min(2 * chance, (1 + chance) / 2)
