"""The review queue over HTTP, for operators: what to judge next, and what they decided.

The queue itself is made elsewhere; whoever serves it gives something that is a `ReviewDesk`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from bot.core.events import Entity
from connectors.http import Answer, Call, Route
from connectors.texts import PRINTABLE

Person = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=PRINTABLE)]
Place = Annotated[int, Field(ge=0, le=2**31)]


class Line(BaseModel):
    """A line of the conversation; the speaker is "user", "bot" or "person"."""

    speaker: str
    text: str


class GuessView(BaseModel):
    """An intent, its name for people, and how likely the model finds it."""

    intent: str
    label: str
    probability: float


class NeighbourView(BaseModel):
    """A labelled text, and how alike it is (cosine)."""

    text: str
    intent: str
    alike: float


class ItemView(BaseModel):
    """A turn to judge. Show `guesses` in this order, and without figures where `shuffled`.

    `accepts` is the intent that "accept" stands for. `reason` tells why the turn is asked: margin, diverse,
    disagreement, implicit, audit or second; `probability` is that with which the draw takes it.
    """

    conversation: str
    turn: int
    at: float
    channel: str
    text: str
    language: str
    before: list[Line]
    after: list[Line]
    replies: list[Line]
    understood: str
    accepts: str
    guesses: list[GuessView]
    shuffled: bool
    in_scope: float
    entities: list[Entity]
    neighbours: list[NeighbourView]
    signs: list[str]
    reason: str
    probability: float
    batch: str
    place: int
    of: int


class QueueView(BaseModel):
    """What to judge next. `intents` are the names to choose from with their labels; `open` turns could be asked."""

    items: list[ItemView]
    intents: dict[str, str]
    open: int
    judged: int


class DecisionView(BaseModel):
    """What a person decided about a turn. "relabel" needs `intent`; "undo" takes back all that they said of it.

    `entities` are the right ones, if they were judged. `hidden` are places in the text that nothing may learn.
    """

    model_config = ConfigDict(extra="forbid")

    conversation: str = Field(min_length=1, max_length=512, pattern=PRINTABLE)
    turn: int = Field(ge=1, le=2**31)
    verdict: Literal["accept", "relabel", "reject", "undo"]
    intent: str | None = Field(default=None, min_length=1, max_length=200, pattern=PRINTABLE)
    entities: list[Entity] | None = Field(default=None, max_length=200)
    hidden: list[tuple[Place, Place]] = Field(default_factory=list, max_length=100)


class Decisions(BaseModel):
    """Decisions of one person, in order."""

    model_config = ConfigDict(extra="forbid")

    by: Person
    decisions: list[DecisionView] = Field(min_length=1, max_length=100)


class Decided(BaseModel):
    """The events that hold the decisions, and how many items of the batch are left."""

    stored: list[dict[str, JsonValue]]
    left: int


class Wanted(BaseModel):
    """Who asks, and how many items to give; `budget` is the size of the batch that is drawn when there is none."""

    model_config = ConfigDict(extra="forbid")

    by: Person = "operator"
    limit: int = Field(default=30, ge=1, le=200)
    budget: int = Field(default=30, ge=1, le=200)


class ReviewDesk(Protocol):
    """Makes the queue and stores decisions. Raises the errors of `bot.core.errors`."""

    async def queue(self, wanted: Wanted) -> QueueView:
        """What this person has not decided of their batch; a new batch when nothing is left."""
        ...

    async def decide(self, by: str, decisions: Sequence[DecisionView]) -> Decided:
        """Store decisions; those before one that is refused stay stored."""
        ...


def review_routes(desk: ReviewDesk) -> Sequence[Route]:
    """The table."""

    async def queue(call: Call[None, Wanted]) -> Answer:
        return Answer(200, await desk.queue(call.query))

    async def decide(call: Call[Decisions, None]) -> Answer:
        return Answer(201, await desk.decide(call.body.by, call.body.decisions))

    return (
        Route("GET", "/api/v1/review/queue", queue, "What to review next", {200: QueueView}, query=Wanted,
              door="operator", errors=(404, 503)),
        Route("POST", "/api/v1/review/decisions", decide, "Decide about turns", {201: Decided}, body=Decisions,
              door="operator", errors=(404, 409, 503)),
    )  # fmt: skip
