"""What a paired comparison on few and many rows says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.training.gate.rows import KNOWN, WHOLE, evidence, measured, pair, result, results
from training.evaluate import IntentResult
from training.examples import OOS, IntentExample, Origin
from training.gate.compare import compare
from training.gate.judge import judge
from training.gate.measured import groups_of, measured_intents
from training.gate.sentences import comparison_sentence
from training.reproduce import compared


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
    assert compare(*measured(pair(*rows))).finding == expected


def test_what_a_bootstrap_alone_would_call_better_needs_the_swap_test_too() -> None:
    item = compare(*measured(pair(96, 4, 0)))
    assert item.change is not None
    assert item.p is not None
    assert item.change.low > 0
    assert item.p > 0.1
    assert item.finding == "non-inferior"


def test_few_rows_cannot_certify_a_narrow_margin_even_if_none_differs() -> None:
    few, many = compare(*measured(pair(10, 0, 0))), compare(*measured(pair(2000, 0, 0)))
    assert few.margin is not None
    assert few.margin > 0.2
    assert many.margin == 0.01


def test_turns_of_one_conversation_count_as_much_less_than_single_ones() -> None:
    new, old = pair(300, 20, 50)
    alone = compare(*measured((new, old)))
    crowd = [replace(item.row, origin=Origin(group=f"c{number // 10}")) for number, item in enumerate(new)]
    together = [[replace(item, row=row) for item, row in zip(side, crowd, strict=True)] for side in (new, old)]
    item = compare(*measured((together[0], together[1])))
    assert (alone.finding, item.finding) == ("worse", "inconclusive")
    assert (item.groups, alone.groups) == (37, 370)
    assert item.effect > 5


def test_near_duplicates_stand_together() -> None:
    rows = [IntentExample(text, "a") for text in ("Order 12?", "order 99", "something else")]
    assert groups_of(rows).tolist() == [0, 0, 1]


def test_the_numbers_are_in_the_reasons() -> None:
    verdict = judge(evidence((results(90, 10), results(80, 20))))
    item, reason = verdict.comparisons[0], verdict.reasons[1]
    assert (item.gains, item.flips) == (10, 0)
    assert item.change is not None
    assert item.change.value == pytest.approx(0.1)
    assert "better: 0.900" in reason
    assert "against 0.800 now, change +0.100" in reason
    assert "10 rows gained, 0 lost" in reason


def test_a_first_bundle_must_beat_chance() -> None:
    labels = ["a", "other", "c", "d"]
    assert compare(measured_intents(results(60, 40), labels), None).finding == "first"
    assert compare(measured_intents(results(40, 60), labels), None).finding == "below floor"


def test_a_first_bundle_of_a_small_project_is_not_held_to_a_floor() -> None:
    measured_on_few = measured_intents(results(1, 18), ["a", "other"])
    assert compare(measured_on_few, None).finding == "first"
    assert "too few rows" in comparison_sentence(compare(measured_on_few, None))
    assert compare(measured_intents(results(1, 19), ["a", "other"]), None).finding == "below floor"


def test_rows_of_new_intents_are_reported_apart() -> None:
    candidate = results(50, 0) + results(8, 2, "new", first=100)
    current = results(50, 0) + results(0, 10, "new", first=100)
    item = compare(measured_intents(candidate, ["a", "new"]), measured_intents(current, ["a"]))
    assert item.finding == "non-inferior"
    assert item.candidate is not None
    assert (item.candidate.n, item.added) == (50, ("new",))
    assert item.added_score is not None
    assert item.added_score.value == pytest.approx(0.8)


def test_a_wholly_new_label_set_is_judged_as_a_first_bundle() -> None:
    item = compare(measured_intents(results(10, 0), ["a"]), measured_intents(results(0, 10), ["z"]))
    assert item.finding == "first"


def test_without_held_out_rows_nothing_is_claimed() -> None:
    assert compare(measured_intents([], ["a"]), None).finding == "unmeasured"


def test_out_of_scope_rows_are_not_compared() -> None:
    outside = IntentResult(IntentExample("weather", OOS), "a", 0.9, 0.1, False, True)
    assert measured_intents([outside, result(1, True)], KNOWN).right == (True,)


@pytest.mark.parametrize(("passed", "lost", "promote"), [(True, 0, True), (False, 0, False), (True, 30, False)])
def test_promotion_needs_integrity_and_no_worse_skill(passed: bool, lost: int, promote: bool) -> None:
    found = replace(evidence(pair(70, 0, lost)), integrity=WHOLE.model_copy(update={"passed": passed}))
    assert judge(found).promote is promote


def test_predictions_that_moved_fail_integrity() -> None:
    one = ("a", 0.9, 0.8, [["city", 0, 4]])
    assert compared([one], [one]).passed
    assert not compared([one], [("b", 0.9, 0.8, [["city", 0, 4]])]).passed
    assert not compared([one], [("a", 0.9, 0.8, [])]).passed
    assert not compared([one], [("a", 0.9, 0.81, [["city", 0, 4]])]).passed
    assert compared([one], [("a", 0.90005, 0.8, [["city", 0, 4]])]).passed
