"""What `decide` can ask for. The manager performs a step and appends what happened; the core performs nothing."""

from __future__ import annotations

from typing import Literal

from bot.core.events import Event, Hit
from bot.core.messages import Message, Value


class Understand(Value):
    """Run the classifiers over the turn's text."""

    text: str


class Transcribe(Value):
    """Turn the turn's audio (sha256 of the blob) into text."""

    blob: str


class Retrieve(Value):
    """Search the knowledge base."""

    query: str


class Generate(Value):
    """Have a generator word an answer from passages, the best first. `approved` is what is said if it cannot."""

    approved: str
    hits: tuple[Hit, ...]


class Run(Value):
    """Run a custom action. `step` is the flow step that asked for it; `candidates` are new slot values to validate."""

    action: str
    step: str | None = None
    candidates: tuple[str, ...] = ()


class Rank(Value):
    """Ask the learned ranking for the next action; its answer is a `Predicted` fact of policy "RankingPolicy".

    When the ranking is not sure enough (`below`), or there is none, or it would do what is `barred` here, `otherwise`
    is done, as policy "Fallback".
    """

    otherwise: str
    below: float
    barred: tuple[str, ...] = ()


class Record(Value):
    """Append facts that follow from the rules alone."""

    events: tuple[Event, ...]


class Say(Value):
    """Send messages and append the facts that go with them. Messages get their ids from the manager's turn."""

    messages: tuple[Message, ...]
    step: str | None = None
    events: tuple[Event, ...] = ()


class Settle(Value):
    """The turn is over: append its outcome."""

    outcome: Literal["replied", "failed", "handed_off"]


class Listen(Value):
    """Nothing to do until the user speaks."""


Step = Understand | Transcribe | Retrieve | Generate | Run | Rank | Record | Say | Settle | Listen
