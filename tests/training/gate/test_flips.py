"""Turns that get worse are listed and bounded; critical ones are not allowed."""

from __future__ import annotations

import pytest

from tests.training.gate.rows import evidence, measured, pair, result
from training.gate import flips
from training.gate.compare import compare
from training.gate.judge import judge
from training.gate.verdict import Policy, Release, Verdict


def rate(*rows: int, release: Release = "normal") -> str:
    """What becomes of the bound, by who is right: both, only the candidate, only the current bundle."""
    new, old = measured(pair(*rows))
    return flips.checks(compare(new, old), (), Policy(release=release))[0].state


def state(verdict: Verdict, name: str) -> str:
    return next(check.state for check in verdict.checks if check.name == name)


def test_every_turn_that_changed_sides_is_listed_with_its_words() -> None:
    verdict = judge(evidence(pair(200, 3, 2)))
    assert [(turn.right, turn.before, turn.after) for turn in verdict.flips] == [("a", "a", "other")] * 2
    assert [turn.where for turn in verdict.gains] == ["rows:200", "rows:201", "rows:202"]
    assert verdict.flips[0].text.startswith("text ")


@pytest.mark.parametrize(
    ("rows", "release", "expected"),
    [
        ((578, 11, 11), "normal", "passed"),
        ((564, 18, 18), "normal", "failed"),
        ((578, 11, 11), "patch", "failed"),
        ((588, 6, 6), "patch", "passed"),
        ((60, 2, 2), "normal", "passed"),
        ((60, 4, 4), "normal", "failed"),
    ],
)
def test_the_rate_is_bounded_by_what_the_rows_can_certify(
    rows: tuple[int, int, int], release: Release, expected: str
) -> None:
    assert rate(*rows, release=release) == expected


def test_a_candidate_that_is_better_may_lose_one_turn_for_three() -> None:
    assert rate(500, 300, 60) == "passed"
    assert rate(500, 150, 60) == "failed"


def test_while_much_is_wrong_and_with_new_intents_more_may_change() -> None:
    item = compare(*measured(pair(120, 14, 9, 20)))
    grown = item.model_copy(update={"added": ("c",)})
    assert [flips.checks(one, (), Policy())[0].state for one in (item, grown)] == ["failed", "passed"]
    assert flips.checks(grown, (), Policy(release="patch"))[0].state == "failed"


def test_no_turn_of_a_critical_intent_may_get_worse_unless_a_person_waives_it() -> None:
    new, old = pair(100, 0, 0)
    new += [result(3000, False, "b"), result(3001, True, "b")]
    old += [result(3000, True, "b"), result(3001, True, "b")]
    found = evidence((new, old))
    assert judge(found).promote
    strict = judge(found, Policy(critical=frozenset({"b"})))
    assert not strict.promote
    assert state(strict, "critical") == "failed"
    assert strict.flips[0].critical
    waived = judge(found, Policy(critical=frozenset({"b"}), waived=frozenset({"b"}), by="Li"))
    assert waived.promote
    assert any("waived for b by Li" in reason for reason in waived.reasons)
