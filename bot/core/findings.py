"""What models find: candidates, spans and passages. Parts of facts.

Offsets count characters (code points) of the text they belong to. Scores and probabilities lie in 0..1.
"""

from __future__ import annotations

from pydantic import JsonValue

from bot.core.messages import Value


class Check(Value):
    """A step of the chain that a generated text goes through; `detail` is what was wrong, "" if it passed."""

    name: str
    detail: str = ""


class Cited(Value):
    """Characters [start, end) of a generated text and the passage that supports them."""

    start: int
    end: int
    chunk: str


class Scored(Value):
    """A candidate and its score."""

    name: str
    score: float


class Entity(Value):
    """A span of the text and what it means. `start` and `end` are character offsets, end exclusive."""

    type: str
    value: JsonValue
    text: str
    start: int
    end: int
    role: str | None = None
    group: str | None = None
    confidence: float = 1.0
    extractor: str = ""


class Hit(Value):
    """A retrieved passage. `score` is comparable with the floor of its `Retrieved`; higher is better."""

    chunk: str
    document: str
    title: str
    text: str
    score: float
    url: str | None = None
    answer: str | None = None

    @property
    def words(self) -> str:
        """What is said for it: the answer that a person approved, else its own text."""
        return self.answer or self.text
