"""Figures agree with scikit-learn and seqeval, and their intervals cover what they should."""

from __future__ import annotations

import numpy as np
import pytest

from training import metrics as m

LABELS = ("a", "b", "c", "d")


def some_labels(rows: int = 400, share: float = 0.8) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(5)
    gold = [LABELS[number] for number in rng.integers(4, size=rows)]
    return gold, [one if rng.random() < share else LABELS[rng.integers(4)] for one in gold]


def test_f1_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    gold, predicted = some_labels()
    precision, recall, f1, support = precision_recall_fscore_support(gold, predicted, labels=LABELS)
    found = m.per_class(gold, predicted)
    assert [score.precision.value for score in found] == pytest.approx(precision)
    assert [score.recall.value for score in found] == pytest.approx(recall)
    assert [score.f1.value for score in found] == pytest.approx(f1)
    assert [score.support for score in found] == support.tolist()
    assert m.macro_f1(gold, predicted).value == pytest.approx(f1.mean())


def test_auroc_agrees_with_scikit_learn_where_scores_tie() -> None:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    rng = np.random.default_rng(1)
    scores = rng.integers(8, size=300) / 8
    positive = [bool(value) for value in rng.random(300) < scores]
    assert m.auroc(positive, scores).value == pytest.approx(roc_auc_score(positive, scores))
    assert m.brier(scores, positive).value == pytest.approx(brier_score_loss(positive, scores))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O B-x I-x O", {(1, 3, "x")}),
        ("B-x B-x", {(0, 1, "x"), (1, 2, "x")}),
        ("I-x I-x", {(0, 2, "x")}),
        ("B-x I-y", {(0, 1, "x"), (1, 2, "y")}),
        ("B-x O I-x", {(0, 1, "x"), (2, 3, "x")}),
        ("B-x I-x B-y I-x", {(0, 2, "x"), (2, 3, "y"), (3, 4, "x")}),
        ("B-a-b I-a-b", {(0, 2, "a-b")}),
        ("O", set()),
    ],
)
def test_spans_are_those_of_conlleval(tags: str, expected: set[m.Span]) -> None:
    assert m.spans(tags.split()) == expected


SEQEVAL = [
    (["B-a I-a O B-b", "O O"], ["B-a I-a O B-b", "O B-a"], 0.8),
    (["I-a I-b B-a O I-a", "B-b I-b"], ["I-a I-a B-a O I-a", "B-b O"], 4 / 9),
    (["B-a B-a I-a", "O I-b I-b"], ["B-a I-a I-a", "O I-b B-b"], 0.0),
    (["B-a I-b I-b O", "I-b B-a"], ["B-a I-b O O", "I-b B-a"], 0.75),
]
"""Gold, predicted, and the F1 that seqeval 1.2.2 gives."""


@pytest.mark.parametrize(("gold", "predicted", "expected"), SEQEVAL)
def test_slot_f1_is_that_of_seqeval(gold: list[str], predicted: list[str], expected: float) -> None:
    found = m.slot_f1([row.split() for row in gold], [row.split() for row in predicted])
    assert found.value == pytest.approx(expected)


def test_slot_f1_is_whole_when_there_is_nothing_to_find() -> None:
    assert m.slot_f1([["O"]], [["O"]]).value == 1.0


def test_kinds_are_scored_one_by_one() -> None:
    gold = [frozenset({(0, 1, "x"), (1, 2, "y")}), frozenset({(0, 1, "x")})]
    predicted = [frozenset({(0, 1, "x"), (1, 2, "z")}), frozenset[m.Span]()]
    scores = {score.label: (score.precision.value, score.recall.value) for score in m.per_kind(gold, predicted)}
    assert scores == {"x": (1.0, 0.5), "y": (0.0, 0.0), "z": (0.0, 0.0)}


def test_wilson_gives_the_published_interval() -> None:
    found = m.wilson(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-4)


def test_wilson_stays_within_0_and_1() -> None:
    assert m.wilson(0, 5).low == 0.0
    assert m.wilson(5, 5).high == 1.0
    assert 0 < m.wilson(5, 5).low < 1


def test_intervals_are_the_same_for_the_same_seed_only() -> None:
    gold, predicted = some_labels()
    assert m.macro_f1(gold, predicted, seed=1) == m.macro_f1(gold, predicted, seed=1)
    assert m.macro_f1(gold, predicted, seed=1) != m.macro_f1(gold, predicted, seed=2)


def test_the_bootstrap_of_a_mean_has_the_known_width() -> None:
    values = np.random.default_rng(0).normal(size=500)
    found = m.bootstrap(m.mean(values), 500)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 500**0.5, rel=0.08)


def test_rows_of_a_cluster_are_drawn_together() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=50), 10)
    alone, together = (m.bootstrap(m.mean(values), 500, clusters=groups) for groups in (None, np.arange(500) // 10))
    assert together.high - together.low > 2 * (alone.high - alone.low)


@pytest.mark.slow
def test_chunks_of_draws_give_what_one_draw_gives() -> None:
    samples = m.resample(m.mean(np.arange(5000.0)), 5000)
    assert samples.shape == (m.RESAMPLES,)
    assert samples.mean() == pytest.approx(2499.5, rel=0.01)


def test_a_class_that_a_resample_misses_does_not_count_as_zero() -> None:
    gold = ["a"] * 50 + ["rare"]
    assert m.macro_f1(gold, gold).low == 1.0


def test_oos_recall_is_taken_at_the_acceptance_asked_for() -> None:
    inside, outside = [number / 100 for number in range(100)], [0.0, 0.02, 0.03, 0.5]
    found = m.oos_recall([True] * 100 + [False] * 4, inside + outside, acceptance=0.97)
    assert (found.value, found.n) == (0.5, 4)


def test_a_confident_liar_has_a_large_calibration_error() -> None:
    assert m.ece([0.9] * 100, [False] * 100).value == pytest.approx(0.9)
    assert m.ece([0.7] * 100, [True] * 70 + [False] * 30, bins=1).value == pytest.approx(0.0)


def test_reliability_bins_hold_equally_many_rows() -> None:
    bins = m.reliability(np.linspace(0, 1, 100), [True] * 100)
    assert [item.rows for item in bins] == [10] * 10
    assert bins[0].confidence < bins[-1].confidence


def test_the_surest_rows_are_answered_first() -> None:
    coverage, risk = m.risk_coverage([0.9, 0.1, 0.5], [True, False, True])
    assert coverage.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3])


def test_ranks_count_from_one() -> None:
    ranks = [1, 2, None, 5]
    assert m.recall_at(ranks, 1).value == 0.25
    assert m.recall_at(ranks, 5).value == 0.75
    assert m.mrr(ranks).value == pytest.approx((1 + 0.5 + 0 + 0.2) / 4)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    assert m.mcnemar([True] * 8 + [False] * 2, [False] * 8 + [True] * 2) == pytest.approx(0.109375)
    assert m.mcnemar([True], [True]) == 1.0
