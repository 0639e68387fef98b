"""Which turns people should look at: one draw of a fixed size in which every turn's probability is known.

Each strategy spreads its share of the budget over the turns by weight; a turn's inclusion probability is the sum of
what it gets, at most 1. The draw itself is systematic sampling with these probabilities (Madow 1949): the size is fixed
and the probabilities hold exactly. So answers can be weighted by 1 / probability, and those drawn for the audit, which
gives every turn the same share, are a uniform random sample of all turns whatever the other strategies prefer.

Turns that were judged before are in the frame for the audit alone. If one is drawn, its answer is known already; were
they left out, the audit would measure only what nobody had looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Reason = Literal["margin", "diverse", "disagreement", "implicit", "audit", "second"]

SHARES: Mapping[Reason, float] = {
    "margin": 0.35,
    "diverse": 0.20,
    "disagreement": 0.15,
    "implicit": 0.15,
    "audit": 0.15,
}
"""How much of a budget each strategy gets. One that has nothing to propose leaves its share to "margin"."""
_FLOOR = 1e-12
"""The least weight by rank: every turn can be drawn, so a budget can always be spent."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A turn that was drawn: its place in the frame, why, and the probability with which the draw takes it."""

    index: int
    reason: Reason
    probability: float


def draw(weights: Mapping[Reason, Floats], order: Indices, open_: Flags, budget: int, seed: int) -> list[Drawn]:
    """Draw `budget` turns that are open (all of them if there are fewer), and the judged ones that the audit hits.

    `weights` (by strategy, without "audit") and `open_` are float64 and bool (turns,); "margin" must have a positive
    weight for each open turn. `order` holds the turns so that alike ones are side by side: of those few are drawn
    together. Which of those taken are the audit's is drawn the same way, so their number hardly varies. The result is
    in random order: whoever stops early has seen a random part of it.
    """
    count = int(open_.sum())
    budget = min(budget, count)
    if budget <= 0:
        return []
    rng = np.random.default_rng(seed)
    audit, wanted = _wanted(weights, open_, budget)
    rest = sum(wanted.values(), np.zeros(len(open_)))
    rest = _capped(rest, 1 - audit, budget - audit * count)
    probability = np.where(open_, audit + rest, audit)
    taken = _systematic(probability, _open_first(order, open_), rng)
    audited = set(taken[_systematic(audit / probability[taken], np.arange(len(taken)), rng)].tolist())
    drawn = [
        Drawn(n, "audit" if n in audited or not open_[n] else _reason(n, wanted, rng), float(probability[n]))
        for n in taken.tolist()
    ]
    rng.shuffle(drawn)
    return drawn


def by_rank(scores: Floats, picks: float) -> Floats:
    """Weights that fall by e with every `picks` ranks, whatever the scale of the scores; the highest score first."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return np.exp(-ranks / max(picks, 1.0)) + _FLOOR


def spread(vectors: npt.NDArray[np.float32], weights: Floats, clusters: int, seed: int) -> Indices:
    """The cluster of each turn: centres by k-means++ (Arthur and Vassilvitskii 2007) with weighted turns.

    `vectors`: unit length, float32 (turns, dimension). At most `clusters`, fewer where turns are the same.
    """
    rng = np.random.default_rng(seed)
    nearest = np.zeros(len(vectors), np.int64)
    distance = np.full(len(vectors), np.inf)
    chance = weights.astype(np.float64)
    for number in range(max(1, clusters)):
        if chance.sum() <= _FLOOR:
            break
        centre = vectors[rng.choice(len(vectors), p=chance / chance.sum())]
        away = np.maximum(2 - 2 * (vectors @ centre), 0).astype(np.float64)
        nearest = np.where(away < distance, number, nearest)
        distance = np.minimum(distance, away)
        chance = np.where(distance > 1e-6, weights * distance, 0.0)
    return nearest


def within(clusters: Indices, weights: Floats) -> Floats:
    """Weights that give every cluster the same chance, shared among its turns by weight."""
    totals = np.bincount(clusters, weights)[clusters]
    shares: Floats = np.divide(weights, totals, out=np.zeros(len(weights)), where=totals > 0)
    return shares


def _wanted(weights: Mapping[Reason, Floats], open_: Flags, budget: int) -> tuple[float, dict[Reason, Floats]]:
    """The probability that the audit gives each turn, and what the others want to add."""
    found = {reason: np.where(open_, given, 0.0) for reason, given in weights.items()}
    found = {reason: given for reason, given in found.items() if given.sum() > 0}
    left = sum(share for reason, share in SHARES.items() if reason not in found and reason != "audit")
    parts = {reason: SHARES[reason] + (left if reason == "margin" else 0.0) for reason in found}
    wanted = {reason: budget * parts[reason] * given / given.sum() for reason, given in found.items()}
    return SHARES["audit"] * budget / int(open_.sum()), wanted


def _capped(wanted: Floats, most: float, total: float) -> Floats:
    """Probabilities in proportion to `wanted`, none above `most`, that add up to `total`."""
    full = np.zeros(len(wanted), bool)
    while True:
        free = np.where(full, 0.0, wanted)
        scale = (total - most * full.sum()) / free.sum() if free.sum() > 0 else 0.0
        over = ~full & (wanted * scale > most)
        if not over.any():
            return np.where(full, most, wanted * max(scale, 0.0))
        full |= over


def _open_first(order: Indices, open_: Flags) -> Indices:
    """Open turns first: their probabilities add up to the budget, so exactly that many are drawn."""
    return np.concatenate([order[open_[order]], order[~open_[order]]])


def _systematic(probability: Floats, order: Indices, rng: np.random.Generator) -> Indices:
    ends = np.floor(np.cumsum(probability[order]) + rng.random() + 1e-9)
    starts = np.concatenate([[0.0], ends[:-1]])
    return order[ends > starts]


def _reason(index: int, wanted: Mapping[Reason, Floats], rng: np.random.Generator) -> Reason:
    """One of the strategies that wanted the turn."""
    names = list(wanted)
    parts = np.array([wanted[name][index] for name in names])
    return names[int(rng.choice(len(names), p=parts / parts.sum()))]
