"""What an intent head is tried on while it is fitted: folds of its rows, and made-up texts that fit no intent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
_LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def folds_of(owners: Indices, folds: int, random: np.random.Generator) -> Indices:
    """Fold of each row, intents spread evenly; an intent's first two rows never share a fold."""
    fold = np.zeros(len(owners), np.int64)
    for owner in np.unique(owners):
        rows = random.permutation(np.flatnonzero(owners == owner))
        fold[rows] = (np.arange(len(rows)) + random.integers(folds)) % folds
    return fold


def made_up(texts: Sequence[str], random: np.random.Generator) -> list[str]:
    """Gibberish as long as some of the texts: random letters, repeated letters, letters of real words mixed up."""
    made = []
    for text in random.permutation(np.array(texts, object))[: max(10, min(60, len(texts) // 20))]:
        words = str(text).split()[:12]
        made.append(" ".join("".join(random.choice(_LETTERS, random.integers(2, 9))) for _ in words))
        made.append(" ".join("".join(random.permutation(list(word))) for word in words))
        made.append("".join(random.choice(_LETTERS, random.integers(3, 10))))
        made.append(str(random.choice(_LETTERS)) * int(random.integers(3, 200)))
    return made
