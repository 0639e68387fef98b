"""The gradient of the learned ranking, by hand in numpy.

The network is a dozen small products. At this size an automatic differentiation spends most of its time on its own
bookkeeping, and importing torch takes longer than a fit. `skills.ranking.forward` computes the same scores; a test
compares both, and the gradient with finite differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from skills.ranking import HEADS, WINDOW, Floats, Indices, RankingWeights, Windows
from training.recipes.adam import Adam

_HIDDEN = np.float32(-1e9)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a network. `features` and `actions` count names; `dimension` is that of the texts' vectors."""

    features: int
    actions: int
    dimension: int
    width: int = 32
    hidden: int = 64


@dataclass(frozen=True, slots=True)
class Rows:
    """Windows, with the action of each (number of actions: "none of these") and its weight, float32."""

    windows: Windows
    targets: Indices
    weights: Floats

    def take(self, rows: npt.NDArray[np.integer]) -> Rows:
        """Some of the rows."""
        parts = Windows(self.windows.features[rows], self.windows.texts[rows], self.windows.real[rows])
        return Rows(parts, self.targets[rows], self.weights[rows])


class Parameters:
    """A network's weights as views of one vector, `flat`, which Adam with decoupled decay moves."""

    def __init__(self, sizes: Sizes, random: np.random.Generator) -> None:
        width, hidden, last = sizes.width, sizes.hidden, sizes.actions + 1
        self.shapes = {
            "features": (sizes.features + 1, width),
            "text": (sizes.dimension, width),
            "places": (WINDOW, width),
            "inner": (width, 2 * width),
            "inner_bias": (2 * width,),
            "outer": (2 * width, width),
            "outer_bias": (width,),
            "query": (width, width),
            "key": (width, width),
            "value": (width, width),
            "deep": (2 * width, hidden),
            "deep_bias": (hidden,),
            "out": (hidden, last),
            "out_bias": (last,),
        }
        self.flat = np.concatenate([_start(name, shape, random) for name, shape in self.shapes.items()])
        self.weights = RankingWeights(**dict(self._views(self.flat)))
        self._adam = Adam(self.flat)

    def _views(self, flat: Floats) -> Iterator[tuple[str, Floats]]:
        begin = 0
        for name, shape in self.shapes.items():
            end = begin + int(np.prod(shape))
            yield name, flat[begin:end].reshape(shape)
            begin = end

    def step(self, gradient: RankingWeights, rate: float, decay: float) -> None:
        """Move against the gradient, whose length counts as 1 at most."""
        self._adam.step(np.concatenate([getattr(gradient, name).ravel() for name in self.shapes]), rate, decay)


def _start(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    scale = 0.5 if name == "features" else shape[0] ** -0.5
    drawn: Floats = (random.standard_normal(shape) * scale).astype(np.float32).ravel()
    return drawn


def loss(
    weights: RankingWeights, rows: Rows, vectors: Floats, kept: Floats | None = None
) -> tuple[float, RankingWeights]:
    """Mean weighted cross-entropy and its gradient.

    `vectors`: float32 (texts + 1, dimension). `kept`: float32 (rows, hidden), what the last layer is multiplied with.
    """
    now = _Forward(weights, rows.windows, vectors, kept)
    count = np.arange(len(rows.targets))
    share = rows.weights / rows.weights.sum()
    chance = np.exp(now.logits - now.logits.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    value = -float(share @ np.log(np.maximum(chance[count, rows.targets], 1e-12)))
    chance[count, rows.targets] -= 1
    return value, now.backward(chance * share[:, None])


class _Forward:
    """One pass, with what the way back needs. Names as in `RankingWeights`; `x`: states before, `s`: after joining."""

    def __init__(self, weights: RankingWeights, windows: Windows, vectors: Floats, kept: Floats | None) -> None:
        self.weights = weights
        rows, window, most = windows.features.shape
        self.width = width = weights.places.shape[1]
        self.split = (rows, HEADS, width // HEADS)
        starts = np.arange(0, rows * window * most + 1, most)
        ones = np.ones(rows * window * most, np.float32)
        size = (rows * window, len(weights.features))
        self.marks = sparse.csr_matrix((ones, windows.features.ravel(), starts), size)
        self.worded = np.flatnonzero(windows.texts.ravel())
        self.vectors = vectors[windows.texts.ravel()[self.worded]]
        x = self.marks @ weights.features
        x[self.worded] += self.vectors @ weights.text
        self.x = (x.reshape(rows, window, width) + weights.places).reshape(-1, width)
        self.inner = np.maximum(self.x @ weights.inner + weights.inner_bias, 0)
        self.s = (self.x + self.inner @ weights.outer + weights.outer_bias).reshape(rows, window, width)
        self.now = self.s[:, 0]
        self.scale = np.float32((width / HEADS) ** -0.5)
        self.query = (self.now @ weights.query).reshape(self.split)
        self.looked = _by_head(self.query, weights.key, back=True)
        match = np.where(windows.real[:, None], self.looked @ self.s.transpose(0, 2, 1) * self.scale, _HIDDEN)
        share = np.exp(match - match.max(axis=2, keepdims=True))
        self.share = share / share.sum(axis=2, keepdims=True)
        self.pooled = self.share @ self.s
        past = _by_head(self.pooled, weights.value).reshape(rows, width)
        self.both = np.concatenate([self.now, past], axis=1)
        self.deep = np.maximum(self.both @ weights.deep + weights.deep_bias, 0)
        self.kept = np.ones_like(self.deep) if kept is None else kept
        self.logits = (self.deep * self.kept) @ weights.out + weights.out_bias

    def backward(self, slope: Floats) -> RankingWeights:
        """The gradient from that of the logits."""
        weights, width, found = self.weights, self.width, dict[str, Floats]()
        found["out"], found["out_bias"] = (self.deep * self.kept).T @ slope, slope.sum(axis=0)
        deep = slope @ weights.out.T * self.kept * (self.deep > 0)
        found["deep"], found["deep_bias"] = self.both.T @ deep, deep.sum(axis=0)
        both = deep @ weights.deep.T
        s = self._attention(both[:, width:].reshape(self.split), found)
        s[:, 0] += both[:, :width]
        flat = s.reshape(-1, width)
        inner = flat @ weights.outer.T * (self.inner > 0)
        found["outer"], found["outer_bias"] = self.inner.T @ flat, flat.sum(axis=0)
        found["inner"], found["inner_bias"] = self.x.T @ inner, inner.sum(axis=0)
        x = flat + inner @ weights.inner.T
        found["places"] = x.reshape(s.shape).sum(axis=0)
        found["text"] = self.vectors.T @ x[self.worded]
        found["features"] = self.marks.T @ x
        found["features"][0] = 0  # stands for nothing
        return RankingWeights(**found)

    def _attention(self, past: Floats, found: dict[str, Floats]) -> Floats:
        """The gradient of the joined states by way of the attention."""
        weights = self.weights
        found["value"] = _outer_by_head(self.pooled, past)
        pooled = _by_head(past, weights.value, back=True)
        share = pooled @ self.s.transpose(0, 2, 1)
        match = self.share * (share - (share * self.share).sum(axis=2, keepdims=True)) * self.scale
        s = self.share.transpose(0, 2, 1) @ pooled + match.transpose(0, 2, 1) @ self.looked
        looked = match @ self.s
        found["key"] = _outer_by_head(looked, self.query)
        query = _by_head(looked, weights.key).reshape(len(looked), -1)
        found["query"] = self.now.T @ query
        s[:, 0] += query @ weights.query.T
        states: Floats = s
        return states


def _by_head(rows: Floats, matrix: Floats, *, back: bool = False) -> Floats:
    """Each head's rows (rows, HEADS, n) times its columns of a matrix (width, width), or times those transposed."""
    parts = matrix.reshape(len(matrix), HEADS, -1).transpose(1, 0, 2)
    product = rows.transpose(1, 0, 2) @ (parts.transpose(0, 2, 1) if back else parts)
    return product.transpose(1, 0, 2)


def _outer_by_head(rows: Floats, others: Floats) -> Floats:
    """The matrix (width, width) whose columns of a head are the sum of products of rows (.., width) and others."""
    product = rows.transpose(1, 2, 0) @ others.transpose(1, 0, 2)
    matrix: Floats = product.transpose(1, 0, 2).reshape(rows.shape[2], -1)
    return matrix
