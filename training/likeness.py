"""How near a written text is to the one that a person wrote.

BLEU counts shared runs of up to four words over all texts (Papineni et al. 2002, smoothed as in Chen and Cherry 2014,
method 1); ROUGE-L is the F1 of the longest common subsequence of words (Lin 2004); edits are the share of letters that
a person would have to change (Levenshtein distance by the longer length). Words are as `split` finds them, in small
letters; a sign is a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from training import metrics as m

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_ORDER = 4


def words(text: str) -> list[str]:
    """The words and signs of a text, in small letters."""
    return _WORD.findall(text.lower())


def rouge_l(said: str, right: str) -> float:
    """0 to 1; two empty texts are alike."""
    one, other = words(said), words(right)
    if not one or not other:
        return float(one == other)
    return 2 * _common(one, other) / (len(one) + len(other))


def edits(said: str, right: str) -> float:
    """0 (the same) to 1."""
    row = list(range(len(right) + 1))
    for place, letter in enumerate(said, 1):
        before, row[0] = row[0], place
        for column, wanted in enumerate(right, 1):
            best = min(row[column] + 1, row[column - 1] + 1, before + (letter != wanted))
            before, row[column] = row[column], best
    return row[-1] / max(len(said), len(right), 1)


def bleu(said: Sequence[str], right: Sequence[str]) -> m.Statistic:
    """BLEU of some texts, 0 to 1, as a statistic: so it can be drawn anew."""
    counts = np.array([_counts(words(one), words(other)) for one, other in zip(said, right, strict=True)], np.float64)

    def of(weights: m.Floats) -> m.Floats:
        total = weights @ counts
        matches, tries = total[:, 2 : 2 + _ORDER], total[:, 2 + _ORDER :]
        precisions = np.where(matches > 0, matches, 0.1) / np.maximum(tries, 1)
        penalty = np.minimum(0.0, 1 - total[:, 1] / np.maximum(total[:, 0], 1))
        found: m.Floats = np.exp(penalty + np.log(precisions).mean(axis=1))
        return found

    return of


def _counts(said: Sequence[str], right: Sequence[str]) -> list[int]:
    """Lengths of both, then for each order the shared runs, then all runs."""
    shared, tried = [], []
    for order in range(1, _ORDER + 1):
        ours, theirs = _runs(said, order), _runs(right, order)
        shared.append(sum((ours & theirs).values()))
        tried.append(sum(ours.values()))
    return [len(said), len(right), *shared, *tried]


def _runs(said: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(said[start : start + order]) for start in range(len(said) - order + 1))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for column, theirs in enumerate(other, 1):
            before, row[column] = row[column], before + 1 if word == theirs else max(row[column], row[column - 1])
    return row[-1]
