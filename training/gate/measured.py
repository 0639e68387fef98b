"""A skill's held-out rows as a paired comparison needs them.

Any skill can be judged that gives each row a score from 0 to 1: a `Judged` row holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.manifest import Metric
from training.evaluate import IntentResult, SlotResult, spelled
from training.examples import NOWHERE, OOS, IntentExample, Origin, SlotExample
from training.gate import stats
from training.split import key


@dataclass(frozen=True, slots=True)
class Judged:
    """What a bundle made of a held-out row, and the score of that from 0 (wrong) to 1 (wholly right).

    For a list of answers that is the reciprocal rank of the right one. `right` and `said` are for people to read; only
    bundles that know the `label` are asked ("" is known to all). What is between two bundles must be the same row:
    `text`, `right` and `where` are its identity.
    """

    text: str
    right: str
    said: str
    score: float
    sureness: float = 0.0
    label: str = ""
    lang: str = "en"
    where: str = ""
    origin: Origin = NOWHERE

    @property
    def id(self) -> tuple[str, str, str]:
        """What makes it the same row for two bundles."""
        return self.text, self.right, self.where


@dataclass(frozen=True, slots=True)
class Measured:
    """Labels are intents, kinds of slots or actions. `right` tells for each row whether it is wholly right.

    The figure over some rows is twice the `hits` by the `total`. `gold` and `said` are for people to read.
    """

    skill: str
    metric: str
    labels: frozenset[str]
    rows: tuple[IntentExample | SlotExample | Judged, ...]
    row_labels: tuple[frozenset[str], ...]
    right: tuple[bool, ...]
    hits: tuple[float, ...]
    total: tuple[int, ...]
    gold: tuple[str, ...]
    said: tuple[str, ...]
    sureness: tuple[float, ...]

    def metric_on(self, rows: Sequence[int]) -> Metric:
        """The figure over these rows with its interval; groups are drawn whole."""
        groups = groups_of([self.rows[row] for row in rows])
        sides = [[float(side[row]) for row in rows] for side in (self.hits, self.total)]
        sums: stats.Floats = np.stack([np.bincount(groups, weights=side).astype(np.float64) for side in sides])
        value = float(stats.figure(*sums.sum(axis=1, keepdims=True))[0])
        low, high = np.quantile(stats.figure(*stats.replicates(sums.T, stats.DRAWS).T), (0.025, 0.975))
        return Metric(value=value, low=min(float(low), value), high=max(float(high), value), n=len(rows))


def measured_intents(results: Sequence[IntentResult], labels: Sequence[str]) -> Measured:
    """The in-scope rows of an intent evaluation; `labels` are the intents that the bundle knows."""
    inside = [result for result in results if result.row.intent != OOS]
    right = tuple(result.right for result in inside)
    return Measured(
        skill="intent",
        metric="accuracy",
        labels=frozenset(labels),
        rows=tuple(result.row for result in inside),
        row_labels=tuple(frozenset({result.row.intent}) for result in inside),
        right=right,
        hits=tuple(map(int, right)),
        total=(2,) * len(inside),
        gold=tuple(result.row.intent for result in inside),
        said=tuple(result.predicted for result in inside),
        sureness=tuple(result.score for result in inside),
    )


def measured_slots(results: Sequence[SlotResult], labels: Sequence[str]) -> Measured:
    """An entity evaluation; `labels` are the kinds of slots that the bundle knows."""
    return Measured(
        skill="entities",
        metric="slot_f1",
        labels=frozenset(labels),
        rows=tuple(result.row for result in results),
        row_labels=tuple(frozenset(kind for _, _, kind in result.gold) for result in results),
        right=tuple(result.gold == result.predicted for result in results),
        hits=tuple(len(result.gold & result.predicted) for result in results),
        total=tuple(len(result.gold) + len(result.predicted) for result in results),
        gold=tuple(spelled(result.row.text, result.gold) for result in results),
        said=tuple(spelled(result.row.text, result.predicted) for result in results),
        sureness=tuple(result.score for result in results),
    )


def measured_scores(skill: str, metric: str, rows: Sequence[Judged], labels: Sequence[str] = ()) -> Measured:
    """Rows with scores, as `shared` of both bundles; the figure is the mean score."""
    return Measured(
        skill=skill,
        metric=metric,
        labels=frozenset(labels),
        rows=tuple(rows),
        row_labels=tuple(frozenset({row.label} - {""}) for row in rows),
        right=tuple(row.score >= 1 for row in rows),
        hits=tuple(row.score for row in rows),
        total=(2,) * len(rows),
        gold=tuple(row.right for row in rows),
        said=tuple(row.said for row in rows),
        sureness=tuple(row.sureness for row in rows),
    )


def shared(one: Sequence[Judged], other: Sequence[Judged]) -> tuple[list[Judged], list[Judged]]:
    """The rows that are in both, in the same order; each row once."""
    first, second = ({row.id: row for row in side} for side in (one, other))
    both = [name for name in first if name in second]
    return [first[name] for name in both], [second[name] for name in both]


def groups_of(rows: Sequence[Any]) -> NDArray[np.int64]:
    """The number of each row's group, from 0: its conversation, or else the words that near-duplicates share."""
    numbers: dict[str, int] = {}
    names = [f"c {row.origin.group}" if row.origin.group else f"t {key(row.text)}" for row in rows]
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
