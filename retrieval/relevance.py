"""The probability that a hit answers the question, from what speaks for it: a logistic curve of two numbers.

One rising curve keeps the order of the hits. The fit starts from a prior and needs evidence to leave it, so a handful
of documents keeps the prior. What the evidence is, `retrieval.calibration` decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrieval.lexical import Floats

Doubles = npt.NDArray[np.float64]

PRECISION = np.array([0.5, 0.3])
"""How firmly the prior holds slope and bias (inverse variance)."""
STEPS = 100
LONGEST_STEP = 1.0
"""Newton's steps are cut to this length: far from the answer the curve is flat and a full step would overshoot."""
LEAST_SLOPE = 0.1


@dataclass(frozen=True, slots=True)
class Relevance:
    """`probability` = logistic(slope * evidence + bias); `floor` is what an answer needs.

    `trust` is what dense scores count when hits are ordered: less than 1 where the encoder does not know the language.

    The defaults are the prior: one choice for all English sets of docs/benchmarks/retrieval.md.
    """

    slope: float = 10.0
    bias: float = -5.6
    floor: float = 0.5
    trust: float = 1.0

    def probability(self, scores: Floats) -> Floats:
        """For each hit the probability that it answers the question: float32, shape of the evidence."""
        return _logistic(self.slope * scores.astype(np.float64) + self.bias).astype(np.float32)


def fit(positives: Doubles, negatives: Doubles, weight: float) -> Relevance:
    """The curve that tells the evidence of right hits from that of wrong ones; both one-dimensional.

    `weight` is what each side counts in all, in examples. Maximum a posteriori with a normal prior, by Newton's method
    (Platt 1999, "Probabilistic outputs for support vector machines", with a prior).
    """
    prior = np.array([Relevance().slope, Relevance().bias])
    rows = np.column_stack([np.concatenate([positives, negatives]), np.ones(len(positives) + len(negatives))])
    sides = [len(positives), len(negatives)]
    labels = np.repeat([1.0, 0.0], sides)
    counts = np.repeat([weight / max(side, 1) for side in sides], sides)
    found = prior.copy()
    for _ in range(STEPS):
        guess = _logistic(rows @ found)
        ascent = rows.T @ (counts * (guess - labels)) + PRECISION * (found - prior)
        curvature = (rows * (counts * guess * (1 - guess))[:, None]).T @ rows + np.diag(PRECISION)
        step = np.linalg.solve(curvature, ascent)
        found -= step / max(1.0, float(np.linalg.norm(step)) / LONGEST_STEP)
        if np.abs(step).max() < 1e-9:
            break
    return Relevance(max(float(found[0]), LEAST_SLOPE), float(found[1]))


def _logistic(value: Doubles) -> Doubles:
    result: Doubles = 1.0 / (1.0 + np.exp(-np.clip(value, -60.0, 60.0)))
    return result
