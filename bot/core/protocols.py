"""The seams. Everything that does I/O or holds a model stands behind one of these protocols.

Skills and retrievers are synchronous and batch first: `run(batch)` returns one result per item, in order, and may be
called from any one thread at a time. They know no asyncio and no store. Errors are plain Python exceptions; the runner
wraps them. A generator streams, and many conversations share it, so it is asynchronous.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import JsonValue

from bot.core.conversation import Conversation
from bot.core.events import Entity, Event, Hit, Recorded, Scored, Understood
from bot.core.features import Features
from bot.core.messages import Address, Inbound, Message, Part

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


@runtime_checkable
class Skill(Protocol[In, Out]):
    """A model behind one call."""

    name: str

    def run(self, batch: Sequence[In]) -> Sequence[Out]:
        """One result per item, in the order of the items."""
        ...


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text to understand. `now` is seconds since 1970 UTC, for "tomorrow"; `context` the messages before it."""

    text: str
    now: float = 0.0
    context: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Understanding:
    """What one encoder pass gives. `intents` are ranked, probabilities sum to at most 1.

    `in_scope` is the calibrated probability that any trained intent fits; `threshold` what it must reach.
    `vector` is the unit-length sentence embedding, a float32 array of shape (dimension,); it is not stored.
    """

    text: str
    language: str
    supported: bool
    intents: tuple[Scored, ...]
    in_scope: float
    threshold: float
    entities: tuple[Entity, ...]
    bundle: str
    vector: Any = None

    def as_fact(self) -> Understood:
        """What the log keeps of it: all but the vector."""
        return Understood(
            text=self.text,
            language=self.language,
            supported=self.supported,
            intents=self.intents,
            in_scope=self.in_scope,
            threshold=self.threshold,
            entities=self.entities,
            bundle=self.bundle,
        )


@dataclass(frozen=True, slots=True)
class Query:
    """A question for the knowledge base. `vector`, if given, is its embedding as in `Understanding`.

    `filters` must all equal the chunk's metadata.
    """

    text: str
    vector: Any = None
    filters: Mapping[str, str] = field(default_factory=dict)
    top: int = 5


@dataclass(frozen=True, slots=True)
class Hits:
    """Passages, best first, with the floor fitted on data and the index's fingerprint."""

    hits: tuple[Hit, ...]
    floor: float
    index: str


@runtime_checkable
class Retriever(Protocol):
    """Searches documents."""

    def search(self, queries: Sequence[Query]) -> Sequence[Hits]:
        """The best passages for each query, in the order of the queries."""
        ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a generator words an answer from; only `passages`, `approved` and `slots` may be claimed.

    `talk` holds pairs of a speaker, "user" or "bot", and words; the last is what the user said now. `approved` is the
    text that a person wrote for the answer, "" if there is none. `tone` and `language` ("en", "" for the talk's own)
    say how it is to sound. The same prompt and seed give the same text.
    """

    talk: tuple[tuple[str, str], ...]
    passages: tuple[str, ...] = ()
    approved: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)
    tone: str = ""
    language: str = ""
    max_tokens: int = 120
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a streamed text. The last one is `done`; it tells whether the generator would rather say nothing."""

    text: str
    done: bool = False
    abstained: bool = False


@runtime_checkable
class Generator(Protocol):
    """Words an answer; what it writes is checked before anybody sees it. `id` names the model and its digest."""

    @property
    def id(self) -> str:
        """What made a text: stands in the log."""
        ...

    def write(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """The text of a prompt, piece by piece. Closing the generator stops the work.

        Raises:
            SkillError: it failed, or answered with something that is no text.
        """
        ...


@dataclass(frozen=True, slots=True)
class ActionCall:
    """A custom action's input. `key` is the same when the call is repeated after a crash: use it to do a thing once.

    `state` is the folded conversation; `history` reads its facts with seq above the one given, for those that need them
    all; `memo` is a place to keep what was worked out from them, as long as the conversation is in memory. `candidates`
    are slots that were just filled and are to be validated. `say` sends a message while the action still runs.
    """

    name: str
    key: str
    conversation: str
    sender: str
    slots: Mapping[str, JsonValue]
    text: str
    now: float
    state: Conversation | None = None
    candidates: tuple[str, ...] = ()
    history: Callable[[int], Awaitable[Sequence[Recorded]]] | None = None
    memo: dict[str, Any] = field(default_factory=dict)
    say: Callable[[Message], None] | None = None


@dataclass(frozen=True, slots=True)
class Worded:
    """A response to be rendered: `values` add to the slots for `{names}`, `parts` are appended to its own."""

    name: str
    values: Mapping[str, JsonValue] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Wording:
    """A response that another system is asked to word; `values` add to the slots, the rest is as in `ActionCall`."""

    name: str
    values: Mapping[str, JsonValue]
    conversation: str
    channel: str
    history: Callable[[int], Awaitable[Sequence[Recorded]]]
    memo: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActionResult:
    """A custom action's output: slots to set, then messages or responses to say, then other facts, in this order."""

    slots: Mapping[str, JsonValue] = field(default_factory=dict)
    messages: tuple[Message | Worded | str, ...] = ()
    events: tuple[Event, ...] = ()


class ActionServer(Protocol):
    """Runs the project's own actions."""

    @property
    def names(self) -> tuple[str, ...]:
        """The actions it knows."""
        ...

    async def run(self, call: ActionCall) -> ActionResult:
        """Run one action; raises what the action raises.

        Raises:
            Rejected: the action refuses to run now; something else may be done instead.
        """
        ...


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a scripted conversation stands, for the learned ranking: its latest states, oldest first.

    The last state is the one in which an action is to be chosen. `texts` are the user's messages in each of them.
    `actions` are those that may be chosen.
    """

    states: tuple[Features, ...]
    texts: tuple[str, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Next actions, best first, with probabilities; `bundle` made them."""

    candidates: tuple[Scored, ...]
    bundle: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An earlier message with the same client id. `same` tells whether its content was the same."""

    turn: int
    seq: int
    digest: str


class EventStore(Protocol):
    """The log. Every method that writes returns only when the rows would survive a power cut."""

    def append(self, conversation: str, expected_seq: int, events: Sequence[Recorded]) -> Awaitable[Sequence[Recorded]]:
        """Append events whose seq goes on from `expected_seq`, all or none; gives each its position.

        Raises:
            Conflict: the conversation is not at `expected_seq`, or a client message id was used before.
            StorageUnavailable: nothing was written.
        """
        ...

    async def read(self, conversation: str, after: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        """The events with seq above `after`, in order."""
        ...

    async def find(self, conversation: str, key: str) -> Recorded | None:
        """The `Received` with this client message id, if any."""
        ...

    async def open_turns(self) -> Sequence[str]:
        """Conversations with a received message that is not settled."""
        ...

    async def erase(self, conversation: str, at: float) -> int:
        """Delete the content from every page and the WAL, leave a tombstone; gives the number of events gone."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended: "replied", "failed" or "handed_off", and all messages it showed, in order."""

    turn: int
    outcome: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """An acknowledged message: it is committed. `duplicate` tells that it was so before.

    `settled` gives the outcome once the turn is over; it can be awaited any number of times.
    """

    conversation: str
    seq: int
    turn: int
    duplicate: bool
    settled: Callable[[], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Draft:
    """The beginning of an answer that is being worded. It is checked, but what is said in the end may be another text.

    It is no fact: a draft that nobody saw is lost.
    """

    turn: int
    text: str


class Gateway(Protocol):
    """What the dialogue manager offers to channels."""

    async def submit(self, inbound: Inbound) -> Receipt:
        """Commit a message and start its turn; returns when it is acknowledged.

        Raises:
            DuplicateMismatch: the key was used for another message.
            Overloaded, StorageUnavailable: nothing was taken.
        """
        ...

    async def trigger(self, address: Address, intent: str, entities: Sequence[Entity] = (), name: str = "") -> Receipt:
        """Start a turn as if the user had meant `intent`; `name` says what triggered it. As `submit` otherwise."""
        ...

    async def record(self, conversation: str, event: Event) -> Recorded:
        """Append a fact that is no message, such as a rating.

        Raises:
            NotFound: there is no such conversation.
            IllegalHistory: the fact cannot follow.
        """
        ...

    async def read(self, conversation: str, after: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        """The stored events with seq above `after`, in order; empty for a conversation that does not exist."""
        ...

    def follow(self, conversation: str, after: int) -> AsyncIterator[Recorded]:
        """All events with seq above `after`, first the stored ones, then new ones as they are committed."""
        ...

    def follow_drafts(self, conversation: str, after: int) -> AsyncIterator[Recorded | Draft]:
        """As `follow`, with the drafts of answers in between; each holds the whole text up to there."""
        ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can show. Messages are degraded to text where it cannot."""

    buttons: bool = True
    images: bool = True
    cards: bool = True
    markdown: bool = True
    push: bool = False


class Channel(Protocol):
    """A way for people to reach the bot. `open` mounts it; see `bot.server` for those that speak HTTP."""

    name: str
    capabilities: Capabilities

    async def open(self, gateway: Gateway) -> None:
        """Start taking messages."""
        ...

    async def close(self) -> None:
        """Stop taking messages; what was acknowledged stays acknowledged."""
        ...
