"""From label scores to spans: a linear chain over BIO labels in which a wrong order of labels cannot win.

`kinds` are what a span can be, each `type`, `type#role` or `type#role#group`. Label 0 is "outside", label 2i + 1 begins
a span of kind i, label 2i + 2 continues it. Transition scores are float32 (labels + 1, labels): the row is the label
before, the last row the beginning of the text. Viterbi search and forward-backward after Rabiner (1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]

FORBIDDEN = -10_000.0
"""Score of a transition that cannot be. Finite, so that sums of it stay numbers."""

OUTSIDE = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Words `first` to `last` (inclusive) are one thing of kind number `kind`, with this probability."""

    kind: int
    first: int
    last: int
    confidence: float


def label_count(kinds: Sequence[str]) -> int:
    """How many labels there are for these kinds."""
    return 2 * len(kinds) + 1


def allowed_transitions(kinds: Sequence[str]) -> Floats:
    """0 where a label may follow, `FORBIDDEN` where not: a continuation needs the same kind right before it."""
    count = label_count(kinds)
    scores = np.zeros((count + 1, count), np.float32)
    for inside in range(2, count, 2):
        scores[:, inside] = FORBIDDEN
        scores[[inside - 1, inside], inside] = 0.0
    return scores


def best_labels(scores: Floats, transitions: Floats) -> Numbers:
    """The best sequence of labels for the scores, float32 (words, labels), of one text; intp (words,)."""
    return best_paths([scores], transitions)[0]


def best_paths(texts: Sequence[Floats], transitions: Floats) -> list[Numbers]:
    """`best_labels` of several texts of at least one word each, word by word for all of them at once."""
    lengths = np.array([len(scores) for scores in texts])
    padded = np.zeros((len(texts), lengths.max(), transitions.shape[1]), np.float32)
    for row, scores in enumerate(texts):
        padded[row, : len(scores)] = scores
    total = padded[:, 0] + transitions[-1]
    came_from = np.zeros(padded.shape, np.intp)
    for word in range(1, padded.shape[1]):
        options = total[:, :, None] + transitions[:-1]
        came_from[:, word] = options.argmax(axis=1)
        following = options.max(axis=1) + padded[:, word]
        total = np.where((word < lengths)[:, None], following, total)
    rows = np.arange(len(texts))
    path = np.zeros(padded.shape[:2], np.intp)
    path[rows, lengths - 1] = total.argmax(axis=1)
    for word in range(padded.shape[1] - 1, 0, -1):
        before = came_from[rows, word, path[:, word]]
        path[:, word - 1] = np.where(word < lengths, before, path[:, word - 1])
    return [path[row, :length] for row, length in enumerate(lengths)]


def probabilities(scores: Floats, transitions: Floats) -> npt.NDArray[np.float64]:
    """The probability of each label at each word, over all sequences; float64 (words, labels), rows sum to 1."""
    steps = np.exp(transitions.astype(np.float64))
    local = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    forward, backward = np.empty_like(local), np.ones_like(local)
    forward[0] = _scaled(local[0] * steps[-1])
    for word in range(1, len(local)):
        forward[word] = _scaled((forward[word - 1] @ steps[:-1]) * local[word])
    for word in range(len(local) - 2, -1, -1):
        backward[word] = _scaled(steps[:-1] @ (local[word + 1] * backward[word + 1]))
    joint = forward * backward
    result: npt.NDArray[np.float64] = joint / joint.sum(axis=1, keepdims=True)
    return result


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    scaled: npt.NDArray[np.float64] = values / values.sum()
    return scaled


def decode(texts: Sequence[Floats], transitions: Floats) -> list[list[Span]]:
    """The spans of each text, from its scores. A span is as probable as its least probable word."""
    spoken = [scores for scores in texts if len(scores)]
    paths = iter(best_paths(spoken, transitions) if spoken else ())
    return [_spans(scores, next(paths), transitions) if len(scores) else [] for scores in texts]


def _spans(scores: Floats, labels: Numbers, transitions: Floats) -> list[Span]:
    if not labels.any():
        return []
    chosen = np.take_along_axis(probabilities(scores, transitions), labels[:, None], axis=1)[:, 0]
    return [
        Span(kind, first, last, float(chosen[first : last + 1].min()))
        for kind, first, last in spans_of(labels.tolist())
    ]


def spans_of(labels: Sequence[int]) -> list[tuple[int, int, int]]:
    """(kind, first word, last word) of every span in a sequence of labels.

    A continuation with no beginning of its kind before it begins a span, as in the CoNLL evaluation.
    """
    spans: list[tuple[int, int, int]] = []
    for word, label in enumerate(labels):
        if label == OUTSIDE:
            continue
        kind = (label - 1) // 2
        if label % 2 == 0 and spans and spans[-1][0] == kind and spans[-1][2] == word - 1:
            spans[-1] = (kind, spans[-1][1], word)
        else:
            spans.append((kind, word, word))
    return spans
