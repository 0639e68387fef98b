"""The probability that a hit answers the question, from its two scores: a logistic regression of three numbers.

The fit starts from a prior and needs evidence to leave it, so a handful of documents keeps the prior. What the evidence
is, `retrieval.calibration` decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrieval.lexical import Floats

Doubles = npt.NDArray[np.float64]

PRECISION = np.array([0.5, 0.5, 0.3])
"""How firmly the prior holds each coefficient (inverse variance)."""
STEPS = 50


@dataclass(frozen=True, slots=True)
class Relevance:
    """`probability` = logistic(dense * dense score + lexical * lexical score + bias); `floor` is what an answer needs.

    The defaults are the prior: one fit for all English sets of docs/benchmarks/retrieval.md together.
    """

    dense: float = 12.0
    lexical: float = 3.0
    bias: float = -6.3
    floor: float = 0.5

    def probability(self, dense: Floats, lexical: Floats) -> Floats:
        """For each hit the probability that it answers the question: float32, shape of the scores."""
        log_odds = self.dense * dense.astype(np.float64) + self.lexical * lexical.astype(np.float64) + self.bias
        return _logistic(log_odds).astype(np.float32)


def fit(positives: Doubles, negatives: Doubles, weight: float) -> Relevance:
    """The model that tells (n, 2) scores of right hits from (m, 2) scores of wrong ones.

    `weight` is what each side counts in all, in examples. Maximum a posteriori with a normal prior, by Newton's method.
    """
    start = Relevance()
    prior = np.array([start.dense, start.lexical, start.bias])
    scores = np.concatenate([positives, negatives])
    rows = np.column_stack([scores, np.ones(len(scores))])
    labels = np.repeat([1.0, 0.0], [len(positives), len(negatives)])
    counts = np.repeat(
        [weight / max(len(positives), 1), weight / max(len(negatives), 1)], [len(positives), len(negatives)]
    )
    found = prior.copy()
    for _ in range(STEPS):
        guess = _logistic(rows @ found)
        slope = rows.T @ (counts * (guess - labels)) + PRECISION * (found - prior)
        curve = (rows * (counts * guess * (1 - guess))[:, None]).T @ rows + np.diag(PRECISION)
        step = np.linalg.solve(curve, slope)
        found -= step
        if np.abs(step).max() < 1e-9:
            break
    # A score that lowers the probability would contradict the ranking.
    dense, lexical = np.maximum(found[:2], 0.0)
    return Relevance(float(dense), float(lexical), float(found[2]))


def _logistic(value: Doubles) -> Doubles:
    result: Doubles = 1.0 / (1.0 + np.exp(-np.clip(value, -60.0, 60.0)))
    return result
