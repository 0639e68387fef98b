"""Who is affected: the same comparison on parts of the rows.

200 rows and more: the one-sided swap test that it got worse, with Holm's correction over all such slices. 50 to 199: a
slice is shrunk towards all rows, and fails if it probably (0.9) lost more than five points. Fewer: "insufficient data".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bot.manifest import Metric
from training.examples import IntentExample, SlotExample
from training.gate import stats
from training.gate.compare import moves, shared_rows
from training.gate.measured import Judged, Measured, groups_of
from training.gate.verdict import Check, Quote, Slice, State

Row = IntentExample | SlotExample
TESTED, JUDGED = 200, 50
_DROP, _PROBABLE = 0.05, 0.9
_PRIOR = 50.0
"""How many rows of the usual a small slice is shrunk by."""
_LENGTHS = ((15, "1 to 15"), (40, "16 to 40"), (80, "41 to 80"))
_KINDS: Mapping[str, Callable[[Row], str]] = {
    "intent": lambda row: row.intent,
    "language": lambda row: row.lang,
    "channel": lambda row: row.origin.channel,
    "length": lambda row: next((name for most, name in _LENGTHS if len(row.text) <= most), "81 and more"),
    "month": lambda row: row.origin.month,
    "source": lambda row: row.origin.source,
}


@dataclass(frozen=True, slots=True)
class _Both:
    """Both bundles, and how often a row usually gains, loses or stays, by groups."""

    candidate: Measured
    current: Measured
    usual: tuple[float, float, float]
    effect: float


def slices(candidate: Measured, current: Measured) -> tuple[Slice, ...]:
    """All parts of the rows that both can be judged by, the largest first within each kind.

    A kind that has one value says nothing that the whole does not say, and is left out.
    """
    rows = shared_rows(candidate, current)
    if not rows:
        return ()
    moved = moves(candidate, current, rows)
    effect = stats.design_effect(moved, groups_of([candidate.rows[row] for row in rows]))
    shares = ((moved > 0).mean(), (moved < 0).mean(), (moved == 0).mean())
    both = _Both(candidate, current, (float(shares[0]), float(shares[1]), float(shares[2])), effect)
    found = [
        _slice(both, kind, name, members)
        for kind, read in _KINDS.items()
        for name, members in _parts(candidate, rows, read)
    ]
    return _settled(found)


def check(found: Sequence[Slice]) -> Check:
    """Whether some part lost."""
    lost = [item for item in found if item.state == "failed"]
    unknown = sum(item.state == "insufficient data" for item in found)
    text = f"slices: {len(found) - unknown} parts of the rows were judged, {len(lost)} got worse"
    if unknown:
        text += f"; {unknown} have fewer than {JUDGED} rows: insufficient data"
    shown = tuple(
        Quote(text=f"{item.kind}: {item.name}", note=f"{item.before:.3f}, then {item.after:.3f} on {item.rows} rows")
        for item in lost
    )
    state: State = "failed" if lost else "passed" if len(found) > unknown else "insufficient data"
    return Check(name="slices", state=state, sentence=text, examples=shown)


def _parts(candidate: Measured, rows: Sequence[int], read: Callable[[Row], str]) -> list[tuple[str, list[int]]]:
    parts: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        found = candidate.rows[row]
        parts["" if isinstance(found, Judged) else read(found)].append(row)
    parts.pop("", None)
    return sorted(parts.items(), key=lambda item: (-len(item[1]), item[0])) if len(parts) > 1 else []


def _slice(both: _Both, kind: str, name: str, rows: Sequence[int]) -> Slice:
    moved = moves(both.candidate, both.current, rows)
    gains, flips, count = int((moved > 0).sum()), int((moved < 0).sum()), len(rows)
    sums = _right_sums(both, rows)
    change = stats.changed(sums, stats.LEAST_MARGIN)
    base = Slice(
        kind=kind,
        name=name,
        rows=count,
        before=sum(both.current.right[row] for row in rows) / count,
        after=sum(both.candidate.right[row] for row in rows) / count,
        gains=gains,
        flips=flips,
        change=Metric(value=change.value, low=change.low, high=change.high, n=count),
        state="insufficient data",
    )
    if count >= TESTED:
        p = stats.swap_test(sums, stats.MORE_DRAWS, worse=True)
        return base.model_copy(update={"p": p, "state": "passed"})
    if count < JUDGED:
        return base
    counts = tuple(part / both.effect for part in (gains, flips, count - gains - flips))
    prior = tuple(_PRIOR * share for share in both.usual)
    chance = stats.chance_of_drop((counts[0], counts[1], counts[2]), (prior[0], prior[1], prior[2]), _DROP)
    return base.model_copy(update={"chance": chance, "state": "failed" if chance > _PROBABLE else "passed"})


def _right_sums(both: _Both, rows: Sequence[int]) -> stats.Floats:
    """Whole rows right, by group: slices are compared by accuracy, also for slots."""
    groups = groups_of([both.candidate.rows[row] for row in rows])
    sides = [[2.0 * side.right[row] for row in rows] for side in (both.candidate, both.current)]
    new, old = (np.bincount(groups, weights=side) / 2 for side in sides)
    total = 2.0 * np.bincount(groups)
    return np.stack([new, total, old, total], axis=1)


def _settled(found: Sequence[Slice]) -> tuple[Slice, ...]:
    """With Holm's correction over the slices that were tested."""
    tested = [number for number, item in enumerate(found) if item.p is not None]
    lost = stats.holm([found[number].p or 0.0 for number in tested])
    failed = {number for number, stands in zip(tested, lost, strict=True) if stands}
    return tuple(
        item.model_copy(update={"state": "failed"}) if number in failed else item for number, item in enumerate(found)
    )
