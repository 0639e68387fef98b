"""Drawing with known probabilities: the size, the shares, the probabilities themselves."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from training.draws import SHARES, Drawn, Floats, Reason, by_rank, draw, spread, within

TURNS, BUDGET, DRAWS = 60, 12, 400
OPEN = np.array([n % 6 != 0 for n in range(TURNS)])
ORDER = np.arange(TURNS)


def weights() -> dict[Reason, Floats]:
    doubt = np.linspace(0, 1, TURNS)
    return {
        "margin": by_rank(doubt, 4) * OPEN,
        "diverse": np.ones(TURNS),
        "disagreement": (ORDER % 7 == 0).astype(float),
        "implicit": (ORDER % 5 == 0).astype(float),
    }


@pytest.fixture(scope="module")
def drawn() -> list[list[Drawn]]:
    return [draw(weights(), ORDER, OPEN, BUDGET, seed) for seed in range(DRAWS)]


def test_as_many_open_turns_are_drawn_as_asked_for_each_once(drawn: list[list[Drawn]]) -> None:
    for one in drawn:
        indexes = [item.index for item in one if OPEN[item.index]]
        assert len(indexes) == len(set(indexes)) == BUDGET


def test_probabilities_are_those_with_which_turns_are_drawn(drawn: list[list[Drawn]]) -> None:
    counts = Counter(item.index for one in drawn for item in one)
    told = {item.index: item.probability for one in drawn for item in one}
    for index, probability in told.items():
        spread_ = 4 * np.sqrt(probability * (1 - probability) / DRAWS) + 0.01
        assert abs(counts[index] / DRAWS - probability) <= spread_


def test_weighting_by_them_gives_the_truth_of_all_turns(drawn: list[list[Drawn]]) -> None:
    value = np.sin(ORDER)
    sums = [sum(value[item.index] / item.probability for item in one if OPEN[item.index]) for one in drawn]
    assert np.mean(sums) == pytest.approx(value[OPEN].sum(), abs=4 * np.std(sums) / np.sqrt(DRAWS))


def test_the_audit_is_a_uniform_sample_of_all_turns_judged_ones_too(drawn: list[list[Drawn]]) -> None:
    counts = Counter(item.index for one in drawn for item in one if item.reason == "audit")
    share = SHARES["audit"] * BUDGET / OPEN.sum()
    found = np.array([counts[index] / DRAWS for index in range(TURNS)])
    assert found.mean() == pytest.approx(share, rel=0.15)
    assert abs(found[-5:].mean() - found[:30].mean()) < 0.03  # whatever the model doubts
    assert {item.reason for one in drawn for item in one if not OPEN[item.index]} == {"audit"}


def test_shares_are_kept_and_those_of_absent_strategies_go_to_margin() -> None:
    given = weights()
    del given["implicit"]
    given["disagreement"] = np.zeros(TURNS)
    counts = Counter(
        item.reason for seed in range(200) for item in draw(given, ORDER, OPEN, 6, seed) if OPEN[item.index]
    )
    total = counts.total()
    assert set(counts) == {"margin", "diverse", "audit"}
    assert counts["audit"] / total == pytest.approx(0.15, abs=0.05)
    assert counts["margin"] / total == pytest.approx(0.65, abs=0.1)


def test_a_budget_above_all_turns_takes_them_all_with_certainty() -> None:
    found = [item for item in draw(weights(), ORDER, OPEN, 500, 1) if OPEN[item.index]]
    assert len(found) == OPEN.sum() and {round(item.probability, 9) for item in found} == {1.0}


def test_nothing_is_drawn_where_nothing_is_open() -> None:
    assert draw(weights(), ORDER, np.zeros(TURNS, bool), BUDGET, 1) == []


def test_one_turn_of_each_cluster_has_the_chance() -> None:
    points = np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1, 1, 2]]
    clusters = spread(points, np.ones(7), 3, seed=0)
    assert len(set(clusters[:4])) == 1 and len(set(clusters)) == 3
    shares = within(clusters, np.array([3.0, 1, 0, 0, 1, 1, 1]))
    assert shares.tolist() == [0.75, 0.25, 0, 0, 0.5, 0.5, 1]
