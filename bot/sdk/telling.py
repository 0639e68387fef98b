"""Conversations as Rasa trackers, told turn by turn: what is settled does not change, so it is told once.

A server is sent all events of a conversation with every call. The events of settled turns are kept, as values and as
they are sent, in the conversation's own memo, which is emptied when the conversation is erased; all memos together are
bounded.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core import events as ev
from bot.core.program import Program
from bot.core.rasa.tracker import rasa_events, tracker_of

BUDGET = 8 << 20
"""Bytes that all memos may hold as they are sent; as values they take some five times as much."""
Wire = dict[str, Any]
Encode = Callable[[list[Wire]], bytes]
History = Callable[[int], Awaitable[Sequence[ev.Recorded]]]
Change = Callable[[list[Wire]], list[Wire]]


@dataclass
class Told:
    """What has been told of the turns up to fact `seq`; `model` is the bundle of the last of them."""

    program: Program
    seq: int = 0
    model: str = ""
    events: list[Wire] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes as they are sent."""
        return sum(map(len, self.pieces))


@dataclass(frozen=True)
class Tracker:
    """A tracker without its events, and these as they are sent, in pieces."""

    state: Wire
    events: list[bytes]

    def json(self) -> bytes:
        """The whole, when the pieces are JSON."""
        return as_json(self.state)[:-1] + b',"events":[' + b",".join(self.events) + b"]}"


def as_json(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_items(events: list[Wire]) -> bytes:
    """Events as the inside of a JSON list."""
    return b",".join(map(as_json, events))


class Teller:
    """Tells conversations to servers, in the terms of one program. `encode` makes events what they are sent as."""

    def __init__(self, program: Program, encode: Encode = json_items, budget: int = BUDGET) -> None:
        self.program, self._encode, self._budget = program, encode, budget
        self._key = f"told by {encode.__qualname__}"
        self._held: OrderedDict[int, tuple[dict[str, Any], int]] = OrderedDict()
        self._total = 0

    async def tracker(
        self, conversation: str, history: History | None, memo: dict[str, Any], change: Change | None = None
    ) -> Tracker:
        """The tracker with all events. `change` may change those of the open turn."""
        told, open_turn = await self._told(history, memo) if history else (Told(self.program), ())
        late = rasa_events(open_turn, self.program, told.model)
        state = tracker_of(conversation, [*told.events, *late], self.program, "NONE")
        del state["events"]
        late = change(late) if change else late
        return Tracker(state, [*told.pieces, self._encode(late)] if late else told.pieces)

    async def _told(self, history: History, memo: dict[str, Any]) -> tuple[Told, Sequence[ev.Recorded]]:
        """What is settled, and the facts after it."""
        told = memo.get(self._key)
        if not isinstance(told, Told) or told.program is not self.program:
            told = Told(self.program)
        facts = await history(told.seq)
        if told.seq and facts and _reaches_back(facts[0].event):
            told, facts = Told(self.program), await history(0)
        end = _settled(facts)
        models = [fact.event.bundle for fact in facts[:end] if isinstance(fact.event, ev.Understood)]
        model = next(filter(None, reversed(models)), told.model)
        if end and model:
            events = rasa_events(facts[:end], self.program, told.model)
            told.events += events
            told.pieces += [self._encode(events)] if events else []
            told.seq, told.model, facts = facts[end - 1].seq, model, facts[end:]
            memo[self._key] = told
            self._make_room(memo, told.size)
        return told, facts

    def _make_room(self, memo: dict[str, Any], size: int) -> None:
        """Forget what was used longest ago; it is told anew when it is needed."""
        self._total += size - self._held.pop(id(memo), (memo, 0))[1]
        self._held[id(memo)] = memo, size
        while self._total > self._budget:
            _, (longest, gone) = self._held.popitem(last=False)
            longest.pop(self._key, None)
            self._total -= gone


def _reaches_back(event: ev.Event) -> bool:
    """Whether the fact changes what was told before it."""
    return isinstance(event, ev.Erased) or (isinstance(event, ev.Foreign) and not event.name)


def _settled(facts: Sequence[ev.Recorded]) -> int:
    """How many facts there are up to the last point at which no turn was open."""
    waiting = end = 0
    for number, fact in enumerate(facts, start=1):
        waiting += isinstance(fact.event, ev.Received) - isinstance(fact.event, ev.Settled)
        end = number if waiting <= 0 else end
    return end
