"""From evidence to a verdict: integrity first, then every skill, then everything that must not get worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from training import metrics as m
from training.evaluate import IntentResult
from training.examples import OOS
from training.gate import flips, guards, slices
from training.gate.compare import SHADED, compare
from training.gate.evidence import Evidence, Side
from training.gate.measured import Measured
from training.gate.sentences import comparison_sentence, integrity_sentence
from training.gate.verdict import Check, Comparison, Pictures, Point, Policy, Shift, Slice, Turn, Verdict

_GOOD = ("first", "better", "non-inferior", "unmeasured", "too few rows")
_SHIFTS = 60
Pairs = Mapping[str, tuple[Measured, Measured]]


def judge(evidence: Evidence, policy: Policy | None = None) -> Verdict:
    """The verdict on a candidate: it must be whole, no skill may be worse or in doubt, and no check may fail."""
    rules = policy or Policy()
    new = {skill: found for skill, found in evidence.candidate.measured().items() if skill in evidence.skills}
    old = {} if evidence.current is None else evidence.current.measured()
    comparisons = tuple(compare(found, old.get(skill)) for skill, found in new.items())
    pairs = {skill: (found, old[skill]) for skill, found in new.items() if skill in old and skill not in SHADED}
    lost, won = _turns(pairs, rules)
    parts = slices.slices(*pairs["intent"]) if "intent" in pairs else ()
    checks = [*_skill_checks(comparisons, lost, parts, rules), *_side_checks(evidence, rules.samples), *evidence.more]
    checks += [_improves(comparisons)] if rules.improve else []
    settled = tuple(_waived(check, rules) for check in checks)
    reasons = [integrity_sentence(evidence.integrity), *(comparison_sentence(item) for item in comparisons)]
    return Verdict(
        promote=evidence.integrity.passed
        and all(item.finding in _GOOD or item.skill in rules.waived for item in comparisons)
        and not any(check.state == "failed" for check in settled),
        reasons=(*reasons, *(_told(check) for check in settled)),
        current=evidence.current_id,
        integrity=evidence.integrity,
        comparisons=comparisons,
        checks=settled,
        slices=parts,
        flips=lost,
        gains=won,
        pictures=_pictures(evidence),
    )


def _turns(pairs: Pairs, rules: Policy) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    found = [flips.turns(new, old, rules) for new, old in pairs.values()]
    return tuple(turn for lost, _ in found for turn in lost), tuple(turn for _, won in found for turn in won)


def _skill_checks(
    comparisons: Sequence[Comparison], lost: Sequence[Turn], parts: Sequence[Slice], rules: Policy
) -> list[Check]:
    found = []
    for item in comparisons:
        found += flips.checks(item, [turn for turn in lost if turn.skill == item.skill], rules)
    return [*found, slices.check(parts)] if parts else found


def _side_checks(evidence: Evidence, samples: Collection[str]) -> list[Check]:
    """What is compared of the bundles as wholes; a first bundle is only asked for its tests."""
    new, old = evidence.candidate, evidence.current
    if old is None:
        return guards.tests(new.tests, None)
    found = []
    if "intent" in evidence.skills and new.intents and old.intents and old.labels.get("intent"):
        known = set(old.labels["intent"])
        ours, theirs = _judged(new.intents, known | {OOS}), _judged(old.intents, known | {OOS})
        inside = [_judged(side, known) for side in (ours, theirs)]
        if inside[0]:
            figures = guards.calibration(*inside) + guards.scope(ours, theirs) + guards.noise(new, old, known)
            found += guards.standing(figures)
        found += guards.labels(evidence.fresh, sorted(known))
    if new.cost is not None and old.cost is not None:
        found += guards.cost(new.cost, old.cost, _grown(new, old))
    return found + guards.tests(new.tests, old.tests, samples)


def _judged(results: Sequence[IntentResult], labels: set[str]) -> list[IntentResult]:
    return [result for result in results if result.row.intent in labels]


def _grown(new: Side, old: Side) -> float:
    before = sum(len(labels) for labels in old.labels.values())
    return sum(len(labels) for labels in new.labels.values()) / max(1, before)


def _improves(comparisons: Sequence[Comparison]) -> Check:
    gained = [item for item in comparisons if item.finding in ("first", "better") or item.added]
    text = "improvement: something must be better, or an intent be new"
    return Check(name="improvement", state="passed" if gained else "failed", sentence=text)


def _waived(check: Check, rules: Policy) -> Check:
    if check.state != "failed" or check.name not in rules.waived:
        return check
    text = f"{check.sentence}; waived by {rules.by or 'a person'}"
    return check.model_copy(update={"state": "waived", "sentence": text})


def _told(check: Check) -> str:
    return f"{check.sentence}: FAILED" if check.state == "failed" else check.sentence


def _pictures(evidence: Evidence) -> Pictures:
    if evidence.current is None or not evidence.current.intents or not evidence.candidate.intents:
        return Pictures()
    known = set(evidence.current.labels.get("intent", ()))
    new, old = (_judged(side.intents, known) for side in (evidence.candidate, evidence.current))
    if not new:
        return Pictures()
    return Pictures(shifts=_shifts(new, old), reliable_before=_points(old), reliable_after=_points(new))


def _shifts(new: Sequence[IntentResult], old: Sequence[IntentResult]) -> tuple[Shift, ...]:
    counts = [Counter((result.row.intent, result.predicted) for result in side) for side in (old, new)]
    shifts = [
        Shift(right=pair[0], said=pair[1], before=counts[0][pair], after=counts[1][pair])
        for pair in sorted(set(counts[0]) | set(counts[1]))
        if pair[0] != pair[1] and counts[0][pair] != counts[1][pair]
    ]
    return tuple(sorted(shifts, key=lambda item: -abs(item.after - item.before))[:_SHIFTS])


def _points(results: Sequence[IntentResult]) -> tuple[Point, ...]:
    bins = m.reliability([result.score for result in results], [result.right for result in results])
    return tuple(
        Point(confidence=round(item.confidence, 5), accuracy=round(item.accuracy, 5), rows=item.rows) for item in bins
    )
