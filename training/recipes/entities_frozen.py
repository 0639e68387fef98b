"""A head on a frozen trunk, trained in numpy: a mix of layers, a linear layer, a linear-chain CRF.

The same model as `training.recipes.entities_net.Network` without a branch. It is four products and the forward-backward
algorithm (Lafferty, McCallum and Pereira 2001), so its gradient is written by hand: importing torch alone takes longer
than this fit. A test compares loss and gradient with finite differences and with the network in torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skills.encoder import Floats
from skills.entities_decode import allowed_transitions, label_count
from skills.entities_head import HeadWeights
from training.recipes.adam import Adam

Doubles = npt.NDArray[np.float64]
_DROPPED = 0.1
_LEAST = 1e-300
"""Keeps a share finite where no legal path leads."""


class Parameters(NamedTuple):
    """What is learned, float32. `mix`: (layers,), before the softmax. The others as in `HeadWeights`."""

    mix: Floats
    weight: Floats
    bias: Floats
    transitions: Floats


@dataclass(frozen=True, slots=True)
class Words:
    """Padded rows. `states`: float32 (layers, rows, words, width), of each word's first token.

    `labels`: int64 (rows, words). `real`: bool (rows, words); padding comes last.
    """

    states: Floats
    labels: npt.NDArray[np.int64]
    real: npt.NDArray[np.bool_]


class FrozenHead:
    """The parameters in training, as views of one vector."""

    def __init__(self, layers: int, width: int, kinds: Sequence[str], seed: int) -> None:
        count = label_count(kinds)
        self._random = np.random.default_rng(seed)
        self._legal = allowed_transitions(kinds)
        shapes = ((layers,), (count, width), (count,), (count + 1, count))
        self._ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        flat = np.zeros(int(sum(np.prod(shape) for shape in shapes)), np.float32)
        views = [part.reshape(shape) for part, shape in zip(np.split(flat, self._ends), shapes, strict=True)]
        self.parameters = Parameters(*views)
        self.parameters.weight[:] = self._random.uniform(-1, 1, (count, width)) / width**0.5
        self._adam = Adam(flat)

    def learn(self, batch: Words, rate: float) -> float:
        """One step; the loss before it."""
        shape = (*batch.labels.shape, batch.states.shape[-1])
        kept = (self._random.random(shape, np.float32) >= _DROPPED) / np.float32(1 - _DROPPED)
        value, gradient = loss(self.parameters, batch, self._legal, kept.astype(np.float32))
        self._adam.step(np.concatenate([part.ravel() for part in gradient]), rate)
        return value

    def weights(self) -> HeadWeights:
        """The head as it is used."""
        learned = self.parameters
        return HeadWeights(_softmax(learned.mix), learned.weight, learned.bias, learned.transitions + self._legal)


def loss(learned: Parameters, batch: Words, legal: Floats, kept: Floats) -> tuple[float, Parameters]:
    """Mean negative log-likelihood of the rows' labels, and its gradient.

    `legal` is added to the transitions. `kept`: float32 (rows, words, width), by which the mixed states are multiplied.
    """
    shares = _softmax(learned.mix)
    layers, rows, words, width = batch.states.shape
    states = batch.states.reshape(layers, -1)
    mixed = (shares @ states).reshape(rows, words, width) * kept
    scores = mixed @ learned.weight.T + learned.bias
    value, slope, moves = _chain(scores.astype(np.float64), batch, (learned.transitions + legal).astype(np.float64))
    flat = slope.reshape(rows * words, -1).astype(np.float32)
    towards = (flat @ learned.weight).reshape(kept.shape) * kept
    by_layer = states @ towards.ravel()
    gradient = Parameters(
        mix=(shares * (by_layer - shares @ by_layer)).astype(np.float32),
        weight=flat.T @ mixed.reshape(-1, width),
        bias=flat.sum(axis=0),
        transitions=moves.astype(np.float32),
    )
    return value, gradient


def _chain(scores: Doubles, batch: Words, transitions: Doubles) -> tuple[float, Doubles, Doubles]:
    """The loss of label scores (rows, words, labels), and its slopes by the scores and by the transitions."""
    rows, words, _ = scores.shape
    real = batch.real[..., None]
    top = scores.max(axis=2, keepdims=True)
    local = np.where(real, np.exp(scores - top), 1.0)
    begin, steps = np.exp(transitions[-1]), np.exp(transitions[:-1])
    forward, sizes = np.empty_like(local), np.ones((rows, words))
    backward = np.ones_like(local)
    forward[:, 0], sizes[:, 0] = _scaled(local[:, 0] * begin)
    for word in range(1, words):
        reached, size = _scaled((forward[:, word - 1] @ steps) * local[:, word])
        forward[:, word] = np.where(real[:, word], reached, forward[:, word - 1])
        sizes[:, word] = np.where(batch.real[:, word], size, 1.0)
    for word in range(words - 2, -1, -1):
        before, _ = _scaled((local[:, word + 1] * backward[:, word + 1]) @ steps.T)
        backward[:, word] = np.where(real[:, word + 1], before, 1.0)
    slope = forward * backward
    slope /= np.maximum(slope.sum(axis=2, keepdims=True), _LEAST)
    moves = np.empty_like(transitions)
    moves[-1] = slope[:, 0].sum(axis=0)
    moves[:-1] = _expected_moves(forward, local * backward, steps, batch.real)
    gold = _gold(scores, batch, transitions, slope, moves)
    total = np.log(sizes).sum() + (top[..., 0] * batch.real).sum()
    return float(total - gold) / rows, slope * real / rows, moves / rows


def _expected_moves(forward: Doubles, ahead: Doubles, steps: Doubles, real: npt.NDArray[np.bool_]) -> Doubles:
    """How often the model expects each label (row) to be followed by each (column)."""
    chosen = real[:, 1:]
    here, there = forward[:, :-1][chosen], ahead[:, 1:][chosen]
    sums = np.maximum(((here @ steps) * there).sum(axis=1, keepdims=True), _LEAST)
    expected: Doubles = ((here / sums).T @ there) * steps
    return expected


def _gold(scores: Doubles, batch: Words, transitions: Doubles, slope: Doubles, moves: Doubles) -> float:
    """The score of the right labels; what they have is taken off the slopes."""
    row, word = np.nonzero(batch.real)
    label = batch.labels[row, word]
    slope[row, word, label] -= 1
    came_from = np.where(word == 0, len(transitions) - 1, batch.labels[row, word - 1])
    np.subtract.at(moves, (came_from, label), 1)
    return float(scores[row, word, label].sum() + transitions[came_from, label].sum())


def _scaled(values: Doubles) -> tuple[Doubles, Doubles]:
    """Rows that sum to 1, and what they summed to."""
    sizes = np.maximum(values.sum(axis=1), _LEAST)
    return values / sizes[:, None], sizes


def _softmax(values: Floats) -> Floats:
    shares = np.exp(values - values.max())
    found: Floats = (shares / shares.sum()).astype(np.float32)
    return found


def padded(rows: Iterable[tuple[npt.NDArray[np.float16], Sequence[int]]]) -> Words:
    """Rows of states, float16 (layers, words, width), and labels as one batch."""
    rows = list(rows)
    layers, _, width = rows[0][0].shape
    words = max(len(labels) for _, labels in rows)
    states = np.zeros((layers, len(rows), words, width), np.float32)
    labels, real = np.zeros((len(rows), words), np.int64), np.zeros((len(rows), words), np.bool_)
    for number, (found, right) in enumerate(rows):
        states[:, number, : len(right)] = found
        labels[number, : len(right)], real[number, : len(right)] = right, True
    return Words(states, labels, real)
