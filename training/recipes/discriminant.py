"""Scores intents from the encoder's inner layers in closed form, for sets of a few examples an intent.

A linear discriminant (Fisher 1936) with one covariance for all intents, shrunk towards a round one (Ledoit and Wolf
2004): a few hundred examples cannot tell 1,536 directions apart, but together they tell which directions vary within
an intent and so say nothing about it. It costs about a second and needs no held-out row.

An intent's name is one more example of it, if it says anything: "card_arrival" does, "faq_17" does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from skills.intent_views import ViewWeights

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
SHRINKAGE = 0.7
"""Share of the round covariance; 0.3 to 0.8 were tried."""
LAYERS = 4
"""How many of the last layers are pooled."""
_NEAR = 5
"""A name speaks if its own intent is among this many that its vector is nearest to."""
_SIGNS = re.compile(r"[\W_]+")
_CASES = re.compile(r"(?<=[a-z])(?=[A-Z])")


def discriminant(features: Floats, owners: Indices, weights: Floats, count: int) -> ViewWeights:
    """Of rows of `count` intents; each has one at least. `features`: (rows, features), `weights`: (rows,)."""
    share = weights / np.maximum(np.bincount(owners, weights, count)[owners], 1e-9)
    means = np.zeros((count, features.shape[1]), np.float32)
    np.add.at(means, owners, share[:, None] * features)
    middle = means.mean(axis=0)
    inner = (features - means[owners]) * np.sqrt(weights)[:, None]
    spread = (inner.T @ inner) / max(1.0, float(weights.sum()) - count)
    width = len(spread)
    level = max(float(np.trace(spread)) / width, 1e-9)
    spread *= 1 - SHRINKAGE
    spread[np.diag_indices(width)] += SHRINKAGE * level
    from_middle = means - middle
    matrix = np.linalg.solve(spread, from_middle.T).astype(np.float16)
    lengths = (from_middle.T * matrix.astype(np.float32)).sum(axis=0) / 2
    return ViewWeights(matrix, (-lengths - middle @ matrix.astype(np.float32)).astype(np.float32))


def names_of(intents: Sequence[str]) -> list[str]:
    """Names as people would say them; empty where there is no word in them."""
    said = (" ".join(_SIGNS.sub(" ", _CASES.sub(" ", intent)).split()).lower() for intent in intents)
    return [
        name if any(len(word) > 2 and not any(map(str.isdigit, word)) for word in name.split()) else "" for name in said
    ]


def speaking(names: Floats, vectors: Floats, owners: Indices) -> Indices:
    """Which names say what their intent is about. `names`: (intents, width), 0 for none; `vectors` are of examples."""
    means = np.zeros_like(names)
    np.add.at(means, owners, vectors)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    alike = names @ means.T
    better = (alike > np.diag(alike)[:, None]).sum(axis=1)
    return np.flatnonzero((better < min(_NEAR, len(names) / 2)) & (np.abs(names).sum(axis=1) > 0))
