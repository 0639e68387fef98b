"""The training examples that are most like a text, with the place each one came from.

What a bundle learned from is stated in its manifest by digest. The rows themselves are in its snapshot, or in the
project and the log; these are read again as training reads them, and only if their digest is the manifest's are they
surely the same. Likeness is the cosine of the encoder's vectors; of many examples only those are encoded that share
words with the text or have one of the intents that were considered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot.manifest import DataSet
from skills.entities_rules import words
from skills.intent import digest_of
from training.why.values import Lessons, Neighbour

SHOWN = 5
MOST = 400
"""Examples that are encoded; at about a millisecond each."""
_OF_INTENT = 80
"""Of these, how many of each intent that was considered are among them whatever their words."""


class TextVectors(Protocol):
    """An encoder."""

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors, float32 (texts, dimension)."""
        ...


@dataclass(frozen=True, slots=True)
class Taught:
    """A row that taught: a text, its intent, and where it is from."""

    text: str
    intent: str
    where: str = ""
    source: str = ""
    conversation: str = ""
    turn: int = 0
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a bundle learned from, as far as it is still here; see `Lessons`.

    `aside` are examples that were held out of training; the bundle knows them too, word for word.
    """

    rows: tuple[Taught, ...]
    data: tuple[DataSet, ...] = ()
    same: bool = False
    aside: tuple[Taught, ...] = ()


def nearest(text: str, intents: Sequence[str], lesson: Lesson, encoder: TextVectors) -> Lessons:
    """The examples most like a text; `intents` are those that were considered."""
    chosen = _chosen(text, frozenset(intents), lesson.rows)
    found: list[Neighbour] = []
    if chosen:
        vectors = encoder.vectors([text, *(row.text for row in chosen)])
        alike = vectors[1:] @ vectors[0]
        order = np.argsort(-alike, kind="stable")[:SHOWN]
        found = [_neighbour(chosen[n], float(alike[n])) for n in order]
    same = digest_of(text)
    known = next((row for row in (*lesson.rows, *lesson.aside) if digest_of(row.text) == same), None)
    return Lessons(
        data=lesson.data,
        trained_on=len(lesson.rows),
        same=lesson.same,
        compared=len(chosen),
        known=_neighbour(known, 1.0) if known else None,
        nearest=tuple(found),
    )


def _neighbour(row: Taught, similarity: float) -> Neighbour:
    return Neighbour(
        text=row.text,
        intent=row.intent,
        similarity=round(similarity, 4),
        where=row.where,
        source=row.source,
        conversation=row.conversation,
        turn=row.turn,
        rules=row.rules,
    )


def _chosen(text: str, intents: frozenset[str], rows: Sequence[Taught]) -> list[Taught]:
    """The examples to encode: all of few; of many, those of the intents considered and those with the rarest words."""
    if len(rows) <= MOST:
        return list(rows)
    bags = [frozenset(word for word, _, _ in words(row.text)) for row in rows]
    spread = Counter(word for bag in bags for word in bag)
    mine = {word for word, _, _ in words(text)} & spread.keys()
    shared = [sum(log(1 + len(rows) / spread[word]) for word in mine & bag) for bag in bags]
    order = sorted(range(len(rows)), key=lambda n: -shared[n])
    taken: Counter[str] = Counter()
    first = []
    for n in order:
        if rows[n].intent in intents and taken[rows[n].intent] < _OF_INTENT:
            taken[rows[n].intent] += 1
            first.append(n)
    return [rows[n] for n in dict.fromkeys([*first, *order])][:MOST]
