"""An embedder for tests: a text's vector is the sum of its words' random vectors, so shared words mean likeness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from retrieval.lexical import words


@dataclass(frozen=True, slots=True)
class Encoded:
    vector: npt.NDArray[np.float32]


@dataclass
class BagOfWords:
    """Deterministic everywhere; `texts` counts what it has encoded."""

    dimension: int = 64
    fingerprint: dict[str, str] = field(default_factory=lambda: {"model": "bag of words", "weights": "1"})
    texts: int = 0

    def run(self, texts: Sequence[str]) -> list[Encoded]:
        self.texts += len(texts)
        return [Encoded(self._vector(text)) for text in texts]

    def _vector(self, text: str) -> npt.NDArray[np.float32]:
        seeds = [int.from_bytes(sha256(word.encode()).digest()[:8], "big") for word in words(text) or ["?"]]
        total = np.sum([np.random.default_rng(seed).normal(size=self.dimension) for seed in seeds], axis=0)
        return np.asarray(total / np.linalg.norm(total), np.float32)
