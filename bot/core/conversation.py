"""The fold: events in, a frozen `Conversation` out.

`evolve` is total over legal histories and pure; an event that cannot follow raises `IllegalHistory`. A Conversation
holds what `decide` needs and nothing that grows with its length, so a turn costs the same however long the talk is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import JsonValue

from bot.core import events as ev
from bot.core.errors import IllegalHistory
from bot.core.messages import Message

Status = Literal["new", "active", "handed_off", "ended", "erased"]
HISTORY = 6
"""How many of the latest messages are kept for context."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A flow in progress. `last` is the step done last; `step` the collect step that waits for an answer."""

    flow: str
    last: str | None = None
    step: str | None = None
    slot: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One user message and what has been made of it so far."""

    number: int
    key: str
    message: Message
    text: str
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    understood: ev.Understood | None = None
    predicted: ev.Predicted | None = None
    retrieved: ev.Retrieved | None = None
    failed: ev.Failed | None = None
    handed_off: bool = False
    asked: bool = False
    replies: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """The state of a conversation after `seq` events.

    `waiting` are received messages whose turn has not begun. `offered` are the button payloads of the last turn that
    had buttons: only these are obeyed when they come back. `history` holds the latest (speaker, text) pairs.
    """

    id: str
    seq: int = 0
    turn: int = 0
    at: float = 0.0
    status: Status = "new"
    channel: str = ""
    slots: Mapping[str, JsonValue] = field(default_factory=dict)
    stack: tuple[Frame, ...] = ()
    current: Turn | None = None
    waiting: tuple[Turn, ...] = ()
    offered: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()
    misses: int = 0

    @property
    def top(self) -> Frame | None:
        """The flow in progress, if any."""
        return self.stack[-1] if self.stack else None


def evolve(conversation: Conversation, recorded: ev.Recorded) -> Conversation:
    """The conversation after one more event.

    Raises:
        IllegalHistory: the event cannot follow; names kind, conversation and seq.
    """
    _check(conversation, recorded)
    event = recorded.event
    moved = replace(conversation, seq=recorded.seq, at=recorded.at)
    turn = moved.current
    if turn is not None and not isinstance(event, ev.Received):
        moved = replace(moved, current=replace(turn, events=turn.events + 1))
    return _apply(moved, event, recorded)


def fold(conversation: str, history: Iterable[ev.Recorded]) -> Conversation:
    """The conversation that a whole history leads to."""
    state = Conversation(id=conversation)
    for recorded in history:
        state = evolve(state, recorded)
    return state


_Refuse = Callable[[str], None]
_NEEDS_TURN = (ev.Transcribed, ev.Understood, ev.Predicted, ev.Retrieved, ev.Settled, ev.Failed)


def _check(state: Conversation, recorded: ev.Recorded) -> None:
    event = recorded.event

    def refuse(why: str) -> None:
        raise IllegalHistory(event.kind, recorded.conversation, recorded.seq, why)

    if recorded.conversation != state.id:
        refuse(f"it was offered to conversation {state.id!r}")
    if recorded.seq != state.seq + 1:
        refuse(f"event {state.seq + 1} was expected next")
    if isinstance(event, ev.Started | ev.Erased):
        if isinstance(event, ev.Started) and state.status not in ("new", "erased"):
            refuse("the conversation has started already")
        return
    if state.status == "new":
        refuse("the conversation has not started")
    if state.status == "erased":
        refuse("the conversation was erased; only a new start may follow")
    _check_turn(state, recorded, refuse)


def _check_turn(state: Conversation, recorded: ev.Recorded, refuse: _Refuse) -> None:
    event, turn = recorded.event, state.current
    if isinstance(event, ev.Received):
        if recorded.turn != state.turn + 1:
            refuse(f"turn {state.turn + 1} was expected, found {recorded.turn}")
    elif isinstance(event, _NEEDS_TURN) and turn is None:
        refuse("no turn is open")
    elif isinstance(event, ev.FlowLeft) and (state.top is None or state.top.flow != event.flow):
        refuse(f"flow {event.flow!r} is not on top of the stack")
    elif isinstance(event, ev.Asked) and (state.top is None or state.top.flow != event.flow):
        refuse(f"flow {event.flow!r} is not on top of the stack")
    elif isinstance(event, ev.Settled) and turn is not None and not _visible(turn):
        refuse("the turn has shown the user nothing")
    elif isinstance(event, ev.Corrected) and event.target > state.turn:
        refuse(f"turn {event.target} has not happened")


def _visible(turn: Turn) -> bool:
    return turn.replies > 0
