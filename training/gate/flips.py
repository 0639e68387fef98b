"""Turns that were right and are wrong now: customers notice them, whatever the average says.

Every one is listed. Their rate is bounded: its upper bound at 95 % may not exceed 3 % (1.5 % for a patch), or what so
many rows can certify. While much is wrong, and when intents are added, an honest retraining changes more: then half, or
all, of what an unrelated bundle of the same accuracy would flip is the limit. A candidate that is better may lose more,
if at least three turns get better for each that gets worse (at 95 %). No turn of a critical intent may get worse,
unless a person waives it.
"""

from __future__ import annotations

from collections.abc import Sequence

from training.gate import stats
from training.gate.compare import SHADED, moves, shared_rows, tells
from training.gate.measured import Measured
from training.gate.verdict import Check, Comparison, Policy, Quote, State, Turn

_LIMITS = {"normal": 0.03, "patch": 0.015}
_LOST_OF_CHANGED = 0.25
_SHOWN = 5


def turns(candidate: Measured, current: Measured, policy: Policy) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """The turns that got worse, critical ones and the surest first, and the turns that got better."""
    rows = shared_rows(candidate, current)
    moved = moves(candidate, current, rows)
    worse = [_turn(candidate, current, row, policy) for row, move in zip(rows, moved, strict=True) if move < 0]
    better = [_turn(candidate, current, row, policy) for row, move in zip(rows, moved, strict=True) if move > 0]
    worse.sort(key=lambda turn: (not turn.critical, -turn.sureness))
    better.sort(key=lambda turn: -turn.sureness)
    return tuple(worse), tuple(better)


def checks(comparison: Comparison, flips: Sequence[Turn], policy: Policy) -> list[Check]:
    """The bound of the rate, and the critical intents."""
    change = None if comparison.skill in SHADED else comparison.change
    told = change is not None and tells(comparison.skill, change.n)
    found = [_rate(comparison, policy)] if told else []
    if policy.critical and comparison.skill == "intent" and comparison.change is not None:
        found.append(_critical([turn for turn in flips if turn.critical], policy))
    return found


def _turn(candidate: Measured, current: Measured, row: int, policy: Policy) -> Turn:
    origin = candidate.rows[row].origin
    return Turn(
        skill=candidate.skill,
        text=candidate.rows[row].text,
        right=candidate.gold[row],
        before=current.said[row],
        after=candidate.said[row],
        sureness=round(candidate.sureness[row], 4),
        where=candidate.rows[row].where,
        source=origin.source,
        conversation=origin.group,
        channel=origin.channel,
        language=candidate.rows[row].lang,
        critical=candidate.skill == "intent" and candidate.gold[row] in policy.critical,
    )


def _rate(item: Comparison, policy: Policy) -> Check:
    assert item.change is not None
    rows, limit = item.change.n, _limit(item, policy)
    worth = rows / item.effect
    bound, allowed = stats.upper(item.flips / item.effect, worth), stats.rate_limit(limit, worth)
    outweighed = item.finding == "better" and _outweighed(item)
    text = (
        f"{item.skill}: {item.flips} of {rows} turns that are right would be wrong ({item.flips / rows:.1%}); surely "
        f"under {bound:.1%}, allowed {allowed:.1%}"
    )
    if allowed > limit:
        text += f" (the limit is {limit:.1%}; {rows} rows cannot certify less than {allowed:.1%})"
    if outweighed:
        text += f"; {item.gains} would get better, at least three for each that gets worse"
    return Check(name="flips", state="passed" if bound <= allowed or outweighed else "failed", sentence=text)


def _limit(item: Comparison, policy: Policy) -> float:
    """The rate of turns that may get worse."""
    limit = _LIMITS[policy.release]
    if policy.release == "patch" or item.current is None or item.candidate is None:
        return limit
    unrelated = item.current.value * (1 - item.candidate.value)
    return max(limit, unrelated if item.added else unrelated / 2)


def _outweighed(item: Comparison) -> bool:
    changed = (item.flips + item.gains) / item.effect
    return stats.upper(item.flips / item.effect, changed) <= _LOST_OF_CHANGED


def _critical(lost: Sequence[Turn], policy: Policy) -> Check:
    names = sorted({turn.right for turn in lost})
    open_names = [name for name in names if name not in policy.waived]
    state: State = "failed" if open_names else "waived" if names else "passed"
    listed = ", ".join(sorted(policy.critical))
    text = f"critical: turns of {listed} that get worse: {len(lost)}; none is allowed"
    if state == "waived":
        text += f"; waived for {', '.join(names)} by {policy.by or 'a person'}"
    shown = tuple(
        Quote(text=turn.text, note=f"{turn.right}, taken for {turn.after}", conversation=turn.conversation)
        for turn in lost[:_SHOWN]
    )
    return Check(name="critical", state=state, sentence=text, examples=shown)
