"""Near-duplicates are found whatever the order, and only where the encoder agrees."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.clusters import clusters


def vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Letters counted: texts with nearly the same letters point the same way."""
    counts = np.array([[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
    unit: npt.NDArray[np.float32] = np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True).clip(1e-9), "f4")
    return unit


def opposite(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """No two texts are alike."""
    return np.eye(len(texts), dtype=np.float32)


ASKED = [
    "Where is my order 48213?",
    "where is my order 48101",
    "Where's my parcel now",
    "do gift cards expire ever",
]


def test_the_same_words_go_together_without_an_encoder() -> None:
    found = clusters(ASKED)
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_nearly_the_same_words_go_together_if_the_encoder_agrees() -> None:
    one, other = "what proof is needed for the guarantee", "what proof is needed for a guarantee"
    assert len(set(clusters([one, other, *ASKED], vectors)[:2])) == 1
    assert len(set(clusters([one, other, *ASKED], opposite)[:2])) == 2


def test_the_order_of_texts_does_not_matter() -> None:
    texts = [*ASKED, *(f"{text}, please" for text in ASKED), "what", "", "?"]
    shuffled = random.Random(3).sample(texts, len(texts))
    assert dict(zip(texts, clusters(texts, vectors), strict=True)) == dict(
        zip(shuffled, clusters(shuffled, vectors), strict=True)
    )


def test_a_crowd_of_alike_texts_costs_few_comparisons() -> None:
    texts = [f"my order number {'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10]} is late" for n in range(100)]
    asked: list[int] = []

    def counted(wanted: Sequence[str]) -> npt.NDArray[np.float32]:
        asked.append(len(wanted))
        return vectors(wanted)

    clusters(texts, counted)
    assert asked == [100]
