"""May the candidate replace the current bundle? Decided by a paired comparison on rows that neither was trained on.

Per skill, on the same held-out rows and the same bootstrap draws: candidate minus current with its 95 % interval, and

    better         the whole interval is above 0
    non-inferior   the whole interval is above -margin
    worse          the whole interval is below 0
    inconclusive   none of these: too few rows to tell

The margin is one point, or what so many rows can certify when nothing has changed (80 % power), if that is more. Rows
whose label only one bundle knows are not compared: adding an intent is normal, and its own figure is reported. The
first bundle is held to a floor above chance instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from bot.core.messages import Value
from bot.manifest import Metric
from training import metrics as m
from training.evaluate import IntentResult, SlotResult
from training.examples import OOS

Finding = Literal["first", "better", "non-inferior", "worse", "inconclusive", "below floor", "unmeasured"]

_MARGIN = 0.01
_POWERED = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
_GOOD = ("first", "better", "non-inferior", "unmeasured")


class Comparison(Value):
    """One skill of the candidate against the current bundle, on the rows that both can be judged by.

    `change` is candidate minus current. `flips` were right before and are wrong now; `gains` the other way round;
    `p` is McNemar's exact test on whole rows. `added` are labels that the current bundle does not know, `added_score`
    the candidate's figure on their rows.
    """

    skill: str
    metric: str
    finding: Finding
    candidate: Metric | None = None
    current: Metric | None = None
    change: Metric | None = None
    margin: float | None = None
    floor: float | None = None
    flips: int = 0
    gains: int = 0
    p: float | None = None
    added: tuple[str, ...] = ()
    added_score: Metric | None = None


class Integrity(Value):
    """What a fresh process made of the candidate: share of rows predicted the same, largest change of a score."""

    passed: bool
    rows: int
    agreement: float
    largest_change: float


class Verdict(Value):
    """Whether the candidate may be promoted, and why. `reasons` are sentences for people, with the numbers."""

    promote: bool
    reasons: tuple[str, ...]
    current: str | None
    integrity: Integrity
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A skill's held-out rows as a paired comparison needs them. Labels are intents, or kinds of slots.

    `right` tells for each row whether it is wholly right; `score` is the figure over some of the rows.
    """

    skill: str
    metric: str
    labels: frozenset[str]
    row_labels: tuple[frozenset[str], ...]
    right: tuple[bool, ...]
    hits: tuple[int, ...]
    total: tuple[int, ...]

    def statistic(self, rows: Sequence[int]) -> m.Statistic:
        """The figure over these rows: twice the hits by the total, which is accuracy, or micro F1 of slots."""
        hits = np.array([self.hits[row] for row in rows], dtype=np.float64)
        total = np.array([self.total[row] for row in rows], dtype=np.float64)

        def figure(weights: m.Floats) -> m.Floats:
            whole = weights @ total
            return np.where(whole > 0, 2 * (weights @ hits) / np.maximum(whole, 1), 1.0)

        return figure

    def metric_on(self, rows: Sequence[int]) -> Metric:
        """The figure over these rows with its interval."""
        return m.bootstrap(self.statistic(rows), len(rows))


def measured_intents(results: Sequence[IntentResult], labels: Sequence[str]) -> Measured:
    """The in-scope rows of an intent evaluation; `labels` are the intents that the bundle knows."""
    inside = [result for result in results if result.row.intent != OOS]
    right = tuple(result.right for result in inside)
    rows = tuple(frozenset({result.row.intent}) for result in inside)
    return Measured("intent", "accuracy", frozenset(labels), rows, right, tuple(map(int, right)), (2,) * len(inside))


def measured_slots(results: Sequence[SlotResult], labels: Sequence[str]) -> Measured:
    """An entity evaluation; `labels` are the kinds of slots that the bundle knows."""
    return Measured(
        "entities",
        "slot_f1",
        frozenset(labels),
        tuple(frozenset(kind for _, _, kind in result.gold) for result in results),
        tuple(result.gold == result.predicted for result in results),
        tuple(len(result.gold & result.predicted) for result in results),
        tuple(len(result.gold) + len(result.predicted) for result in results),
    )


def compare(candidate: Measured, current: Measured | None) -> Comparison:
    """Judge one skill. `current` is measured on the same rows, or None where there is nothing to compare with."""
    if not candidate.right:
        return Comparison(skill=candidate.skill, metric=candidate.metric, finding="unmeasured")
    if current is None:
        return _first(candidate)
    added = tuple(sorted(candidate.labels - current.labels))
    shared = [row for row, labels in enumerate(candidate.row_labels) if labels <= current.labels]
    fresh = [row for row, labels in enumerate(candidate.row_labels) if not labels <= current.labels]
    added_score = candidate.metric_on(fresh) if fresh else None
    if not shared:
        return _first(candidate).model_copy(update={"added": added, "added_score": added_score})
    flips = sum(current.right[row] and not candidate.right[row] for row in shared)
    gains = sum(candidate.right[row] and not current.right[row] for row in shared)
    change = m.bootstrap(m.difference(candidate.statistic(shared), current.statistic(shared)), len(shared))
    margin = max(_MARGIN, _POWERED * ((flips + gains) / len(shared) / len(shared)) ** 0.5)
    return Comparison(
        skill=candidate.skill,
        metric=candidate.metric,
        finding=_finding(change, margin),
        candidate=candidate.metric_on(shared),
        current=current.metric_on(shared),
        change=change,
        margin=round(margin, 5),
        flips=flips,
        gains=gains,
        p=m.mcnemar([candidate.right[row] for row in shared], [current.right[row] for row in shared]),
        added=added,
        added_score=added_score,
    )


def judge(comparisons: Sequence[Comparison], integrity: Integrity, current: str | None) -> Verdict:
    """The verdict on a candidate: it must be whole, and no skill may be worse or in doubt."""
    reasons = [_integrity_reason(integrity), *(_reason(item) for item in comparisons)]
    promote = integrity.passed and all(item.finding in _GOOD for item in comparisons)
    return Verdict(
        promote=promote,
        reasons=tuple(reasons),
        current=current,
        integrity=integrity,
        comparisons=tuple(comparisons),
    )


def _first(candidate: Measured) -> Comparison:
    rows = range(len(candidate.right))
    figure, floor = candidate.metric_on(rows), _floor(candidate)
    finding: Finding = "first" if figure.value >= floor else "below floor"
    return Comparison(
        skill=candidate.skill, metric=candidate.metric, finding=finding, candidate=figure, floor=round(floor, 5)
    )


def _floor(candidate: Measured) -> float:
    """Twice chance, or half-way between chance and perfect where that is less. Slots have no useful chance level."""
    if candidate.skill != "intent":
        return 0.1
    chance = 1 / max(1, len(candidate.labels))
    return min(2 * chance, (1 + chance) / 2)


def _finding(change: Metric, margin: float) -> Finding:
    if change.low > 0:
        return "better"
    if change.low > -margin:
        return "non-inferior"
    return "worse" if change.high < 0 else "inconclusive"


def _integrity_reason(integrity: Integrity) -> str:
    state = "reproduces" if integrity.passed else "does NOT reproduce"
    return (
        f"integrity: a fresh process {state} the predictions ({integrity.agreement:.1%} of {integrity.rows} rows, "
        f"largest change of a score {integrity.largest_change:.1g})"
    )


def _reason(item: Comparison) -> str:
    name = f"{item.skill}: {item.metric}"
    if item.finding == "unmeasured" or item.candidate is None:
        return f"{name} was not measured: no row is held out; add more examples"
    if item.change is None or item.current is None or item.margin is None:
        relation = "reaches" if item.finding == "first" else "is BELOW"
        text = f"{name} {_shown(item.candidate)} {relation} the floor of {item.floor:.3f} for a first bundle"
    else:
        text = (
            f"{name} {item.finding}: {_shown(item.candidate)} against {item.current.value:.3f} now, change "
            f"{item.change.value:+.3f} [{item.change.low:+.3f}, {item.change.high:+.3f}], margin {item.margin:.3f}, "
            f"{item.gains} rows gained, {item.flips} lost, p = {item.p:.2g}"
        )
    if item.added:
        score = f" at {_shown(item.added_score)}" if item.added_score else ", not measured"
        text += f"; new: {', '.join(item.added[:8])}{' ...' if len(item.added) > 8 else ''}{score}"
    return text


def _shown(figure: Metric) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}] on {figure.n} rows"
