"""What is told of one answer, as frozen values: the order of the fields is the order of the chain.

What is not known is left empty, and `Why.unknown` says why. Offsets count characters of the user's text. Times are
seconds since 1970 UTC. A place reads `data/rules.yml:12`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from bot.core.findings import Entity, Scored
from bot.core.messages import Value
from bot.manifest import DataSet


class Heard(Value):
    """What the user did. `pressed` is the payload of the button, `offered_in` the turn that showed it."""

    kind: Literal["words", "voice", "press", "event"]
    text: str
    channel: str = ""
    pressed: str = ""
    offered_in: int = 0


class Meaning(Value):
    """What was understood. `margin` is the lead of the best intent over the next one."""

    source: str
    bundle: str = ""
    language: str = ""
    supported: bool = True
    candidates: tuple[Scored, ...] = ()
    in_scope: float = 0.0
    threshold: float = 0.0
    accepted: bool = False
    margin: float | None = None
    entities: tuple[Entity, ...] = ()


class Word(Value):
    """A word of the text. `weight` above 0 speaks for what was understood: log-odds lost without it."""

    text: str
    start: int
    end: int
    weight: float


class Removal(Value):
    """The checked effect of taking words out: what the classifiers then say."""

    words: tuple[str, ...]
    text: str
    intent: str
    score: float
    in_scope: float


class Attribution(Value):
    """Which words counted for `target` ("intent NAME", or "out of scope").

    `score` is what the whole text gets, `without_most` and `without_least` what is left without the same number
    (`removed`) of words that count most and least. `holds`: taking out the first hurts more, so the weights can be
    believed. `fit` is the R2 of the weights on `variants` texts. `turning` are the fewest words, in the order of their
    weight, without which something else is understood.
    """

    target: str
    score: float
    words: tuple[Word, ...]
    removed: int
    without_most: float
    without_least: float
    holds: bool
    fit: float
    variants: int
    turning: Removal | None = None


class Neighbour(Value):
    """A training example like the text; `similarity` is the cosine of their vectors. `turn` is set for log rows."""

    text: str
    intent: str
    similarity: float
    where: str
    source: str = ""
    conversation: str = ""
    turn: int = 0
    rules: tuple[str, ...] = ()


class Lessons(Value):
    """What the bundle learned from. `same`: today's examples are, by digest, those that it was trained on."""

    data: tuple[DataSet, ...] = ()
    trained_on: int = 0
    same: bool = False
    compared: int = 0
    known: Neighbour | None = None
    nearest: tuple[Neighbour, ...] = ()


class Decision(Value):
    """A choice that was made. `said` tells it in a sentence; `place` is that of the rule, story or flow behind it."""

    action: str
    argument: str = ""
    policy: str = ""
    reason: str = ""
    said: str = ""
    place: str = ""
    candidates: tuple[Scored, ...] = ()
    propensity: float = 1.0


class Moved(Value):
    """Something that happened to a flow or a form."""

    what: str
    place: str = ""


class SlotLine(Value):
    """A slot at the time of the answer. `turn` is when it was set (0: before the first, or never).

    `counted`: with another value the bot would have done something else, see `Why.flips`. `worded`: the answer's words
    name it.
    """

    name: str
    value: JsonValue
    source: str
    turn: int = 0
    here: bool = False
    counted: bool = False
    worded: bool = False


class Passage(Value):
    """A passage that was found."""

    document: str
    title: str
    text: str
    score: float
    used: bool = False
    url: str | None = None


class Lookup(Value):
    """A search in the knowledge base. Below `floor` nothing may be used."""

    query: str
    floor: float
    index: str
    passages: tuple[Passage, ...] = ()


class Acted(Value):
    """A custom action that ran."""

    action: str
    key: str
    seconds: float
    error: str | None = None
    place: str = ""


class Answer(Value):
    """What the bot said. `variation` counts from 1 among `variations` of the response, 0 where it is none of them."""

    message: str
    text: str
    name: str = ""
    variation: int = 0
    variations: int = 0
    place: str = ""
    sources: tuple[str, ...] = ()
    buttons: tuple[str, ...] = ()


class Judgement(Value):
    """A rating or a correction of the answer."""

    kind: Literal["rated", "corrected", "taken back"]
    by: str
    said: str
    score: float | None = None
    intent: str | None = None
    reply: str | None = None


class Aftermath(Value):
    """What came of it. `outcome` is that of the turn, `next` the user's next words."""

    outcome: str = ""
    failed: str = ""
    handed_off: str = ""
    handed_off_turn: int = 0
    ended: str = ""
    next: str = ""
    judgements: tuple[Judgement, ...] = ()


class Flip(Value):
    """One change and what the bot would have done, asked of `decide` itself.

    `kind` is what was changed. `same`: nothing else would have happened. `command` is how to make the change for good.
    `sure`: nothing had to be assumed; else `assumed` says what.
    """

    kind: Literal["intent", "example", "scope", "margin", "floor", "slot", "words"]
    change: str
    does: tuple[str, ...]
    same: bool = False
    command: str = ""
    assumed: tuple[str, ...] = ()


class Why(Value):
    """The causal chain of one answer. `did` is what the bot did, in the words of `Flip.does`.

    `today` is what it would do with the project as it is now, empty where that is the same or cannot be told.
    """

    conversation: str
    turn: int
    at: float
    user: str
    headline: str
    heard: Heard
    understood: Meaning | None = None
    words: Attribution | None = None
    lessons: Lessons | None = None
    decisions: tuple[Decision, ...] = ()
    moves: tuple[Moved, ...] = ()
    slots: tuple[SlotLine, ...] = ()
    lookup: Lookup | None = None
    actions: tuple[Acted, ...] = ()
    answers: tuple[Answer, ...] = ()
    after: Aftermath = Aftermath()
    did: tuple[str, ...] = ()
    today: tuple[str, ...] = ()
    flips: tuple[Flip, ...] = ()
    unknown: tuple[str, ...] = ()
