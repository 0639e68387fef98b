"""What must not get worse besides the figure itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.training.gate.rows import KNOWN, evidence, pair, result
from training.evaluate import IntentResult
from training.examples import OOS, Origin
from training.gate import guards
from training.gate.evidence import Cost, Evidence, Side
from training.gate.judge import judge
from training.gate.verdict import Check, Policy


def states(checks: Sequence[Check]) -> list[str]:
    return [check.state for check in checks]


def confident(score: float, right: int, wrong: int) -> list[IntentResult]:
    """One row in so many is wrong."""
    every = (right + wrong) // wrong if wrong else right + 1
    return [result(number, number % every > 0 or not wrong, score=score) for number in range(right + wrong)]


def test_confidence_that_is_no_longer_right_is_found() -> None:
    right, sure = confident(0.8, 320, 80), confident(0.99, 320, 80)
    assert states(guards.calibration(sure, right)) == ["failed", "failed", "passed"]
    assert states(guards.calibration(right, sure)) == ["passed"] * 3


def test_a_larger_calibration_error_is_no_harm_while_it_is_small_or_the_brier_score_gains() -> None:
    exact, fair = confident(0.80, 800, 200), confident(0.845, 800, 200)
    assert "small enough" in guards.calibration(fair, exact)[0].sentence
    far_better = confident(0.92, 400, 0)
    found = guards.calibration(far_better, confident(0.795, 320, 80))[0]
    assert found.state == "passed"
    assert "the Brier score, which counts it, is better" in found.sentence


def test_what_can_be_answered_safely_must_not_shrink() -> None:
    ordered = [result(at, at % 10 > 0, score=0.9 if at % 10 else 0.5) for at in range(400)]
    shuffled = [result(at, at % 10 > 0, score=0.9 if at % 2 else 0.5) for at in range(400)]
    assert guards.calibration(shuffled, ordered)[2].state == "failed"


def scoped(outside: Sequence[float], inside: float = 0.9) -> list[IntentResult]:
    rows = [replace(result(at, True), in_scope=inside - at / 10_000) for at in range(300)]
    return rows + [replace(result(1000 + at, False, OOS), in_scope=score) for at, score in enumerate(outside)]


def test_strange_messages_that_are_no_longer_told_apart_are_found() -> None:
    told, mixed = scoped([0.1] * 60), scoped([0.1] * 30 + [0.95] * 30)
    assert states(guards.scope(mixed, told)) == ["passed", "failed", "failed", "failed"]
    assert states(guards.scope(told, told)) == ["passed"] * 4


def test_a_few_strange_messages_prove_nothing() -> None:
    assert states(guards.scope(scoped([0.1] * 49), scoped([0.1] * 49))) == ["passed", "insufficient data"]


def test_noise_that_is_taken_worse_is_found() -> None:
    new, old = pair(200, 0, 30)
    plain = {"intent": KNOWN}
    sides = [Side(plain, noise={"typos": rows}) for rows in (new, old)]
    assert states(guards.noise(sides[0], sides[1], set(KNOWN))) == ["failed"]
    assert states(guards.noise(sides[1], sides[0], set(KNOWN))) == ["passed"]
    assert guards.noise(sides[0], sides[1], {"z"}) == []


def test_a_few_lost_rows_are_no_proof_and_many_figures_need_a_stronger_one() -> None:
    few, five = ([Side({"intent": KNOWN}, noise={"speech": rows}) for rows in pair(66, 0, n)] for n in (2, 5))
    assert states(guards.noise(*few, set(KNOWN))) == ["passed"]
    alone = guards.noise(*five, set(KNOWN))
    assert states(guards.standing(alone)) == ["failed"]
    fine = Check(name="noise", state="passed", sentence="fine", p=0.6)
    among = guards.standing([*alone, fine])
    assert states(among) == ["passed", "passed"] and "among 2 figures" in among[0].sentence


@pytest.mark.parametrize(
    ("time", "size", "expected"),
    [(12.0, 10, ["passed", "passed"]), (15.0, 10, ["passed", "failed"]), (10.0, 20, ["failed", "passed"])],
)
def test_budgets_follow_the_current_bundle(time: float, size: int, expected: list[str]) -> None:
    now = Cost(10.0, 10_000_000)
    assert states(guards.cost(Cost(time, size * 1_000_000), now, grown=1.0)) == expected


def test_more_intents_may_take_more_room() -> None:
    assert states(guards.cost(Cost(None, 20_000_000), Cost(10.0, 10_000_000), grown=2.0)) == ["passed"]


def test_tests_that_passed_must_pass_and_others_may_fail() -> None:
    now = {"refund": True, "order": False}
    assert states(guards.tests({"refund": True, "order": False, "new": False}, now)) == ["passed"]
    lost = guards.tests({"refund": False, "order": True}, now)[0]
    assert (lost.state, [quote.text for quote in lost.examples]) == ("failed", ["refund"])
    assert states(guards.tests({"refund": False}, None)) == ["passed"]
    assert guards.tests(None, now) == []


@pytest.mark.parametrize(("won", "state"), [(2, "failed"), (3, "passed")])
def test_samples_may_be_lost_where_three_are_won_for_each(won: int, state: str) -> None:
    names = [f"{number} (tests/customers.yml:{number})" for number in range(5)]
    now = {name: number == 4 for number, name in enumerate(names)}
    then = {name: number < won for number, name in enumerate(names)}
    check = guards.tests(then, now, ["tests/customers.yml"])[0]
    assert check.state == state and f"of samples 1, and {won} won" in check.sentence
    assert guards.tests(then, now)[0].state == "failed"


def labelled(intent: str, surely: str, count: int, source: str, first: int = 0) -> list[IntentResult]:
    rows = [result(first + at, True, intent, 0.97, Origin(source=source)) for at in range(count)]
    return [replace(row, predicted=surely) for row in rows]


def test_poisoned_labels_are_caught_by_where_they_come_from() -> None:
    good, bad = labelled("a", "a", 200, "march"), labelled("b", "a", 20, "april", 300)
    honest = labelled("b", "b", 20, "april", 400)
    check = guards.labels(good + bad + honest, KNOWN)[0]
    assert check.state == "failed"
    assert "20 of 40 in april" in check.sentence
    assert check.examples[0].note == "labelled b, surely a"


def test_poisoned_labels_are_caught_by_which_way_they_go() -> None:
    good, bad = (
        labelled("a", "a", 20, "log") + labelled("other", "other", 300, "log", 100),
        labelled("b", "a", 20, "log", 500),
    )
    assert "20 of 40 of those that are surely a" in guards.labels(good + bad, KNOWN)[0].sentence


def test_honest_corrections_are_not_poison() -> None:
    fixed, unsure = labelled("b", "a", 8, "log"), [replace(row, score=0.5) for row in labelled("b", "a", 90, "log", 50)]
    assert states(guards.labels(fixed + unsure + labelled("a", "a", 40, "log", 200), KNOWN)) == ["passed"]
    assert guards.labels(unsure, KNOWN) == []


def timed(found: Evidence, new: float, old: float) -> Evidence:
    """With what a message takes, in ms."""
    assert found.current is not None
    candidate = replace(found.candidate, cost=Cost(new, 1))
    return replace(found, candidate=candidate, current=replace(found.current, cost=Cost(old, 1)))


def test_a_failed_check_stops_the_candidate_until_a_person_waives_it() -> None:
    found = evidence(pair(100, 0, 0))
    assert found.current is not None
    slow = replace(
        found, candidate=replace(found.candidate, cost=Cost(90.0, 1)), current=replace(found.current, cost=Cost(9.0, 1))
    )
    stopped, waived = judge(slow), judge(slow, Policy(waived=frozenset({"latency"}), by="Li"))
    assert (stopped.promote, waived.promote) == (False, True)
    assert any("FAILED" in reason and "latency" in reason for reason in stopped.reasons)
    assert next(check.state for check in waived.checks if check.name == "latency") == "waived"


def test_the_nightly_run_wants_something_better() -> None:
    same, better = evidence(pair(100, 0, 0)), evidence(pair(100, 40, 2))
    assert not judge(same, Policy(improve=True)).promote
    assert judge(better, Policy(improve=True)).promote


def test_what_a_bundle_keeps_quotes_nobody_and_holds_no_times() -> None:
    whole = judge(timed(evidence(pair(200, 3, 3)), 9.0, 9.0), Policy(critical=frozenset({"a"})))
    text = whole.flips[0].text
    assert text in whole.model_dump_json()
    kept = whole.bare().model_dump_json()
    assert text not in kept
    assert "latency" not in kept
