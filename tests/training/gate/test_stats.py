"""The gate's statistics hold what they promise: seldom wrong when nothing changed, and as powerful as they say."""

from __future__ import annotations

import numpy as np
import pytest

from training.gate import stats
from training.gate.compare import finding
from training.gate.simulate import World, sample

POWER_RUNS = 120
ALIKE = World(groups=600, discordance=0.06)
CROWDS = World(groups=120, discordance=0.06, alike=0.3, sizes=(1, 2, 3, 4, 8))


WORLDS = pytest.mark.parametrize("world", [pytest.param(ALIKE, id="turns"), pytest.param(CROWDS, id="conversations")])


def findings(world: World, runs: int) -> list[str]:
    found: list[str] = []
    for seed in range(runs):
        drawn = sample(world, seed)
        margin = stats.margin(drawn.rows, drawn.discordant, drawn.effect)
        found.append(finding(stats.changed(drawn.sums, margin), margin))
    return found


@pytest.mark.slow
@WORLDS
def test_two_equal_bundles_are_seldom_called_better_or_worse(world: World) -> None:
    found = findings(world, 200)
    assert found.count("better") + found.count("worse") <= 10


@pytest.mark.slow
@WORLDS
def test_a_drop_of_two_points_is_stopped_as_often_as_the_formula_says(world: World) -> None:
    drop = World(world.groups, world.discordance, -0.02, world.alike, world.sizes)
    found = findings(drop, POWER_RUNS)
    told = stats.power(drop.rows, drop.discordance, -0.02, drop.effect)
    assert (found.count("worse") + found.count("inconclusive")) / POWER_RUNS == pytest.approx(told.stopped, abs=0.05)
    assert found.count("worse") / POWER_RUNS == pytest.approx(told.worse, abs=0.05)


def test_conversations_that_are_taken_for_single_turns_would_cry_wolf() -> None:
    found = [sample(World(60, 0.1, alike=0.8, sizes=(8,)), seed) for seed in range(60)]
    wrong = 0
    for drawn in found:
        rows = drawn.alone()
        change = stats.changed(rows, stats.margin(drawn.rows, drawn.discordant))
        wrong += finding(change, 0.0) in ("better", "worse")
    assert wrong > 15


def test_the_margin_is_that_of_the_formula() -> None:
    assert stats.rows_needed(0.01, 0.06) == pytest.approx(3700, rel=0.01)
    assert stats.rows_needed(0.02, 0.06) == pytest.approx(930, rel=0.01)
    assert stats.margin(930, 55) == pytest.approx(0.02, abs=0.0005)
    assert stats.margin(930, 55, effect=4.0) == pytest.approx(0.04, abs=0.001)
    assert stats.margin(100_000, 6_000) == 0.01


def test_the_swap_test_is_mcnemars() -> None:
    sums = np.array([[2, 2, 0, 2]] * 9 + [[0, 2, 2, 2]] + [[2, 2, 2, 2]] * 90, dtype=float) / 2
    assert stats.swap_test(sums, 20_000) == pytest.approx(22 / 1024, abs=0.003)
    assert stats.swap_test(sums, 20_000, worse=True) == pytest.approx(1023 / 1024, abs=0.003)
    assert stats.swap_test(sums[20:]) == 1.0


def test_the_bootstrap_draws_whole_groups() -> None:
    sums = np.array([[1.0, 2, 0, 2], [0, 2, 1, 2]] * 50)
    drawn = stats.replicates(sums, 4_000)
    assert set(drawn[:, 1]) == {200.0}
    assert drawn[:, 0].std() == pytest.approx(5.0, rel=0.05)


def test_more_draws_are_made_where_the_decision_is_near() -> None:
    far = np.array([[1.0, 2, 0, 2]] * 60 + [[1, 2, 1, 2]] * 300)
    near = np.array([[1.0, 2, 0, 2]] * 17 + [[0, 2, 1, 2]] * 6 + [[1, 2, 1, 2]] * 300)
    assert stats.changed(far, 0.01).draws == stats.DRAWS
    assert stats.changed(near, 0.01).draws == stats.MORE_DRAWS


def test_the_rule_of_three() -> None:
    assert stats.upper(0, 100) == pytest.approx(0.0295, abs=0.0002)
    assert stats.upper(5, 5) == 1.0


def test_a_limit_is_what_the_rows_can_certify() -> None:
    assert stats.rate_limit(0.03, 5000) == 0.03
    assert stats.rate_limit(0.03, 60) == pytest.approx(stats.upper(2, 60))


def test_holm_is_stricter_than_single_tests_and_stops_at_the_first_that_falls() -> None:
    assert stats.holm([0.01, 0.04, 0.03]) == [True, False, False]
    assert stats.holm([0.01, 0.02, 0.03]) == [True, True, True]
    assert stats.holm([]) == []


def test_few_rows_are_shrunk_towards_what_is_usual() -> None:
    usual = (1.0, 1.0, 48.0)
    assert stats.chance_of_drop((0, 9, 51), usual, 0.05) < 0.9
    assert stats.chance_of_drop((0, 36, 144), usual, 0.05) > 0.9
