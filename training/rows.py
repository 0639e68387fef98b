"""The rows of a snapshot: a text with what it means, where that comes from, and whether it teaches or measures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from bot.core.messages import Value
from training.examples import IntentExample, Origin, SlotExample
from training.sides import Side

AUTHOR = "author"
"""The rule of labels that are written in the project."""


class Mark(Value):
    """Where a label comes from: the rule and its version, the positions of the events behind it, how sure it is."""

    rule: str
    version: int = 1
    events: tuple[int, ...] = ()
    confidence: float = 1.0


class Row(Value):
    """A text with its labels. What was not judged is empty: `intent`, or `tags` (None; one BIO tag for each offset).

    `conversation`, `turn`, `user` (a pseudonym) and `at` (seconds since 1970) say where it was said.
    `source` names the project, the log or a file, `where` the place in it. `human`: a person gave the label; `weight`:
    how far it is believed. `why` says why a row was left out.

    Of replies, `talk` holds (speaker, words) up to `text`, the question, `passages` what was at hand and `reply` what
    was said, "" where the passages do not hold the answer.
    """

    id: str
    text: str
    intent: str = ""
    tags: tuple[str, ...] | None = None
    offsets: tuple[tuple[int, int], ...] = ()
    lang: str = "en"
    source: str = ""
    where: str = ""
    conversation: str = ""
    turn: int = 0
    user: str = ""
    at: float = 0.0
    channel: str = ""
    marks: tuple[Mark, ...] = ()
    human: bool = False
    weight: float = 1.0
    side: Side = "train"
    why: str = ""
    talk: tuple[tuple[str, str], ...] = ()
    passages: tuple[str, ...] = ()
    reply: str = ""

    @property
    def month(self) -> str:
        """YYYY-MM, empty where the time is unknown."""
        return f"{datetime.fromtimestamp(self.at, UTC):%Y-%m}" if self.at else ""

    def origin(self) -> Origin:
        """For the rows that skills are trained on."""
        return Origin(self.conversation, self.channel, self.month, self.source, self.user)

    def intent_example(self) -> IntentExample:
        """As the intent recipes take it; what was masked still is."""
        return IntentExample(self.text, self.intent, self.lang, self.where, self.origin(), self.weight)

    def slot_example(self) -> SlotExample:
        """As the entity recipes take it; what was masked still is."""
        tokens = tuple(self.text[start:end] for start, end in self.offsets)
        place = (self.where, self.origin())
        return SlotExample(tokens, self.tags or (), self.intent, self.lang, self.text, self.offsets, *place)


def row_id(*parts: object) -> str:
    """A short name that is the same whenever the parts are."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:20]


def authored(intents: Sequence[IntentExample], slots: Sequence[SlotExample], source: str) -> list[Row]:
    """Rows of examples that have no conversation; `slots` are of the same texts, or there are none."""
    found = []
    for number, row in enumerate(intents):
        marked = slots[number] if slots else None
        found.append(
            Row(
                id=row_id(source, row.text, row.intent, marked.tags if marked else None),
                text=row.text,
                intent=row.intent,
                tags=marked.tags if marked else None,
                offsets=marked.offsets if marked else (),
                lang=row.lang,
                source=source,
                where=row.where,
                marks=(Mark(rule=AUTHOR),),
                human=True,
            )
        )
    return list({row.id: row for row in found}.values())


def intents_on(rows: Iterable[Row], *sides: Side) -> tuple[IntentExample, ...]:
    """The intent examples of some sides, repeated texts with the same label once."""
    return tuple(dict.fromkeys(row.intent_example() for row in rows if row.intent and row.side in sides))


def slots_on(rows: Iterable[Row], *sides: Side) -> tuple[SlotExample, ...]:
    """The slot examples of some sides, repeated ones once."""
    return tuple(dict.fromkeys(row.slot_example() for row in rows if row.tags is not None and row.side in sides))
