"""Which words counted, and whether that can be believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from skills.intent import IntentScores
from tests.training.why.bots import WordJudge
from training.why.words import VARIANTS, attribute, masks, without, word_spans

JUDGE = WordJudge({"ship": {"parcel": 4.0, "where": 2.0, "refund": -3.0}, "pay": {"refund": 2.0, "money": 3.0}})


def test_the_words_that_count_weigh_most_and_those_against_weigh_below_zero() -> None:
    found = attribute("where is my parcel or refund", JUDGE)
    assert found is not None and found.target == "intent ship"
    weights = {word.text: word.weight for word in found.words}
    assert max(weights, key=lambda word: weights[word]) == "parcel"
    assert weights["refund"] < 0 < weights["where"] < weights["parcel"]
    assert abs(weights["my"]) < 0.5 and found.fit > 0.8


def test_deletion_bears_the_weights_out() -> None:
    found = attribute("where is my parcel", JUDGE)
    assert found is not None and found.removed == 2
    assert found.holds and found.without_most < 0.6 < found.without_least


class Stubborn(WordJudge):
    """Says the same whatever is left out."""

    def judge(self, texts: Sequence[str]) -> IntentScores:
        return super().judge([texts[0].replace("parcel", "") or "x"] * len(texts))


def test_weights_that_deletion_does_not_bear_out_are_not_believed() -> None:
    found = attribute("where is my parcel", Stubborn(JUDGE.weights))
    assert found is not None and not found.holds


def test_the_fewest_words_that_turn_the_result_are_named() -> None:
    found = attribute("parcel money please now", WordJudge({"ship": {"parcel": 4.0}, "pay": {"money": 3.0}}))
    assert found is not None and found.turning is not None
    assert (found.turning.words, found.turning.text, found.turning.intent) == (("parcel",), "money please now", "pay")


def test_of_a_refusal_the_words_count_that_were_out_of_scope() -> None:
    judge = WordJudge({"ship": {"parcel": 4.0, "moon": -4.0}, "pay": {"moon": -4.0}})
    found = attribute("parcel to the moon moon", judge, rejected=True)
    assert found is not None and found.target == "out of scope"
    weights = [word.weight for word in found.words]
    assert weights[0] < 0 < weights[-1]
    assert found.turning is not None and found.turning.intent == "ship"


def test_all_variants_are_scored_in_one_batch() -> None:
    judge = WordJudge(JUDGE.weights)
    found = attribute("where is my parcel and when does it come to me", judge)
    assert found is not None and found.variants == VARIANTS
    assert (len(judge.batches[0]), len(judge.batches)) == (VARIANTS + 1, 2)


def test_one_word_has_nothing_beside_it() -> None:
    assert attribute("parcel!", JUDGE) is None


def test_variants_are_all_different_and_always_the_same() -> None:
    rows = masks(8, 5)
    assert len({tuple(row) for row in rows}) == len(rows) == VARIANTS
    assert np.array_equal(rows, masks(8, 5))
    assert all((1 - rows[n]).nonzero()[0].tolist() == [n] for n in range(8))
    assert len(masks(2, 0)) == 3


@pytest.mark.parametrize(
    ("kept", "left"), [([1, 1, 1], "Where, is it?"), ([0, 1, 1], ", is it?"), ([1, 0, 0], "Where, ?")]
)
def test_words_are_taken_out_and_signs_stay(kept: list[int], left: str) -> None:
    text = "Where,  is it?"
    assert without(text, word_spans(text), kept).replace("  ", " ") == left
