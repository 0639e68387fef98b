"""What Rasa's HTTP API needs of a bot beyond its `Gateway`: things that only operators may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.core.conversation import Conversation
from bot.core.errors import NotFound, UserError
from bot.core.events import Event, Predicted, Recorded, Scored
from bot.core.program import Program
from bot.core.protocols import Understanding
from bot.core.rasa.parse import Wire


class NotNow(UserError):
    """It cannot be done in the state that the bot is in."""

    code = "conflict"


@dataclass(frozen=True, slots=True)
class Model:
    """The model in use: its id, and the name that Rasa's clients know it by."""

    id: str
    file: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What the policies choose, and the scores of all actions."""

    predicted: Predicted
    scores: Sequence[Scored]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model, packed."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Order:
    """What to train: a whole project as one YAML text. `save` keeps the result for `load`."""

    text: str
    save: bool = True


Extract = Callable[[Conversation], Sequence[Event]]


class Reads(Protocol):
    """What reading a tracker and parsing a text need."""

    def program(self) -> Program:
        """What the bot follows."""
        ...

    def model(self) -> Model | None:
        """The model in use, unless it was unloaded."""
        ...

    async def parse(self, text: str) -> Understanding:
        """Understand a text."""
        ...


class Operations(Reads, Protocol):
    """Everything here may take long, and raises the errors of `bot.core.errors`."""

    def training(self) -> int:
        """How many trainings are under way."""
        ...

    async def write(
        self, conversation: str, events: Sequence[Wire], extract: Extract | None = None, *, remind: bool = False
    ) -> None:
        """Append Rasa's events to a conversation; `extract` is as in `bot.core.rasa.facts.records`.

        Reminders among them are set only if `remind`.
        """
        ...

    async def replace(self, conversation: str, events: Sequence[Wire]) -> None:
        """Forget the conversation and write these events instead."""
        ...

    async def act(self, conversation: str, chosen: Predicted) -> Sequence[Recorded]:
        """Do an action between turns; the facts that came of it."""
        ...

    async def predict(self, history: Sequence[Recorded]) -> Choice:
        """What the policies choose after these facts."""
        ...

    async def train(self, order: Order) -> Trained:
        """Train in a process of its own."""
        ...

    async def test_stories(self, text: str) -> Mapping[str, Any]:
        """Play test stories; a report as Rasa gives it."""
        ...

    async def test_intents(self, text: str) -> Mapping[str, Any]:
        """Compare what is understood with labels; a report as Rasa gives it."""
        ...

    async def load(self, name: str) -> None:
        """Put a model to use: a bundle's id, or the name of what was trained."""
        ...

    async def unload(self) -> None:
        """Understand nothing more until a model is loaded."""
        ...


class Reading:
    """The part of `Operations` that a server without a whole bot behind it has; the rest is never routed to."""

    def __init__(self, understand: Callable[[str], Awaitable[Understanding]] | None, program: Program) -> None:
        self._understand, self._program = understand, program

    def program(self) -> Program:
        """See `Operations`."""
        return self._program

    def model(self) -> Model | None:
        """See `Operations`."""
        return None

    async def parse(self, text: str) -> Understanding:
        """See `Operations`."""
        if self._understand is None:
            raise NotFound("this server parses no texts alone")
        return await self._understand(text)
