"""Real implementations of our protocols for tests: a store in memory, scripted skills, a clock that stands still."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from bot.core import events as ev
from bot.core.errors import BotError, Conflict, NotFound
from bot.core.messages import Address, Inbound, Message, Text
from bot.core.program import Act, Behaviour, Flow, Intent, Program, Variation
from bot.core.protocols import (
    ActionCall,
    ActionResult,
    EventStore,
    Hits,
    Piece,
    Prompt,
    Query,
    Understanding,
    Utterance,
)
from bot.manager import Manager, ManagerLimits
from bot.models import Models


class Clock:
    """Seconds since 1970 that pass only when told."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class MemoryStore:
    """An `EventStore` in a list. `refuse` is raised by the appends to come; they wait while `hold` is clear."""

    def __init__(self) -> None:
        self.log: list[ev.Recorded] = []
        self.refuse: BotError | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.appends = 0

    def of(self, conversation: str) -> list[ev.Recorded]:
        """The events of one conversation."""
        return [recorded for recorded in self.log if recorded.conversation == conversation]

    async def append(
        self, conversation: str, expected_seq: int, events: Sequence[ev.Recorded]
    ) -> Sequence[ev.Recorded]:
        await self.hold.wait()
        if self.refuse is not None:
            raise self.refuse
        mine = self.of(conversation)
        if (mine[-1].seq if mine else 0) != expected_seq:
            raise Conflict(f"{conversation} is not at {expected_seq}")
        if [recorded.seq for recorded in events] != list(range(expected_seq + 1, expected_seq + 1 + len(events))):
            raise Conflict("seq must go on without a gap")
        keys = [recorded.event.key for recorded in (*mine, *events) if isinstance(recorded.event, ev.Received)]
        if len(keys) != len(set(keys)):
            raise Conflict("a client message id was used before")
        position = self.log[-1].position if self.log else 0
        placed = [recorded.model_copy(update={"position": position + n}) for n, recorded in enumerate(events, 1)]
        self.log += placed
        self.appends += 1
        return placed

    async def read(self, conversation: str, after: int = 0, limit: int | None = None) -> Sequence[ev.Recorded]:
        return [recorded for recorded in self.of(conversation) if recorded.seq > after][:limit]

    async def tail(self, after_position: int = 0, limit: int = 1000) -> Sequence[ev.Recorded]:
        return [recorded for recorded in self.log if recorded.position > after_position][:limit]

    async def last_position(self) -> int:
        return self.log[-1].position if self.log else 0

    async def find(self, conversation: str, key: str) -> ev.Recorded | None:
        for recorded in self.of(conversation):
            if isinstance(recorded.event, ev.Received) and recorded.event.key == key:
                return recorded
        return None

    async def open_turns(self) -> Sequence[str]:
        count: dict[str, int] = {}
        for recorded in self.log:
            change = isinstance(recorded.event, ev.Received) - isinstance(recorded.event, ev.Settled)
            count[recorded.conversation] = count.get(recorded.conversation, 0) + change
        return [conversation for conversation, waiting in count.items() if waiting]

    async def erase(self, conversation: str, at: float) -> int:
        mine = self.of(conversation)
        if not mine:
            raise NotFound(conversation)
        self.log = [recorded for recorded in self.log if recorded.conversation != conversation]
        last, position = mine[-1], max(recorded.position for recorded in [*self.log, *mine]) + 1
        event = ev.Erased(events=len(mine))
        place: dict[str, Any] = {"seq": last.seq + 1, "turn": last.turn, "position": position}
        self.log.append(ev.Recorded(conversation=conversation, at=at, event=event, **place))
        return len(mine)


class EchoSkill:
    """Returns its items, but raises what `errors` holds for one, and hangs on those in `hang` until released."""

    name = "echo"

    def __init__(self, errors: Mapping[Any, Exception] | None = None, hang: Sequence[Any] = ()) -> None:
        self.errors, self.hang = errors or {}, set(hang)
        self.batches: list[list[Any]] = []
        self.release = threading.Event()
        self.entered = threading.Event()

    def run(self, batch: Sequence[Any]) -> Sequence[Any]:
        self.batches.append(list(batch))
        self.entered.set()
        for item in batch:
            if item in self.hang:
                self.release.wait(10)
            if item in self.errors:
                raise self.errors[item]
        return list(batch)


class Reader:
    """Understands a text as the intent of its first word. Raises `error` if set; waits while `gate` is clear."""

    def __init__(self, bundle: str = "b1") -> None:
        self.bundle = bundle
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.seen: list[Utterance] = []

    async def __call__(self, utterance: Utterance) -> Understanding:
        self.seen.append(utterance)
        if not self.gate.is_set():
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        word = utterance.text.split(" ")[0]
        return Understanding(
            text=utterance.text,
            language="en",
            supported=True,
            intents=(ev.Scored(name=word, score=0.99),),
            in_scope=0.99,
            threshold=0.5,
            entities=(),
            bundle=self.bundle,
            vector=[1.0],
        )


class Shelf:
    """Finds one passage for every query and remembers the queries."""

    def __init__(self, score: float = 0.9) -> None:
        self.score, self.queries = score, list[Query]()

    async def __call__(self, query: Query) -> Hits:
        self.queries.append(query)
        hit = ev.Hit(chunk="c1", document="d1", title="Returns", text="Thirty days.", score=self.score)
        return Hits(hits=(hit,), floor=0.5, index="i1")


class Author:
    """A `Generator` that writes given pieces, word for word. Then it fails with `error` if set, or waits if `hangs`."""

    id = "author-1"

    def __init__(self, *pieces: str, error: Exception | None = None, hangs: bool = False) -> None:
        self.pieces, self.error, self.hangs = pieces, error, hangs
        self.prompts, self.closed = list[Prompt](), 0

    async def write(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        self.prompts.append(prompt)
        try:
            for piece in self.pieces:
                yield Piece(piece)
                await asyncio.sleep(0)
            if self.error is not None:
                raise self.error
            if self.hangs:
                await asyncio.Event().wait()
            yield Piece("", done=True, abstained=not self.pieces)
        finally:
            self.closed += 1


class Actions:
    """Custom actions from functions."""

    def __init__(self, **known: Callable[[ActionCall], ActionResult]) -> None:
        self.known, self.calls = known, list[ActionCall]()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.known)

    async def run(self, call: ActionCall) -> ActionResult:
        self.calls.append(call)
        return self.known[call.name](call)


def program(**behaviour: Any) -> Program:
    """A bot that says hello, runs `action_order` for the intent `order`, looks up all else, and can apologise."""
    texts = {"utter_hello": "Hello!", "utter_failed": "Something broke.", "utter_no_answer": "I do not know."}
    actions = {"hello": "utter_hello", "order": "action_order"}
    return Program(
        id="p1",
        intents={name: Intent(name=name, label=name) for name in actions},
        flows={
            name: Flow(id=name, name=name, triggers=(name,), steps=(Act(id="act", action=action),))
            for name, action in actions.items()
        },
        actions=("action_order",),
        knowledge=True,
        responses={name: (Variation(text=text),) for name, text in texts.items()},
        behaviour=Behaviour(**behaviour),
    )


def models(reader: Reader | None = None, **changes: Any) -> Models:
    """Models for the manager, with fakes where nothing else is given."""
    return Models(**{"bundle": "b1", "program": program(), "understand": reader or Reader(), **changes})


def text(words: str, name: str = "m") -> Message:
    """A message of one text part."""
    return Message(id=name, parts=(Text(text=words),))


_keys = itertools.count()


def inbound(words: str, key: str | None = None, conversation: str = "c") -> Inbound:
    """A delivery; every one has a key of its own unless told."""
    key = f"k{next(_keys)}" if key is None else key
    address = Address(channel="test", conversation=conversation, sender="ann")
    return Inbound(address=address, message=text(words, key), key=key)


@asynccontextmanager
async def managing(
    store: EventStore | None = None, given: Models | None = None, limits: ManagerLimits | None = None, **options: Any
) -> AsyncIterator[Manager]:
    """A manager that is closed at the end."""
    manager = Manager(store or MemoryStore(), given or models(), limits, **options)
    try:
        yield manager
    finally:
        await manager.close()


async def tell(manager: Manager, words: str, key: str | None = None, conversation: str = "c") -> list[str]:
    """Send a message and wait for its turn; the texts shown."""
    receipt = await manager.submit(inbound(words, key, conversation))
    outcome = await receipt.settled()
    return [message.text for message in outcome.messages]


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something holds, at most some seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while not true():  # noqa: ASYNC110  there is no event for "anything changed"
                await asyncio.sleep(0.005)
    assert true()
