"""Off-policy value on a bandit whose truth is known: three actions, contexts that matter, logged with known chances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bot.core.errors import InputError
from training.offpolicy import Logged, numbered, value

Floats = NDArray[np.float64]
ACTIONS = 3


def expected(context: Floats) -> Floats:
    """The true mean reward of every action, (n, 3); not linear, so the reward model is never right."""
    x, y = context.T
    means = np.stack([0.3 + 0.3 * (x > 0), 0.5 + 0.2 * np.tanh(y), 0.2 + 0.5 * (x * y > 0)], axis=1)
    return np.asarray(np.clip(means, 0.0, 1.0))


def soft(scores: Floats) -> Floats:
    high = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(high / high.sum(axis=1, keepdims=True))


def policy(context: Floats, strength: float) -> Floats:
    return soft(strength * expected(context))


def bandit(rows: int, target: float, seed: int, logging: float = 1.0) -> tuple[Logged, float]:
    """A log of the policy `logging`, and the true value of the policy `target`."""
    rng = np.random.default_rng(seed)
    context = rng.normal(size=(rows, 2))
    chances = policy(context, logging)
    action = (chances.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    means, wanted = expected(context), policy(context, target)
    reward = (rng.random(rows) < means[np.arange(rows), action]).astype(np.float64)
    log = Logged(
        action=action,
        propensity=chances[np.arange(rows), action],
        reward=reward,
        target=wanted,
        possible=np.ones((rows, ACTIONS), dtype=np.bool_),
        context=context,
        conversation=np.arange(rows) // 2,
    )
    return log, float((wanted * means).sum(axis=1).mean())


def test_all_estimators_find_the_truth() -> None:
    log, truth = bandit(20_000, 4.0, 0)
    found = value(log)
    for estimate in (found.snips, found.doubly_robust, found.clipped_ips):
        assert estimate.value == pytest.approx(truth, abs=0.01)
        assert estimate.lift_low > 0.05
    assert found.verdict == "better" and found.reasons == ()


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = {"snips": 0, "doubly_robust": 0}
    for seed in range(30):
        log, truth = bandit(500, 3.0, seed)
        found = value(log)
        for name in held:
            estimate = getattr(found, name)
            held[name] += estimate.low <= truth <= estimate.high
    assert all(count >= 27 for count in held.values())


def test_the_same_policy_earns_what_the_log_earned() -> None:
    log, _ = bandit(3_000, 1.0, 1)
    found = value(log)
    assert found.snips.value == pytest.approx(found.logged) and found.ess == pytest.approx(3_000)
    assert found.verdict == "no difference found"


def test_a_worse_policy_is_found_worse() -> None:
    log, _ = bandit(20_000, -5.0, 2)
    assert value(log).verdict == "worse"


def test_a_reward_model_makes_it_sharper_where_it_can() -> None:
    log, _ = bandit(5_000, 4.0, 3)
    shifted = replace(log, reward=log.reward + 3.0 * log.context[:, 0])
    found = value(shifted)
    sharp, plain = found.doubly_robust, found.snips
    assert sharp.lift_high - sharp.lift_low < 0.5 * (plain.lift_high - plain.lift_low)


def test_thin_support_is_refused() -> None:
    log, _ = bandit(250, 12.0, 4)
    found = value(log)
    assert found.ess < 200 and found.verdict == "refused" and "effective sample" in found.reasons[0]


def test_actions_that_were_never_taken_are_refused() -> None:
    log, _ = bandit(4_000, 1.0, 5)
    kept = log.action != 2
    part = {name: getattr(log, name)[kept] for name in log.__slots__}
    possible = part["possible"].copy()
    possible[:, 2] = False
    found = value(Logged(**{**part, "possible": possible}))
    assert found.verdict == "refused"
    assert any("never took there, most on action 2" in reason for reason in found.reasons)


def test_wrong_propensities_are_noticed() -> None:
    log, _ = bandit(4_000, 1.0, 6)
    found = value(replace(log, propensity=np.minimum(1.0, log.propensity * 2)))
    assert found.verdict == "refused" and "propensities are wrong" in found.reasons[-1]


def test_a_policy_that_never_chose_teaches_nothing_about_choices() -> None:
    log, _ = bandit(2_000, 1.0, 7)
    only = np.eye(ACTIONS, dtype=np.bool_)[log.action]
    found = value(replace(log, propensity=np.ones(2_000), possible=only))
    assert found.verdict == "refused" and "never chose" in found.reasons[0]


def test_impossible_logs_are_refused_at_once() -> None:
    log, _ = bandit(10, 1.0, 8)
    with pytest.raises(InputError, match="above 0"):
        value(replace(log, propensity=np.zeros(10)))
    with pytest.raises(InputError, match="add up to 1"):
        value(replace(log, target=log.target * 2))
    with pytest.raises(InputError, match="as many rows"):
        value(replace(log, reward=log.reward[:5]))
    with pytest.raises(InputError, match="impossible"):
        value(replace(log, possible=np.zeros_like(log.possible)))


def test_conversations_are_numbered_as_they_come() -> None:
    assert numbered(["b", "a", "b"]).tolist() == [0, 1, 0]
