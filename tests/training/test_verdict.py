"""The verdict table: what a paired comparison on few and many rows lets pass."""

from __future__ import annotations

import pytest

from training.evaluate import IntentResult
from training.examples import OOS, IntentExample
from training.reproduce import compared
from training.verdict import Integrity, compare, judge, measured_intents

WHOLE = Integrity(passed=True, rows=10, agreement=1.0, largest_change=0.0)


def results(right: int, wrong: int, intent: str = "a", first: int = 0) -> list[IntentResult]:
    rows = [IntentExample(f"text {first + number}", intent) for number in range(right + wrong)]
    said = [intent] * right + ["other"] * wrong
    return [IntentResult(row, name, 0.9, 0.9, True, True) for row, name in zip(rows, said, strict=True)]


def finding(both: int, gained: int, lost: int, neither: int = 0) -> str:
    """Rows by who is right: both, only the candidate, only the current bundle, neither."""
    candidate = results(both + gained, 0) + results(0, lost + neither)
    current = results(both, gained) + results(lost, neither)
    known = ["a", "other"]
    return compare(measured_intents(candidate, known), measured_intents(current, known)).finding


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((100, 0, 0), "non-inferior"),
        ((1000, 60, 10), "better"),
        ((1000, 10, 60), "worse"),
        ((100, 1, 5), "inconclusive"),
        ((1000, 20, 20), "non-inferior"),
        ((10, 0, 10), "worse"),
        ((0, 10, 0), "better"),
    ],
)
def test_findings(rows: tuple[int, int, int], expected: str) -> None:
    assert finding(*rows) == expected


def test_the_numbers_are_in_the_reasons() -> None:
    candidate, current = results(90, 10), results(80, 20)
    item = compare(measured_intents(candidate, ["a"]), measured_intents(current, ["a"]))
    assert (item.gains, item.flips) == (10, 0)
    assert item.change is not None
    assert item.change.value == pytest.approx(0.1)
    reason = judge([item], WHOLE, "old").reasons[1]
    assert "better: 0.900" in reason
    assert "against 0.800 now, change +0.100" in reason
    assert "10 rows gained, 0 lost" in reason


def test_a_first_bundle_must_beat_chance() -> None:
    labels = ["a", "other", "c", "d"]
    assert compare(measured_intents(results(60, 40), labels), None).finding == "first"
    assert compare(measured_intents(results(40, 60), labels), None).finding == "below floor"


def test_rows_of_new_intents_are_reported_apart() -> None:
    candidate = results(50, 0) + results(8, 2, "new", first=100)
    current = results(50, 0) + results(0, 10, "new", first=100)
    item = compare(measured_intents(candidate, ["a", "new"]), measured_intents(current, ["a"]))
    assert item.finding == "non-inferior"
    assert item.candidate is not None
    assert (item.candidate.n, item.added) == (50, ("new",))
    assert item.added_score is not None
    assert item.added_score.value == pytest.approx(0.8)
    assert "new: new at 0.800" in judge([item], WHOLE, "old").reasons[1]


def test_a_wholly_new_label_set_is_judged_as_a_first_bundle() -> None:
    item = compare(measured_intents(results(10, 0), ["a"]), measured_intents(results(0, 10), ["z"]))
    assert item.finding == "first"


def test_without_held_out_rows_nothing_is_claimed() -> None:
    item = compare(measured_intents([], ["a"]), None)
    assert item.finding == "unmeasured"
    assert "was not measured" in judge([item], WHOLE, None).reasons[1]


def test_out_of_scope_rows_are_not_compared() -> None:
    outside = IntentResult(IntentExample("weather", OOS), "a", 0.9, 0.1, False, True)
    assert measured_intents([outside], ["a"]).right == ()


@pytest.mark.parametrize(("passed", "lost", "promote"), [(True, 0, True), (False, 0, False), (True, 30, False)])
def test_promotion_needs_integrity_and_no_worse_skill(passed: bool, lost: int, promote: bool) -> None:
    item = compare(measured_intents(results(70, lost), ["a"]), measured_intents(results(70 + lost, 0), ["a"]))
    integrity = WHOLE.model_copy(update={"passed": passed})
    assert judge([item], integrity, "old").promote is promote


def test_predictions_that_moved_fail_integrity() -> None:
    one = ("a", 0.9, 0.8, [["city", 0, 4]])
    assert compared([one], [one]).passed
    assert not compared([one], [("b", 0.9, 0.8, [["city", 0, 4]])]).passed
    assert not compared([one], [("a", 0.9, 0.8, [])]).passed
    assert not compared([one], [("a", 0.9, 0.81, [["city", 0, 4]])]).passed
    assert compared([one], [("a", 0.90005, 0.8, [["city", 0, 4]])]).passed
