"""How alike two texts are, as rules need it: a function of two texts that gives about 1 for the same meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

Alike = Callable[[str, str], float]
"""The similarity of two texts, -1..1. Thresholds of rules are cosines of sentence vectors."""

Vectors = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Unit vectors of texts, one row a text."""
_BATCH = 512


def of_vectors(vectors: Vectors, texts: Sequence[str]) -> Alike:
    """Cosines of sentence vectors. All texts are encoded at the first question; a text not among them then."""
    known: dict[str, npt.NDArray[np.float32]] = {}

    def learn(wanted: Sequence[str]) -> None:
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            known.update(zip(part, vectors(part), strict=True))

    def alike(one: str, other: str) -> float:
        if not known:
            learn(list(dict.fromkeys(texts)))
        learn([text for text in dict.fromkeys((one, other)) if text not in known])
        return float(known[one] @ known[other])

    return alike


def lexical(one: str, other: str) -> float:
    """Cosine of letter trigrams: no model needed; it sees shared words and misspellings, not meaning."""
    left, right = _trigrams(one), _trigrams(other)
    shared = sum(count * right[gram] for gram, count in left.items())
    norm = sqrt(sum(n * n for n in left.values()) * sum(n * n for n in right.values()))
    return shared / norm if norm else 0.0


def _trigrams(text: str) -> Counter[str]:
    plain = f"  {' '.join(text.casefold().split())} "
    return Counter(plain[n : n + 3] for n in range(len(plain) - 2)) if plain.strip() else Counter()
