"""Which texts say the same: near-duplicates, found without comparing every text with every other.

Texts with the same words (`split.key`) belong together. Beyond that, MinHash over 3-shingles of characters proposes
pairs (Broder 1997; bands as in Leskovec et al., Mining of Massive Datasets, ch. 3), and a pair is believed if the
encoder puts the two within a cosine of 0.95. The number of pairs is bounded: the work grows as the number of texts.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from training.split import key, normalise

Floats = npt.NDArray[np.float32]
Vectors = Callable[[Sequence[str]], Floats]
"""Unit vectors of texts, float32 (texts, dimension)."""

COSINE = 0.95
_BANDS, _ROWS = 24, 3
_MOST_IN_BAND = 30
"""Texts of a band's bucket that are compared with the others there; with more, each only with the first ones."""
_PRIME = (1 << 31) - 1


def clusters(texts: Sequence[str], vectors: Vectors | None = None) -> list[str]:
    """The name of each text's cluster: the key of one of its texts. Without vectors, only equal words go together.

    The names are the same for any order of the texts.
    """
    keys = [key(text) for text in texts]
    unique = sorted(set(keys))
    if vectors is None or len(unique) < 2:
        return keys
    sample = dict(sorted(zip(keys, texts, strict=True), reverse=True))
    parent = {name: name for name in unique}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for one, other in _alike(unique, [sample[name] for name in unique], vectors):
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [root(name) for name in keys]


def _alike(keys: Sequence[str], texts: Sequence[str], vectors: Vectors) -> Iterator[tuple[str, str]]:
    pairs = np.array(sorted(_proposed(texts)), np.int64).reshape(-1, 2)
    if not len(pairs):
        return
    wanted = np.unique(pairs)
    found = vectors([texts[row] for row in wanted])
    place = {int(row): number for number, row in enumerate(wanted)}
    for one, other in pairs:
        if float(found[place[int(one)]] @ found[place[int(other)]]) >= COSINE:
            yield keys[one], keys[other]


def _proposed(texts: Sequence[str]) -> set[tuple[int, int]]:
    """Pairs of rows that share a band of their signatures."""
    signatures = _signatures([normalise(text) for text in texts])
    pairs: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for row, part in enumerate(signatures[:, band * _ROWS : (band + 1) * _ROWS]):
            buckets[part.tobytes()].append(row)
        for rows in buckets.values():
            for number, one in enumerate(rows[:_MOST_IN_BAND]):
                pairs.update((one, other) for other in rows[number + 1 :])
    return pairs


def _signatures(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """MinHash signatures, (texts, bands times rows)."""
    random = np.random.default_rng(7)
    size = _BANDS * _ROWS
    factors = random.integers(1, _PRIME, size, dtype=np.int64)
    shifts = random.integers(0, _PRIME, size, dtype=np.int64)
    found = np.empty((len(texts), size), np.int64)
    for row, text in enumerate(texts):
        shingles = np.array(sorted(_shingles(text)), np.int64) % _PRIME
        found[row] = ((shingles[:, None] * factors + shifts) % _PRIME).min(axis=0)
    return found


def _shingles(text: str) -> set[int]:
    padded = f" {text} "
    return {zlib.crc32(padded[at : at + 3].encode()) for at in range(max(1, len(padded) - 2))}
