"""The gate's statistics. Rows of one group are alike, so whole groups are drawn, the same ones for both bundles.

A group is a row of sums: hits and total of the candidate, hits and total of the current bundle. The figure is twice the
hits by the total: accuracy with a total of two a row, or micro F1.

* Interval: percentile bootstrap over groups (Efron and Tibshirani 1993; Davison and Hinkley 1997 for groups).
* p: the two bundles' answers are swapped at random within each group (a paired randomisation test, Noreen 1989). With
  one row a group it is McNemar's test. It holds its level with few groups, where a bootstrap does not.
* Margin: what so many rows can certify with 80 % power when nothing has changed, `2.49 * sqrt(discordance / n)`, n
  shrunk by the design effect (Kish 1965); never under one point.
* Bounds of rare rates: Clopper and Pearson 1934. Many tests: Holm 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, betaincinv

Floats = NDArray[np.float64]

DRAWS, MORE_DRAWS = 2_000, 10_000
LEAST_MARGIN = 0.01
LEVEL = 0.05
FOUND = 0.025
"""The p-value that "better" and "worse" need: half the usual, as a gate is asked night after night."""
_NORMAL = NormalDist()
_SURE, _CLEAR = _NORMAL.inv_cdf(0.95), _NORMAL.inv_cdf(1 - FOUND / 2)
_POWERED = _SURE + _NORMAL.inv_cdf(0.8)
_NEAR = 0.05
"""A bound this close to the border, in widths of the interval, is looked at again with more draws."""


@dataclass(frozen=True, slots=True)
class Change:
    """Candidate minus current: the 95 % interval `low` to `high`, and `sure`, its lower bound at 95 % (one-sided)."""

    value: float
    low: float
    high: float
    sure: float
    p: float
    draws: int


@dataclass(frozen=True, slots=True)
class Power:
    """Chances under a true change: that "worse" is found, and that the candidate is stopped (worse or inconclusive)."""

    worse: float
    stopped: float


def changed(sums: Floats, margin: float, seed: int = 0) -> Change:
    """The change with its interval and p; `sums` has shape (groups, 4). Drawn more often when the decision is near."""
    found = _changed(sums, DRAWS, seed)
    width = max(found.high - found.low, 1e-12)
    borders = (found.low, found.high, found.sure + margin)
    near = any(abs(border) < _NEAR * width for border in borders) or FOUND / 2 < found.p < 2 * FOUND
    return _changed(sums, MORE_DRAWS, seed) if near and found.high > found.low else found


def _changed(sums: Floats, draws: int, seed: int) -> Change:
    if (sums[:, 1] == sums[:, 3]).all():  # accuracy: only the difference counts, so fewer kinds of groups differ
        sums = np.column_stack([sums[:, 0] - sums[:, 2], sums[:, 1], np.zeros(len(sums)), sums[:, 3]])
    value = float(_change(sums.sum(axis=0))[0])
    samples = _change(replicates(sums, draws, seed))
    low, sure, high = (float(bound) for bound in np.quantile(samples, (0.025, 0.05, 0.975)))
    p = swap_test(sums, draws, seed)
    return Change(value, min(low, value), max(high, value), min(sure, value), p, draws)


def _change(totals: Floats) -> Floats:
    columns = np.atleast_2d(totals)
    return figure(columns[:, 0], columns[:, 1]) - figure(columns[:, 2], columns[:, 3])


def figure(hits: Floats, total: Floats) -> Floats:
    """Twice the hits by the total; 1 where there is nothing to find and nothing was found."""
    return np.where(total > 0, 2 * hits / np.maximum(total, 1e-9), 1.0)


def replicates(sums: Floats, draws: int, seed: int = 0) -> Floats:
    """The sums over as many groups as there are, drawn with replacement: shape (draws, columns).

    Groups with the same sums cannot be told apart, so it is drawn how many of each kind there are.
    """
    kinds, counts = np.unique(sums, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    drawn: Floats = rng.multinomial(len(sums), counts / len(sums), size=draws) @ kinds
    return drawn


def swap_test(sums: Floats, draws: int = DRAWS, seed: int = 0, *, worse: bool = False) -> float:
    """How often answers that were swapped at random differ as much as these; `worse`: fall as much (one-sided)."""
    new, old = sums[:, :2], sums[:, 2:]
    half, counts = np.unique((new - old) / 2, axis=0, return_counts=True)
    if not half.any():
        return 1.0
    kept = np.random.default_rng(seed).binomial(counts, 0.5, size=(draws, len(counts)))
    shift = (2 * kept - counts) @ half
    middle = (new + old).sum(axis=0) / 2
    moved, value = _change(np.hstack([middle + shift, middle - shift])), float(_change(sums.sum(axis=0))[0])
    extreme: Floats = value - moved if worse else np.abs(moved) - abs(value)
    return (1 + int((extreme >= -1e-9).sum())) / (1 + draws)


def design_effect(difference: Floats, groups: NDArray[np.int64]) -> float:
    """How many times wider the groups make the variance of the mean; as if all alike where no row differs."""
    sizes = np.bincount(groups).astype(np.float64)
    rows, spread = len(difference), difference - difference.mean()
    alone = float(spread @ spread)
    if alone <= 0:
        return float(sizes @ sizes / rows)
    together = np.bincount(groups, weights=spread)
    return max(1.0, float(together @ together) / alone)


def margin(rows: int, discordant: float, effect: float = 1.0) -> float:
    """The drop that so many rows can exclude with 80 % power when nothing has changed; one point at least.

    `discordant` rows are right in one bundle only; one more is counted, as none seen does not mean that there are none.
    """
    return max(LEAST_MARGIN, _POWERED * sqrt((discordant + 1) / (rows + 2) * effect / rows))


def power(rows: int, discordance: float, change: float, effect: float = 1.0) -> Power:
    """What the gate would find with so many rows, by the normal approximation that the margin is made of.

    "Worse" is McNemar's exact power where rows stand alone; with groups, the approximation corrected for continuity.
    """
    error = sqrt((discordance - change * change) * effect / rows)
    allowed = max(LEAST_MARGIN, _POWERED * sqrt(discordance * effect / rows))
    stopped = 1 - _NORMAL.cdf((change + allowed) / error - _SURE)
    if effect > 1:
        return Power(_NORMAL.cdf((-change - 1 / rows) / error - _CLEAR), stopped)
    return Power(_found_worse(rows, discordance, (discordance - change) / 2 / discordance), stopped)


def _found_worse(rows: int, discordance: float, lost: float) -> float:
    """The chance that more of the rows that differ are lost than luck explains; each is lost with chance `lost`."""
    differ = np.arange(1, rows + 1)
    often = bdtr(differ, rows, discordance) - bdtr(differ - 1, rows, discordance)
    usual = often > 1e-9
    least = np.array([_least_lost(int(count)) for count in differ[usual]])
    return float((often[usual] * bdtrc(least - 1, differ[usual], lost)).sum())


def _least_lost(differ: int) -> int:
    """How many of the rows that differ must be lost for p to be at most `FOUND`; more than all if none will do."""
    count = differ // 2
    while count <= differ and bdtrc(count - 1, differ, 0.5) > FOUND / 2:
        count += 1
    return count


def rows_needed(drop: float, discordance: float, effect: float = 1.0) -> int:
    """How many rows certify a margin of `drop`: n = p_d (2.49 / margin)^2, by the design effect."""
    return round(effect * discordance * (_POWERED / drop) ** 2)


def upper(count: float, rows: float) -> float:
    """The upper bound at 95 % of a rate seen `count` times in `rows`, which need not be whole numbers."""
    return 1.0 if count >= rows else float(betaincinv(count + 1, rows - count, 1 - LEVEL))


def rate_limit(limit: float, rows: float) -> float:
    """The limit for an upper bound, or what so many rows can certify 4 times in 5 when the rate is half the limit."""
    whole = max(1, int(rows))
    seen = 0
    while bdtr(seen, whole, limit / 2) < 0.8:
        seen += 1
    return max(limit, upper(seen, whole))


def holm(values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which of several p-values stand when all are looked at."""
    stands = [False] * len(values)
    for rank, position in enumerate(sorted(range(len(values)), key=lambda item: values[item])):
        if values[position] > level / (len(values) - rank):
            break
        stands[position] = True
    return stands


def chance_of_drop(counts: tuple[float, float, float], prior: tuple[float, float, float], drop: float) -> float:
    """The probability that more than `drop` is lost, given rows (gained, lost, unchanged) and what is usual.

    `prior` counts as so many rows seen before: few rows are shrunk towards all rows (Dirichlet and multinomial).
    """
    shape = np.array(counts) + np.maximum(prior, 1e-3)
    drawn = np.random.default_rng(0).dirichlet(shape, size=4_000)
    return float((drawn[:, 1] - drawn[:, 0] > drop).mean())
