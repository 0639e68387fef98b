"""Joins the witnesses of an intent head: fitted on scores of rows that the scoring heads have not seen.

The weights of evidence are drawn towards the values in `PRIOR`, found on public data: with little data they rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from skills import intent as head
from skills.intent import EVIDENCE, Blend, Floats

Indices = npt.NDArray[np.int64]

PRIOR = {"energy": 0.8, "margin": 0.3, "nearest": 0.5, "density": 1.0, "support": 0.8, "agreement": 0.3, "known": 0.6}
"""Weights of standardised evidence; see docs/decisions/0023-out-of-scope.md."""
PRIOR_STRENGTH = 20.0


@dataclass(frozen=True, slots=True)
class Held:
    """Scores of rows by heads that have not seen them. `owners` is -1 where no intent of that head fits.

    `views`: log probabilities by the inner layers, of the rows before the made-up ones; none for a frozen head.
    """

    logits: Floats
    neighbours: Floats
    evidence: Floats
    owners: Indices
    views: tuple[Floats, ...] = ()


_NEIGHBOUR_WEIGHTS = (0.0, 0.15, 0.3, 0.45, 0.6)
_TEMPERATURES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0)
_VIEW_WEIGHTS = ((0.0,), (0.01,), (0.02,), (0.03,), (0.05,), (0.08,))
_ZEROS = np.zeros(len(EVIDENCE), np.float32)
NEUTRAL = Blend(0.3, 1.0, _ZEROS, _ZEROS + 1, _ZEROS, 0.0, 0.5)
"""Of heads that only give their witnesses."""


def fit_blend(held: Sequence[Held], acceptance: float) -> Blend:
    """How the witnesses join, and the threshold that `acceptance` of the held-out in-scope rows pass."""
    mixture = _fit_mixture(held)
    evidence = np.concatenate([fold.evidence for fold in held])
    inside = np.concatenate([fold.owners >= 0 for fold in held])
    mean = evidence[inside].mean(axis=0)
    scale = np.maximum(evidence[inside].std(axis=0), 1e-3)
    weights, bias = _fit_evidence((evidence - mean) / scale, inside)
    blend = replace(mixture, evidence_mean=mean, evidence_scale=scale, evidence_weight=weights, evidence_bias=bias)
    accepted = head.in_scope(evidence[inside], blend)
    return replace(blend, threshold=float(np.quantile(accepted, 1 - acceptance)))


def _fit_mixture(held: Sequence[Held]) -> Blend:
    """Weights of the witnesses and temperature with the best log likelihood on held-out rows."""
    best, found = np.inf, NEUTRAL
    for weights in product(_NEIGHBOUR_WEIGHTS, _TEMPERATURES, _VIEW_WEIGHTS if held[0].views else ((),)):
        blend = replace(NEUTRAL, neighbour_weight=weights[0], temperature=weights[1], view_weights=weights[2])
        losses = []
        for fold in held:
            rows = np.flatnonzero(fold.owners >= 0)
            views = [view[rows] for view in fold.views]
            share = head.mix(fold.logits[rows], fold.neighbours[rows], blend, views)
            losses.append(-np.log(np.maximum(share[np.arange(len(rows)), fold.owners[rows]], 1e-9)))
        if (loss := float(np.concatenate(losses).mean())) < best:
            best, found = loss, blend
    return found


def _fit_evidence(z: Floats, inside: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Logistic regression, both sides weighing the same, drawn towards PRIOR."""
    prior = np.array([PRIOR[name] for name in EVIDENCE])
    sign = np.where(inside, 1.0, -1.0)
    share = np.where(inside, 0.5 / max(1, inside.sum()), 0.5 / max(1, (~inside).sum()))

    def loss(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = sign * (z @ point[:-1] + point[-1])
        pull = point[:-1] - prior
        strength = PRIOR_STRENGTH / len(z)
        slope = -sign * share / (1 + np.exp(np.clip(margin, -30, 30)))
        gradient = np.append(z.T @ slope + strength * pull, slope.sum())
        return float((share * np.logaddexp(0, -margin)).sum() + strength / 2 * pull @ pull), gradient

    found = minimize(loss, np.append(prior, 2.0), jac=True, method="L-BFGS-B")
    return found.x[:-1].astype(np.float32), float(found.x[-1])
