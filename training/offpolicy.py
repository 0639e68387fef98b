"""What another policy would have earned, from what this one did: off-policy value, with refusal.

A row is a decision: the action that was logged with its propensity, the reward, and the probability that the policy in
question gives to each action. w = target / propensity.

* Clipped IPS: mean of min(w, limit) r (Horvitz and Thompson 1952; clipping: Ionides 2008). Too low where clipped.
* SNIPS: sum w r / sum w (Swaminathan and Joachims 2015). The default: no scale of the rewards can fool it.
* Doubly robust: mean of sum_a target(a) q(a) + w (r - q(logged)) (Dudik, Langford, Li 2011). q is a ridge regression of
  the reward for each action, cross-fitted: no row is predicted by a model that saw its conversation.

Intervals: bootstrap over conversations, the same ones drawn for the target and the log, so the lift is paired. The
effective sample size is (sum w)^2 / sum w^2 (Kong 1992). There is no verdict, and the reason is told, when it is under
200, when the target wants actions that were never logged for more than 1 % of its probability, when weights are
impossible, or when the mean weight is not about 1, which it is where propensities are true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bot.core.errors import InputError
from bot.core.messages import Value

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 200.0
"""Effective rows below which there is no verdict."""
UNCOVERED = 0.01
"""The most of the target's probability that may lie on actions that were not logged."""
LIMIT = 20.0
"""Where weights are clipped in clipped IPS."""
_DRAWS, _BAGS = 2_000, 1_000
_FOLDS = 5
_RIDGE = 1.0
_OFF = 4.0
"""Standard errors that the mean weight may lie off 1."""
Verdict = Literal["better", "worse", "no difference found", "refused"]


@dataclass(frozen=True, slots=True)
class Logged:
    """Decisions of a log, n rows with k actions.

    `action` (n,) are the actions' numbers, `propensity` (n,) the probabilities that they were taken with, `reward` (n,)
    what came of it. `target` (n, k) are the probabilities of the policy in question; rows sum to 1. `possible` (n, k)
    says which actions could have been taken: those that had a propensity above 0. `context` (n, d) is what rewards may
    depend on; `conversation` (n,) numbers the conversations.
    """

    action: Ints
    propensity: Floats
    reward: Floats
    target: Floats
    possible: NDArray[np.bool_]
    context: Floats
    conversation: Ints


class Estimate(Value):
    """A value with its 95 % interval; `lift` is the value less what the log earned, with its own interval."""

    value: float
    low: float
    high: float
    lift: float
    lift_low: float
    lift_high: float


class OffPolicy(Value):
    """What was found. `coverage` is the part of the target's probability that lies on actions that could be logged.

    `logged` is the mean reward of the log. `verdict` rests on the doubly robust estimate and SNIPS: both must agree.
    """

    rows: int
    conversations: int
    ess: float
    largest_weight: float
    mean_weight: float
    coverage: float
    logged: float
    clipped_ips: Estimate
    snips: Estimate
    doubly_robust: Estimate
    verdict: Verdict
    reasons: tuple[str, ...] = ()


def value(log: Logged, seed: int = 0) -> OffPolicy:
    """The value of the target policy by three estimators, and whether it may be believed.

    Raises:
        InputError: shapes differ, probabilities are none, or there is no row.
    """
    _check(log)
    rows = np.arange(len(log.action))
    weight = log.target[rows, log.action] / log.propensity
    model = _cross_fitted(log, seed)
    direct = (log.target * model).sum(axis=1)
    robust = direct + weight * (log.reward - model[rows, log.action])
    clipped = np.minimum(weight, LIMIT) * log.reward
    ones = np.ones(len(rows))
    columns = np.stack([clipped, weight * log.reward, weight, robust, log.reward, ones], axis=1)
    sums = np.array([np.bincount(log.conversation, weights=column) for column in columns.T], dtype=np.float64).T
    sums = sums[sums[:, 5] > 0]
    whole, spread = _values(sums.sum(axis=0)[None]), _values(_drawn(sums, np.random.default_rng(seed)))
    estimates = [_estimate(whole[0], spread, column) for column in range(3)]
    ess = float(weight.sum() ** 2 / max((weight**2).sum(), 1e-12))
    coverage = float((log.target * log.possible).sum() / log.target.sum())
    found = OffPolicy(
        rows=len(rows),
        conversations=len(sums),
        ess=ess,
        largest_weight=float(weight.max()),
        mean_weight=float(weight.mean()),
        coverage=coverage,
        logged=float(log.reward.mean()),
        clipped_ips=estimates[0],
        snips=estimates[1],
        doubly_robust=estimates[2],
        verdict="refused",
    )
    reasons = tuple(_objections(found, log, weight))
    verdict: Verdict = "refused" if reasons else _verdict(found)
    return found.model_copy(update={"verdict": verdict, "reasons": reasons})


def _drawn(sums: Floats, rng: np.random.Generator) -> Floats:
    """Sums over conversations drawn with replacement; many are first put together at random, which keeps the spread."""
    if len(sums) > _BAGS:
        bag = rng.permutation(len(sums)) % _BAGS
        sums = np.array([np.bincount(bag, weights=column) for column in sums.T], dtype=np.float64).T
    found: Floats = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=_DRAWS).astype(np.float64) @ sums
    return found


def _values(sums: Floats) -> Floats:
    """Clipped IPS, SNIPS, doubly robust and the log's own mean from sums, one row a draw."""
    ips, weighted, weights, robust, reward, rows = sums.T
    found: Floats = np.stack([ips / rows, weighted / np.maximum(weights, 1e-12), robust / rows, reward / rows], axis=1)
    return found


def _estimate(whole: Floats, spread: Floats, column: int) -> Estimate:
    low, high = np.quantile(spread[:, column], (0.025, 0.975))
    lifts = np.quantile(spread[:, column] - spread[:, 3], (0.025, 0.975))
    return Estimate(
        value=float(whole[column]),
        low=float(low),
        high=float(high),
        lift=float(whole[column] - whole[3]),
        lift_low=float(lifts[0]),
        lift_high=float(lifts[1]),
    )


def _objections(found: OffPolicy, log: Logged, weight: Floats) -> list[str]:
    """Why there can be no verdict."""
    reasons = []
    if (log.possible.sum(axis=1) == 1).all():
        reasons.append("the log's policy never chose: only the share of turns on which both agree can be told")
    if found.ess < LEAST:
        reasons.append(f"the effective sample is {found.ess:.0f} rows of {found.rows}; {LEAST:.0f} are needed")
    if 1 - found.coverage > UNCOVERED:
        lost = np.where(log.possible, 0.0, log.target).sum(axis=0)
        reasons.append(
            f"{1 - found.coverage:.1%} of the policy's probability is on actions that the log never took there, "
            f"most on action {int(lost.argmax())}"
        )
    error = float(weight.std() / np.sqrt(len(weight)))
    if abs(found.mean_weight - found.coverage) > _OFF * max(error, 1e-9) + 1e-9:
        reasons.append(f"the mean weight is {found.mean_weight:.2f}, not {found.coverage:.2f}: propensities are wrong")
    return reasons


def _verdict(found: OffPolicy) -> Verdict:
    both = (found.snips, found.doubly_robust)
    if all(item.lift_low > 0 for item in both):
        return "better"
    if all(item.lift_high < 0 for item in both):
        return "worse"
    return "no difference found"


def _cross_fitted(log: Logged, seed: int) -> Floats:
    """The expected reward of every action in every row, (n, k), by models that did not see the row's conversation."""
    talks = int(log.conversation.max()) + 1
    fold = (np.random.default_rng(seed).permutation(talks) % _FOLDS)[log.conversation]
    features = np.column_stack([np.ones(len(log.action)), log.context])
    found = np.zeros_like(log.target)
    for number in range(_FOLDS):
        train, test = fold != number, fold == number
        mean = float(log.reward[train].mean()) if train.any() else 0.0
        for action in range(log.target.shape[1]):
            mine = train & (log.action == action)
            found[test, action] = mean + features[test] @ _ridge(features[mine], log.reward[mine] - mean)
    return found


def _ridge(features: Floats, reward: Floats) -> Floats:
    inside = features.T @ features + _RIDGE * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(inside, features.T @ reward), dtype=np.float64)


def _check(log: Logged) -> None:
    rows = len(log.action)
    shapes = [len(part) for part in (log.propensity, log.reward, log.target, log.possible, log.context)]
    if not rows or {*shapes, len(log.conversation)} != {rows} or log.target.shape != log.possible.shape:
        raise InputError(f"expected as many rows of each kind, at least one; found {rows} actions and {shapes}")
    if not ((log.propensity > 0) & (log.propensity <= 1)).all():
        raise InputError("propensities must be above 0 and at most 1; an action that was taken had a chance")
    if (log.target < 0).any() or not np.allclose(log.target.sum(axis=1), 1.0, atol=1e-6):
        raise InputError("the policy's probabilities must add up to 1 in every row")
    if not log.possible[np.arange(rows), log.action].all():
        raise InputError("an action was logged where it is said to be impossible")


def numbered(names: Sequence[str]) -> Ints:
    """Conversations as numbers from 0."""
    known = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([known[name] for name in names], dtype=np.int64)
